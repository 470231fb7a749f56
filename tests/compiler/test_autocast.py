"""Under autocast kernels and plan add up in the parameters' dtype, as near to the truth as the loop or nearer."""

import pytest
import torch

import rnnkit
from rnnkit_compiler.backends.cpp.library import library_of
from rnnkit_compiler.compiled import Compiled
from rnnkit_unrollers import loop

from ..core_cells import CORE_CELLS

D, H, T, B = 5, 8, 6, 3
NARROW = (torch.bfloat16, torch.float16)
CELLS = [name for name in CORE_CELLS if Compiled().applies(rnnkit.cells[name](D, H))]

cast = pytest.mark.parametrize("dtype", NARROW, ids=str)


def problem(name, dtype):
    """Return a cell, input and state, in autocast's dtype, and masks."""
    torch.manual_seed(0)
    cell = rnnkit.cells[name](D, H)
    state = tuple(torch.rand(B, size).to(dtype) for size in cell.state_sizes)
    masks = {"lengths": torch.tensor([6, 2, 4]), "reset": torch.rand(T, B) < 0.2}
    return cell, torch.randn(T, B, D).to(dtype), state, masks


def results(unroller, cell, xs, state, masks, dtype=None):
    """Return output, last states and gradients, under autocast to a dtype (None: without)."""
    xs = xs.clone().requires_grad_()
    with torch.autocast("cpu", dtype=dtype, enabled=dtype is not None):
        torch.manual_seed(1)  # for the masks of some wrappers
        ys, last = unroller(cell, xs, state, **masks)
    total = sum(tensor.double().sin().sum() for tensor in (ys, *last))
    return [tensor.detach() for tensor in (ys, *last)], torch.autograd.grad(total, [xs, *cell.parameters()])


def distance(found, exact):
    """Return how far tensors are from others, as the largest difference relative to the largest number."""
    pairs = zip((*found[0], *found[1]), (*exact[0], *exact[1]), strict=True)
    return max(float((a.double() - b).abs().max() / (1e-3 + b.abs().max())) for a, b in pairs)


@pytest.mark.covering(2)
@cast
@pytest.mark.parametrize("backend", [None, "cpp", "torch"])
@pytest.mark.parametrize("name", CELLS)
def test_the_loop_s_dtypes_and_its_error_at_most_twice(name, backend, dtype):
    cell, xs, state, masks = problem(name, dtype)
    unroller = Compiled(backend=backend)
    if backend and not unroller.applies(cell):
        pytest.skip(f"no {backend} for {name}")
    of_loop = results(loop.Loop(), cell, xs, state, masks, dtype)
    found = results(unroller, cell, xs, state, masks, dtype)
    assert [tensor.dtype for tensor in found[0]] == [tensor.dtype for tensor in of_loop[0]]
    exact = cell.double(), xs.double(), tuple(tensor.double() for tensor in state)
    exact = results(loop.Loop(), *exact, masks)
    assert distance(found, exact) <= 2 * distance(of_loop, exact)


def test_a_kernel_runs(monkeypatch):
    cell, xs, state, masks = problem("lstm", torch.bfloat16)
    results(Compiled(), cell, xs, state, masks, torch.bfloat16)  # the loop is asked for its dtypes once
    monkeypatch.setattr(loop, "run", None)
    results(Compiled(), cell, xs, state, masks, torch.bfloat16)


def test_factors_are_rounded_where_the_processor_multiplies_bfloat16():
    cell, xs, state, masks = problem("lstm", torch.float32)

    def of_weights(dtype):
        return results(Compiled(), cell, xs, state, masks, dtype)[1][1:]

    exact, *found = map(of_weights, (None, torch.bfloat16, torch.float16))
    errors = [max(float((a - b).abs().max()) for a, b in zip(exact, one, strict=True)) for one in found]
    assert (errors[0] > 1e-3) == library_of(torch.float32, narrow=True).rounds
    assert errors[1] < 1e-4


@cast
def test_the_way_back_may_be_under_autocast_too(dtype):
    cell, xs, state, masks = problem("gru", dtype)
    outside = results(Compiled(backend="cpp"), cell, xs, state, masks, dtype)
    with torch.autocast("cpu", dtype=dtype):
        inside = results(Compiled(backend="cpp"), cell, xs, state, masks, dtype)
    for one, other in zip(outside[1], inside[1], strict=True):
        torch.testing.assert_close(one, other)


def test_second_derivatives_under_autocast_are_not_rounded_either():
    cell, xs, state, masks = problem("lstm", torch.bfloat16)

    def second(unroller, dtype, cell, xs, state):
        with torch.autocast("cpu", dtype=dtype, enabled=dtype is not None):
            total = unroller(cell, xs, state, **masks)[0].double().sin().sum()
            (first,) = torch.autograd.grad(total, [cell.weight_hh], create_graph=True)
        return torch.autograd.grad(first.sin().sum(), [cell.weight_hh])[0].double()

    found = second(Compiled(backend="cpp"), torch.bfloat16, cell, xs, state)
    rounded = second(loop.Loop(), torch.bfloat16, cell, xs, state)
    exact = second(loop.Loop(), None, cell.double(), xs.double(), tuple(tensor.double() for tensor in state))
    assert (found - exact).norm() < 0.1 * (rounded - exact).norm()


def test_what_project_counts_is_counted_once():
    class Normalised(rnnkit.Cell):
        """A recurrence on batch-normalised inputs."""

        def __init__(self, input_size, hidden_size):
            super().__init__(input_size, hidden_size)
            self.norm = torch.nn.BatchNorm1d(hidden_size)
            self.inward = torch.nn.Linear(input_size, hidden_size)
            self.recurrent = torch.nn.Linear(hidden_size, hidden_size)

        def project(self, xs):
            return self.norm(self.inward(xs).flatten(0, 1)).view(*xs.shape[:2], -1)

        def step(self, p, state):
            h = torch.tanh(p + self.recurrent(state[0]))
            return h, (h,)

    xs = torch.randn(T, B, D)
    for casts in (False, True):
        cell = Normalised(D, H)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=casts):
            Compiled()(cell, xs)
        assert cell.norm.num_batches_tracked == 1
