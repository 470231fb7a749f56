"""Steps that draw random numbers: compiled, they draw those that the loop draws, and no others."""

import threading

import pytest
import torch
from torch.nn import functional as F

import rnnkit
from rnnkit.core.cell import building
from rnnkit.errors import UsageError
from rnnkit_compiler._recorded import recorded_projected
from rnnkit_compiler.ir.derivative import derive
from rnnkit_compiler.structure.jacobian import Unproven, jacobian_of
from rnnkit_compiler.trace.example import example

from ..slow_cases import slow_but
from .drawing_cells import (
    LOOP,
    NATIVE,
    AddsNoise,
    DropsOut,
    DropsOutByModule,
    HasAGenerator,
    Reparametrizes,
    SamplesBernoulli,
    ZonesOut,
)
from .test_compiled_law import Compiled, Loop, backend_of
from .test_odd_cells import assert_same

QUICK = (DropsOut, ZonesOut, SamplesBernoulli)
every_cell = pytest.mark.parametrize("kind", slow_but(QUICK, (*NATIVE, *LOOP)), ids=lambda kind: kind.__name__)


def build(kind, dtype=torch.float64, hidden=6):
    torch.manual_seed(0)
    with building(None, dtype):
        return kind(3, hidden)


def problem(cell, steps=5, batch=3, like=torch.float64):
    torch.manual_seed(1)
    xs = torch.randn(steps, batch, 3, dtype=like).requires_grad_()
    return xs, (torch.randn(batch, cell.state_sizes[0], dtype=like).requires_grad_(),)


def unrolled(unroller, cell, xs, state, order=1, **masks):
    """Return results, gradients and the states of the generators afterwards, all from one seed."""
    torch.manual_seed(5)
    cell.own.manual_seed(7)
    ys, last = unroller(cell, xs, state, **masks)
    found = [ys, *last]
    if ys.requires_grad:
        wanted = [xs, *state, *cell.parameters()]
        loss = (ys * torch.arange(ys.numel()).cos().view(ys.shape)).sum() + sum(tensor.sin().sum() for tensor in last)
        grads = torch.autograd.grad(loss, wanted, allow_unused=True, create_graph=order == 2)
        found += grads
        total = sum((g * g.detach().cos()).sum() for g in grads if g is not None and g.requires_grad)
        found += torch.autograd.grad(total, wanted, allow_unused=True) if order == 2 and total != 0 else []
    return found, [torch.get_rng_state(), cell.own.get_state()]


def hold(cell, xs, state, unrollers=None, tolerance=1e-10, **given):
    expected, states = unrolled(Loop(), cell, xs, state, **given)
    for unroller in unrollers or [one for one in Compiled.variants() if str(one) == "compiled" or one.applies(cell)]:
        found, after = unrolled(unroller, cell, xs, state, **given)
        assert_same(found, expected, tolerance)
        assert all(map(torch.equal, after, states))


@pytest.mark.parametrize("kind", NATIVE, ids=lambda kind: kind.__name__)
def test_who_runs_in_a_kernel(kind):
    assert backend_of(build(kind)) == "cpp"


@pytest.mark.parametrize("kind", LOOP, ids=lambda kind: kind.__name__)
def test_who_is_for_the_loop(kind):
    assert LOOP[kind] in Compiled().explain(build(kind))
    assert backend_of(build(kind)) == "loop"


@every_cell
def test_the_law(kind):
    cell = build(kind)
    for steps, batch in ((1, 1), (4, 3), (5, 7)):
        xs, state = problem(cell, steps, batch)
        lengths, reset = torch.arange(batch) % steps + 1, torch.rand(steps, batch) < 0.3
        hold(cell, xs, state)
        hold(cell, xs, state, lengths=lengths, reset=reset)
        hold(cell, xs, state, order=2)


@every_cell
def test_in_float32(kind):
    cell = build(kind, torch.float32)
    hold(cell, *problem(cell, like=torch.float32), tolerance=1e-4)


@every_cell
def test_without_gradients(kind):
    cell = build(kind)
    xs, state = problem(cell)
    with torch.no_grad():
        hold(cell, xs, state)


@every_cell
def test_looking_at_a_cell_draws_nothing(kind):
    cell = build(kind)
    before, own = torch.get_rng_state(), cell.own.get_state()
    Compiled().explain(cell)
    jacobian_of(cell)
    assert torch.equal(torch.get_rng_state(), before)
    assert kind.__name__ == "SeedsItsGenerator" or torch.equal(cell.own.get_state(), own)


def test_a_layer_draws_as_with_the_loop():
    for options in ({}, {"num_layers": 2, "bidirectional": True}):
        found = []
        for unroller in ("loop", "compiled"):
            torch.manual_seed(0)
            layer = rnnkit.RNN(DropsOut, 3, 6, unroller=unroller, **options).double()
            xs = torch.randn(5, 4, 3, dtype=torch.float64)
            torch.manual_seed(9)
            output = layer(xs)[0]
            output.sum().backward()
            with torch.no_grad():
                output = [output, layer(xs)[0], layer(xs[:1])[0]]
            found.append([*output, *(p.grad for p in layer.parameters()), torch.get_rng_state().double()])
        assert_same(found[1], found[0])


def test_evaluating_draws_nothing():
    cell = build(DropsOut).eval()
    assert "drawn" not in Compiled().explain(cell)
    before = torch.get_rng_state()
    Compiled()(cell, torch.randn(4, 2, 3, dtype=torch.float64, generator=torch.Generator()))
    assert torch.equal(torch.get_rng_state(), before)


def test_what_draws_take_is_told():
    said = "drawn for all steps before the first one: bernoulli_ of (B, 6), float64; 48 bytes for each row and step"
    assert said in Compiled().explain(build(DropsOut))


def test_sizes_that_generators_treat_apart():
    for hidden in (1, 5, 16, 17, 300):
        cell = build(AddsNoise, hidden=hidden)
        for batch in (1, 3):
            hold(cell, *problem(cell, 3, batch))


def test_input_and_state_that_are_transposed_are_for_the_loop():
    cell = build(ZonesOut)
    xs, (h,) = problem(cell)
    turned = xs.detach().permute(2, 1, 0).contiguous().permute(2, 1, 0).requires_grad_()
    hold(cell, turned, (h,), [Compiled()])
    hold(cell, xs, (h.detach().t().contiguous().t().requires_grad_(),), [Compiled()])
    with pytest.raises(UsageError, match="transposed"):
        Compiled(backend="cpp")(cell, turned, (h,))


def test_in_low_precision_the_loop_draws():
    cell = build(AddsNoise, torch.bfloat16)
    xs, state = problem(cell, like=torch.bfloat16)
    hold(cell, xs, state, [Compiled()], tolerance=0)
    cell = build(AddsNoise, torch.float32)
    xs, state = problem(cell, like=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        hold(cell, xs, state, [Compiled()], tolerance=0)


class DrawsOfAnyProbability(SamplesBernoulli):
    def project(self, xs):
        return F.dropout(super().project(xs), 0.1)

    def drawn(self, h, before):
        return h + torch.bernoulli(before.detach())


def test_a_probability_that_is_none_is_an_error_of_the_loops():
    cell = build(DrawsOfAnyProbability)
    xs, state = problem(cell)
    assert backend_of(cell) == "cpp"
    torch.manual_seed(3)
    with pytest.raises(RuntimeError, match="Expected p_in"):
        Loop()(cell, xs, (state[0] * 0 + 2,))
    after = torch.get_rng_state()
    torch.manual_seed(3)
    with pytest.raises(RuntimeError, match="Expected p_in"):
        Compiled()(cell, xs, (state[0] * 0 + 2,))
    assert torch.equal(torch.get_rng_state(), after)


class DropsASymbol(DropsOut):
    def step(self, p, state):
        h = F.dropout(torch.tanh(p + state[0] @ self.across), 0.3, self.training)
        return h, (h,)


def test_over_symbols():
    cell = build(DropsASymbol)
    table, symbols = torch.randn(4, 3, dtype=torch.float64), torch.arange(40).view(10, 4) % 4
    found = []
    for unroller in (Loop(), Compiled()):
        torch.manual_seed(2)
        found.append([unroller.over_symbols(cell, symbols, table)[0], torch.get_rng_state().double()])
    assert_same(found[1], found[0])


def test_nothing_is_proven_of_a_step_that_draws():
    assert isinstance(jacobian_of(build(ZonesOut)), Unproven)


def test_draws_have_no_gradient():
    cell = build(Reparametrizes)
    recorded = recorded_projected(cell, *example(cell), lower=True, narrow=False)
    (drawn,) = [k for k, number in enumerate(recorded.split.parts) if number in recorded.recording.drawn]
    assert derive(recorded.lowered).parts[drawn] == recorded.lowered.graph.number(0)


def test_each_cell_has_its_own_generator():
    one, other = build(HasAGenerator), build(HasAGenerator)
    for cell in (one, other):
        hold(cell, *problem(cell), [Compiled()])
    before = one.own.get_state()
    Compiled()(other, *problem(other))
    assert torch.equal(one.own.get_state(), before)


def test_the_rate_and_the_mode_are_seen():
    cell = build(DropsOutByModule)
    for rate, trains in ((0.3, True), (0.3, False), (0.3, True), (0.6, True)):
        cell.drop.p = rate
        hold(cell.train(trains), *problem(cell), [Compiled()])


def test_in_another_thread():
    cell = build(ZonesOut)
    failed = []

    def run():
        try:
            hold(cell, *problem(cell), [Compiled()])
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert not failed


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("size", [1, 2, 5, 15, 16, 17, 64, 1000, 4097])
def test_torch_draws_of_values_as_is_assumed(size, dtype):
    p, mean = torch.rand(3, size, dtype=dtype), torch.randn(3, size, dtype=dtype)
    new = lambda: torch.empty_like(p)  # noqa: E731
    pairs = (
        (lambda: torch.bernoulli(p), lambda: (new().uniform_(0, 1) < p).to(dtype)),
        (lambda: new().bernoulli_(p), lambda: (new().uniform_(0, 1) < p).to(dtype)),
        (lambda: torch.bernoulli(p, 0.3), lambda: new().bernoulli_(0.3)),
        (lambda: torch.multinomial(p, 1), lambda: (p / new().exponential_(1)).argmax(-1, True)),
        (lambda: torch.normal(mean, p), lambda: new().normal_(0, 1) * p + mean),
        (lambda: torch.normal(mean, 0.3), lambda: new().normal_(0, 0.3) + mean),
        (lambda: torch.normal(0.3, p), lambda: new().normal_(0, 1) * p + 0.3),
        (lambda: torch.rand_like(p), lambda: new().uniform_(0, 1)),
        (lambda: torch.randn_like(p), lambda: new().normal_(0, 1)),
        (lambda: torch.randint_like(p, 7), lambda: new().random_(0, 7)),
    )
    for ours, theirs in pairs:
        found = []
        for one in (ours, theirs):
            torch.manual_seed(size)
            found.append((one(), torch.get_rng_state()))
        assert all(map(torch.equal, *found))
