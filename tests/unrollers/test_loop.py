"""The loop is the definition: project once, step by step, every output and the last state."""

import pytest
import torch

import rnnkit

from ..core_cells import TAKING_ALL


class Recorder(rnnkit.Cell):
    """Sums its inputs, and notes what it is asked to do."""

    name = "recorder"

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.calls = []

    def project(self, xs):
        self.calls.append(("project", tuple(xs.shape)))
        return 2 * xs

    def step(self, p, state):
        self.calls.append(("step", tuple(p.shape)))
        h = state[0] + p
        return -h, (h,)


def test_projects_once_and_steps_through_time():
    cell, xs = Recorder(1, 1), torch.tensor([1.0, 10.0, 100.0]).view(3, 1, 1)
    ys, (h,) = rnnkit.unrollers["loop"]()(cell, xs, (torch.ones(1, 1),))
    assert cell.calls == [("project", (3, 1, 1)), *[("step", (1, 1))] * 3]
    assert ys.flatten().tolist() == [-3.0, -23.0, -223.0]
    assert h.tolist() == [[223.0]]


def test_without_a_state_it_begins_with_the_cell_s_own():
    class Started(Recorder):
        def initial_state(self, batch_size):
            return (torch.full((batch_size, 1), 5.0),)

    ys, _ = rnnkit.unrollers["loop"]()(Started(1, 1), torch.ones(2, 3, 1))
    assert ys[..., 0].tolist() == [[-7.0] * 3, [-9.0] * 3]


@pytest.mark.parametrize("unroller", TAKING_ALL)
def test_inputs_are_left_as_they_were(unroller):
    torch.manual_seed(0)
    cell = rnnkit.cells["lstm"](3, 4)
    xs, state = torch.randn(6, 2, 3), tuple(torch.randn(2, 2, 4))
    before = [tensor.clone() for tensor in (xs, *state, *cell.parameters())]
    ys, last = rnnkit.unrollers[unroller]()(cell, xs, state, lengths=torch.tensor([6, 2]))
    (ys.sum() + last[1].sum()).backward()
    for tensor, kept in zip((xs, *state, *cell.parameters()), before, strict=True):
        assert torch.equal(tensor, kept)
