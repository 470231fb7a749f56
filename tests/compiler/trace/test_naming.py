"""What the author of a step calls its tensors stands in the recording, and in what is generated of it."""

import torch

import rnnkit
from rnnkit_compiler import compiled
from rnnkit_compiler._recorded import recorded_whole


class Named(rnnkit.Cell):
    """Has names for what it computes, one of them no identifier that others can read."""

    state_names = ("memory",)

    def step(self, x, state):
        (before,) = state
        gate = torch.sigmoid(x.sum(1, keepdim=True) + before)
        α = gate * before
        return self.halved(α), (α + 1,)

    def halved(self, whole):
        half = whole / 2
        return torch.tanh(half)


def names_of(cell):
    step = recorded_whole(cell, *compiled.example(cell), narrow=False)
    return step, {name: node.op for node, name in step.lowered.names.items()}


def test_local_variables_name_nodes():
    _, names = names_of(Named(2, 3))
    assert names == {"memory": "add", "gate": "sigmoid", "whole": "mul", "half": "mul", "y": "tanh"} | names
    assert all(name.isascii() for name in names)
    assert not {"x_", "self"} & {*names}


def test_a_state_has_its_name_before_and_after():
    step, _ = names_of(Named(2, 3))
    named = [node.op for node, name in step.lowered.names.items() if name == "memory"]
    assert sorted(named) == ["add", "state"]
