"""The compiled unroller in odd company: cells that fit no mould, and everything that autograd and its users may do."""

import copy
import functools
import gc
import io
import pickle
import threading

import pytest
import torch
from torch import nn

import rnnkit
from rnnkit.core.cell import building
from rnnkit.testing import differences as differences_of
from rnnkit_compiler.backends.cpp import runtime
from rnnkit_compiler.schedule.sharing import Shares

from ..slow_cases import slow_but
from .odd_cells import (
    EVERY_ODD_CELL,
    FOR_THE_LOOP,
    MIX_THE_BATCH,
    NEVER_RECORDED,
    Elman,
    NormsEqualNumbers,
    OutputIsAConstant,
    OutputOfOneDimension,
    StepsOnTheInput,
    TrainsOtherwise,
)
from .test_compiled_law import Compiled, Loop, backend_of, errors, scales

# A kernel takes a second or two to compile: of the others, `make test` runs the plan by torch's operations.
some_odd_cells = pytest.mark.parametrize(
    "kind", slow_but(EVERY_ODD_CELL[::12], EVERY_ODD_CELL), ids=lambda kind: kind.__name__
)
BUILT_IN = ("lstm", "gru", "layernorm")


def build(kind, inputs=3, hidden=4, dtype=torch.float64, seed=0):
    torch.manual_seed(seed)
    with building(None, dtype):
        return kind(inputs, hidden) if isinstance(kind, type) else rnnkit.cells[kind](inputs, hidden)


def problem(cell, steps=7, batch=3, seed=1):
    """Return an input and a state that want gradients, in the dtype of the cell."""
    torch.manual_seed(seed)
    dtype = next(cell.parameters()).dtype
    xs = torch.randn(steps, batch, cell.input_size, dtype=dtype).requires_grad_()
    state = tuple(torch.randn(batch, width, dtype=dtype).requires_grad_() for width in cell.state_sizes)
    return xs, state


def assert_same(found, expected, tolerance=1e-10):
    """Hold tensors to equality but for rounding; what is missing must be missing on both sides, or zero."""
    assert len(found) == len(expected)
    pairs = [(f, e) for f, e in zip(found, expected, strict=True) if f is not None or e is not None]
    found = {str(k): torch.zeros_like(e) if f is None else f.detach() for k, (f, e) in enumerate(pairs)}
    expected = {str(k): torch.zeros_like(f) if e is None else e.detach() for k, (f, e) in enumerate(pairs)}
    scale = scales(expected, 1e-3)
    assert {n: error for n, error in errors(found, expected).items() if not error <= tolerance * scale[n]} == {}


def assert_same_or_refused(function, expected):
    """Hold results to equality, unless autograd refuses because of what was written in place."""
    refusal = ""
    try:
        found = function()
    except RuntimeError as error:
        refusal = str(error)
    if refusal:
        assert "modified by an inplace operation" in refusal or "is a view" in refusal
    else:
        assert_same(found, expected)


def both(function, tolerance=1e-10):
    """Do the same through the loop and through the compiled unroller; returns what both give."""
    expected, found = function(Loop()), function(Compiled())
    assert_same(found, expected, tolerance)
    return found


def gradients(unroller, cell, xs, state, loss=lambda ys, last: ys.sin().sum() + sum(s.cos().sum() for s in last)):
    """Return the results and all gradients."""
    ys, last = unroller(cell, xs, state)
    wanted = [t for t in (xs, *(state or ()), *cell.parameters()) if t.requires_grad]
    found = torch.autograd.grad(loss(ys, last), wanted, allow_unused=True)
    return [ys, *last, *found]


class TestCells:
    @pytest.mark.covering(1)
    @pytest.mark.parametrize("training", [True, False], ids=["training", "evaluating"])
    @pytest.mark.parametrize("dtype", [torch.float64, pytest.param(torch.float32, marks=pytest.mark.slow)], ids=str)
    @some_odd_cells
    def test_the_law(self, kind, dtype, training):
        cell = build(kind, dtype=dtype).train(training)
        assert self.strays(Compiled(), cell, 1e-10 if dtype == torch.float64 else 1e-4) == []

    @pytest.mark.one_in(2)
    @pytest.mark.parametrize(
        "kind", [kind for kind in EVERY_ODD_CELL if kind not in FOR_THE_LOOP], ids=lambda kind: kind.__name__
    )
    def test_the_law_of_the_plan(self, kind):
        assert self.strays(Compiled(backend="torch"), build(kind), 1e-10) == []

    def strays(self, unroller, cell, tolerance):
        """Return a sentence for each number that is not the loop's."""
        strays = []
        for steps, batch in ((1, 1), (2, 2), (5, 1), (9, 3)):
            for lengths, reset in ((False, False), (True, False), (False, True), (True, True)):
                torch.manual_seed(steps)
                masks = {
                    "lengths": torch.randint(1, steps + 1, (batch,)) if lengths else None,
                    "reset": torch.rand(steps, batch) < 0.3 if reset else None,
                }
                strays += differences_of(unroller, cell, steps, batch, tolerance, **masks)
        return strays

    @some_odd_cells
    def test_without_gradients(self, kind):
        cell = build(kind).eval()
        xs = torch.randn(5, 3, 3, dtype=torch.float64)
        for context in (torch.no_grad, torch.inference_mode):
            found = []
            for unroller in (Loop(), Compiled()):
                torch.manual_seed(2)
                with context():
                    ys, last = unroller(cell, xs)
                    assert not ys.requires_grad
                    found.append([ys.clone(), *(tensor.clone() for tensor in last)])
            assert_same(found[1], found[0])

    @pytest.mark.parametrize("kind", sorted(FOR_THE_LOOP, key=str), ids=lambda kind: kind.__name__)
    def test_what_cannot_be_recorded_is_for_the_loop(self, kind):
        assert backend_of(build(kind)) == "loop"

    @pytest.mark.slow
    def test_what_is_odd_only_in_its_form_still_runs_natively(self):
        native = [kind.__name__ for kind in EVERY_ODD_CELL if backend_of(build(kind).eval()) == "cpp"]
        assert len(native) >= 0.5 * (len(EVERY_ODD_CELL) - len(NEVER_RECORDED)), native

    @pytest.mark.parametrize("kind", sorted(MIX_THE_BATCH, key=str), ids=lambda kind: kind.__name__)
    def test_rows_that_see_each_other(self, kind):
        cell = build(kind, hidden=5)
        for batch in (1, 2, 3, 5, 7):  # 3, 5 and 7 may be taken for what the recorder uses
            xs, state = problem(cell, batch=batch)
            both(lambda unroller, xs=xs, state=state: gradients(unroller, cell, xs, state))

    def test_equal_numbers_are_their_mean_to_the_bit(self):
        cell = build(NormsEqualNumbers, hidden=33, dtype=torch.float32)
        assert backend_of(cell) == "cpp"
        xs, state = torch.randn(4, 3, 3), (torch.zeros(3, 33),)
        both(lambda unroller: unroller(cell, xs, state)[:1], 2e-6)  # a rounding of the mean is 1e-4 after the norm

    def test_a_complex_state(self):
        class Rotation(rnnkit.Cell):
            def __init__(self, input_size, hidden_size):
                super().__init__(input_size, hidden_size)
                self.turn = nn.Parameter(torch.randn(hidden_size, dtype=torch.complex128))
                self.inward = nn.Parameter(torch.randn(input_size, hidden_size, dtype=torch.complex128))

            def project(self, xs):
                return xs.to(torch.complex128) @ self.inward

            def step(self, p, state):
                h = self.turn * state[0] / self.turn.abs() + p
                return h.real, (h,)

        cell = build(Rotation)
        xs = torch.randn(6, 2, 3, dtype=torch.float64, requires_grad=True)
        both(
            lambda unroller: gradients(unroller, cell, xs, None, lambda ys, last: ys.sin().sum() + last[0].abs().sum())
        )

    @pytest.mark.parametrize("name", BUILT_IN)
    def test_bfloat16(self, name):
        cell = build(name, dtype=torch.bfloat16)
        xs, state = problem(cell)
        both(lambda unroller: gradients(unroller, cell, xs, state), tolerance=0.05)

    def test_a_weight_of_another_dtype(self):
        class Mixed(Elman):
            def __init__(self, input_size, hidden_size):
                super().__init__(input_size, hidden_size)
                self.gain = nn.Parameter(torch.rand(hidden_size, dtype=torch.float32))

            def step(self, p, state):
                h = torch.tanh(p + state[0] @ self.across * self.gain)
                return h, (h,)

        cell = build(Mixed)
        xs, state = problem(cell)
        both(lambda unroller: gradients(unroller, cell, xs, state), tolerance=1e-6)

    def test_no_states(self):
        class Stateless(Elman):
            state_names = ()

            def step(self, p, state):
                return torch.tanh(p @ self.across), ()

        cell = build(Stateless)
        xs, _ = problem(cell)
        both(lambda unroller: gradients(unroller, cell, xs, None))

    def test_an_empty_batch(self):
        cell = build("lstm")
        xs = torch.randn(4, 0, 3, dtype=torch.float64, requires_grad=True)
        both(lambda unroller: gradients(unroller, cell, xs, None))


class Scaled(Elman):
    """A cell with all kinds of things that a step may read; each test changes one of them."""

    scale = 1.0
    of_the_class = 1.0

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.register_buffer("decay", torch.rand(hidden_size))
        self.plain = torch.rand(hidden_size)
        self.table = {"power": 1.0}
        self.squash = torch.tanh
        self.part = nn.Linear(hidden_size, hidden_size)
        self.drop = nn.Dropout(0.0)

    def project(self, xs):
        return self.inward(xs) * FACTOR

    def step(self, p, state):
        h = self.scale * p + self.decay * state[0] @ self.across * self.table["power"] + GLOBAL * self.part(state[0])
        h = self.drop(self.squash(h)) * (1.0 if self.training else 0.5) * self.of_the_class
        return h, (h,)


class ReadsPlain(Scaled):
    def step(self, p, state):
        y, (h,) = super().step(p, state)
        return y * self.plain, (h,)


GLOBAL = 1.0
FACTOR = 1.0


def set_global(cell):
    global GLOBAL
    GLOBAL = 0.25


@pytest.fixture
def restored():
    """Undo what a test changes outside of its cell."""
    global GLOBAL, FACTOR
    yield
    GLOBAL = FACTOR = 1.0
    Scaled.of_the_class = 1.0


def set_what_project_reads(cell):
    global FACTOR
    FACTOR = 2.0


CHANGES = {
    "a global that the projection reads": set_what_project_reads,
    "an attribute": lambda cell: setattr(cell, "scale", 0.5),
    "an attribute of the class": lambda cell: setattr(Scaled, "of_the_class", 0.5),
    "a global": set_global,
    "a table": lambda cell: cell.table.update(power=2.0),
    "a function": lambda cell: setattr(cell, "squash", torch.sigmoid),
    "training": lambda cell: cell.eval(),
    "training of a submodule": lambda cell: cell.drop.eval(),
    "the rate of a dropout": lambda cell: setattr(cell.drop, "p", 1.0),
    "a buffer in place": lambda cell: cell.decay.mul_(0.5),
    "a buffer replaced": lambda cell: setattr(cell, "decay", torch.rand_like(cell.decay)),
    "a plain tensor in place": lambda cell: cell.plain.mul_(0.5),
    "a plain tensor replaced": lambda cell: setattr(cell, "plain", torch.rand_like(cell.plain)),
    "a weight in place": lambda cell: cell.across.data.mul_(0.5),
    "a weight's data": lambda cell: setattr(cell.across, "data", torch.rand_like(cell.across)),
    "a weight's data of other strides": lambda cell: setattr(cell.across, "data", torch.rand_like(cell.across).t()),
    "a weight replaced": lambda cell: setattr(cell, "across", nn.Parameter(torch.rand_like(cell.across))),
    "a weight tied": lambda cell: setattr(cell, "across", cell.part.weight),
    "a weight frozen": lambda cell: cell.across.requires_grad_(False),
    "a submodule replaced": lambda cell: setattr(cell, "part", nn.Linear(4, 4, bias=False, dtype=torch.float64)),
    "a submodule without bias": lambda cell: setattr(cell.part, "bias", None),
    "a hook on a submodule": lambda cell: cell.part.register_forward_hook(lambda m, args, out: 2 * out),
    "a hook before a submodule": lambda cell: cell.part.register_forward_pre_hook(lambda m, args: (2 * args[0],)),
    "a backward hook": lambda cell: cell.part.register_full_backward_hook(lambda m, given, grads: (3 * given[0],)),
    "a hook on a weight": lambda cell: cell.across.register_hook(lambda grad: 2 * grad),
    "a parametrization": lambda cell: nn.utils.parametrizations.weight_norm(cell.part),
    "the dtype": lambda cell: cell.float(),
    "the step of the instance": lambda cell: setattr(cell, "step", lambda p, state: (p - state[0], (p,))),
}


class TestChangesBetweenCalls:
    @pytest.mark.parametrize("change", slow_but(list(CHANGES)[::2], CHANGES))
    @pytest.mark.parametrize("kind", slow_but([Scaled], [Scaled, ReadsPlain]))
    def test_no_stale_recording(self, kind, change, restored):
        cell = build(kind)
        before, state = problem(cell)
        both(lambda unroller: gradients(unroller, cell, before, state))
        CHANGES[change](cell)
        xs, state = problem(cell)
        tolerance = 1e-10 if xs.dtype == torch.float64 else 1e-5

        def results(unroller):
            torch.manual_seed(3)
            return gradients(unroller, cell, xs, state)

        changed = both(results, tolerance)
        assert len(changed) > 3

    def test_step_of_the_class_replaced(self, monkeypatch):
        kind = type("Changing", (Scaled,), {})
        cell = build(kind)
        xs, state = problem(cell)
        both(lambda unroller: gradients(unroller, cell, xs, state))
        monkeypatch.setattr(kind, "step", lambda self, p, state: (p * self.decay, (torch.sin(p),)))
        both(lambda unroller: gradients(unroller, cell, xs, state))

    def test_classes_of_one_name(self):
        def kind(factor):
            class Same(Elman):
                def step(self, p, state):
                    h = torch.tanh(p + factor * state[0] @ self.across)
                    return h, (h,)

            return Same

        for factor in (0.3, 1.7, 0.3):
            cell = build(kind(factor))
            xs, state = problem(cell)
            both(lambda unroller, cell=cell, xs=xs, state=state: gradients(unroller, cell, xs, state))
            del cell
            gc.collect()

    def test_a_closure_over_a_number_that_changes(self):
        factor = 0.3

        class Closing(Elman):
            def step(self, p, state):
                h = torch.tanh(p + factor * state[0] @ self.across)
                return h, (h,)

        cell = build(Closing)
        xs, state = problem(cell)
        both(lambda unroller: gradients(unroller, cell, xs, state))
        factor = 1.7
        both(lambda unroller: gradients(unroller, cell, xs, state))

    def test_the_input_is_left_as_it_is(self):
        cell = build(StepsOnTheInput)
        xs, state = problem(cell)
        before = xs.detach().clone()
        both(lambda unroller: gradients(unroller, cell, xs, state))
        assert torch.equal(xs, before)

    @pytest.mark.parametrize("name", BUILT_IN)
    def test_more_rows_than_are_projected_at_once(self, name):
        cell = build(name)
        xs, state = problem(cell, 100, 11)
        both(lambda unroller: gradients(unroller, cell, xs, state))

    def test_sizes_that_change_from_call_to_call(self):
        cell = build("lstm")
        for steps, batch in ((3, 2), (9, 1), (1, 7), (3, 2), (20, 5)):
            xs, state = problem(cell, steps, batch)
            both(lambda unroller, xs=xs, state=state: gradients(unroller, cell, xs, state))

    def test_the_number_of_threads_changes(self):
        cell, before = build("lstm"), torch.get_num_threads()
        xs, state = problem(cell)
        try:
            for threads in (1, 2, 1):
                torch.set_num_threads(threads)
                both(lambda unroller: gradients(unroller, cell, xs, state))
        finally:
            torch.set_num_threads(before)


every_cell = pytest.mark.parametrize("name", [*BUILT_IN, "residual", "learnt_state"])


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


class TestTwoThreads:
    """A row's units are shared where the weights are large and the rows few, else the rows."""

    @pytest.mark.parametrize("batch", slow_but([1, 3], [1, 3, 5]))
    @every_cell
    def test_the_law(self, name, batch, two_threads):
        cell = build(name, 5, 150)
        xs, state = problem(cell, 6, batch)
        for _ in range(5):
            both(lambda unroller: gradients(unroller, cell, xs, state))

    @every_cell
    def test_masks(self, name, two_threads):
        cell = build(name, 5, 150)
        xs, state = problem(cell, 6, 3)
        masks = {"lengths": torch.tensor([6, 1, 4]), "reset": torch.rand(6, 3) < 0.3}
        both(lambda unroller: gradients(functools.partial(unroller, **masks), cell, xs, state))


@pytest.mark.parametrize(("threads", "batch", "units"), [(4, 3, 4), (6, 8, 1), (6, 3, 2), (7, 2, 3)])
@pytest.mark.parametrize("name", ["lstm", "layernorm"])
def test_any_grid_of_rows_and_units(name, threads, batch, units, monkeypatch):
    before = torch.get_num_threads()
    shares = Shares(threads // units * units, units)
    monkeypatch.setattr(runtime, "best_shares", lambda work, steps, rows, threads: shares)
    torch.set_num_threads(threads)
    try:
        cell = build(name, 5, 150)
        xs, state = problem(cell, 6, batch)
        masks = {"lengths": torch.tensor([6, 1, 4, 6, 2, 3, 5, 6][:batch]), "reset": torch.rand(6, batch) < 0.3}
        both(lambda unroller: gradients(unroller, cell, xs, state))
        both(lambda unroller: gradients(functools.partial(unroller, **masks), cell, xs, state))
    finally:
        torch.set_num_threads(before)


class TestAutograd:
    @pytest.mark.parametrize("frozen", ["xs", "weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "all biases", "all but xs"])
    def test_gradients_that_nobody_asked_for(self, frozen):
        layer = rnnkit.RNN("lstm", 3, 4, dtype=torch.float64)
        xs = torch.randn(6, 2, 3, dtype=torch.float64, requires_grad=frozen != "xs")
        for name, parameter in layer.named_parameters():
            alike = (frozen == "all biases" and "bias" in name) or frozen == "all but xs"
            parameter.requires_grad_(not (alike or name == frozen))
        wanted = [tensor for tensor in (xs, *layer.parameters()) if tensor.requires_grad]

        def found(unroller):
            layer.unroller = unroller
            return torch.autograd.grad(layer(xs)[0].sin().sum(), wanted)

        both(found)

    @every_cell
    def test_second_derivatives(self, name):
        rnnkit.gradcheck(name, Compiled(), 2, steps=4).raise_if_failed()

    @every_cell
    def test_double_backward(self, name):
        cell = build(name)
        xs, state = problem(cell)

        def second(unroller):
            ys, last = unroller(cell, xs, state)
            wanted = [xs, *state, *cell.parameters()]
            first = torch.autograd.grad(
                ys.sin().sum() + last[0].sum(), wanted, create_graph=True, allow_unused=True, materialize_grads=True
            )
            penalty = sum((gradient**2).sum() for gradient in first)
            return [*first, *torch.autograd.grad(penalty, wanted, allow_unused=True)]

        both(second)

    def test_double_backward_with_masks(self):
        cell = build("lstm")
        xs, state = problem(cell)
        masks = {"lengths": torch.tensor([7, 2, 5]), "reset": torch.rand(7, 3) < 0.3}

        def second(unroller):
            ys, _ = unroller(cell, xs, state, **masks)
            (first,) = torch.autograd.grad(ys.sin().sum(), xs, create_graph=True)
            return torch.autograd.grad(first.square().sum(), [xs, *state, *cell.parameters()])

        both(second)

    @every_cell
    def test_backward_twice_of_one_graph(self, name):
        cell = build(name)
        xs, state = problem(cell)

        def twice(unroller):
            ys, last = unroller(cell, xs, state)
            wanted = [xs, *state, *cell.parameters()]
            first = torch.autograd.grad(ys.sin().sum(), wanted, retain_graph=True, allow_unused=True)
            return [*first, *torch.autograd.grad(ys.cos().sum() + last[0].sum(), wanted, allow_unused=True)]

        both(twice)

    def test_backward_twice_without_retaining_is_an_error(self):
        cell = build("lstm")
        xs, state = problem(cell)
        for unroller in (Loop(), Compiled()):
            ys, _ = unroller(cell, xs, state)
            ys.sum().backward()
            with pytest.raises(RuntimeError, match="backward through the graph a second time"):
                ys.sum().backward()

    @pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=str)
    @every_cell
    def test_forward_twice_then_backward_twice(self, name, order):
        cell = build(name)
        problems = [problem(cell, seed=seed) for seed in (1, 2)]

        def interleaved(unroller):
            graphs = [unroller(cell, *given) for given in problems]
            found = {}
            for k in order:
                wanted = [problems[k][0], *problems[k][1], *cell.parameters()]
                found[k] = torch.autograd.grad(graphs[k][0].sin().sum(), wanted, allow_unused=True)
            return [graphs[0][0], graphs[1][0], *found[0], *found[1]]

        both(interleaved)

    @every_cell
    def test_what_a_call_gave_is_not_written_by_the_next(self, name):
        cell, unroller = build(name), Compiled()
        kept = []
        for seed in range(6):
            xs, state = problem(cell, seed=seed)
            found = gradients(unroller, cell, xs, state)
            kept.append((found, [None if tensor is None else tensor.detach().clone() for tensor in found]))
            with torch.no_grad():
                results = unroller(cell, xs, state)
            flat = [results[0], *results[1]]
            kept.append((flat, [tensor.clone() for tensor in flat]))
        for found, copies in kept:
            assert all(f is c is None or torch.equal(f, c) for f, c in zip(found, copies, strict=True))

    @every_cell
    def test_results_share_no_memory(self, name):
        cell = build(name)
        xs, state = problem(cell)
        ys, last = Compiled()(cell, xs, state)
        pieces = [ys.detach(), *(tensor.detach() for tensor in last), xs.detach(), *(t.detach() for t in state)]
        copies = [piece.clone() for piece in pieces]
        for k, piece in enumerate(pieces):
            piece += 100
            others = [j for j in range(len(pieces)) if j != k]
            assert [j for j in others if not torch.equal(pieces[j], copies[j])] == []
            piece.copy_(copies[k])

    def test_gradients_add_up_in_a_leaf(self):
        cell = build("lstm")
        xs, state = problem(cell)

        def accumulated(unroller):
            cell.zero_grad()
            xs.grad = None
            for _ in range(3):
                ys, last = unroller(cell, xs, state)
                (ys.sin().sum() + last[1].sum()).backward()
            return [xs.grad.clone(), *(parameter.grad.clone() for parameter in cell.parameters())]

        both(accumulated)

    def test_gradients_of_two_parameters_share_no_memory(self):
        cell = build("lstm")
        xs, state = problem(cell)
        Compiled()(cell, xs, state)[0].sum().backward()
        grads = [tensor.grad for tensor in (xs, *state, *cell.parameters())]
        for k, grad in enumerate(grads):
            before = [other.clone() for other in grads]
            grad += 100
            assert all(
                torch.equal(other, was) for j, (other, was) in enumerate(zip(grads, before, strict=True)) if j != k
            )

    @pytest.mark.parametrize("which", ["output", "state"])
    def test_a_result_changed_in_place(self, which):
        """Either the change takes part, as in the loop, or torch says why it cannot: it is never half seen."""
        cell = build("lstm")
        xs, state = problem(cell)

        def results(unroller):
            ys, last = unroller(cell, xs, state)
            (ys if which == "output" else last[1]).mul_(2)
            return [ys, *last, *torch.autograd.grad(ys.sin().sum() + last[1].sum(), [xs, *cell.parameters()])]

        assert_same_or_refused(lambda: results(Compiled()), results(Loop()))

    def test_the_input_changed_in_place_is_noticed(self):
        cell = build("lstm")
        with torch.no_grad():
            problem_xs, state = problem(cell)
        xs = problem_xs * 1
        ys, _ = Compiled()(cell, xs, state)
        expected = torch.autograd.grad(Loop()(cell, problem_xs, state)[0].sum(), cell.weight_ih)
        with torch.no_grad():
            xs.mul_(2)
        assert_same_or_refused(lambda: torch.autograd.grad(ys.sum(), cell.weight_ih), expected)

    def test_weights_changed_between_the_passes_are_noticed(self):
        cell = build("lstm")
        xs, state = problem(cell)
        ys, _ = Compiled()(cell, xs, state)
        with torch.no_grad():
            cell.weight_hh.mul_(2)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            ys.sum().backward()

    @pytest.mark.parametrize(
        "loss",
        [
            lambda ys, last: ys.sum(),
            lambda ys, last: ys[-1].sum(),
            lambda ys, last: ys[::2].sum(),
            lambda ys, last: ys.transpose(0, 1).flatten(1).sin().sum(),
            lambda ys, last: (ys.permute(2, 0, 1) * torch.arange(7.0).view(1, 7, 1)).sum(),
            lambda ys, last: ys.mean() + last[0].mean(),
            lambda ys, last: last[-1].sum(),
            lambda ys, last: last[0].t().sin().sum(),
            lambda ys, last: (ys[0] * 0).sum(),
        ],
        ids=["expanded", "last", "strided", "transposed", "permuted", "mean", "state", "turned state", "nothing"],
    )
    @every_cell
    def test_gradients_of_any_layout(self, name, loss):
        cell = build(name)
        xs, state = problem(cell)
        both(lambda unroller: gradients(unroller, cell, xs, state, loss))

    @pytest.mark.parametrize(
        "layout",
        [
            lambda xs: xs.transpose(0, 1).contiguous().transpose(0, 1),
            lambda xs: xs.repeat_interleave(2, 0)[::2],
            lambda xs: torch.cat([xs, xs], dim=2)[..., :3],
            lambda xs: xs.flip(0).flip(0),
            lambda xs: xs[:1].expand(7, -1, -1),
            lambda xs: xs[:, :1].expand(-1, 3, -1),
        ],
        ids=["batch first", "strided", "sliced", "flipped", "one step", "one row"],
    )
    def test_inputs_of_any_layout(self, layout):
        for name in BUILT_IN:
            cell = build(name)
            xs, state = problem(cell)
            turned = tuple(tensor.t().contiguous().t() for tensor in state)
            both(
                lambda unroller, c=cell, x=xs, s=turned: [
                    *gradients(unroller, c, x, None),
                    *unroller(c, layout(x), s)[1],
                ]
            )

            def results(unroller, c=cell, x=xs):
                ys, _ = unroller(c, layout(x))
                return torch.autograd.grad(ys.sin().sum(), [x, *c.parameters()])

            both(results)

    @pytest.mark.filterwarnings("ignore:Anomaly Detection:UserWarning")
    def test_anomaly_mode(self):
        cell = build("lstm")
        xs, state = problem(cell)
        with torch.autograd.set_detect_anomaly(True):
            both(lambda unroller: gradients(unroller, cell, xs, state))

    def test_saved_tensors_hooks(self):
        cell = build("lstm")
        xs, state = problem(cell)
        packed = []

        def pack(tensor):
            packed.append(tensor.shape)
            return tensor.detach().clone()

        def results(unroller):
            with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
                return gradients(unroller, cell, xs, state)

        both(results)
        assert packed

    def test_backward_within_hooks_of_tensors(self):
        cell = build("gru")
        xs, state = problem(cell)

        def results(unroller):
            ys, _ = unroller(cell, xs, state)
            ys.register_hook(lambda grad: grad.clamp(-0.1, 0.1))
            return torch.autograd.grad(ys.sin().sum(), [xs, *cell.parameters()])

        both(results)

    def test_truncated_chunks(self):
        cell = build("lstm")
        xs, state = problem(cell, steps=9)

        def results(unroller):
            carried, found = state, []
            for chunk in xs.split(4):
                ys, carried = unroller(cell, chunk, carried)
                found += torch.autograd.grad(ys.sum(), list(cell.parameters()), retain_graph=True)
                carried = tuple(tensor.detach() for tensor in carried)
            return found

        both(results)

    def test_chunks_with_a_graph_through_the_states(self):
        cell = build("lstm")
        xs, state = problem(cell, steps=9)

        def results(unroller):
            carried, outputs = state, []
            for chunk in xs.split(4):
                ys, carried = unroller(cell, chunk, carried)
                outputs.append(ys)
            return torch.autograd.grad(torch.cat(outputs).sin().sum(), [xs, *state, *cell.parameters()])

        both(results)


class TestThreads:
    def run(self, *functions):
        """Run functions at once, each in a thread; raises what one of them raised."""
        raised = []

        def guarded(function):
            try:
                function()
            except BaseException as error:  # to be raised where it is seen
                raised.append(error)

        threads = [threading.Thread(target=guarded, args=(function,)) for function in functions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if raised:
            raise raised[0]

    def test_backward_from_another_thread(self):
        cell = build("lstm")
        xs, state = problem(cell)
        expected = gradients(Loop(), cell, xs, state)
        ys, last = Compiled()(cell, xs, state)
        found = []

        def backward():
            loss = ys.sin().sum() + sum(tensor.cos().sum() for tensor in last)
            found.extend(torch.autograd.grad(loss, [xs, *state, *cell.parameters()]))

        self.run(backward)
        assert_same([ys, *last, *found], expected)

    @pytest.mark.parametrize("name", BUILT_IN)
    def test_threads_that_share_a_cell(self, name):
        cell = build(name, hidden=16)
        problems = [problem(cell, steps=12, seed=seed) for seed in range(4)]
        expected = [gradients(Loop(), cell, *given) for given in problems]
        found = [[] for _ in problems]

        def work(k):
            for _ in range(8):
                found[k].append(gradients(Compiled(), cell, *problems[k]))

        self.run(*(lambda k=k: work(k) for k in range(4)))
        for k, results in enumerate(found):
            assert len(results) == 8
            for result in results:
                assert_same(result, expected[k])

    def test_threads_that_see_a_new_cell_at_once(self):
        class New(Elman):
            def step(self, p, state):
                h = torch.sin(p + 0.77 * state[0] @ self.across)
                return h, (h,)

        cell = build(New)
        xs, state = problem(cell)
        expected = gradients(Loop(), cell, xs, state)
        found = []
        self.run(*[lambda: found.append(gradients(Compiled(), cell, xs, state))] * 4)
        assert len(found) == 4
        for result in found:
            assert_same(result, expected)


class TestTransforms:
    """What torch.func does with a cell, through both unrollers."""

    def parameters_of(self, cell):
        return {name: parameter.detach() for name, parameter in cell.named_parameters()}

    @every_cell
    def test_functional_call_with_other_weights(self, name):
        cell = build(name)
        xs, state = problem(cell)

        def results(unroller):
            others = {key: (0.5 * tensor).requires_grad_() for key, tensor in self.parameters_of(cell).items()}
            holder = Holder(cell, unroller)
            named = {f"cell.{key}": tensor for key, tensor in others.items()}
            ys, _ = torch.func.functional_call(holder, named, (xs, state))
            return [ys, *torch.autograd.grad(ys.sin().sum(), [xs, *others.values()], allow_unused=True)]

        both(results)

    @pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")  # jvp's own
    @pytest.mark.parametrize("name", BUILT_IN)
    def test_grad_vmap_and_jvp(self, name):
        cell = build(name)
        xs, state = problem(cell)
        xs, state = xs.detach(), tuple(tensor.detach() for tensor in state)
        parameters = self.parameters_of(cell)
        tangents = {key: torch.ones_like(tensor) for key, tensor in parameters.items()}

        def results(unroller):
            holder = Holder(cell, unroller)

            def loss(parameters, xs):
                named = {f"cell.{key}": tensor for key, tensor in parameters.items()}
                return torch.func.functional_call(holder, named, (xs, state))[0].sin().sum()

            gradient = torch.func.grad(loss)(parameters, xs)
            several = torch.func.vmap(loss, in_dims=(None, 0))(parameters, torch.stack([xs, 2 * xs]))
            value, tangent = torch.func.jvp(lambda p: loss(p, xs), (parameters,), (tangents,))
            each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(parameters, torch.stack([xs, 2 * xs]))
            return [*gradient.values(), several, value, tangent, *each.values()]

        both(results)

    @pytest.mark.slow
    @pytest.mark.timeout(300)
    @pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # where torch resumes
    def test_a_compiled_layer_of_torch_s(self):
        layer = rnnkit.RNN("gru", 3, 4, unroller=Compiled(), dtype=torch.float64)
        xs = torch.randn(3, 2, 3, dtype=torch.float64)
        expected = layer(xs)[0]
        assert_same([torch.compile(layer, backend="eager")(xs)[0]], [expected])


class Holder(nn.Module):
    """A module around a cell and what unrolls it."""

    def __init__(self, cell, unroller):
        super().__init__()
        self.cell, self.unroller = cell, unroller

    def forward(self, xs, state):
        return self.unroller(self.cell, xs, state)


class TestLayers:
    def layer(self, name="lstm", **options):
        torch.manual_seed(0)
        return rnnkit.RNN(name, 3, 4, unroller=Compiled(), dtype=torch.float64, **options)

    @pytest.mark.parametrize(
        "duplicate",
        [
            copy.deepcopy,
            lambda layer: pickle.loads(pickle.dumps(layer)),
            lambda layer: torch.load(io.BytesIO(saved(layer)), weights_only=False),
        ],
        ids=["deepcopy", "pickle", "torch.save"],
    )
    def test_duplicates_after_a_call(self, duplicate):
        layer = self.layer(num_layers=2)
        xs = torch.randn(5, 2, 3, dtype=torch.float64)
        layer(xs)[0].sum().backward()
        other = duplicate(layer)
        assert_same([other(xs)[0]], [layer(xs)[0]], 0.0)
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.mul_(0.5)
        changed = other(xs)[0]
        other.unroller = Loop()
        assert_same([changed], [other(xs)[0]])

    def test_training_and_evaluation_take_turns(self):
        layer = self.layer("variational", num_layers=2)
        xs = torch.randn(5, 2, 3, dtype=torch.float64)

        def results(unroller):
            layer.unroller, found = unroller, []
            for training in (True, False, True):
                torch.manual_seed(1)
                ys, _ = layer.train(training)(xs)
                found += [ys, *torch.autograd.grad(ys.sum(), list(layer.parameters()))]
            return found

        both(results)

    def test_other_dtypes_after_a_call(self):
        layer = self.layer()
        xs = torch.randn(5, 2, 3, dtype=torch.float64)
        double = layer(xs)[0]
        single = layer.float()(xs.float())[0]
        assert single.dtype == torch.float32
        assert_same([single.double()], [double], 1e-5)
        assert_same([layer.double()(xs)[0]], [double], 1e-5)

    def test_parametrized_weights(self):
        layer = self.layer()
        nn.utils.parametrizations.spectral_norm(layer, "weight_hh_l0")
        layer.eval()
        xs = torch.randn(5, 2, 3, dtype=torch.float64, requires_grad=True)

        def results(unroller):
            layer.unroller = unroller
            ys, _ = layer(xs)
            return [ys, *torch.autograd.grad(ys.sin().sum(), [xs, *layer.parameters()])]

        both(results)

    def test_training_by_an_optimizer(self):
        xs = torch.randn(6, 4, 3, dtype=torch.float64)

        def trained(unroller):
            layer = self.layer()
            layer.unroller = unroller
            optimizer = torch.optim.Adam(layer.parameters(), lr=0.05)
            for _ in range(10):
                optimizer.zero_grad()
                layer(xs)[0].square().mean().backward()
                optimizer.step()
            return list(layer.parameters())

        both(trained)


def saved(layer):
    buffer = io.BytesIO()
    torch.save(layer, buffer)
    return buffer.getvalue()


def test_outputs_without_features():
    for kind in (OutputOfOneDimension, OutputIsAConstant, TrainsOtherwise):
        cell = build(kind)
        xs, state = problem(cell)
        shapes = [unroller(cell, xs, state)[0].shape for unroller in (Loop(), Compiled())]
        assert shapes[0] == shapes[1]


def test_second_derivatives_where_one_part_is_computed_from_another():
    """The shortcut of `residual` is the input itself, from which the other part comes: a gradient ends at its part."""
    cell = rnnkit.cells["residual"](2, 2).double()
    xs = torch.randn(3, 2, 2, dtype=torch.float64, requires_grad=True)
    assert rnnkit.unrollers["compiled"]().backend_of(cell) == "cpp"
    assert torch.autograd.gradgradcheck(lambda xs: rnnkit.unrollers["compiled"]()(cell, xs)[0], xs)
