"""Code for one kernel: a function for each stage of a step, and one that goes through all of them at every step.

A function of a stage finds its rows and units by the number of its program. So it is a kernel by itself, launched at
every step, and part of one that is launched once: these differ in who waits for whom between two stages.
"""

from collections.abc import Iterable, Iterator

from rnnkit_compiler.backends.triton.code.loops import Values, indented, own_units
from rnnkit_compiler.backends.triton.code.names import Names, StepNames, Tables
from rnnkit_compiler.backends.triton.code.notes import Notes
from rnnkit_compiler.backends.triton.code.region_code import RegionCode
from rnnkit_compiler.backends.triton.code.row_code import RowCode
from rnnkit_compiler.backends.triton.code.whole_code import WholeCode
from rnnkit_compiler.backends.triton.library import ALL_STEPS
from rnnkit_compiler.ir.graph import Node, needed
from rnnkit_compiler.schedule.buffers import Buffer, BufferKind
from rnnkit_compiler.schedule.plan import KernelPlan
from rnnkit_compiler.schedule.stages import Stage, Stages

JIT = '@triton.jit(do_not_specialize=["t", "steps", "batch", "slots"])'
BLOCKS = "ROWS: tl.constexpr, UNITS: tl.constexpr, DEPTH: tl.constexpr, PRECISION: tl.constexpr"
PASSED = "ROWS, UNITS, DEPTH, PRECISION"


def tells_equal(plan: KernelPlan) -> bool:
    """Tell whether a step or its derivative asks whether two values are equal, as that of the largest of a row does.

    That of the larger of two asks as well; there another answer is one at a kink.
    """
    nodes = needed([plan.step.output, *plan.step.next_states, *plan.gradients])
    at_kinks = {frozenset(node.inputs) for node in nodes if node.op in ("maximum", "minimum")}
    asked = (node for node in nodes if node.op in ("eq", "ne") and all(o.op != "number" for o in node.inputs))
    return any(len({*node.inputs}) > 1 and frozenset(node.inputs) not in at_kinks for node in asked)


def kept_by(stages: Stages) -> frozenset[Node]:
    """List what stages keep, in low precision if numbers are.

    Two ways to the same value, one by what was kept and one by what it was made of, then give the same number.
    """
    stores = [store for stage in stages.stages for store in stage.row_stores]
    stores += [store for stage in stages.stages for region in stage.regions for store in region.stores]
    return frozenset(store.node for store in stores if store.place.buffer.kind is not BufferKind.GRAD_VECTOR)


class KernelCode:
    """Writes the functions of one kernel.

    Args:
        name: "Forward", "Inference" or "Backward".
        plan: of the step.
        stages: of the kernel.
        tables: of all kernels of the step.
        narrow: round the factors of products to bfloat16.
    """

    def __init__(self, name: str, plan: KernelPlan, stages: Stages, tables: Tables, narrow: bool) -> None:
        self.name, self.plan, self.stages, self._narrow = name.lower(), plan, stages, narrow
        dtype = plan.step.dtype
        low = f"tl.{str(dtype).removeprefix('torch.')}" if dtype.itemsize < 4 else ""
        rounded = kept_by(stages) if low and tells_equal(plan) else frozenset()
        self.step = StepNames(stages, tables, notes=Notes.of(plan), low=low, rounded=rounded)
        self.forward = name != "Backward"
        self.parameters: dict[str, list[str]] = {}
        """What each function takes beside rows, step and blocks, by its name."""
        lines = list(self._functions())
        in_vain = {line for node, line in self.step.left.items() if node not in self.step.asked}
        self.lines = [line for line in lines if line.strip() not in in_vain]

    @property
    def stage_functions(self) -> list[str]:
        """The names of the functions of the stages, in order."""
        return [f"{self.name}_{number}" for number in range(len(self.stages.stages))]

    def _functions(self) -> Iterator[str]:
        last = len(self.stages.stages) - 1
        for number, stage in enumerate(self.stages.stages):
            names = Names(self.step)
            body = [*self._stage(stage, names, leaves=number < last)]
            yield from self._function(f"{self.name}_{number}", names, body, f"Step t{self._part(number)}.")
        names = Names(self.step)
        yield from self._function(f"{self.name}_restart", names, [*self._restart(names)], "Rows that start again.")
        names = Names(self.step)
        yield from self._function(f"{self.name}_ended", names, [*self._ended(names)], "Rows that have ended.")
        yield from self._all_steps()

    def _part(self, number: int) -> str:
        count = len(self.stages.stages)
        return "" if count == 1 else f", stage {number + 1} of {count}"

    def _function(self, name: str, names: Names, body: list[str], about: str) -> Iterator[str]:
        names.parameters.pop("slots", None)
        self.parameters[name] = [*names.parameters]
        yield JIT
        yield f"def {name}({''.join(f'{p}, ' for p in names.parameters)}lengths, t, batch, slots, {BLOCKS}):"
        head = [
            f'"""{about}"""',
            *self.step.notes.legend(body),
            "row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)[:, None].to(tl.int64)",
        ]
        head.append("run = run_of(lengths, row, t, batch)")
        for address, beginning in names.beginnings.items():
            apart = beginning == "y_at"  # which there is not where the output is a state
            head += ["if y is not None:"] * apart + [f"{'    ' * apart}{beginning} = {address}"]
        head += [f"{literal} = tl.full((1, 1), {text}, REAL)" for text, literal in names.literals.items()]
        yield from indented([*head, *body])
        yield from ("", "")

    def _stage(self, stage: Stage, names: Names, leaves: bool) -> Iterator[str]:
        overlaid = {Buffer(BufferKind.KEPT, k) for k in self.plan.kept} if self.forward else {*self.plan.written_over}
        region_code = RegionCode(names, self._narrow, overlaid)
        values = Values(names)
        rows = [*RowCode(names, leaves).lines(stage, values)]
        yield from rows
        yield from WholeCode(names, region_code).lines(stage)
        if rows and stage.regions:
            yield "tl.debug_barrier()"
        for region in stage.regions:
            yield from region_code.lines(region, values)
        if not rows and not stage.whole and not stage.regions:
            yield "pass"

    def _carried(self) -> Iterator[tuple[Buffer, Buffer, int]]:
        """List for each state where it is before the step and behind it, in the order of the kernel, and its width."""
        there, here = BufferKind.NEXT_STATE, BufferKind.STATE
        if not self.forward:
            there, here = BufferKind.GRAD_BEFORE, BufferKind.GRAD_STATE
        for k, width in enumerate(self.plan.step.state_widths):
            yield Buffer(here, k), Buffer(there, k), width

    def _restart(self, names: Names) -> Iterator[str]:
        """Begin with the initial state; backward, what comes back goes there, and no further."""
        resets = names.parameter("resets")
        yield f"run &= tl.load({resets} + t * batch + row, mask=run, other=0) != 0"
        for k, (state, before, width) in enumerate(self._carried()):
            initial = f"{names.parameter(f'initial{k}')} + row * {width} + j"
            yield from own_units(width)
            if self.forward:
                at = f"{names.begin(state, width)} + j"
                yield f"    tl.store({at}, tl.load({initial}, mask=here, other=0.0), mask=here)"
            else:
                at = f"{names.begin(before, width)} + j"
                grads = f"tl.load({initial}, mask=here, other=0.0) + tl.load({at}, mask=here, other=0.0)"
                yield f"    tl.store({initial}, {grads}, mask=here)"
                yield f"    tl.store({at}, tl.zeros((ROWS, UNITS), REAL), mask=here)"

    def _ended(self, names: Names) -> Iterator[str]:
        """Hand the state on as it is; the output, and the factors of the weights' gradients, are zero."""
        yield "run = (row < batch) & (run == 0)"
        for here, there, width in self._carried():
            yield from own_units(width)
            value = f"tl.load({names.begin(here, width)} + j, mask=here, other=0.0)"
            yield f"    tl.store({names.begin(there, width)} + j, {value}, mask=here)"
        for buffer, width in self._factors():
            at = f"tl.store({names.begin(buffer, width)} + j, tl.zeros((ROWS, UNITS), REAL), mask=here)"
            lines = [*own_units(width), f"    {at}"]
            if buffer.kind is BufferKind.Y:
                lines = [f"if {names.parameter('y')} is not None:", *indented(lines)]
            yield from lines

    def _factors(self) -> list[tuple[Buffer, int]]:
        if not self.forward:
            return [*self.plan.gradient_widths.items()]
        operands = [(Buffer(BufferKind.OPERAND, k), node.width) for k, node in enumerate(self.plan.operands)]
        y = (Buffer(BufferKind.Y), self.plan.step.output.width)
        return [y, *(operands if self.name == "forward" else ())]

    def _all_steps(self) -> Iterator[str]:
        """Write the kernel that is launched once.

        `GRID` says whether programs share the units of a row; `HELD`, whether each keeps its columns of the weights.
        """
        union = dict.fromkeys(p for own in self.parameters.values() for p in own if p not in self.step.held)
        self.parameters[self.name] = [*union]
        order = [f"{self.name}_restart", *self.stage_functions] if self.forward else [*self.stage_functions]
        given = ", ".join([*union, "lengths, meeting, steps, batch, slots"])
        yield JIT
        yield f"def {self.name}({given}, {BLOCKS}, GRID: tl.constexpr, HELD: tl.constexpr):"
        yield f'    """All steps, {"onwards" if self.forward else "from the last one back"}."""'
        yield from indented(self._held())
        yield f"    for n in {ALL_STEPS}:  # no step is begun before the one before it has ended"
        yield f"        t = {'n' if self.forward else 'steps - 1 - n'}"
        for name in order:
            yield from indented(indented(self._called(name)))
        yield "        if lengths is not None:"
        yield from indented(indented(indented(self._called(f"{self.name}_ended"))))
        if not self.forward:
            yield from indented(indented(self._called(f"{self.name}_restart")))
        yield from ("", "")

    def _held(self) -> Iterator[str]:
        """Read what stays on chip."""
        for name in self.step.held:
            yield f"{name} = None"
        if self.step.held:
            yield "if HELD:  # this program's columns of the weights, which stay on chip over all steps"
            yield "    j = tl.program_id(1) * UNITS + tl.arange(0, UNITS)[None, :]"
            yield from indented(f"{name} = {columns}" for name, columns in self.step.held.items())

    def _called(self, name: str) -> Iterable[str]:
        given = ", ".join([*self.parameters[name], "lengths, t, batch, slots", PASSED])
        lines = [f"{name}({given})", "meet(meeting, GRID)"]
        return ["if resets is not None:", *indented(lines)] if name.endswith("_restart") else lines
