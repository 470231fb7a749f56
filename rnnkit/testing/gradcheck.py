"""Gradient checks: every gradient of a cell or layer, through any unroller, against central differences."""

import copy
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import torch
from torch import Tensor

from rnnkit.core.cell import Cell, State, building, starting_state
from rnnkit.core.state_domains import random_like
from rnnkit.core.unroller import Unroller
from rnnkit.errors import RnnkitError, UsageError, one_line
from rnnkit.layers.rnn import RNN
from rnnkit.plugin.cell_spec import CellLike, choose
from rnnkit.plugin.resolve import resolve_unroller
from rnnkit.testing.gradient_report import GradientReport, Row
from rnnkit.testing.in_place import writes_in_place

STEP = 1e-6
"""Half the distance between the two points of a difference."""

ABSOLUTE, RELATIVE = 1e-7, 1e-6
"""Tolerance: absolute, and relative to the tensor's largest gradient. A central difference in float64 with the step
above errs by about 1e-9: rounding 1e-16 x |loss| / 1e-6, truncation 1e-12 x third derivative."""


def gradcheck(
    subject: CellLike | Cell | RNN,
    unroller: str | type[Unroller] | Unroller = "loop",
    order: int = 1,
    *,
    steps: int = 5,
    batch_size: int = 2,
    input_size: int = 3,
    hidden_size: int = 4,
    lengths: Sequence[int] | None = None,
    seed: int = 0,
    **cell_options: Any,
) -> GradientReport:
    """Compare autograd's gradients with central differences, in float64, element by element.

    The scalar that is differentiated weighs every output and every final state with random numbers, so that no
    error cancels another. Order 2 takes a random combination of the first gradients, differentiates it by double
    backward, and compares that with differences of the combination.

    Args:
        subject: what `rnnkit.RNN` takes as a cell, built small in float64; or a Cell or layer, of which a float64 copy
            is checked.
        unroller: through which to differentiate, a layer too.
        order: 1 or 2.
        steps: T.
        batch_size: B.
        input_size: D, for a name or class.
        hidden_size: H, for a name or class.
        lengths: steps of each row, at most `steps`; None: all.
        seed: of weights, inputs and states.
        **cell_options: of the cell's own, for a name or class; one called as an argument here goes with a built cell.

    Returns:
        The report. A wrong gradient does not raise; see `GradientReport.raise_if_failed`.

    Raises:
        UsageError: the subject, the order or an option makes no sense.
    """
    if order not in (1, 2):
        raise UsageError(f"order is {order!r}; it must be 1 or 2")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module, strays = _in_float64(subject, input_size, hidden_size, cell_options)
        cell = module.cells[0] if isinstance(module, RNN) else module
        through = resolve_unroller(unroller, *(module.cells if isinstance(module, RNN) else (cell,)))
        rows, notes = tuple[Row, ...](), tuple[str, ...]()
        raised: Exception | None = None
        try:
            probe = _Probe(module, through, steps, batch_size, lengths, seed)
            problems = writes_in_place(*probe.first_step())
            if not problems and not any(gradient.any() for gradient in probe.gradients(probe.loss()).values()):
                problems = [f"cell {cell.name!r}: all gradients are zero; nothing depends on anything differentiably"]
            if not problems:
                rows = tuple(_rows(probe, order, strays))
                rows, notes = _excused(rows, cell) if cell.straight_through else (rows, ())
        except RnnkitError as error:
            problems = [str(error)]
        except Exception as error:  # whatever somebody's cell may raise
            problems, raised = [f"cell {cell.name!r}: {one_line(error)}"], error
    return GradientReport(cell.name, str(through), order, rows, tuple(problems), notes, raised)


def _excused(rows: tuple[Row, ...], cell: Cell) -> tuple[tuple[Row, ...], tuple[str, ...]]:
    """Demand of no gradient that it is a derivative, since the cell says that one is not; say which differ."""
    differing = [row.tensor for row in rows if not row.ok]
    outcome = f"those of {', '.join(differing)} differ" if differing else "none differs"
    note = f"cell {cell.name!r} declares straight_through: no gradient is held to the differences; {outcome}"
    return tuple(replace(row, problem="") for row in rows), (note,)


def _in_float64(
    subject: CellLike | Cell | RNN, input_size: int, hidden_size: int, options: dict[str, Any]
) -> tuple[Cell | RNN, dict[str, torch.dtype]]:
    """Return a float64 copy, and the dtypes of parameters that did not follow the others by themselves."""
    if isinstance(subject, Cell | RNN):
        if options:
            raise UsageError("options of the cell go with a name or class; this one is built already")
        module: Cell | RNN = copy.deepcopy(subject)
        dtypes = Counter(p.dtype for p in module.parameters() if p.is_floating_point())
        expected = max(dtypes, key=lambda dtype: (dtypes[dtype], dtype.itemsize), default=torch.float64)
    else:
        choice = choose(subject)
        with building(None, torch.float64):
            module = choice.build(input_size, hidden_size, options)
        expected = torch.float64
    tensors = [*module.named_parameters(), *module.named_buffers()]
    strays = {name: t.dtype for name, t in tensors if t.is_floating_point() and t.dtype != expected}
    return module.double(), strays


class _Probe:
    """A module in float64 and the tensors whose gradients are checked, as one scalar function."""

    def __init__(
        self,
        module: Cell | RNN,
        unroller: Unroller,
        steps: int,
        batch_size: int,
        lengths: Sequence[int] | None,
        seed: int,
    ) -> None:
        self.module = module
        self.unroller = unroller
        self.lengths = None if lengths is None else torch.tensor(list(lengths))
        self.seed = seed
        if isinstance(module, RNN):
            module.unroller = unroller
            module.batch_first = False
        device = next((p.device for p in module.parameters()), None)
        self.tensors = {"input": torch.randn(steps, batch_size, module.input_size, dtype=torch.float64, device=device)}
        if isinstance(module, RNN):
            self.states = module.layout.names("0")
            drawn = [_random_state(module.equipped(position), batch_size) for position in range(len(module.cells))]
            state = module.layout.flat(module.layout.join(drawn))
        else:
            self.states = [f"{name}0" for name in module.state_names]
            state = list(_random_state(module, batch_size))
        self.tensors |= zip(self.states, state, strict=True)
        for name, parameter in module.named_parameters():
            self.tensors[f"parameter {name}" if name in self.tensors else name] = parameter
        for tensor in self.tensors.values():
            tensor.requires_grad_(tensor.is_floating_point())
        self.weights: list[Tensor] = []
        cells = module.cells if isinstance(module, RNN) else (module,)
        self.begins_in_its_own_way = any(type(cell).initial_state is not Cell.initial_state for cell in cells)

    def first_step(self) -> tuple[Cell, Tensor, State]:
        """Return the (first) cell, with the weights that it uses, and an input and a state for one step of it."""
        cell = self.module.equipped(0) if isinstance(self.module, RNN) else self.module
        xs = self.tensors["input"].detach()
        return cell, xs, random_like(cell, starting_state(cell, xs.shape[1], xs))

    def outputs(self) -> list[Tensor]:
        """Unroll: the output and every final state, and again from the cell's own initial state if it has one."""
        outputs = self._unroll([self.tensors[name] for name in self.states])
        return outputs + self._unroll(None) if self.begins_in_its_own_way else outputs

    def _unroll(self, state: list[Tensor] | None) -> list[Tensor]:
        """Unroll once; what the cell draws is the same every time."""
        torch.manual_seed(self.seed)
        xs = self.tensors["input"]
        if isinstance(self.module, RNN):
            layout = self.module.layout
            output, last = self.module(xs, None if state is None else layout.unflat(state), lengths=self.lengths)
            return [output, *layout.flat(last)]
        output, last = self.unroller(self.module, xs, None if state is None else tuple(state), lengths=self.lengths)
        return [output, *last]

    def loss(self) -> Tensor:
        """Weigh every output and final state with random numbers, the same ones every time."""
        outputs = [tensor for tensor in self.outputs() if tensor.is_floating_point()]
        if not self.weights:
            self.weights = [torch.randn_like(output) for output in outputs]
        terms = [(output * weight).sum() for output, weight in zip(outputs, self.weights, strict=True)]
        return torch.stack(terms).sum()

    def gradients(self, of: Tensor, create_graph: bool = False) -> dict[str, Tensor]:
        """Let autograd differentiate a scalar by each tensor; zero where it does not depend on one."""
        wanted = {name: tensor for name, tensor in self.tensors.items() if tensor.requires_grad}
        if not of.requires_grad:
            return {name: torch.zeros_like(tensor) for name, tensor in wanted.items()}
        gradients = torch.autograd.grad(of, list(wanted.values()), create_graph=create_graph, allow_unused=True)
        pairs = zip(wanted.items(), gradients, strict=True)
        return {name: torch.zeros_like(tensor) if g is None else g for (name, tensor), g in pairs}

    def combination(self, create_graph: bool) -> Tensor:
        """Weigh all first gradients with random numbers, the same ones every time."""
        gradients = self.gradients(self.loss(), create_graph=create_graph)
        generator = torch.Generator().manual_seed(self.seed + 1)
        terms = []
        for gradient in gradients.values():
            weight = torch.randn(gradient.shape, dtype=torch.float64, generator=generator).to(gradient)
            terms.append((gradient * weight).sum())
        return torch.stack(terms).sum()


def _random_state(cell: Cell, batch_size: int) -> State:
    # A cell without parameters begins in torch's default dtype, having none of its own.
    state = starting_state(cell, batch_size)
    return random_like(cell, tuple(t.double() if t.is_floating_point() else t for t in state))


def _rows(probe: _Probe, order: int, strays: dict[str, torch.dtype]) -> Iterator[Row]:
    def function(create_graph: bool) -> Tensor:
        return probe.loss() if order == 1 else probe.combination(create_graph)

    for name, gradient in probe.gradients(function(create_graph=True)).items():
        tensor = probe.tensors[name]
        differences = torch.empty_like(gradient)
        with torch.set_grad_enabled(order == 2):
            for index in product(*map(range, tensor.shape)):
                differences[index] = _difference(lambda: function(create_graph=False), tensor, index)
        yield _row(name, gradient.detach(), differences, strays.get(name))


def _difference(function: Callable[[], Tensor], tensor: Tensor, index: tuple[int, ...]) -> Tensor:
    """Return the central difference of a scalar by one element, which is as it was afterwards."""
    value = tensor[index].item()
    ends = []
    for moved in (value + STEP, value - STEP, value):
        with torch.no_grad():
            tensor[index] = moved
        if moved != value:
            ends.append((moved, function().detach()))
    (right, upper), (left, lower) = ends
    return (upper - lower) / (right - left)


def _row(name: str, gradient: Tensor, differences: Tensor, stray: torch.dtype | None) -> Row:
    errors = (gradient - differences).abs()
    worst = int(errors.argmax()) if errors.numel() else 0
    index = tuple(int(i) for i in torch.unravel_index(torch.tensor(worst), errors.shape))
    largest = float(differences.abs().max()) if errors.numel() else 0.0
    error = float(errors.flatten()[worst]) if errors.numel() else 0.0
    problem = ""
    if stray is not None:
        problem = f"{name} is {stray} where the others are not: it was created with a dtype of its own"
    elif not error <= ABSOLUTE + RELATIVE * largest:  # so that NaN fails too
        problem = (
            f"the gradient of {name} at {list(index)} is wrong: autograd says {gradient[index].item():.6g}, "
            f"differences say {differences[index].item():.6g}"
        )
    relative = error / largest if largest else float(error > 0)
    return Row(name, tuple(gradient.shape), float(gradient.norm()), error, relative, index, problem)
