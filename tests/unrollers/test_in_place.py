"""Changes in place between forward and backward: torch's error or the right gradient, through every unroller."""

import re

import pytest
import torch
from torch import nn

import rnnkit
from rnnkit.cell import building

T, B, D, H = 5, 3, 2, 4
SAVED = re.compile(r"modified (by an )?inplace")


class Aliases(rnnkit.Cell):
    """Hands on a state as it was, another as a view of a weight."""

    name = "aliases"
    state_names = ("h", "kept", "level")

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.mix = nn.Linear(input_size, hidden_size)
        self.level = nn.Parameter(torch.ones(hidden_size))

    def step(self, x, state):
        h, kept, _ = state
        new = torch.tanh(self.mix(x) + h * kept)
        return new, (new, kept.view_as(kept), self.level.expand_as(kept))


class Twice(rnnkit.cells["rnn"]):
    """Has one tensor for two states."""

    name = "twice"
    state_names = ("h", "again")

    def step(self, p, state):
        y, (h,) = super().step(p, (state[0] + state[1],))
        return y, (h, h)

    @property
    def state_sizes(self):
        return (self.hidden_size,) * 2


CELLS = {name: rnnkit.cells[name] for name in rnnkit.cells} | {"aliases": Aliases, "twice": Twice}


def call(cell, unroller, xs, state):
    torch.manual_seed(3)  # for the masks of some wrappers
    return rnnkit.unrollers[unroller]()(cell, xs, state)


EDITS = {
    "the output": lambda found: found["ys"].mul_(3),
    "a step of the output": lambda found: found["ys"][1].zero_(),
    "the last state": lambda found: [tensor.zero_() for tensor in found["last"]],
    "the input": lambda found: found["xs"].mul_(3),
    "the first state": lambda found: [tensor.mul_(3) for tensor in found["state"]],
    "the weights": lambda found: [parameter.mul_(3) for parameter in found["cell"].parameters()],
}
DETACHED = ("the output", "a step of the output", "the last state")


def gradients(name, unroller, edit=None, recorded=False):
    """Give the gradients of everything; before the way back something may be changed, recorded by autograd or not."""
    torch.manual_seed(0)
    with building(None, torch.float64):
        cell = CELLS[name](D, H)
    xs = torch.randn(T, B, D, dtype=torch.float64, requires_grad=True)
    begun = rnnkit.cell.starting_state(cell, B)
    state = tuple(torch.rand_like(tensor).requires_grad_() for tensor in begun)
    ys, last = call(cell, unroller, xs, state)
    weights = [torch.randn_like(tensor) for tensor in (ys, *last)]
    # The loss was computed before, as that of a window whose output is then written over.
    loss = sum((tensor.clone() * weight).sum() for tensor, weight in zip((ys, *last), weights, strict=True))
    if edit is not None:
        with torch.set_grad_enabled(recorded):
            EDITS[edit]({"ys": ys, "last": last, "xs": xs, "state": state, "cell": cell})
    return torch.autograd.grad(loss, [xs, *state, *cell.parameters()], allow_unused=True)


@pytest.mark.parametrize("recorded", [False, True], ids=["unrecorded", "recorded"])
@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("unroller", list(rnnkit.unrollers))
@pytest.mark.parametrize("name", CELLS)
def test_an_error_or_the_right_gradient(name, unroller, edit, recorded):
    if recorded and edit not in DETACHED:
        return  # leaves that need a gradient: torch refuses to change them while it records
    expected = gradients(name, unroller)
    try:
        found = gradients(name, unroller, edit, recorded)
    except RuntimeError as error:
        if SAVED.search(str(error)):
            return
        raise
    for a, b in zip(found, expected, strict=True):
        assert (a is None) == (b is None)
        assert a is None or torch.equal(a, b)


@pytest.mark.parametrize("unroller", list(rnnkit.unrollers))
@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("edit", DETACHED)
def test_results_may_be_changed(name, unroller, edit):
    """As torch's GRU and RNN allow it; of an LSTM torch saves the output in some kernels, and says so."""
    for a, b in zip(gradients(name, unroller, edit), gradients(name, unroller), strict=True):
        assert a is None or torch.equal(a, b)


@pytest.mark.parametrize("unroller", list(rnnkit.unrollers))
@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("recording", [True, False], ids=["recording", "not recording"])
def test_a_last_state_is_nobody_else_s(name, unroller, recording):
    with building(None, torch.float64):
        cell = CELLS[name](D, H)
    state = tuple(torch.rand_like(tensor) for tensor in rnnkit.cell.starting_state(cell, B))
    xs = torch.randn(1, B, D, dtype=torch.float64)
    with torch.set_grad_enabled(recording):
        ys, last = call(cell, unroller, xs, state)
    assert len({tensor.untyped_storage().data_ptr() for tensor in last}) == len(last)
    own = {tensor.untyped_storage().data_ptr() for tensor in (ys, xs, *state, *cell.parameters())}
    assert own.isdisjoint(tensor.untyped_storage().data_ptr() for tensor in last)


FORMS = {
    "padded": {},
    "batch first": {"batch_first": True},
    "two layers": {"num_layers": 2},
    "both directions": {"bidirectional": True},
    "residual": {"num_layers": 2, "residual": True},
}


@pytest.mark.parametrize("steps", [1, T])
@pytest.mark.parametrize("options", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("unroller", list(rnnkit.unrollers))
@pytest.mark.parametrize("name", ["gru", "rnn"])
def test_an_output_is_changed_in_place_as_torch_allows_it(name, unroller, options, steps):
    found = []
    for in_place in (False, True):
        torch.manual_seed(0)
        layer = rnnkit.RNN(name, D, H, unroller=unroller, **options)
        xs, shift = torch.randn(2, steps, B, D)
        ys, h = layer(xs)
        if in_place:
            ys += shift.mean()
            ys.relu_()
            h.mul_(2)
        else:
            ys, h = (ys + shift.mean()).relu(), h * 2
        (ys.square().sum() + h.sum()).backward()
        found.append([parameter.grad for parameter in layer.parameters()])
    assert all(map(torch.equal, *found))
