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

from rnnkit.errors import first_line
from rnnkit_compiler.backends.base.backend import Results, Tensors, Timeline
from rnnkit_compiler.backends.base.comparison import differ
from rnnkit_compiler.backends.cpp.building.findings import Findings
from rnnkit_compiler.backends.triton.availability import is_interpreted, triton_version
from rnnkit_compiler.backends.triton.origins import Origins

logger = logging.getLogger("rnnkit")

STEPS, BATCH, DRAWS = 3, 18, 3
"""Of the batch, which has more rows than a program; and how many are drawn.

A result must stray in each of the draws: at a kink rounding decides about a gradient.
"""

INSTEAD = "torch's operations run instead"

PASSING = (torch.OutOfMemoryError, MemoryError, OSError)
"""What says nothing of the kernels, and may be gone in the next process: of memory, of a full disk."""

Run = Callable[[Tensors, Timeline], Results]


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
    """Return all that the result of a compilation depends on beside the source."""
    facts = [torch.__version__, triton_version() or "", "interpreted" if is_interpreted() else "compiled"]
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
        except Untried:
            raise
        except Exception as error:  # of a compiler, a driver, an interpreter: whatever it is, the kernels do not run
            reason = f"the kernels do not run ({first_line(error)})"
            if isinstance(error, PASSING):
                return Verdict(what, reason)
        spilled = 0 if reason else self._spilled()
        verdict = Verdict(what, reason, f"a thread spills {spilled} bytes in every form" if spilled else "")
        VERDICTS.keep(self._path(), verdict)
        return verdict

    def _strays(self, tensors: Tensors, seed: int) -> bool:
        with torch.inference_mode(False), torch.enable_grad(), torch.autocast(self._device.type, enabled=False):
            given, timeline = _trial(tensors._replace(invariants=self._origins.among(tensors.invariants)), seed)
            found, expected = (_everything(self._of(run), given, timeline) for run in self._ways)
        return any(differ(f, e, self._rounded) for f, e in zip(found, expected, strict=True))

    def _of(self, run: Run) -> Run:
        """Return what runs steps, given those of the invariants alone that come from outside."""
        return lambda given, timeline: run(
            given._replace(invariants=self._origins.completed(given.invariants)), timeline
        )


def _trial(tensors: Tensors, seed: int) -> tuple[Tensors, Timeline]:
    """Return a small random batch for these invariants; whole numbers are those of the call, which fit its step."""
    generator = torch.Generator().manual_seed(seed)

    def drawn(tensor: Tensor, *shape: int) -> Tensor:
        if tensor.dtype == torch.bool:
            return torch.rand(*shape, *tensor.shape[len(shape) :], generator=generator, device="cpu").gt(0.5).to(device)
        if not (tensor.is_floating_point() or tensor.is_complex()):
            return _repeated(tensor, *shape)
        numbers = torch.randn(*shape, *tensor.shape[len(shape) :], generator=generator, device="cpu")
        return numbers.to(tensor.device, tensor.dtype).requires_grad_()

    def copied(tensor: Tensor) -> Tensor:
        return tensor.detach().clone().requires_grad_(tensor.is_floating_point() or tensor.is_complex())

    device = tensors.states[0].device
    parts = [drawn(tensor, STEPS, BATCH) for tensor in tensors.parts]
    states, initial = ([drawn(tensor, BATCH) for tensor in tensors.states] for _ in range(2))
    row = torch.arange(BATCH, device=device)
    lengths = 1 + row % STEPS
    reset = (row + torch.arange(STEPS, device=device).unsqueeze(1)) % 5 == 1
    order = lengths.argsort(descending=True, stable=True)
    given = Tensors(parts, states, initial, [copied(tensor) for tensor in tensors.invariants])
    return given, Timeline(STEPS, BATCH, lengths, order, reset)


def _repeated(tensor: Tensor, *shape: int) -> Tensor:
    """Return a tensor of another size in its first dimensions, by its own numbers again and again."""
    if not tensor.numel():
        return tensor.new_zeros(*shape, *tensor.shape[len(shape) :])
    for axis, size in enumerate(shape):
        tensor = tensor.index_select(axis, torch.arange(size, device=tensor.device) % tensor.shape[axis])
    return tensor


def _everything(run: Run, tensors: Tensors, timeline: Timeline) -> list[Tensor]:
    """Return outputs, last states and gradients: with lengths and resets, and plain; and outputs of inference."""
    plain = Timeline(STEPS, BATCH, None, None, None)
    found: list[Tensor] = []
    for given, when in ((tensors, timeline), (tensors._replace(initial=()), plain)):
        ys, last = run(given, when)
        results = [ys, *last]
        found += [tensor.detach() for tensor in results]
        weighed = [tensor.abs().sum() if tensor.is_complex() else (tensor * tensor).sum() for tensor in results]
        loss = sum(weight for weight in weighed if weight.requires_grad)
        wanted = [t for group in given for t in group if t.requires_grad]
        if wanted and isinstance(loss, Tensor):
            found += torch.autograd.grad(loss, wanted, allow_unused=True, materialize_grads=True)
    with torch.no_grad():
        ys, last = run(tensors, timeline)
    return [*found, ys, *last]


def _dtype_of(tensors: Tensors) -> str:
    return str(tensors.states[0].dtype).removeprefix("torch.")
