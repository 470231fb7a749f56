"""The compiled unroller: any cell at the speed of hand-written kernels.

The step is recorded once as a list of operations. What depends on the input alone is done for all steps at once, what
depends on the parameters alone once a call; the rest, forward and back, becomes a native kernel, in which each step's
products and the pointwise operations on them are one pass over the weights. The gradients of the weights wait for the
rows of many steps, which one product adds up.

Where no kernel can be had, the same plan runs with torch's operations; where the step cannot be recorded, the loop.
The folders, in order: `trace` records the step, `ir` turns it into a graph and differentiates that, `structure` proves
which states depend on which, `schedule` orders stages and buffers, `backends` run it; `_program` asks them in turn.
"""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from torch._compile import _disable_dynamo

import rnnkit
from rnnkit import Cell, State
from rnnkit.errors import ShapeError
from rnnkit_compiler import _candidates, _devices, _rivals
from rnnkit_compiler._advancing import Advancing
from rnnkit_compiler._autocast import narrowed, paused, widened
from rnnkit_compiler._bound import BoundProgram
from rnnkit_compiler._candidates import Wanted, checked, fast_products
from rnnkit_compiler._drawing import drawing_alike
from rnnkit_compiler._narrow import in_float32, is_narrow, narrow_dtype, said_of
from rnnkit_compiler._program import Program, forced
from rnnkit_compiler._programs import program_for
from rnnkit_compiler._running import leaving_alike, run_by, run_to_last, said_of_writing
from rnnkit_compiler._symbols import pays, stand_in
from rnnkit_compiler.backends.base.backend import Refusal, Results
from rnnkit_compiler.backends.cpp.thread_pool import mind_forks
from rnnkit_compiler.structure.jacobian import state_jacobian
from rnnkit_compiler.trace.example import example, first_number

BACKENDS = tuple(backend.name for backend in _candidates.BACKENDS)
"""What may run the steps: a kernel, or torch's operations."""

TORCH = BACKENDS[-1]
LOOP = "loop"
"""What `backend_of` says where no backend takes the cell."""


class Compiled(rnnkit.Unroller):
    """Turns a cell's step into native code: forward and backward at the speed of hand-fused kernels.

    Memory: the states and the gates that backward reads, of every step. Time: a compilation of about two seconds
    the first time that a cell is seen on a machine, whatever its sizes; then its speed is that of the matrix products.

    Args:
        backend: "cpp" has the steps run in a kernel, "torch" has the plan run with torch's operations, even where the
            loop is faster, "triton" in a kernel for GPUs; what cannot be run so is an error that says why. None: what
            is fastest.
        kernel: "sequence", "grid" or "steps" has backend "triton" take that kind of kernel. None: it chooses.
    """

    name = "compiled"
    auto_rank = 10

    def __init__(self, *, backend: str | None = None, kernel: str | None = None) -> None:
        self._wanted = checked(backend, kernel)
        self.backend, self.kernel = self._wanted
        loop = rnnkit.unrollers.get("loop")  # looked up here, where no tracer follows
        self._loop = None if loop is None else loop()

    @classmethod
    def variants(cls) -> list[rnnkit.Unroller]:
        """Return one that chooses, and one for each way in which it may choose to run a cell."""
        return [cls(), *(cls(backend=backend) for backend in BACKENDS)]

    def applies(self, cell: Cell) -> bool:
        """Tell whether the cell runs in a kernel, or by the backend asked for; elsewhere than on the CPU, as it can."""
        like = first_number(cell)
        if like is not None and like.is_meta:
            return True  # built without memory, it is filled elsewhere, and may run in a kernel there
        runs = self.backend_of(cell)
        if self.backend is not None:
            return runs == self.backend
        return runs != LOOP and (runs != TORCH or (like is not None and not _devices.is_host(like.device)))

    def refusal(self, cell: Cell, use: str = "first") -> str:
        """Say why no kernel runs the cell, or not the backend that was asked for."""
        if self.applies(cell):
            return ""
        reason = self._on_plain_input(cell).reason
        return f"no native kernel: {reason or 'another backend runs the cell'}"

    def __call__(
        self,
        cell: Cell,
        xs: Tensor,
        state: State | None = None,
        *,
        lengths: Tensor | None = None,
        reset: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Unroll `cell` over `xs` (T, B, D); see `rnnkit.Unroller`."""
        if self._loop is not None and rnnkit.is_traced():
            return self._loop(cell, xs, state, lengths=lengths, reset=reset)
        unroll = _unroll_untraced if torch.compiler.is_compiling() else _unroll
        return unroll(self._wanted, cell, xs, state, lengths, reset)

    def over_symbols(
        self,
        cell: Cell,
        symbols: Tensor,
        table: Tensor,
        state: State | None = None,
        *,
        lengths: Tensor | None = None,
        reset: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Unroll `cell` over rows of a table, each of which is projected once; see `rnnkit.Unroller`."""
        if pays(symbols, table):
            mind_forks()
            prepared = rnnkit.prepare(cell, stand_in(symbols, table), state, lengths, reset)
            program = program_for(cell, prepared.xs, prepared.state, self._wanted, apart=True)
            if isinstance(program, Program) and program.backend.name != TORCH and program.recording.is_plain:
                with _devices.current(prepared.xs.device):
                    return program.run_symbols(cell, symbols, table, prepared)
        return super().over_symbols(cell, symbols, table, state, lengths=lengths, reset=reset)

    def _on_plain_input(self, cell: Cell) -> "Program | Refusal":
        """Return the program of a cell on plain input, whether autocast is on or not."""
        wide, narrow = in_float32(cell, self.backend), narrow_dtype(cell, self.backend) is torch.bfloat16
        try:
            xs, state = example(wide)
        except ShapeError as error:  # a state of so many rows whatever the batch: the loop says so, or has that batch
            return Refusal(str(error))
        with paused(xs.device):
            return program_for(wide, xs, state, self._wanted, narrow)

    def products(self, multiplications: int) -> AbstractContextManager[object]:
        """Return what has products done by kernels where that is faster."""
        if torch.compiler.is_compiling() or rnnkit.watched_by() or rnnkit.casts_automatically(torch.device("cpu")):
            return nullcontext()
        return fast_products(multiplications)

    def advancer(self, cell: Cell, steps: int, rows: int) -> Advancing | None:
        """Return what runs the kernel of a cell with next to no preparation; None where no kernel runs it."""
        if (program := self._kernels_of(cell)) is None or (direct := program.backend.direct(steps, rows)) is None:
            return None
        return Advancing(cell, program, direct, (steps, rows))

    def bound(self, cell: Cell) -> BoundProgram | None:
        """Return what runs the kernels of a cell without another look at it; None where no kernel runs it."""
        return None if (program := self._kernels_of(cell)) is None else BoundProgram(cell, program)

    def beats(self, cell: Cell, xs: Tensor, state: State, masks: dict[str, Tensor | None], rival: rnnkit.Rival) -> bool:
        """Tell whether kernels take less time than another way, by the models of both or by what was measured."""
        program = program_for(cell, xs, state, self._wanted)
        own = None if isinstance(program, Refusal) else program.backend.nanoseconds(*xs.shape[:2])
        return own is not None and _rivals.is_faster(cell, xs, lambda xs: self(cell, xs, state, **masks), own, rival)

    @torch.no_grad()  # so that kernels of training are not compiled for its sake
    def _kernels_of(self, cell: Cell) -> Program | None:
        """Return the program of a cell that runs in kernels on the CPU, now and later; None where it does not."""
        like = first_number(cell)
        if like is None or not like.is_cpu or narrow_dtype(cell, self.backend) is not None:
            return None
        program = self._on_plain_input(cell)
        if isinstance(program, Refusal) or program.backend.name == TORCH or program.tables:
            return None  # what is in these buffers may change
        recording = program.recording
        return program if recording.for_one_row and not (recording.raises or recording.writes) else None

    def explain(self, cell: Cell) -> str:
        """Say what is computed ahead, fused and deferred, what it costs, what fell back and why, and the Jacobian."""
        program = self._on_plain_input(cell)
        if isinstance(program, Refusal):
            return f"backend: loop\n{program.reason}"
        proven = state_jacobian(program.recording, tuple(cell.state_names))
        return "\n".join([*program.explain(), *said_of_writing(program), *said_of(cell, self.backend), *proven.lines()])

    def backend_of(self, cell: Cell) -> str:
        """Tell what runs a cell on plain input: "cpp", "torch" or "loop"."""
        program = self._on_plain_input(cell)
        return LOOP if isinstance(program, Refusal) else program.backend.name

    def __repr__(self) -> str:
        given = [f"{name}={value!r}" for name, value in self._wanted._asdict().items() if value is not None]
        return f"{self.name}({', '.join(given)})" if given else self.name

    @classmethod
    def facts(cls) -> dict[str, str]:
        """Tell what each backend found on this machine, the compiler for one, and what runs cells on each GPU."""
        found = {name: fact for backend in _candidates.BACKENDS for name, fact in backend.facts().items()}
        found |= {f"measured {k}": measured.text for k, measured in enumerate(_rivals.MEASUREMENTS.all(), 1)}
        return found | {f"on {device}": _candidates.who_runs(device) for device in _devices.accelerators()}

    @classmethod
    def clear_cache(cls) -> int:
        """Remove all stored kernels and measurements; return their bytes."""
        return _rivals.clear() + sum(backend.clear_cache() for backend in _candidates.BACKENDS)

    @classmethod
    def release_memory(cls) -> None:
        """Return to the system the storage that would be used again."""
        for backend in _candidates.BACKENDS:
            backend.release_memory()


def _unroll(
    wanted: Wanted,
    cell: Cell,
    xs: Tensor,
    state: State | None,
    lengths: Tensor | None,
    reset: Tensor | None,
) -> tuple[Tensor, State]:
    mind_forks()
    prepared = rnnkit.prepare(cell, xs, state, lengths, reset)
    casts = rnnkit.casts_automatically(xs.device) or is_narrow(cell, prepared, wanted.backend)
    result = (_cast if casts else _run)(wanted, cell, prepared)
    if result is None:
        return rnnkit.unrollers["loop"]()(cell, xs, state, lengths=lengths, reset=reset)
    return result


def _run(wanted: Wanted, cell: Cell, prepared: rnnkit.Prepared) -> tuple[Tensor, State] | None:
    """Run the program of a cell; None: there is none that is worth it."""
    program = drawing_alike(_chosen(wanted, cell, prepared), wanted, cell, prepared)
    program = leaving_alike(program, wanted, cell, prepared)
    return None if program is None else run_by(program, cell, prepared)


def _cast(wanted: Wanted, cell: Cell, prepared: rnnkit.Prepared) -> tuple[Tensor, State] | None:
    """Do so under autocast, which reaches into no kernel, or with a cell in a dtype that no kernel on a CPU has."""
    device = prepared.xs.device
    narrow = torch.get_autocast_dtype(device.type) if rnnkit.casts_automatically(device) else prepared.xs.dtype
    wide_cell = in_float32(cell, wanted.backend)
    wide = widened(wide_cell, prepared)
    with paused(device):
        program = drawing_alike(_chosen(wanted, wide_cell, wide, narrow is torch.bfloat16), wanted, cell, None)
    program = leaving_alike(program, wanted, cell, prepared, casts=True)
    if program is None:
        return None
    chosen = program

    def run(part: rnnkit.Prepared) -> Results | None:
        with paused(device):
            result = run_by(chosen, wide_cell, widened(wide_cell, part))
        return None if result is None else narrowed(result, chosen.loop_dtypes(cell, part))

    return run_to_last(cell, prepared, run) if chosen.recording.writes else run(prepared)


def _chosen(wanted: Wanted, cell: Cell, prepared: rnnkit.Prepared, narrow: bool = False) -> Program | None:
    xs = prepared.xs
    program = program_for(cell, xs, prepared.state, wanted, narrow)
    if wanted.backend is not None and xs.shape[1]:
        return forced(program, wanted.backend, cell)
    return None if isinstance(program, Refusal) or not program.backend.is_worth_it(*xs.shape[:2]) else program


_unroll_untraced = _disable_dynamo(_unroll)
"""The same for `torch.compile`, which leaves it as it is: a kernel is compiled already."""


@rnnkit.hookimpl
def rnnkit_unrollers() -> list[type[rnnkit.Unroller]]:
    """Offer the compiler."""
    return [Compiled]
