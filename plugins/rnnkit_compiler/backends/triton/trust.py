"""Trust: a program is held to torch's operations on the user's own device before its kernels are used there.

A small random batch goes through both, with rows that end and rows that start again, forward and back, and without
gradients. The verdict is kept in the cache folder, by all that it may depend on. A wrong kernel, or one that cannot be
compiled, costs speed and never numbers: another kind of kernel or torch's operations run instead, and one warning says
so.
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

import rnnkit
from rnnkit.errors import first_line
from rnnkit_compiler.backends.base.backend import Results, Tensors, Timeline
from rnnkit_compiler.backends.base.comparison import differ
from rnnkit_compiler.backends.cpp.building.findings import Findings
from rnnkit_compiler.backends.triton.availability import is_interpreted, triton_version
from rnnkit_compiler.backends.triton.draw import draw
from rnnkit_compiler.backends.triton.failure import in_one_line, root_of
from rnnkit_compiler.backends.triton.origins import Origins
from rnnkit_compiler.backends.triton.trial import Run, everything, in_float32, is_low
from rnnkit_compiler.trace.saved_tensors import shielded

logger = logging.getLogger("rnnkit")

DRAWS = 3
"""Batches that are drawn: a result must stray in each, since at a kink rounding decides about a gradient."""

PATIENCE = 3
"""Calls of which a trial proves nothing, until no further one is tried in this process."""

INSTEAD = "torch's operations run instead"

PASSING = (torch.OutOfMemoryError, MemoryError, OSError)
"""What says nothing of the kernels, and may be gone in the next process: of memory, of a full disk."""


class Verdict(NamedTuple):
    """What was found."""

    what: str
    """Names the program."""

    reason: str
    """Why its kernels are not used; empty: they are."""

    spills: str = ""
    """What they spill in every form, for which another kind is taken if one is right; empty: nothing."""


VERDICTS = Findings("triton", Verdict, lambda verdict: all(isinstance(text, str) for text in verdict))
"""All that were kept."""


def device_facts(device: torch.device) -> list[str]:
    """Return all that what kernels give and take depends on beside their source."""
    facts = [rnnkit.__version__, torch.__version__, triton_version() or ""]
    facts.append("interpreted" if is_interpreted() else "compiled")
    if device.type == "cuda":
        facts += [torch.cuda.get_device_name(device), str(torch.cuda.get_device_capability(device))]
        facts += [str(torch.version.cuda or torch.version.hip), _driver()]
    return facts


def _driver() -> str:
    try:
        return str(torch._C._cuda_getDriverVersion())  # type: ignore[attr-defined]
    except (AttributeError, RuntimeError):
        return "unknown"


class Untried(Exception):  # noqa: N818 - nothing is wrong: the next call may be one that can be tried
    """What kernels leave to torch's operations says nothing of them."""


class Vain(Untried):
    """Torch's operations give no finite number of any batch that is drawn for this call."""


class NothingElse:
    """What there is behind kernels in a trial: else torch's operations would be compared with themselves."""

    def run(self, tensors: Tensors, timeline: Timeline) -> Results:
        """Raise Untried."""
        raise Untried


class Trust:
    """The verdict on one program on one device.

    Args:
        title: of the cell and the kind of kernels.
        sources: the text of all kernels, and what else their numbers depend on.
        device: where.
        origins: of the invariants of the program.
        ways: what runs the kernels, and what runs the same with torch's operations.
        rounded: whether factors of products are rounded to a lower precision than the dtype's.
        spilled: returns the bytes that a thread spills in the forms of the kernels that have run.
    """

    def __init__(
        self,
        title: str,
        sources: Callable[[], Sequence[str]],
        device: torch.device,
        origins: Origins,
        ways: tuple[Run, Run],
        rounded: bool,
        spilled: Callable[[], int],
    ) -> None:
        self._title, self._sources, self._device, self._origins = title, sources, device, origins
        self._ways, self._rounded, self._spilled = ways, rounded, spilled
        self.verdict: Verdict | None = None
        self._in_vain = 0

    def is_earned(self, tensors: Tensors, instead: str = INSTEAD) -> bool:
        """Tell whether the kernels may be used: looked up, or found by a trial with invariants like these.

        Args:
            tensors: of the call.
            instead: what is done if they may not, for the one warning that says so.
        """
        if self.verdict is None:
            try:
                self.verdict = VERDICTS.read(self._path()) or self._found(tensors)
            except Untried:
                return False
            if self.verdict.reason:
                logger.warning("%s: %s; %s", self.verdict.what, self.verdict.reason, instead)
        return not self.verdict.reason

    @property
    def spills(self) -> bool:
        """Whether its kernels are known to spill registers in every form."""
        return self.verdict is not None and bool(self.verdict.spills)

    def explain(self) -> str:
        """Say what is known of it."""
        if self.verdict is None:
            return "not yet compared with torch's operations on this device"
        right = "compared with torch's operations on this device: equal within rounding"
        return self.verdict.reason or "; ".join(filter(None, (right, self.verdict.spills)))

    def _path(self) -> Path:
        return VERDICTS.path(*device_facts(self._device), *self._sources())

    def _found(self, tensors: Tensors) -> Verdict:
        name = torch.cuda.get_device_name(self._device) if self._device.type == "cuda" else "the interpreter"
        what = f"{self._title} in {_dtype_of(tensors)} on {name}"
        try:
            strayed = all(self._strays(tensors, seed) for seed in range(DRAWS))
            reason = "the kernels' numbers are not those of torch's operations" if strayed else ""
        except Vain:
            self._in_vain += 1
            if self._in_vain < PATIENCE:
                raise
            return Verdict(what, "the kernels cannot be compared: torch's operations give no finite number either")
        except Untried:
            raise
        except Exception as error:  # of a compiler, a driver, an interpreter: whatever it is, the kernels do not run
            reason = f"the kernels do not run ({in_one_line(error)})"
            if isinstance(root_of(error), PASSING):
                return Verdict(what, reason)
        spilled = 0 if reason else self._spilled()
        verdict = Verdict(what, reason, f"a thread spills {spilled} bytes in every form" if spilled else "")
        VERDICTS.keep(self._path(), verdict)
        return verdict

    def _strays(self, tensors: Tensors, seed: int) -> bool:
        without_autocast = torch.autocast(self._device.type, enabled=False)
        with torch.inference_mode(False), torch.enable_grad(), without_autocast, shielded():
            own = tensors._replace(invariants=self._origins.among(tensors.invariants))
            kernels, operations = map(self._of, self._ways)
            drawn = draw(operations, own, seed, self._rounded)
            if drawn.expected.proves_nothing:
                raise Vain
            found, expected = everything(kernels, drawn.tensors, drawn.timeline).all, drawn.expected.all
            wrong = [k for k, pair in enumerate(zip(found, expected, strict=True)) if differ(*pair, self._rounded)]
            exact = self._exact(drawn.tensors, drawn.timeline) if wrong else []
        return any(not exact or differ(found[k], exact[k], self._rounded) for k in wrong)

    def _exact(self, given: Tensors, timeline: Timeline) -> list[Tensor]:
        """Return what torch's operations give where they compute in float32 what kernels do in it; else nothing."""
        try:
            return everything(self._of(in_float32(self._ways[1])), given, timeline).all if is_low(given) else []
        except RuntimeError as error:  # of a step that names a dtype
            logger.debug("%s: not tried in float32 (%s)", self._title, first_line(error))
            return []

    def _of(self, run: Run) -> Run:
        """Return what runs steps, given those of the invariants alone that come from outside."""
        return lambda given, timeline: run(
            given._replace(invariants=self._origins.completed(given.invariants)), timeline
        )


def _dtype_of(tensors: Tensors) -> str:
    return str(tensors.states[0].dtype).removeprefix("torch.")
