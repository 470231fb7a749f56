"""Complex numbers in a step: native, and the loop's numbers, in both orders."""

import pytest
import torch

import rnnkit
from rnnkit.core.cell import building

from ..slow_cases import slow_but
from .complex_cells import EVERY_COMPLEX_CELL, Complex, PairsOfReals, Unitary, complex_, real

Compiled, Loop = rnnkit.unrollers["compiled"], rnnkit.unrollers["loop"]


def written(z, write):
    y = z * 1
    write(y)
    return y


OPERATIONS = {
    "sine": lambda c, a, z: z.sin() + z.cos(),
    "hyperbolic": lambda c, a, z: z.sinh() - z.cosh() + z.tan(),
    "roots": lambda c, a, z: z.sqrt() + z.rsqrt(),
    "logarithms": lambda c, a, z: z.log2() + z.log10() * z.log1p(),
    "expm1": lambda c, a, z: z.expm1() * z.sigmoid(),
    "whole powers": lambda c, a, z: z**4 + z**-1 + z**-2 + z**0,
    "powers": lambda c, a, z: z**0.5 + z**a + (0.3 * z) ** z + 2**z + z ** (1 + 1j),
    "powers by parameters": lambda c, a, z: z**c.z + c.v.exp() ** z,
    "factors": lambda c, a, z: torch.add(z, z, alpha=2j) + torch.addcmul(z, z, c.z, value=0.5j),
    "quotients": lambda c, a, z: torch.addcdiv(z, z, c.z, value=0.5) + 1j / z,
    "between": lambda c, a, z: torch.lerp(z, z * c.z, 0.3) + torch.lerp(z, c.z.expand_as(z), z),
    "affine": lambda c, a, z: torch.addmm(c.z, z, c.w, alpha=0.5, beta=2j),
    "compared": lambda c, a, z: torch.where(z == z.conj(), 0.0, a) + (z != 0) + torch.isnan(z),
    "filled": lambda c, a, z: torch.full_like(z, 1j) * z + z.new_ones(z.shape) - torch.ones_like(z),
    "norms": lambda c, a, z: torch.cat([z.norm(dim=1, keepdim=True), torch.linalg.vector_norm(z, 1, 1, True)], 1),
    "normal": lambda c, a, z: torch.nn.functional.normalize(z),
    "spread": lambda c, a, z: torch.stack([z.var(1), z.std(1, unbiased=False)], 1),
    "running": lambda c, a, z: z.cumsum(1),
    "beside real ones": lambda c, a, z: torch.cat([z, a], 1),
    "diagonal": lambda c, a, z: torch.diag_embed(z).diagonal(1, 1, 2) * z.view(-1, 2, 3).diagonal(0, 1, 2)[:, :1],
    "of a row's choice": lambda c, a, z: (
        z.gather(1, a.argmax(1, keepdim=True))
        + z[torch.arange(len(z)), a.argmin(1)].unsqueeze(1)
        + z.scatter(1, a.argmax(1, keepdim=True), 1j).scatter_add(1, a.argmin(1, keepdim=True), z[:, :1])
    ),
    "added by constants": lambda c, a, z: z.index_add(1, torch.tensor([0, 2]), z[:, :2]),
    "a slice": lambda c, a, z: written(z, lambda y: y[:, :3].copy_(2 * z[:, 3:])),
    "a slice by a real": lambda c, a, z: written(z, lambda y: y[:, ::2].copy_(a[:, 3:])),
    "a unit": lambda c, a, z: written(z, lambda y: y[:, 1].fill_(1 + 2j)),
    "a mask": lambda c, a, z: written(z, lambda y: y.__setitem__(a > 0, 0)),
    "a mask by a complex": lambda c, a, z: written(z, lambda y: y.masked_fill_(a > 0, 1j)),
    "a constant mask": lambda c, a, z: written(z, lambda y: y.__setitem__((slice(None), torch.arange(6) > 3), 1j)),
    "a diagonal": lambda c, a, z: written(z.view(-1, 2, 3), lambda y: y.diagonal(0, 1, 2).zero_()),
    "a diagonal by ones": lambda c, a, z: written(z.view(-1, 3, 2), lambda y: y.diagonal(0, -1, -2).fill_(1)),
    "the whole": lambda c, a, z: written(z, lambda y: y[:, :2].zero_()) + written(z, lambda y: y.mul_(2j)),
    "real parts": lambda c, a, z: written(z, lambda y: y.real.copy_(a)),
    "imaginary parts": lambda c, a, z: written(z, lambda y: y.imag[:, 1:].mul_(a[:, 1:])),
    "as real": lambda c, a, z: written(z, lambda y: torch.view_as_real(y)[..., 0].mul_(a)),
    "as complex": lambda c, a, z: written(torch.view_as_real(z) * 2, lambda y: torch.view_as_complex(y).mul_(c.z)),
}


class Shown(Complex):
    """Shows what an operation gives."""

    def __init__(self, operation):
        self.operation = operation
        super().__init__()

    def prepare(self):
        self.z, self.w, self.v = complex_(6), complex_(6, 6), real(6)

    def step(self, x, state):
        (h,) = state
        a = 0.8 * h.real + 0.3 * x
        found = self.operation(self, a, torch.complex(a, x + 0.2 * h.imag))
        shown = torch.view_as_real(found.resolve_conj()) if found.is_complex() else found
        return shown.reshape(len(x), -1), (0.5 * h + self.z * x,)


def build(kind, *arguments):
    torch.manual_seed(0)
    with building(None, torch.float64):
        return kind(*arguments)


def derivatives(unroller, cell, order, **masks):
    """Return results, gradients, and for the second order the gradients of their squares."""
    torch.manual_seed(1)
    with building(None, torch.float64):
        xs = torch.randn(4, 3, 6, requires_grad=True)
        state = tuple(torch.randn_like(tensor).requires_grad_() for tensor in cell.initial_state(3))
        ys, last = unroller(cell, xs, state, **masks)
    parts = [torch.view_as_real(t.resolve_conj()) if t.is_complex() else t for t in (ys, *last)]
    total = sum((part * torch.arange(part.numel()).cos().view_as(part)).sum() for part in parts)
    wanted = [xs, *state, *cell.parameters()]
    grads = torch.autograd.grad(total, wanted, create_graph=order == 2, materialize_grads=True)
    if order == 2:
        squares = sum(grad.abs().square().sum() for grad in grads)
        grads += torch.autograd.grad(squares, wanted, materialize_grads=True)
    return [*parts, *grads]


def assert_the_loops(cell, backend, **masks):
    for order in (1, 2):
        found, expected = (derivatives(each, cell, order, **masks) for each in (Compiled(backend=backend), Loop()))
        for one, other in zip(found, expected, strict=True):
            scale = max(1.0, float(other.detach().abs().max()))
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10 * scale)


@pytest.mark.parametrize("kind", slow_but([Unitary, PairsOfReals], EVERY_COMPLEX_CELL), ids=lambda kind: kind.__name__)
def test_a_cell_is_native(kind):
    cell = build(kind)
    assert Compiled().backend_of(cell) == "cpp", Compiled().explain(cell)
    assert_the_loops(cell, "cpp")
    assert_the_loops(cell, "cpp", lengths=torch.tensor([4, 1, 3]))


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.one_in(4)
def test_an_operation_is_native(name):
    cell = build(Shown, OPERATIONS[name])
    assert Compiled().backend_of(cell) == "cpp", Compiled().explain(cell)
    assert_the_loops(cell, "cpp")


@pytest.mark.parametrize("name", ["a slice", "a diagonal", "imaginary parts", "as complex"])
def test_the_plan_writes_into_complex_tensors(name):
    assert_the_loops(build(Shown, OPERATIONS[name]), "torch")


@pytest.mark.parametrize("kind", EVERY_COMPLEX_CELL, ids=lambda kind: kind.__name__)
@pytest.mark.one_in(4)
def test_in_single_precision(kind):
    torch.manual_seed(0)
    with building(None, torch.float32):
        cell = kind()
        xs = torch.randn(6, 3, 6)
        found, expected = (unroller(cell, xs)[0] for unroller in (Compiled(backend="cpp"), Loop()))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


CONJUGATED = {
    "mH": lambda z, w: z @ w.mH,
    "conj of T": lambda z, w: z @ w.conj().T,
    "adjoint": lambda z, w: z @ w.adjoint(),
    "einsum": lambda z, w: torch.einsum("bi,ij->bj", z, w.conj()),
    "a factor": lambda z, w: z * w[0].conj(),
}


@pytest.mark.parametrize("name", CONJUGATED)
def test_gradients_are_no_views_of_their_conjugates(name):
    """Which Adam refuses; the loop's sums over steps are none."""
    cell = build(Shown, lambda c, a, z: CONJUGATED[name](z, c.w))
    ys, _ = Compiled(backend="cpp")(cell, torch.randn(4, 3, 6, dtype=torch.float64))
    ys.abs().sum().backward()
    assert not any(one.grad.is_conj() for one in cell.parameters() if one.grad is not None)
    assert_the_loops(cell, "cpp")
