"""`auto` on a GPU: vendor, kernels, the plan, the loop: each device asked for itself, each step down told once.

No GPU is here. The CPU stands for one: kernels in C++ are not for it, Triton's are by a stand-in, and the numbers are
real ones, so that each way is held to the loop.
"""

import json
import logging

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

import rnnkit
from rnnkit.errors import UsageError
from rnnkit_compiler import _candidates, _devices, _programs, _rivals, compiled
from rnnkit_compiler._recorded import recorded_whole
from rnnkit_compiler.backends.base.backend import Tensors
from rnnkit_compiler.backends.cpp.backend import Cpp
from rnnkit_compiler.backends.torch.backend import TorchOperations
from rnnkit_compiler.backends.triton import trust
from rnnkit_compiler.backends.triton.backend import Triton
from rnnkit_compiler.backends.triton.origins import Origins
from rnnkit_compiler.trace.paths import weights_at
from rnnkit_compiler.trace.random_states import kept
from rnnkit_unrollers import vendor
from rnnkit_unrollers._kernels import Kernel

T, B, D, H = 6, 4, 3, 5
X = torch.zeros(T, B, D)
GPUS = [torch.device("cuda", 0), torch.device("cuda", 1)]


class StandIn(TorchOperations):
    """Runs steps as a kernel would, by name."""

    name = "triton"
    time = 1.0

    def nanoseconds(self, steps, batch):
        return steps * self.time

    def is_worth_it(self, steps, batch):
        return True


class Gpu:
    """What the machine is made to have."""

    def __init__(self, monkeypatch):
        self.lacks, self.ran = "", []  # why there is no Triton; what has run, call by call
        monkeypatch.setattr(vendor, "FASTEST_ON", ("cpu",))
        monkeypatch.setattr(_devices, "is_host", lambda device: False)
        monkeypatch.setattr(_devices, "_said", set())
        self._patch = monkeypatch
        self.forget()
        monkeypatch.setattr(Cpp, "supports", lambda *_: "kernels in C++ are for CPUs")
        monkeypatch.setattr(Triton, "supports", lambda *_: self.lacks)
        monkeypatch.setattr(Triton, "make", lambda step: StandIn(step, step.split.invariants, defer=True))
        monkeypatch.setattr(Triton, "volunteers", lambda: True)
        self._note(monkeypatch, Kernel, "__call__", "vendor")
        self._note(monkeypatch, StandIn, "run", "triton", inherited=True)
        self._note(monkeypatch, TorchOperations, "run", "torch")
        monkeypatch.setattr(TorchOperations, "is_worth_it", lambda *_: True)

    def forget(self):
        """Let every cell be asked for anew."""
        self._patch.setattr(_programs, "_programs", type(_programs._programs)(_programs.CAPACITY))

    def _note(self, monkeypatch, kind, method, name, inherited=False):
        run = TorchOperations.run if inherited else getattr(kind, method)

        def noting(own, *given, **options):
            self.ran.append(name)
            return run(own, *given, **options)

        monkeypatch.setattr(kind, method, noting)


@pytest.fixture
def gpu(monkeypatch):
    """Let the CPU stand for a GPU."""
    _candidates.candidates.cache_clear()
    yield Gpu(monkeypatch)
    _candidates.candidates.cache_clear()


class Reading(rnnkit.Cell):
    """A cell that no recording shows: its step looks at a value."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.read = nn.Linear(input_size + hidden_size, hidden_size)

    def step(self, x, state):
        (h,) = state
        h = torch.tanh(self.read(torch.cat([x, h], 1))) if float(h.detach().sum()) < 1e9 else h
        return h, (h,)


def masks():
    reset = torch.zeros(T, B, dtype=torch.bool)
    reset[3, 1] = True
    return {"reset": reset, "lengths": torch.tensor([6, 2, 5, 3])}


def held_to_the_loop(cell, **given):
    """Run a layer by `auto` and by the loop, forward and back; return the one by `auto`."""
    torch.manual_seed(0)
    layer, xs, found = rnnkit.RNN(cell, D, H), torch.randn(len(given.get("reset", X)), B, D), []
    own = layer.unroller
    for unroller in (own, "loop"):
        layer.unroller = unroller
        torch.manual_seed(1)  # for the masks of a wrapper
        ys = layer(xs, **given)[0]
        found.append([ys, *torch.autograd.grad(ys.square().sum(), layer.parameters(), allow_unused=True)])
    torch.testing.assert_close(*found)
    layer.unroller = own
    return layer


OFTEN = {"reset": torch.ones(20, B, dtype=torch.bool).index_fill(1, torch.tensor([0]), False)}
"""One row runs on while the others start again at every step: pieces of torch's kernel would mostly be padding."""

CHAIN = {
    "torch's kernel": ("lstm", {}, "", "vendor", ["vendor"]),
    "torch's kernel, rows of different lengths": ("gru", {"lengths": [6, 2, 5, 3]}, "", "vendor", ["vendor"]),
    "rows that start again": ("lstm", masks(), "", "vendor", ["triton"]),
    "a cell that torch has not": ("peephole", masks(), "", "compiled", ["triton"]),
    "a wrapper": ("zoneout(lstm)", {}, "", "compiled", ["triton"]),
    "no Triton": ("peephole", masks(), "Triton is not installed", "compiled", ["torch"]),
    "no Triton, rows that start again": ("lstm", masks(), "Triton is not installed", "vendor", ["vendor"]),
    "no Triton, rows that start again too often": ("lstm", OFTEN, "Triton is not installed", "vendor", ["torch"]),
    "a step that reads values": (Reading, {}, "", "loop", []),
}


@pytest.mark.parametrize("case", CHAIN)
def test_the_chain(case, gpu):
    cell, given, gpu.lacks, unroller, ran = CHAIN[case]
    layer = held_to_the_loop(cell, **given)
    assert (str(layer.unroller), gpu.ran) == (unroller, ran)


@pytest.mark.parametrize(
    ("restarts", "nanoseconds", "measured", "ran"),
    [
        (None, 1.0, None, ["triton"]),
        (None, 1e12, None, ["vendor"]),
        (None, 1e5, (1.0, 2.0), ["triton"]),
        (None, 1e5, (2.0, 1.0), ["vendor"]),
        ("pieces", 1.0, None, ["vendor"]),
        ("compiled", 1e12, None, ["triton"]),
    ],
)
def test_rows_that_start_again_go_where_it_takes_less_time(restarts, nanoseconds, measured, ran, gpu, monkeypatch):
    """By the models, by what was measured where these are close, or as it is asked for; the numbers are the loop's."""
    monkeypatch.setattr(StandIn, "time", nanoseconds / T)
    asked = []
    monkeypatch.setattr(_rivals, "_known", {})
    monkeypatch.setattr(
        _rivals.MEASUREMENTS, "read", lambda path: asked.append(path) or _rivals.Measured("", *measured)
    )
    torch.manual_seed(0)
    layer = rnnkit.RNN("lstm", D, H, unroller=vendor.Vendor(restarts=restarts))
    xs = torch.randn(T, B, D)
    found = layer(xs, **masks())
    assert (gpu.ran, bool(asked)) == (ran, measured is not None)
    layer.unroller = "loop"
    torch.testing.assert_close(found, layer(xs, **masks()))


def test_what_rows_that_start_again_may_be_run_by():
    with pytest.raises(UsageError, match="restarts is 'loop'; it must be pieces, compiled, or None"):
        vendor.Vendor(restarts="loop")
    assert str(vendor.Vendor(restarts="pieces")) == "vendor(restarts='pieces')"


def test_what_is_fallen_back_on_is_said_once_for_each_reason(gpu, caplog):
    gpu.lacks = "Triton is not installed"
    with caplog.at_level(logging.WARNING, "rnnkit"):
        for cell in ("peephole", "peephole", "layernorm", Reading, "lstm"):
            held_to_the_loop(cell)
    told = [record.getMessage() for record in caplog.records]
    assert told[0] == (
        "no kernel for cell 'peephole' on cpu: kernels in C++ are for CPUs; Triton is not installed; "
        "torch's operations run"
    )
    assert told[1].startswith("no kernel for cell 'reading' on cpu: ")
    assert told[1].endswith("; the loop runs")
    assert len(told) == 2
    with caplog.at_level(logging.WARNING, "rnnkit"):
        _devices.say_once(GPUS[1], "another device", "no kernel for cell 'peephole' on cuda:1", "the loop runs")
    assert len(caplog.records) == 3


def test_nothing_is_said_of_the_cpu(monkeypatch, caplog):
    monkeypatch.setattr(_devices, "_said", set())
    monkeypatch.setattr(_programs, "_programs", type(_programs._programs)(_programs.CAPACITY))
    with caplog.at_level(logging.WARNING, "rnnkit"):
        rnnkit.RNN(Reading, D, H)(torch.randn(T, B, D))
    assert not caplog.records


def test_explain_says_what_would_run(gpu):
    def head(cell):
        layer = rnnkit.RNN(cell, D, H)
        return layer.unroller.explain(layer.equipped(0)).splitlines()[:2]

    kernel, rest = head("lstm")
    assert kernel.startswith("kernel: torch's lstm for whole sequences")
    assert rest == (
        "to the loop go: second derivatives, transforms of torch.func; "
        "to compiled, where its kernels take less time: resets after the first step"
    )
    assert head("peephole")[0] == "backend: triton"
    gpu.lacks = "Triton is not installed"
    gpu.forget()
    assert head("peephole") == [
        "backend: torch",
        "no native kernel: kernels in C++ are for CPUs; Triton is not installed",
    ]


def test_doctor_says_what_would_run_on_each_device(monkeypatch, cli):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "Fast" if index == 0 else "Old")
    monkeypatch.setattr(torch.backends.cudnn, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 91002)
    monkeypatch.setattr(Triton, "supports", lambda step, device, dtype: "too old" if device.index else "")
    told = cli("doctor", "--json").stdout
    found = {name: fact for name, fact in json.loads(told)["unrollers"]["compiled"].items() if "on" in name}
    assert found["on cuda:0"] == "triton"
    assert found["on cuda:1"] == (
        "torch, or the loop: kernels run on the CPU, and there is a tensor on cuda:1; too old"
    )
    assert vendor.Vendor.facts() == {"on cuda:0": "cuDNN 91002", "on cuda:1": "cuDNN 91002"}
    shown = cli("doctor").stdout
    assert "cuda:0 (Fast), cuda:1 (Old)" in " ".join(shown.split())


def test_a_layer_that_moves_from_one_gpu_to_another_is_asked_for_there(monkeypatch):
    asked = []

    def rank(self, cell):
        asked.append(next(cell.parameters()).device)
        return 20 if asked[-1].index == 0 else None

    monkeypatch.setattr(vendor.Vendor, "rank", rank)
    with FakeTensorMode(allow_non_fake_inputs=True):
        layer = rnnkit.RNN("lstm", D, H, device="meta")
        chosen = []
        for device in (*GPUS, GPUS[0]):
            for name, parameter in list(layer.named_parameters()):
                setattr(layer, name, nn.Parameter(torch.empty_like(parameter, device=device)))
            chosen.append(str(layer.unroller))
    assert chosen[0] == chosen[2] == "vendor" != chosen[1]
    assert [device for device in asked if device.type == "cuda"] == [GPUS[0], GPUS[1], GPUS[0]]


def test_a_verdict_holds_on_its_own_device_alone(monkeypatch, tmp_path, caplog):
    """Kernels that are right on one device and wrong on another are used on the one."""
    monkeypatch.setenv("RNNKIT_CACHE", str(tmp_path))
    tmp_path.chmod(0o700)
    monkeypatch.setattr(trust, "device_facts", lambda device: [f"the name of {device}"])
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"the name of {device}")
    program = compiled.program_for(cell := rnnkit.cells["lstm"](D, H), *compiled.example(cell))
    step = recorded_whole(cell, *compiled.example(cell), narrow=False)
    run = TorchOperations(step, program.backend.invariants, defer=False).run
    origins = Origins(step, program.backend.invariants)

    def wrong(tensors, timeline):
        ys, last = run(tensors, timeline)
        return ys * 1.1, last

    xs, state = compiled.example(cell)
    weights = [getattr(cell, name) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    parts, invariants = program.inputs(rnnkit.parts_of(program.project(cell, xs)), xs.shape[:2], weights)
    tensors = Tensors(parts, state, (), invariants)
    verdicts = {}
    with caplog.at_level(logging.WARNING, "rnnkit"):
        for device, kernels in zip(GPUS, (run, wrong), strict=True):
            for _ in range(2):
                judge = trust.Trust("lstm", lambda: ["source"], device, origins, (kernels, run), False, lambda: 0)
                verdicts[device] = judge.is_earned(tensors)
    assert verdicts == {GPUS[0]: True, GPUS[1]: False}
    assert len(list(trust.VERDICTS.folder.glob("*.json"))) == 2
    assert all("on the name of cuda:1" in record.getMessage() for record in caplog.records)


class FakeStates:
    """Random states of GPUs, by device."""

    def __init__(self, monkeypatch):
        self.now = {device: torch.tensor([7], dtype=torch.uint8) for device in GPUS}
        for name in ("get_rng_state", "set_rng_state"):
            monkeypatch.setattr(torch.cuda, name, getattr(self, name))

    def get_rng_state(self, device):
        return self.now[torch.device(device)].clone()

    def set_rng_state(self, state, device):
        self.now[torch.device(device)] = state


def test_trying_a_cell_leaves_the_random_state_of_its_device(monkeypatch):
    states = FakeStates(monkeypatch)
    with FakeTensorMode():
        like = torch.empty(1, device=GPUS[1])
    before = torch.get_rng_state()
    with kept(like):
        torch.rand(1)
        states.now[GPUS[1]] += 1  # as a draw there does
    assert states.now[GPUS[1]].tolist() == [7]
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("cell", ["zoneout(peephole)", "variational(lstm)"])
def test_what_project_draws_is_drawn_anew_for_the_caller(cell, gpu):
    """The first call of a program, which tries the cell, and a later one draw the same."""
    layer, xs, found = rnnkit.RNN(cell, D, H), torch.randn(T, B, D), []
    for _ in range(2):
        torch.manual_seed(1)
        found.append(layer(xs)[0])
    assert torch.equal(*found)


class Numbers(TorchDispatchMode):
    """Notes which operations make a tensor."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names.append(str(function))
        return function(*args, **(kwargs or {}))


def test_a_float_that_is_annealed_is_filled_in_where_the_weights_are():
    """A copy from the CPU, as `torch.tensor` makes one, would wait for the device at every call."""
    cell = rnnkit.cells["lstm"](D, H)
    cell.rate = 0.1
    with FakeTensorMode(allow_non_fake_inputs=True), Numbers() as noted:
        for name in [*cell._parameters]:
            cell._parameters[name] = nn.Parameter(torch.empty(1, device=GPUS[1]))
        noted.names.clear()
        (made,) = weights_at(cell, ["rate"])
    assert (made.device, made.dtype, made.shape) == (GPUS[1], torch.float64, ())
    assert noted.names == ["aten.full.default"]


def test_a_float_that_is_annealed_is_of_32_bits_where_there_are_no_more():
    cell = rnnkit.cells["lstm"](D, H)
    cell.rate = 0.1
    with FakeTensorMode(allow_non_fake_inputs=True):
        for name in [*cell._parameters]:
            cell._parameters[name] = nn.Parameter(torch.empty(1, device="mps"))
        (made,) = weights_at(cell, ["rate"])
    assert (made.device.type, made.dtype) == ("mps", torch.float32)


def test_kernels_are_launched_on_the_device_of_their_tensors(monkeypatch):
    entered = []

    class Entered:
        def __init__(self, device):
            self.device = device

        def __enter__(self):
            entered.append(self.device)

        def __exit__(self, *_):
            entered.append("left")

    monkeypatch.setattr(torch.cuda, "device", Entered)
    with _devices.current(GPUS[1]):
        assert entered == [GPUS[1]]
    with _devices.current(torch.device("cpu")):
        pass
    assert entered == [GPUS[1], "left"]


def test_a_program_runs_on_the_device_of_its_input(monkeypatch):
    asked, current = [], _devices.current
    monkeypatch.setattr(_devices, "current", lambda device: asked.append(device) or current(device))
    rnnkit.RNN("peephole", D, H)(torch.randn(T, B, D))
    assert asked == [torch.device("cpu")]
