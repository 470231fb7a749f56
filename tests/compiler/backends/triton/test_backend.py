"""What asks for the Triton backend and is refused, the source that it writes, and the choice of a kernel."""

import re
from types import SimpleNamespace
from typing import ClassVar

import pytest
import torch
from click.testing import CliRunner

import rnnkit
from rnnkit.cli import main
from rnnkit.errors import UsageError
from rnnkit_compiler import _programs, compiled
from rnnkit_compiler._recorded import recorded_whole
from rnnkit_compiler.backends.base.backend import Refusal, Timeline
from rnnkit_compiler.backends.base.runtime import Launch
from rnnkit_compiler.backends.triton import availability, backend, launching, library, trust
from rnnkit_compiler.backends.triton.code.operations import CODE
from rnnkit_compiler.backends.triton.cost import GRID, SEQUENCE, STEPS, Offered, choose, ranked, time_of
from rnnkit_compiler.backends.triton.form import Form, settled
from rnnkit_compiler.backends.triton.held import holds_weights, stacks_of
from rnnkit_compiler.backends.triton.kernels import Kernels
from rnnkit_compiler.backends.triton.tiles import Tiles, grid_tiles, products_of
from rnnkit_compiler.ir.operations import OPERATIONS
from rnnkit_compiler.schedule.sharing import Shares, StepWork

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


@pytest.mark.parametrize(
    ("flags", "name", "value", "rounds"),
    [
        (torch.backends.cudnn, "allow_tf32", True, True),
        (torch.backends.cudnn, "allow_tf32", False, False),
        (torch.backends.cudnn.rnn, "fp32_precision", "tf32", True),
        (torch.backends.cudnn.rnn, "fp32_precision", "ieee", False),
    ],
)
def test_products_are_as_precise_as_those_of_torch_s_own_rnns(flags, name, value, rounds):
    """Torch raises where one of these is asked for after the other was set."""
    step = SimpleNamespace(device=torch.device("cuda"), dtype=torch.float32)
    may_set = torch.backends.__allow_nonbracketed_mutation  # which torch's own tests forbid, where they ran before
    with may_set(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.backends.cudnn, "allow_tf32", True)
        patch.setattr(flags, name, value)
        assert Kernels.rounds_to_tf32.fget(step) is rounds
        step.dtype = torch.float64
        assert not Kernels.rounds_to_tf32.fget(step)


def test_a_forced_backend_says_why_not(monkeypatch):
    monkeypatch.setattr(backend, "obstacle_on", lambda device: "there is no device")
    monkeypatch.setattr(_programs, "_programs", type(_programs._programs)(_programs.CAPACITY))
    with pytest.raises(UsageError, match="backend='triton' cannot run cell 'lstm': there is no device"):
        Compiled(backend="triton")(rnnkit.cells["lstm"](2, 3), torch.zeros(1, 1, 2))


def test_each_program_that_is_refused_has_a_row(monkeypatch, tmp_path):
    monkeypatch.setenv("RNNKIT_CACHE", str(tmp_path))
    tmp_path.chmod(0o700)
    reason = "the kernels do not run (NameError: name 'tanh_of' is not defined)"
    for cell in ("gru", "lstm", "mgu"):
        verdict = trust.Verdict(f"cell '{cell}' by kernel 'grid' in float32 on a GPU", reason * (cell != "mgu"))
        trust.VERDICTS.keep(trust.VERDICTS.path(cell), verdict)
    told = {80: [], 10_000: []}
    for columns, lines in told.items():
        shown = CliRunner(env={"COLUMNS": f"{columns}"}).invoke(main, ["doctor"]).stdout.splitlines()
        assert max(map(len, shown)) <= columns
        lines += [" ".join(line.split()) for line in shown if "compiled: triton kernels" in line]
    assert told[10_000] == [
        "compiled: triton kernels 3 programs compared with torch's operations, 2 not used",
        f"compiled: triton kernels not used, 1 cell 'gru' by kernel 'grid' in float32 on a GPU: {reason}",
        f"compiled: triton kernels not used, 2 cell 'lstm' by kernel 'grid' in float32 on a GPU: {reason}",
    ]
    assert len(told[80]) == 3


def lstm():
    return plan("lstm", 20)


def plan(name, width):
    cell = rnnkit.cells[name](8, width)
    return compiled.program_for(cell, *compiled.example(cell)).backend._recurrence.plan


def test_the_library_is_all_that_kernels_call():
    """What its modules import is among them, but for whether kernels are interpreted, which a verdict has."""
    imported = {"availability"}
    for text in (library.HEAD, *map(library.text_of, library.MODULES)):
        imported.update(re.findall(r"^from rnnkit_compiler\.backends\.triton\.(\w+) import", text, re.MULTILINE))
    assert imported == {"availability", *library.MODULES}


def test_what_has_no_counterpart_is_refused(monkeypatch):
    assert {*OPERATIONS} == {*CODE}
    monkeypatch.delitem(CODE, "digamma")
    monkeypatch.delitem(CODE, "lgamma")
    made = backend.Triton.make(recorded(Elementwise(torch.lgamma)))
    assert isinstance(made, Refusal)
    assert made.reason == "Triton has no digamma, lgamma"


def test_the_next_number_is_that_of_the_dtype():
    cell = Elementwise(lambda h: torch.nextafter(h, h + 1))
    assert not isinstance(backend.Triton.make(recorded(cell)), Refusal)
    made = backend.Triton.make(recorded(cell.to(torch.bfloat16), torch.bfloat16))
    assert isinstance(made, Refusal)
    assert made.reason == "Triton has no nextafter in bfloat16, which is computed in float32"


@pytest.mark.parametrize("number", [0.5, -float("inf"), 0.1])
def test_constants_of_higher_precision_are_taken(number):
    cell = Elementwise(lambda h: torch.sigmoid(h + torch.tensor([1.0, number, 2.0])).to(h.dtype)).to(torch.bfloat16)
    step = recorded(cell, torch.bfloat16)
    assert step is not None
    assert not isinstance(step.lowered, Refusal)


@pytest.mark.parametrize(("number", "is_taken"), [(0.5, True), (0.1, False)])
def test_matrices_of_higher_precision_are_taken_where_they_are_the_same(number, is_taken):
    matrix = [[1.0, number, 2.0]] * 3
    cell = Elementwise(lambda h: torch.sigmoid(h.float() @ torch.tensor(matrix)).to(h.dtype)).to(torch.bfloat16)
    step = recorded(cell, torch.bfloat16)
    assert (step is not None and not isinstance(step.lowered, Refusal)) is is_taken


class Elementwise(rnnkit.Cell):
    """Its state goes through a function."""

    def __init__(self, function):
        super().__init__(2, 3)
        self.function = function
        self.weight = torch.nn.Parameter(torch.ones(3))

    def step(self, x, state):
        h = self.function(self.weight * state[0] + x.sum(1, keepdim=True) + 9)
        return h, (h,)


def recorded(cell, dtype=torch.float32):
    xs, states = compiled.example(cell)
    given = xs.to(dtype), [state.to(dtype) for state in states]
    return recorded_whole(cell, *given, narrow=False)


def work(width):
    return StepWork(width, 16 * width * width, 20 * width, 1, 4)


def test_the_choice_of_a_kernel():
    offered = Offered(Tiles(16, 64, 32, 8), Tiles(16, 16, 32, 8), holds_weights=False)
    assert choose(None, work(64), offered, 8192, 132).kind == SEQUENCE
    few = choose(None, work(1024), offered, 16, 132)
    assert few.kind == GRID
    assert few.units == 64
    assert not few.holds_weights
    assert choose(None, work(2048), offered, 8192, 132).kind in (SEQUENCE, STEPS)
    for kind in (SEQUENCE, GRID, STEPS):
        assert choose(kind, work(256), offered, 64, 132).kind == kind
    assert choose(GRID, work(256), offered, 64, 1).units == 1


def test_the_kinds_are_ranked_by_their_time():
    offered = Offered(Tiles(16, 64, 32, 8), Tiles(16, 16, 32, 8), holds_weights=False)
    for batch in (16, 256, 8192):
        kinds = [choice.kind for choice in ranked(work(512), offered, batch, 132)]
        assert kinds[0] == choose(None, work(512), offered, batch, 132).kind
        assert {*kinds} == ({SEQUENCE, STEPS} if batch == 8192 else {SEQUENCE, GRID, STEPS}), (
            "no grid that does not fit"
        )


def test_programs_that_wait_for_none_need_not_be_there_at_once():
    """A grid of more rows than fit at once, asked for by name: its programs have whole rows each."""
    offered = Offered(Tiles(16, 64, 32, 8), Tiles(16, 16, 32, 8), holds_weights=False)
    launched = []

    class Function:
        def __getitem__(self, programs):
            return lambda *_, **options: launched.append((programs, options.get("launch_cooperative_grid", False)))

    for batch in (64, 8192):
        choice = choose(GRID, work(512), offered, batch, 132)
        shares = Shares(choice.tiles.programs(batch), choice.units)
        timeline = Timeline(1, batch, None, None, None)
        launch = Launch("Forward", timeline, {}, (), shares, 2, 1, True, ())
        text = SimpleNamespace(parameters={"forward": ()})
        run = launching.Run(lambda form: SimpleNamespace(forward=Function()), text, launch, {}, GRID, "ieee")
        run._start("forward", [], Form(choice.tiles))
    assert launched == [((4, 32), True), ((512, 1), False)]


def test_weights_on_chip_are_not_read_again():
    tiles = Tiles(16, 16, 32, 8)
    held, read = (Offered(Tiles(16, 64, 32, 8), tiles, holds) for holds in (True, False))
    assert choose(GRID, work(512), held, 16, 132).holds_weights
    assert not choose(GRID, work(512), held, 16 * 8, 132).holds_weights, "programs have several blocks of units each"
    low = StepWork(512, 8 * 512 * 512, 20 * 512, 1, 2)  # in bfloat16, where it is the reading that takes the time
    times = [time_of(choose(GRID, low, offered, 16, 132), low, 16, 132) for offered in (held, read)]
    assert times[0] < times[1]


def test_forms_that_spill_are_made_smaller():
    first = Tiles(16, 64, 32, 8)

    def found(tiles, spilled_by):
        return settled(Form(tiles), spilled_by, is_full=lambda form: False)

    assert found(first, lambda form: 0) == Form(first)
    assert found(first, lambda form: 8 * (form.tiles.depth > 16)) == Form(first._replace(depth=16))
    few = Tiles(16, 32, 16, 4)
    assert found(few, lambda form: 8 * (form.tiles.warps < 8)) == Form(few._replace(warps=8))
    assert found(first, lambda form: form.tiles.units - 16) == Form(Tiles(16, 16, 16, 8))
    assert found(first, lambda form: 8 * (not form.hoists_nothing)) == Form(first, hoists_nothing=True)
    assert found(first, lambda form: 8 * (not form.all_registers)) == Form(first, all_registers=True)
    assert found(first, lambda form: 8 * (not form.in_order) * form.tiles.depth) == Form(
        first._replace(depth=16), in_order=True
    ), "of those that spill least without"
    few = found(first, lambda form: 8 * (form.tiles.warps > 4))
    assert few == Form(Tiles(16, 16, 16, 4)), "whose threads have more registers on AMD's GPUs"
    least = found(first, lambda form: 8 + form.tiles.depth + form.all_registers + form.in_order)
    assert least == Form(first._replace(depth=16)), "the least, where all spill"
    assert Form(first, all_registers=True).options == {"num_warps": 8, "maxnreg": 255}
    assert Form(first, in_order=True).options == {"num_warps": 8, "ptx_options": "--opt-level 1"}


def test_a_form_that_had_all_registers_is_not_compiled_again():
    """A compilation takes seconds, and gives the same."""
    first, tried = Tiles(16, 64, 32, 8), []
    smaller = [first, *first.smaller]
    for full in (smaller, smaller[1:]):
        tried.clear()
        found = settled(Form(first), lambda form: tried.append(form) or 8 * form.tiles.units, lambda f: f.tiles in full)  # noqa: B023
        wide = [Form(one, all_registers=True) for one in smaller if one not in full]
        in_order = sorted((Form(one, in_order=True) for one in smaller), key=lambda form: form.tiles.units)
        few = Form(smaller[-1]._replace(warps=4))
        free = [Form(one, hoists_nothing=True) for one in smaller]
        assert tried == [*map(Form, smaller), *wide, *in_order, few, *free]
        assert found == Form(smaller[-1])


def test_what_steps_through_time_outside_hoists_nothing_anyway():
    asked = []
    settled(Form(Tiles(16, 64, 32, 8)), lambda form: asked.append(form) or 8, lambda form: False, has_steps=False)
    assert asked
    assert not any(form.hoists_nothing for form in asked)


@pytest.mark.parametrize("spilled", [0, 8, RuntimeError("no such product")], ids=str)
def test_weights_that_spill_are_not_held(spilled):
    def spilled_by(form):
        if form.holds_weights and isinstance(spilled, Exception):
            raise spilled
        return spilled if form.holds_weights else 0

    first = Form(Tiles(16, 16, 32, 8), True)
    assert settled(first, spilled_by, lambda form: False).holds_weights == (spilled == 0)


def test_weights_that_spill_are_held_where_more_is_spilled_without_them():
    first = Form(Tiles(16, 16, 32, 8), True)
    assert settled(first, lambda form: 8 if form.holds_weights else 16, lambda form: True) == first
    assert settled(first, lambda form: 8, lambda form: True) == first, "the first of those that spill alike"
    assert not settled(first, lambda form: 16 if form.holds_weights else 8, lambda form: True).holds_weights
    in_order = settled(first, lambda form: 8 * (not (form.holds_weights and form.in_order)), lambda form: True)
    assert in_order == first._replace(in_order=True)


def test_a_compiler_that_cannot_leave_instructions_in_order_is_not_asked_for_it():
    def spilled_by(form):
        if form.in_order:
            raise KeyError("ptx_options")
        return form.tiles.units

    assert settled(Form(Tiles(16, 64, 32, 8)), spilled_by, lambda form: True) == Form(Tiles(16, 16, 16, 8))

    def failing(form):
        raise RuntimeError("no such operation")

    with pytest.raises(RuntimeError, match="no such operation"):
        settled(Form(Tiles(16, 64, 32, 8)), failing, lambda form: True)


def test_weights_are_held_where_registers_have_room():
    for width, holds in ((128, True), (512, False)):
        stages = plan("lstm", width).forward
        tiles = grid_tiles(stages, 4, 132)
        assert tiles.units == 16
        assert holds_weights(stages, tiles, 8 if width == 512 else 4) == holds


def test_a_stack_has_a_layer_for_each_warp():
    (product,) = products_of(plan("lstm", 128).forward)
    (stack,) = stacks_of(product)
    assert (len(stack.blocks), stack.pieces, stack.layers, stack.depth, stack.apart) == (4, 2, 8, 64, 128)
    (back,) = (p for stage in plan("lstm", 128).backward.stages for r in stage.regions for p in r.products)
    (stack,) = stacks_of(back)
    assert (len(stack.blocks), stack.pieces, stack.depth) == (1, 8, 64)


@pytest.mark.parametrize(
    ("taken", "is_full"),
    [
        ([(255, 3), (40, 0)], True),
        ([(255, 3), (168, 2)], False),
        ([(168, 1)], False),
        ([(0, launching.TOO_MUCH // 4)], True),
    ],
    ids=["all registers", "one has few", "few", "does not fit"],
)
def test_whether_a_thread_had_all_registers(taken, is_full, monkeypatch):
    kernels = [SimpleNamespace(n_regs=n, n_spills=spills, asm={}, _init_handles=lambda: None) for n, spills in taken]
    monkeypatch.setattr(launching.Run, "_compiled", lambda run, form: kernels)
    run = launching.Run.__new__(launching.Run)
    assert run.is_full(Form(Tiles(16, 64, 32, 8))) is is_full


def test_what_a_kernel_says_it_spills(monkeypatch):
    class OutOfResources(Exception):  # noqa: N818 - as Triton calls it
        pass

    class Kernel:
        n_spills = 3
        asm: ClassVar = {"ptx": "add.f32 %f1, %f2, %f3;"}

        def __init__(self, error=None):
            self.error = error

        def _init_handles(self):
            if self.error:
                raise self.error

    assert launching._spilled(Kernel()) == 12
    monkeypatch.setitem(Kernel.asm, "ptx", ".local .align 4 .b8 \t__local_depot0[8];\n.reg .b32 %r<9>;")
    assert launching._spilled(Kernel()) == 4, "an array of its own is not spilled"
    monkeypatch.setitem(Kernel.asm, "ptx", ".local .align 4 .b8 \t__local_depot0[12];")
    monkeypatch.setattr(Kernel, "n_spills", 4)
    assert launching._spilled(Kernel()) == 0, "nor is what it is filled up by to a multiple of eight"
    assert launching._spilled(Kernel(OutOfResources())) == launching.TOO_MUCH
    with pytest.raises(RuntimeError, match="driver"):
        launching._spilled(Kernel(RuntimeError("driver")))
