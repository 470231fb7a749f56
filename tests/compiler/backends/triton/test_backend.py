"""What asks for the Triton backend and is refused, the source that it writes, and the choice of a kernel."""

import pytest
import torch

import rnnkit
from rnnkit.errors import UsageError
from rnnkit_compiler import compiled
from rnnkit_compiler.backends.base.backend import Refusal
from rnnkit_compiler.backends.triton import availability, backend
from rnnkit_compiler.backends.triton.code.kernel_source import generate
from rnnkit_compiler.backends.triton.code.operations import CODE
from rnnkit_compiler.backends.triton.cost import GRID, SEQUENCE, STEPS, choose
from rnnkit_compiler.backends.triton.tiles import Tiles
from rnnkit_compiler.ir.operations import OPERATIONS
from rnnkit_compiler.ir.special import VJPS
from rnnkit_compiler.schedule.sharing import StepWork

Compiled = rnnkit.unrollers["compiled"]


def test_kernels_that_there_are_not():
    with pytest.raises(UsageError, match="kernel='grid' with backend=None; backend='triton' has sequence, grid, steps"):
        Compiled(kernel="grid")
    with pytest.raises(UsageError, match="kernel='all' with backend='triton'"):
        Compiled(backend="triton", kernel="all")
    assert str(Compiled(backend="triton", kernel="grid")) == "compiled(backend='triton', kernel='grid')"


@pytest.mark.parametrize(
    ("installed", "interpreted", "device", "said"),
    [
        (None, False, "cuda", "Triton is not installed: pip install"),
        ("3.9.0", False, "cpu", "TRITON_INTERPRET=1 has them interpreted there"),
        ("3.9.0", True, "cuda", "TRITON_INTERPRET is set"),
        ("3.9.0", False, "mps", "there is a tensor on mps"),
        ("3.9.0", False, "cuda", ""),
        ("3.9.0", True, "cpu", ""),
    ],
)
def test_where_there_are_kernels(installed, interpreted, device, said, monkeypatch):
    monkeypatch.setattr(availability, "triton_version", lambda: installed)
    monkeypatch.setattr(availability, "is_interpreted", lambda: interpreted)
    found = availability.obstacle_on(torch.device(device))
    assert said in found
    assert bool(said) == bool(found)


def test_a_forced_backend_says_why_not(monkeypatch):
    monkeypatch.setattr(backend, "obstacle_on", lambda device: "there is no device")
    monkeypatch.setattr(compiled, "_programs", type(compiled._programs)(compiled.CAPACITY))
    with pytest.raises(UsageError, match="backend='triton' cannot run cell 'lstm': there is no device"):
        Compiled(backend="triton")(rnnkit.cells["lstm"](2, 3), torch.zeros(1, 1, 2))


def lstm():
    cell = rnnkit.cells["lstm"](8, 20)
    return compiled.program_for(cell, *compiled.example(cell)).backend._recurrence.plan


def test_one_recognises_the_equation():
    text = generate(lstm(), ("Forward", "Backward"), "lstm", "h = o * tanh(c)", narrow=False).text
    compile(text, "lstm", "exec")
    lines = [line.split("#")[0].strip() for line in text.splitlines() if "def " not in line]
    assert sum("sigmoid(" in line for line in lines) == 3
    assert sum("tanh(" in line for line in lines) >= 2
    assert sum(" = multiplied(a, columns(w1" in line for line in lines) == 5
    assert "# h = o * tanh(c)" in text.replace("#   ", "# ")


def test_what_has_no_counterpart_is_refused():
    assert set(OPERATIONS) - set(CODE) == {*VJPS, "nextafter"}

    class Lgamma(rnnkit.Cell):
        def step(self, x, state):
            h = torch.lgamma(state[0] + x.sum(1, keepdim=True) + 9)
            return h, (h,)

    cell = Lgamma(2, 3)
    step = compiled._program.recorded_whole(cell, *compiled.example(cell), narrow=False)
    made = backend.Triton.make(step)
    assert isinstance(made, Refusal)
    assert made.reason == "Triton has no digamma, lgamma"


def test_the_choice_of_a_kernel():
    def work(width):
        return StepWork(width, 16 * width * width, 20 * width, 1, 4)

    tiles = Tiles(16, 64, 32, 8)
    assert choose(None, work(64), tiles, 8192, 132).kind == SEQUENCE
    few = choose(None, work(1024), tiles, 16, 132)
    assert few.kind == GRID
    assert few.units == 16
    assert choose(None, work(2048), tiles, 8192, 132).kind in (SEQUENCE, STEPS)
    for kind in (SEQUENCE, GRID, STEPS):
        assert choose(kind, work(256), tiles, 64, 132).kind == kind
    assert choose(GRID, work(256), tiles, 64, 1).units == 1
