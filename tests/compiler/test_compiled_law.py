"""The compiled unroller gives the loop's numbers: every registered cell, option and size, as a cell and in a layer.

The other tests of the compiler take from here the unroller and what it means to differ.
"""

import copy
from dataclasses import dataclass, replace
from itertools import product

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_sequence

import rnnkit
from rnnkit.core.cell import Cell, State, building
from rnnkit.testing.law import labels, random, random_state

from ..core_cells import CORE_CELLS

Compiled, Loop = rnnkit.unrollers["compiled"], rnnkit.unrollers["loop"]


def backend_of(cell: Cell) -> str:
    """Say what runs a cell: "cpp", "torch" or "loop"."""
    return str(Compiled().backend_of(cell))  # type: ignore[attr-defined]


DRAWS = 3
"""Draws of the input in each of which a float32 result must stray: at a kink rounding decides about a gradient."""


@dataclass(frozen=True)
class Call:
    """One call of an unroller and the loss made of it; all numbers come from `seed`."""

    steps: int
    batch: int
    seed: int = 0
    lengths: bool = False
    reset: bool = False
    state: bool = False
    """Whether a state is handed in."""

    gradients: bool = True
    """Whether it is called with gradients enabled."""

    silent: tuple[int, ...] = ()
    """Results that the loss leaves out: 0 the output, k the k-th state."""

    frozen: tuple[str, ...] = ()
    """What wants no gradient: "input", "state", "weights" (every second parameter)."""

    order: int = 1
    """2: the gradients of the gradients too."""


@dataclass
class Problem:
    """The tensors of a call, and the loss's weights of the output and each state."""

    xs: Tensor
    state: State | None
    lengths: Tensor | None
    reset: Tensor | None
    weights: list[Tensor]

    def to(self, dtype: torch.dtype) -> "Problem":
        """Return the same problem in another dtype; integers stay."""
        state = None if self.state is None else tuple(cast(tensor, dtype) for tensor in self.state)
        weights = [cast(tensor, dtype) for tensor in self.weights]
        return replace(self, xs=self.xs.to(dtype), state=state, weights=weights)


def cast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def draw(cell: Cell, call: Call, dtype: torch.dtype) -> Problem:
    """Draw the numbers of a call, rounded to `dtype`."""
    torch.manual_seed(call.seed)
    xs = random(call.steps, call.batch, cell.input_size)
    state = random_state(cell, call.batch) if call.state else None
    lengths = torch.randint(1, call.steps + 1, (call.batch,)) if call.lengths else None
    reset = torch.rand(call.steps, call.batch) < 0.3 if call.reset else None
    with torch.no_grad():
        ys, last = Loop()(cell, xs.to(dtype))
    weights = [torch.randn_like(t, dtype=torch.float64) for t in (ys, *last)]
    return Problem(xs, state, lengths, reset, weights).to(dtype)


def results(unroller: rnnkit.Unroller, cell: Cell, problem: Problem, call: Call) -> dict[str, Tensor]:
    """Return outputs, last state and all gradients, by name; a gradient that there is not is zero."""
    xs = problem.xs.clone().requires_grad_("input" not in call.frozen)
    state = problem.state
    if state is not None:
        wanted = "state" not in call.frozen
        state = tuple(t.clone().requires_grad_(wanted and t.is_floating_point()) for t in state)
    parameters = dict(cell.named_parameters())
    for number, parameter in enumerate(parameters.values()):
        parameter.requires_grad_("weights" not in call.frozen or number % 2 == 1)
    torch.manual_seed(call.seed)  # for what a cell draws
    with torch.set_grad_enabled(call.gradients):
        ys, last = unroller(cell, xs, state, lengths=problem.lengths, reset=problem.reset)
    outputs = dict(zip(labels(cell), (ys, *last), strict=True))
    named = {"input": xs, **{f"{n}0": t for n, t in zip(cell.state_names, state or (), strict=False)}}
    named |= {f"parameter {name}": tensor for name, tensor in parameters.items()}
    return {name: tensor.detach() for name, tensor in outputs.items()} | gradients(outputs, named, problem, call)


def gradients(outputs: dict[str, Tensor], named: dict[str, Tensor], problem: Problem, call: Call) -> dict[str, Tensor]:
    """Return the gradients of the weighed sum of the results that the loss hears."""
    weighed = [
        (tensor * weight).sum()
        for number, (tensor, weight) in enumerate(zip(outputs.values(), problem.weights, strict=True))
        if number not in call.silent and tensor.requires_grad
    ]
    named = {name: tensor for name, tensor in named.items() if tensor.requires_grad}
    found: tuple[Tensor | None, ...] = (None,) * len(named)
    again = found
    if weighed and named:
        leaves = list(named.values())
        found = torch.autograd.grad(torch.stack(weighed).sum(), leaves, allow_unused=True, create_graph=call.order == 2)
        total = sum(grad.square().sum() for grad in found if grad is not None)
        if call.order == 2 and isinstance(total, Tensor) and total.requires_grad:
            again = torch.autograd.grad(total, leaves, allow_unused=True)
    named_grads = {f"the gradient of {name}": grad for name, grad in zip(named, found, strict=True)}
    if call.order == 2:
        named_grads |= {f"the gradient again of {name}": grad for name, grad in zip(named, again, strict=True)}
    like = [*named.values()] * call.order
    pairs = zip(named_grads.items(), like, strict=True)
    return {name: torch.zeros_like(t) if grad is None else grad.detach() for (name, grad), t in pairs}


def largest(tensor: Tensor) -> float:
    return float(tensor.abs().max()) if tensor.numel() else 0.0


def scales(reference: dict[str, Tensor], least: float) -> dict[str, float]:
    """Return the magnitude by which each tensor's error is measured: at least a share of the largest of its kind.

    A gradient that cancels to nothing, as that of a bias before a softmax, is rounding of larger numbers.
    """

    def is_gradient(name: str) -> bool:
        return name.startswith("the gradient")

    groups = {
        kind: max([largest(t) for n, t in reference.items() if is_gradient(n) == kind], default=0.0)
        for kind in (False, True)
    }
    return {name: max(largest(tensor), least * groups[is_gradient(name)]) for name, tensor in reference.items()}


def errors(found: dict[str, Tensor], reference: dict[str, Tensor]) -> dict[str, float]:
    """Return each tensor's largest error, infinite where it is not finite but should be."""
    assert {n: t.shape for n, t in found.items()} == {n: t.shape for n, t in reference.items()}
    differences = {name: largest(found[name] - tensor) for name, tensor in reference.items()}
    return {name: error if error == error else float("inf") for name, error in differences.items()}


def strays_in_float64(cell: Cell, call: Call, unroller: rnnkit.Unroller) -> dict[str, str]:
    """Say which results differ from the loop's by more than 1e-10 of their magnitude."""
    problem = draw(cell, call, torch.float64)
    reference, found = (results(one, cell, problem, call) for one in (Loop(), unroller))
    scale = scales(reference, 1e-3)
    return {
        name: f"{name} differs from the loop's by {error:.1e} of {scale[name]:.1e}"
        for name, error in errors(found, reference).items()
        if not error <= 1e-10 * scale[name]
    }


def strays_in(dtype: torch.dtype, cell: Cell, call: Call, unroller: rnnkit.Unroller) -> dict[str, str]:
    """Say which results are further from the float64 loop's than twice the loop's of a dtype, and than 8 roundings."""
    problem = draw(cell, call, dtype)
    truth = results(Loop(), copy.deepcopy(cell).double(), problem.to(torch.float64), call)
    own, found = (errors(results(one, cell, problem, call), truth) for one in (Loop(), unroller))
    floor = {name: 8 * torch.finfo(dtype).eps * scale for name, scale in scales(truth, 0.1).items()}
    return {
        name: f"{name} is {error:.1e} from the float64 loop's {largest(truth[name]):.1e}, the loop {own[name]:.1e}"
        for name, error in found.items()
        if not error <= 2 * own[name] + floor[name]
    }


def differences(cell: Cell, call: Call, unroller: rnnkit.Unroller | None = None) -> list[str]:
    """Say which results of an unroller differ from the loop's by more than rounding, a sentence each.

    The unroller is the compiled one if none is given.
    """
    unroller = unroller or Compiled()
    dtype = next((t.dtype for t in cell.parameters()), torch.float64)
    if dtype == torch.float64:
        return list(strays_in_float64(cell, call, unroller).values())
    strayed = strays_in(dtype, cell, call, unroller)
    for attempt in range(1, DRAWS):
        if strayed:
            again = strays_in(dtype, cell, replace(call, seed=call.seed + 1000 * attempt), unroller)
            strayed = {name: sentence for name, sentence in strayed.items() if name in again}
    return list(strayed.values())


def noise(cell: Cell, call: Call) -> float:
    """Measure how far the loop's float32 results are from its float64 ones, relative to their magnitude."""
    problem = draw(cell, call, torch.float32)
    truth = results(Loop(), copy.deepcopy(cell).double(), problem.to(torch.float64), call)
    found = results(Loop(), copy.deepcopy(cell).float(), problem, call)
    scale = scales(truth, 1e-3)
    if not all(tensor.isfinite().all() for tensor in truth.values()):
        return float("inf")
    return max(error / (scale[name] or 1.0) for name, error in errors(found, truth).items())


# Registered cells and the options that change their step; each as (name, options).
CELLS = [
    *((name, {}) for name in CORE_CELLS),
    *((name, {"bias": False}) for name in ("lstm", "gru", "rnn", "peephole", "layernorm")),
    *((name, {"proj_size": 1}) for name in ("lstm", "gru", "rnn", "peephole", "layernorm")),
    ("gru", {"reset_after": False}),
    ("gru", {"reset_after": False, "bias": False}),
    ("rnn", {"nonlinearity": "relu"}),
    ("residual", {"inner": "gru"}),
    ("zoneout", {"inner": "gru"}),
    ("variational", {"inner": "gru"}),
    ("norm", {"inner": "peephole", "input": True}),
    ("learnt_state", {"inner": "residual(layernorm)"}),
    ("residual", {"inner": "norm(gru)"}),
]
SIZES = [
    (1, 1, 1, 1),
    (7, 3, 5, 1),
    (5, 4, 3, 17),
    (9, 13, 33, 31),
    (12, 6, 16, 16),
    (20, 2, 64, 64),
    (33, 32, 24, 40),
]
"""T, B, D and H."""

FAST_SIZES = {(1, 1, 1, 1), (5, 4, 3, 17)}
MASKS = {
    "plain": {},
    "lengths": {"lengths": True},
    "reset": {"reset": True},
    "lengths and reset": {"lengths": True, "reset": True},
    "given state": {"state": True},
    "everything": {"lengths": True, "reset": True, "state": True},
}


def build(name, options, inputs, hidden, dtype):
    """Build a cell; a projection is of a third of the units, where there are as many."""
    options = dict(options)
    if "proj_size" in options:
        options["proj_size"] = hidden // 3
    torch.manual_seed(0)
    with building(None, dtype):
        cell = rnnkit.cells[name](inputs, hidden, **options)
    with torch.no_grad():
        for path, gain in cell.named_parameters():
            if "gain_hh" in path:
                gain.mul_(0.5)  # at one the layer-norm LSTM is chaotic: rounding grows from step to step
    return cell


def label(value):
    if isinstance(value, dict):
        return ",".join(f"{key}={option}" for key, option in value.items()) or "default"
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)


# Those whose kernels `make test` does without: they are near to another one's.
REPEATED = [
    *(
        (name, {option: value})
        for name in ("gru", "rnn", "peephole")
        for option, value in (("bias", False), ("proj_size", 1))
    ),
    ("lstm", {"bias": False}),
    ("layernorm", {"bias": False}),
    ("residual", {"inner": "norm(gru)"}),
    ("gru", {"reset_after": False, "bias": False}),
    ("zoneout", {"inner": "gru"}),
    ("variational", {"inner": "gru"}),
    ("residual", {"inner": "gru"}),
]

some_cells = pytest.mark.parametrize(
    ("name", "options"),
    [pytest.param(*case, marks=pytest.mark.slow if case in REPEATED else ()) for case in CELLS],
    ids=label,
)


@pytest.mark.parametrize("dtype", [torch.float64, pytest.param(torch.float32, marks=pytest.mark.slow)], ids=str)
@pytest.mark.parametrize(
    "sizes",
    [pytest.param(size, marks=[] if size in FAST_SIZES else [pytest.mark.slow]) for size in SIZES],
    ids=label,
)
@some_cells
def test_cells(name, options, sizes, dtype):
    steps, batch, inputs, hidden = sizes
    cell = build(name, options, inputs, hidden, dtype)
    found = {}
    for gradients_wanted, (masks, given) in product((True, False), MASKS.items()):
        found[masks, gradients_wanted] = differences(cell, Call(steps, batch, gradients=gradients_wanted, **given))
    assert {case: sentences for case, sentences in found.items() if sentences} == {}


@pytest.mark.parametrize("dtype", [torch.float64, pytest.param(torch.float32, marks=pytest.mark.slow)], ids=str)
@some_cells
def test_the_cells_run_natively(name, options, dtype):
    assert backend_of(build(name, options, 3, 17, dtype)) == "cpp"


@pytest.mark.parametrize("frozen", [("input",), ("state",), ("weights",), ("input", "state", "weights")], ids=",".join)
@pytest.mark.parametrize("name", ["lstm", "gru", "layernorm", "peephole"])
def test_some_tensors_want_no_gradient(name, frozen):
    cell = build(name, {}, 3, 7, torch.float64)
    for state in (False, True):
        assert differences(cell, Call(6, 3, lengths=True, state=state, frozen=frozen)) == []


@pytest.mark.parametrize("silent", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2)], ids=str)
@pytest.mark.parametrize("name", ["lstm", "layernorm", "peephole"])
def test_a_loss_of_some_of_the_results(name, silent):
    cell = build(name, {}, 3, 7, torch.float64)
    for masks in MASKS.values():
        assert differences(cell, Call(6, 3, silent=silent, **masks)) == []


LAYERS = {
    "plain": {},
    "bidirectional": {"bidirectional": True},
    "two layers": {"num_layers": 2},
    "two layers in both directions, batch first": {"num_layers": 2, "bidirectional": True, "batch_first": True},
    "residual": {"num_layers": 3, "residual": True},
    "trainable state": {"trainable_state": True, "bidirectional": True},
}
FORMS = ("padded", "lengths", "packed", "single", "packed unsorted", "states over time")


def layer_input(layer, form, dtype, batch=4, steps=6):
    """Return what a layer is called with, and the tensor in it that wants a gradient."""
    torch.manual_seed(1)
    xs = torch.randn(steps, batch, layer.input_size, dtype=dtype, requires_grad=True)
    if form == "single":
        return (xs[:, 0],), {}, xs
    if form.startswith("packed"):
        ends = [6, 4, 4, 1] if form == "packed" else [4, 6, 1, 4]
        return (
            (pack_sequence([xs[:end, row] for row, end in enumerate(ends)], enforce_sorted=form == "packed"),),
            {},
            xs,
        )
    options = {"lengths": torch.tensor([4, 6, 1, 4])} if form == "lengths" else {}
    options |= {"return_states": True} if form == "states over time" else {}
    return (xs.transpose(0, 1) if layer.batch_first else xs,), options, xs


def tensors_in(result):
    """Return all floating-point tensors of a result, however nested."""
    if isinstance(result, Tensor):
        return [result] if result.is_floating_point() else []
    return [tensor for item in result if item is not None for tensor in tensors_in(item)]


def layer_results(layer, unroller, form, dtype):
    """Return the results of a layer and the gradients of all that wants one."""
    layer.unroller = unroller
    given, options, xs = layer_input(layer, form, dtype)
    outputs = tensors_in(layer(*given, **options))
    torch.manual_seed(2)
    loss = sum((tensor * torch.randn(tensor.shape, dtype=torch.float64).to(dtype)).sum() for tensor in outputs)
    wanted = {"input": xs, **dict(layer.named_parameters())}
    found = torch.autograd.grad(loss, list(wanted.values()), materialize_grads=True)
    named = {f"result {k}": tensor.detach() for k, tensor in enumerate(outputs)}
    return named | {f"the gradient of {name}": grad for name, grad in zip(wanted, found, strict=True)}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("options", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize(
    "name",
    ["lstm", *(pytest.param(name, marks=pytest.mark.slow) for name in ("gru", "layernorm", "residual(norm(gru))"))],
)
def test_layers(name, options, form):
    torch.manual_seed(0)
    layer = rnnkit.RNN(name, 5, 7, dtype=torch.float64, **options)
    expected, found = (layer_results(layer, unroller(), form, torch.float64) for unroller in (Loop, Compiled))
    scale = scales(expected, 1e-3)
    assert {n: error for n, error in errors(found, expected).items() if not error <= 1e-10 * scale[n]} == {}


class Stretched(Loop):
    """The loop, with something stretched a little."""

    what = "the output"
    by = 1e-9

    def __call__(self, cell, xs, state=None, **masks):
        if self.what == "a gradient":
            xs = xs.clone()
            xs.register_hook(lambda grad: grad * (1 + self.by))
        ys, last = super().__call__(cell, xs, state, **masks)
        return (ys * (1 + self.by) if self.what == "the output" else ys), last


@pytest.mark.parametrize("what", ["the output", "a gradient"])
@pytest.mark.parametrize(("dtype", "by"), [(torch.float64, 1e-9), (torch.float32, 1e-5)], ids=str)
def test_a_small_error_is_noticed(monkeypatch, dtype, by, what):
    monkeypatch.setitem(globals(), "Compiled", type("Stretched", (Stretched,), {"what": what, "by": by}))
    found = differences(build("lstm", {}, 3, 7, dtype), Call(5, 3))
    if what == "the output":
        assert found[0].startswith("the output")
    else:
        assert len(found) == 1
        assert found[0].startswith("the gradient of input")
