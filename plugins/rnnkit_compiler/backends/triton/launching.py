"""Launching: the functions of a kernel over all steps, at once or a stage and step at a time."""

from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any

import torch

from rnnkit_compiler.backends.base.runtime import Launch
from rnnkit_compiler.backends.triton.code.kernel_source import KernelText
from rnnkit_compiler.backends.triton.cost import GRID, SEQUENCE, STEPS
from rnnkit_compiler.backends.triton.form import MOST_REGISTERS, OF_NVIDIA, Form, spilled_of

TOO_MUCH = 1 << 30
"""Bytes that what does not fit a device at all is said to spill."""


class Run:
    """One run of a kernel.

    Args:
        functions: returns those of a form.
        text: their names and parameters.
        launch: what it is run on.
        arguments: what the names of parameters stand for.
        kind: of kernel.
        precision: of the factors of products.
    """

    def __init__(
        self,
        functions: Callable[[Form], ModuleType],
        text: KernelText,
        launch: Launch,
        arguments: Mapping[str, Any],
        kind: str,
        precision: str,
    ) -> None:
        self._functions, self._text, self._launch, self._arguments = functions, text, launch, arguments
        self._kind, self._precision = kind, precision
        self._name, self._timeline = launch.kernel.lower(), launch.timeline
        self._is_forward = self._name != "backward"

    def all_steps(self, form: Form) -> None:
        """Step through time."""
        if self._kind == STEPS:
            self.step_through(range(self._timeline.steps), form)
        else:
            self._start(self._name, self._all(), form)

    def step_through(self, steps: range, form: Form) -> None:
        """Launch the stages of some steps one after the other, onwards or back."""
        names = [*self._functions_of_a_step()]
        for t in steps if self._is_forward else reversed(steps):
            for name in names:
                self._start(name, self._at(t), form)

    def spilled(self, form: Form) -> int:
        """Compile the kernel in a form; return the bytes that a thread spills, the most of all functions."""
        return max(map(_spilled, self._compiled(form)))

    def is_full(self, form: Form) -> bool:
        """Tell whether a thread had all registers there are in each function that spills in a form."""
        spilling = [kernel for kernel in self._compiled(form) if _spilled(kernel)]
        return all(_spilled(kernel) == TOO_MUCH or kernel.n_regs >= MOST_REGISTERS for kernel in spilling)

    def _compiled(self, form: Form) -> list[Any]:
        """Return the functions of the kernel in a form, which Triton compiles once."""
        names = [*self._functions_of_a_step()] if self._kind == STEPS else [self._name]
        numbers = self._at(0) if self._kind == STEPS else self._all()
        return [self._start(name, numbers, form, compile_only=True) for name in names]

    def _functions_of_a_step(self) -> Iterator[str]:
        restart = [f"{self._name}_restart"] if self._timeline.reset is not None else []
        yield from restart if self._is_forward else ()
        yield from self._text.stages
        if self._timeline.lengths is not None:
            yield f"{self._name}_ended"
        yield from () if self._is_forward else restart

    def _all(self) -> list[Any]:
        """Return the numbers that the kernel of all steps takes; `meeting` counts programs that have come to it."""
        timeline, workers = self._timeline, self._launch.shares.workers
        meeting = torch.zeros(workers, dtype=torch.int32, device=self._arguments["numbers"].device)
        return [timeline.lengths, meeting, timeline.steps, timeline.batch, self._launch.slots]

    def _at(self, t: int) -> list[Any]:
        """Return the numbers that a stage of step t takes."""
        return [self._timeline.lengths, t, self._timeline.batch, self._launch.slots]

    def _start(self, name: str, numbers: list[Any], form: Form, compile_only: bool = False) -> Any:
        """Launch a function, or compile it as it would be launched."""
        function, tiles = getattr(self._functions(form), name), form.tiles
        given = [self._arguments.get(parameter) for parameter in self._text.parameters[name]]
        shares = self._launch.shares
        programs = (tiles.programs(self._timeline.batch), 1 if self._kind == SEQUENCE else shares.units)
        constants = [*tiles[:3], self._precision]
        options: dict[str, Any] = form.options
        if torch.version.hip is not None:
            options = {name: value for name, value in options.items() if name not in OF_NVIDIA}
        if self._kind != STEPS:
            constants += [self._kind == GRID, form.holds_weights]
        if self._kind == GRID and shares.units > 1:  # programs that wait for each other all have to be there
            options["launch_cooperative_grid"] = True
        if compile_only:
            return function.warmup(*given, *numbers, *constants, grid=programs, **options)
        return function[programs](*given, *numbers, *constants, **options)


def _spilled(kernel: Any) -> int:
    """Return the bytes that a thread of a compiled kernel spills."""
    try:
        kernel._init_handles()  # which a launch does first: then the device says what the kernel takes of it
    except Exception as error:
        if type(error).__name__ == "OutOfResources":  # of the device: a smaller form may fit
            return TOO_MUCH
        raise
    return spilled_of(4 * int(kernel.n_spills), kernel.asm.get("ptx", ""))
