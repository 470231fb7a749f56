"""The form of a kernel: what its text leaves open, settled by what the compiler says that it spills."""

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from math import ceil
from typing import Any, NamedTuple

from rnnkit_compiler.backends.triton.failure import in_one_line
from rnnkit_compiler.backends.triton.tiles import Tiles

logger = logging.getLogger("rnnkit")

ALIGNMENT = 8
"""Bytes that a thread's local memory is a multiple of."""


class Form(NamedTuple):
    """Tiles, what stays on chip, and how registers are given out."""

    tiles: Tiles
    holds_weights: bool = False
    """Whether a program of a grid keeps its columns of the weights in its registers over all steps."""

    all_registers: bool = False
    """Whether a thread may have all registers there are: else the compiler may spill some so that more fit at once."""

    in_order: bool = False
    """Whether the assembler leaves instructions about where they are: else it reads ahead, into registers."""

    hoists_nothing: bool = False
    """Whether what is the same at every step is computed at each: else the compiler has it done before the first one,
    and in registers from then on."""

    @property
    def options(self) -> dict[str, Any]:
        """What the compiler is told."""
        options: dict[str, Any] = {"num_warps": self.tiles.warps}
        if self.all_registers:
            options["maxnreg"] = MOST_REGISTERS
        if self.in_order:
            options["ptx_options"] = "--opt-level 1"
        return options


MOST_REGISTERS = 255
"""Of a thread, on every GPU of NVIDIA's."""

FEW_WARPS = 4
"""Of a program each of whose threads is to have twice the registers that it has on AMD's GPUs among eight warps."""

OF_NVIDIA = ("maxnreg", "ptx_options")
"""The options that the compiler for AMD's GPUs does not know: a thread has all registers there anyway."""


def settled(
    first: Form, spilled_by: Callable[[Form], int], is_full: Callable[[Form], bool], has_steps: bool = True
) -> Form:
    """Return the first form in which a kernel spills nothing, or that in which it spills least.

    On a device and in the table of the documentation it is the same rule. A compilation takes seconds: none is made
    that gives what another has given.

    Args:
        first: the one to be tried first.
        spilled_by: compiles the kernel, and returns the bytes that a thread spills.
        is_full: tells whether a thread that spilled had all registers there are, or what spills are no registers.
        has_steps: whether it steps through time itself, as all kinds but `steps` do.
    """
    spilled: dict[Form, int] = {}
    for form in _candidates(first, spilled, is_full, has_steps):
        try:
            spilled[form] = spilled_by(form)
        except Exception as error:
            if not (form.holds_weights or form.in_order or form.hoists_nothing):
                raise
            logger.debug("%s: not taken (%s)", form, in_one_line(error))  # others may do
            continue
        if not spilled[form]:
            return form
    return min(spilled, key=lambda form: spilled[form])


def _candidates(
    first: Form, spilled: Mapping[Form, int], is_full: Callable[[Form], bool], has_steps: bool
) -> Iterator[Form]:
    """List the forms to try: of smaller tiles, with all registers, in order, of few threads, that hoist nothing.

    Of those in order those come first that spilled least. Fewer threads have more registers on AMD's GPUs alone, where
    the two before are nothing new, and are not compiled again.

    Args:
        first: the one to be tried first.
        spilled: bytes that a thread spills in those that have been tried.
        is_full: as `settled` has it.
        has_steps: as `settled` has it.
    """
    if first.holds_weights:
        yield first
    forms = [Form(tiles) for tiles in (first.tiles, *first.tiles.smaller)]
    yield from forms
    yield from (form._replace(all_registers=True) for form in forms if not is_full(form))
    plain = [form for form in spilled if not form.all_registers]
    yield from (form._replace(in_order=True) for form in sorted(plain, key=lambda form: spilled[form]))
    yield Form(forms[-1].tiles._replace(warps=FEW_WARPS))
    yield from (form._replace(hoists_nothing=True) for form in forms if has_steps)


def spilled_of(local: int, ptx: str) -> int:
    """Return the bytes that a thread spills, of those that it has in local memory.

    Args:
        local: bytes of a thread that are in local memory.
        ptx: the code that registers were given to: arrays that it declares, as sines of large angles need one, are no
            spilled registers.
    """
    declared = sum(map(int, re.findall(r"\.local [^;]*\[(\d+)\];", ptx)))
    return max(0, local - ceil(declared / ALIGNMENT) * ALIGNMENT)
