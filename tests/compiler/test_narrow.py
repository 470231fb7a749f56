"""Cells in bfloat16 or float16 on a CPU run in float32 kernels, as near to the truth as the loop or nearer."""

import pytest
import torch

import rnnkit
from rnnkit_compiler.compiled import Compiled
from rnnkit_unrollers import loop

from ..core_cells import CORE_CELLS

D, H, T, B = 5, 8, 6, 3
NARROW = (torch.bfloat16, torch.float16)
CELLS = [name for name in CORE_CELLS if Compiled().applies(rnnkit.cells[name](D, H))]


def problem(name, dtype):
    """Return a cell, its input and its state in a dtype, and masks."""
    torch.manual_seed(0)
    cell = rnnkit.cells[name](D, H).to(dtype)
    state = tuple(torch.rand(B, size).to(dtype) for size in cell.state_sizes)
    masks = {"lengths": torch.tensor([6, 2, 4]), "reset": torch.rand(T, B) < 0.2}
    return cell, torch.randn(T, B, D).to(dtype), state, masks


def results(unroller, cell, xs, state, masks):
    """Return output, last states and gradients."""
    given = [tensor.clone().requires_grad_() for tensor in (xs, *state)]
    torch.manual_seed(1)  # for the masks of some wrappers
    ys, last = unroller(cell, given[0], tuple(given[1:]), **masks)
    total = sum(tensor.double().sin().sum() for tensor in (ys, *last))
    gradients = torch.autograd.grad(total, [*given, *cell.parameters()])
    return [tensor.detach() for tensor in (ys, *last, *gradients)]


def distance(found, exact):
    """Return how far tensors are from others, as the largest difference relative to the largest number."""
    return max(float((a.double() - b).abs().max() / (1e-3 + b.abs().max())) for a, b in zip(found, exact, strict=True))


@pytest.mark.covering(2)
@pytest.mark.parametrize("dtype", NARROW, ids=str)
@pytest.mark.parametrize("name", CELLS)
def test_the_loop_s_dtypes_and_its_error_at_most_twice(name, dtype):
    cell, xs, state, masks = problem(name, dtype)
    of_loop, found = (results(unroller, cell, xs, state, masks) for unroller in (loop.Loop(), Compiled()))
    assert [tensor.dtype for tensor in found] == [tensor.dtype for tensor in of_loop]
    exact = results(loop.Loop(), cell.double(), xs.double(), tuple(tensor.double() for tensor in state), masks)
    assert distance(found, exact) <= 2 * distance(of_loop, exact)


@pytest.mark.parametrize("dtype", NARROW, ids=str)
def test_a_kernel_runs_and_says_so(monkeypatch, dtype):
    cell, *problems = problem("lstm", dtype)
    results(Compiled(), cell, *problems)  # the loop is asked for its dtypes once
    monkeypatch.setattr(loop, "run", None)
    results(Compiled(), cell, *problems)
    assert Compiled().backend_of(cell) == "cpp"
    name = str(dtype).removeprefix("torch.")
    assert f"cast: {name} to float32 and back, once a call" in Compiled().explain(cell).splitlines()


def test_a_layer_trains_in_bfloat16_where_it_stands_for_torch_s():
    layer = rnnkit.RNN("lstm", D, H, num_layers=2, bidirectional=True).bfloat16()
    reference = torch.nn.LSTM(D, H, num_layers=2, bidirectional=True).bfloat16()
    reference.load_state_dict(layer.state_dict())
    xs = torch.randn(T, B, D).bfloat16()
    pairs = zip(layer(xs)[0].split(1), reference(xs)[0].split(1), strict=True)
    for ours, theirs in pairs:
        torch.testing.assert_close(ours, theirs, rtol=0.05, atol=0.02)
    layer(xs)[0].float().square().sum().backward()
    assert all(parameter.grad.dtype == torch.bfloat16 for parameter in layer.parameters())
    with torch.no_grad():
        stepper = layer.__class__("lstm", D, H).bfloat16().stepper(B)
        assert stepper(xs[0]).dtype == torch.bfloat16


def test_input_of_another_dtype_is_refused_as_by_the_loop():
    cell, xs, state, _ = problem("lstm", torch.bfloat16)
    for unroller in (loop.Loop(), Compiled()):
        with pytest.raises(RuntimeError, match="dtype"):
            unroller(cell, xs.float(), state)


@pytest.mark.parametrize("dtype", NARROW, ids=str)
def test_autocast_around_a_narrow_cell(dtype):
    cell, xs, state, _ = problem("gru", dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        (ys, _), (expected, _) = (unroller(cell, xs, state) for unroller in (Compiled(), loop.Loop()))
    assert ys.dtype == expected.dtype
    torch.testing.assert_close(ys, expected, rtol=0.05, atol=0.02)
