"""The parallel scan: linear recurrences, what it refuses, and sequences in which coefficients under- and overflow."""

import pytest
import torch

import rnnkit
from rnnkit.core.cell import building
from rnnkit.errors import UsageError
from rnnkit.testing import differences
from rnnkit_unrollers._recurrence import solved

from ..compiler.structure.shaped_cells import (
    Base,
    Counter,
    CoupledAffine,
    DenseAffine,
    Detached,
    NonlinearInOnePart,
    Sorted,
    Squared,
)

Scan = rnnkit.unrollers["scan"]
Loop = rnnkit.unrollers["loop"]
D, H = 3, 6

REFUSED = {
    NonlinearInOnePart: "h enters sin",
    Squared: "what depends on h is multiplied by what does too, by mul",
    Detached: "h is cut off from the gradient by detach",
    Sorted: "h enters sort",
    Counter: "t holds whole numbers",
}


def build(kind):
    torch.manual_seed(0)
    with building(None, torch.float64):
        return kind(D, H)


def in_turn(a, b):
    """Solve a linear recurrence step by step."""
    h, states = torch.zeros_like(b[0]), []
    for coefficient, offset in zip(a, b, strict=True):
        moved = coefficient * h if a.ndim == b.ndim else (coefficient @ h.unsqueeze(-1)).squeeze(-1)
        h = moved + offset
        states.append(h)
    return torch.stack(states)


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("steps", [1, 2, 3, 8, 13])
def test_a_recurrence_is_solved_with_its_gradients(steps, size):
    torch.manual_seed(0)
    shape = (steps, 2, 3, size, size) if size > 1 else (steps, 2, 3)
    a = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    a = (0.3 * a).detach().requires_grad_()
    b = torch.randn(shape[:4] if size > 1 else shape, dtype=torch.float64, requires_grad=True)
    results = []
    for solve in (solved, in_turn):
        h = solve(a, b)
        first = torch.autograd.grad(h.sin().sum(), [a, b], create_graph=True)
        second = torch.autograd.grad(sum(g.cos().sum() for g in first), [a, b])
        results.append([h, *first, *second])
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("kind", [DenseAffine, CoupledAffine], ids=lambda kind: kind.__name__)
def test_third_party_cells_obey_the_law(kind):
    cell = build(kind)
    assert Scan().applies(cell)
    for steps in (1, 2, 11):
        masks = {"lengths": torch.randint(1, steps + 1, (2,)), "reset": torch.rand(steps, 2) < 0.3}
        assert list(differences(Scan(), cell, steps, 2, 1e-10)) == []
        assert list(differences(Scan(), cell, steps, 2, 1e-10, **masks)) == []


@pytest.mark.parametrize("kind", REFUSED, ids=lambda kind: kind.__name__)
def test_what_is_not_linear_is_refused_with_the_operation(kind):
    cell = build(kind)
    assert not Scan().applies(cell)
    with pytest.raises(UsageError) as caught:
        Scan()(cell, torch.randn(4, 2, D, dtype=torch.float64))
    assert str(caught.value) == (
        f"unroller 'scan': cell {cell.name!r} is not linear in its state: {REFUSED[kind]}; "
        "take unroller='newton' or 'auto'"
    )
    assert Scan().explain(cell).startswith(f"refused: {REFUSED[kind]}")


def test_products_that_underflow_divide_nothing():
    """Kept shares of 0.001 over 5,000 steps: their products are zero after a hundred."""
    layer = rnnkit.RNN("mingru", D, H, unroller="scan", dtype=torch.float64)
    with torch.no_grad():
        layer.cells[0].linear.bias[:H] = 7.0
    xs = torch.randn(5000, 1, D, dtype=torch.float64)
    found = layer(xs)[0]
    layer.unroller = "loop"
    torch.testing.assert_close(found, layer(xs)[0])


class Growing(Base):
    def step(self, p, state):
        (h,) = state
        h = 3 * h + 0 * p
        return h, (h,)


def test_products_that_overflow_go_to_the_loop():
    """3 ** 2000 is infinite, and times a state of zero not a number; the states are zero all the same."""
    cell, xs = build(Growing), torch.randn(2000, 1, D, dtype=torch.float64, requires_grad=True)
    ys, _ = Scan()(cell, xs)
    assert not ys.any()
    found, expected = (
        torch.autograd.grad(u(cell, xs[:300])[0][-1].sum(), list(cell.parameters())[:2]) for u in (Scan(), Loop())
    )
    torch.testing.assert_close(found, expected)


def test_third_derivatives_are_the_loop_s():
    cell, found = build(CoupledAffine), []
    xs = torch.randn(5, 1, D, dtype=torch.float64)
    for unroller in (Scan(), Loop()):
        total, orders = unroller(cell, xs)[0].sin().sum(), []
        for _ in range(3):
            gradients = torch.autograd.grad(total, [cell.inward.weight], create_graph=True)
            orders += gradients
            total = gradients[0].sin().sum()
        found.append(orders)
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("unroller", ["scan", "newton"])
def test_inference_mode_has_the_loop_s_numbers(unroller):
    """In it nothing can be differentiated, the step by its state neither."""
    with torch.inference_mode():
        cell, xs, reset = build(CoupledAffine), torch.randn(9, 2, D, dtype=torch.float64), torch.rand(9, 2) < 0.3
        expected = Loop()(cell, xs, reset=reset)
        torch.testing.assert_close(rnnkit.unrollers[unroller]()(cell, xs, reset=reset), expected)
    with torch.no_grad():
        torch.testing.assert_close(rnnkit.unrollers[unroller]()(cell, xs, reset=reset), expected)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")  # torch's own, in jvp
def test_transforms_and_autocast_have_the_loop_s_numbers():
    cell, xs = rnnkit.cells["mingru"](D, H), torch.randn(4, 2, D)
    rows = torch.func.vmap(lambda x: Scan()(cell, x.unsqueeze(1))[0].squeeze(1), in_dims=1, out_dims=1)(xs)
    torch.testing.assert_close(rows, Loop()(cell, xs)[0])
    _, tangent = torch.func.jvp(lambda x: Scan()(cell, x)[0], (xs,), (torch.ones_like(xs),))
    torch.testing.assert_close(tangent, torch.func.jvp(lambda x: Loop()(cell, x)[0], (xs,), (torch.ones_like(xs),))[1])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(Scan()(cell, xs)[0], Loop()(cell, xs)[0])


def test_gradients_of_many_outputs_at_once():
    """A transform that begins between the passes: rows of a Jacobian by vmap over the backward pass."""
    cell, xs, found = build(CoupledAffine), torch.randn(3, 1, D, dtype=torch.float64), []
    for unroller in (Scan(), Loop()):
        found.append(
            torch.autograd.functional.jacobian(lambda x, u=unroller: u(cell, x)[0].sum((0, 1)), xs, vectorize=True)
        )
    torch.testing.assert_close(*found)


def test_gradients_under_vmap_of_the_way_back_alone():
    cell, xs, found = build(CoupledAffine), torch.randn(3, 1, D, dtype=torch.float64, requires_grad=True), []
    for unroller in (Scan(), Loop()):
        ys, _ = unroller(cell, xs)
        several = torch.ones(2, *ys.shape, dtype=ys.dtype).cumsum(0)
        found.append(torch.func.vmap(lambda g, ys=ys: torch.autograd.grad(ys, xs, g, retain_graph=True)[0])(several))
    torch.testing.assert_close(*found)


def test_explain_says_how_the_jacobian_is_built():
    assert Scan().explain(rnnkit.cells["qrnn"](D, H)).splitlines() == [
        "runs as a parallel scan over time",
        "state's Jacobian, x: zero",
        "state's Jacobian, c: diagonal, linear, given x",
    ]


def test_the_weights_of_the_forward_pass_are_those_of_the_backward_pass():
    cell = build(CoupledAffine)
    ys, _ = Scan()(cell, torch.randn(3, 1, D, dtype=torch.float64))
    with torch.no_grad():
        cell.across.weight.add_(1)  # not read
        cell.inward.weight.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        ys.sum().backward()
