"""The clock of a device: events and the wall's time, on a device that is made up."""

import json
import time
from types import SimpleNamespace

import pytest
import torch

from rnnkit.benchmark import clock as clocks
from rnnkit.benchmark import machine, memory
from rnnkit.benchmark.clock import WALL, Clock, EventClock, Taken, clock_of
from rnnkit.benchmark.measure import compete
from rnnkit.benchmark.sizes import Size
from rnnkit.benchmark.timing import in_turns
from rnnkit.benchmark.workload import Workload

META = torch.device("meta")
"""Runs everything at once and nothing in truth: it stands for a GPU."""


class Device:
    """A device on which all takes as long as is said, and that notes what it is told."""

    def __init__(self, milliseconds=8.0):
        self.told, self.milliseconds = [], milliseconds
        self.held, self.peak = 100, 0

    def synchronize(self, device):
        self.told.append("wait")

    def current_stream(self, device):
        return f"the stream of {device}"

    def Event(self, enable_timing):  # noqa: N802
        assert enable_timing
        return SimpleNamespace(
            record=lambda stream: self.told.append(f"event on {stream}"), elapsed_time=lambda other: self.milliseconds
        )

    def reset_peak_memory_stats(self, device):
        self.peak = self.held

    def memory_allocated(self, device):
        return self.held

    def max_memory_allocated(self, device):
        return self.peak


@pytest.fixture(autouse=True)
def peak(monkeypatch):
    """Say what the peak of products is, which to measure takes its time."""
    monkeypatch.setattr("rnnkit.benchmark.measure.product_peak", lambda *_, **__: 1e9)


@pytest.fixture
def device(monkeypatch):
    """Let "meta" be a device with events."""
    made = Device()
    for module in (clocks, memory):
        monkeypatch.setattr(module.torch, "get_device_module", lambda device: made)
    return made


def test_the_cpu_has_one_clock():
    taken = WALL.take(lambda: time.sleep(0.01))
    assert taken.seconds == taken.wall >= 0.01
    assert clock_of(torch.device("cpu")) is WALL
    assert not WALL.has_events


def test_a_device_is_idle_before_its_events_and_done_behind_them(device):
    clock = clock_of(META)
    taken = clock.take(lambda: device.told.append("the call") or time.sleep(0.01))
    event = "event on the stream of meta"
    assert device.told == ["wait", event, "the call", event, "wait"]
    assert taken.seconds == 0.008
    assert 0.01 <= taken.wall < 1
    assert clock.has_events


def test_the_wall_does_not_count_what_was_left_to_do_before(device):
    class Slow(Device):
        def synchronize(self, device):
            if not self.told:
                time.sleep(0.05)  # of a call before
            self.told.append("wait")

    clock = EventClock(META)
    clock._module = Slow()
    assert clock.take(lambda: None).wall < 0.04


def test_turns_are_timed_by_the_clock_that_is_given():
    class Counting(Clock):
        def __init__(self):
            self.now = 0

        def take(self, call):
            call()
            self.now += 1
            return Taken(self.now, -self.now)

    calls = []
    first, second = in_turns([lambda: calls.append("a"), lambda: calls.append("b")], 2, warm_up=1, clock=Counting())
    assert calls == ["a", "b", "b", "a", "a", "b"]
    assert (first, second) == ([Taken(4, -4), Taken(5, -5)], [Taken(3, -3), Taken(6, -6)])


def test_memory_is_that_of_the_device(device):
    def run():
        device.held += 5
        device.peak = max(device.peak, device.held + 40)

    assert memory.peak_memory(run, device=META) == 45
    assert memory.peak_memory(run, warm_up=False, device=META) == 45


def test_a_measurement_has_both_times_of_every_side(device):
    workload = Workload(Size(2, 3, 4, 5), device=META)
    (outcome,) = compete("gru", "loop", [workload], ["torch", "loop"], pairs=3)
    assert (outcome.seconds, outcome.rivals["nn.GRU"]) == (0.008, (1, 1, 1))
    assert outcome.wall > 0
    assert outcome.rival_walls.keys() == outcome.rivals.keys() == {"nn.GRU", "loop"}
    plain = json.loads(json.dumps(outcome.as_plain()))
    assert plain["rival_walls"]["loop"].keys() == {"median", "low", "high"}
    assert plain["wall"] == outcome.wall


def test_on_the_cpu_there_is_no_other_time():
    (outcome,) = compete("gru", "loop", [Workload(Size(2, 3, 4, 5))], ["loop"], pairs=2, memory="none")
    assert outcome.wall is None
    assert not {"wall", "rival_walls"} & outcome.as_plain().keys()


def test_device_driver_and_versions_are_told(monkeypatch, tmp_path):
    gpu = torch.device("cuda", 0)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"The Fast One at {device}")
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 91002)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(machine, "DRIVERS", (tmp_path / "none", tmp_path / "version"))
    monkeypatch.setattr(machine.metadata, "version", lambda name: "3.9.0")
    monkeypatch.setattr(machine, "find_spec", lambda name: True)
    assert machine.machine(gpu)["driver"] == "unknown"
    (tmp_path / "version").write_text("580.65.06\n")
    facts = machine.machine(gpu)
    told = {name: facts[name] for name in facts.keys() - machine.machine().keys()}
    assert told == {
        "device": "The Fast One at cuda:0",
        "driver": "580.65.06",
        "CUDA": "13.0",
        "cuDNN": 91002,
        "Triton": "3.9.0",
    }


def test_the_command_tells_both_times(cli, device, monkeypatch):
    monkeypatch.setattr("rnnkit.runs.settings.usable_device", lambda name: torch.device(name))
    words = (
        "bench",
        "--device",
        "meta",
        "--sizes",
        "2x3x4x5",
        "--unroller",
        "loop",
        "--pairs",
        2,
        "--dtype",
        "bfloat16",
    )
    shown = cli(*words)
    assert shown.exit_code == 0, shown.output
    for part in ("device meta", "ms by the wall", "nn.LSTM takes", "by the wall", "bfloat16", "8.00"):
        assert part in shown.stdout
    size, means = map(json.loads, cli(*words, "--json").stdout.splitlines())
    assert (size["device"], size["seconds"], size["dtype"]) == ("meta", 0.008, "bfloat16")
    assert size["wall"] > 0
    assert means["nn.LSTM"]["median"] == 1


def test_what_there_is_not_is_said_in_a_line(cli):
    absent = cli("bench", "--device", "cuda:9", "--sizes", "1x1x1x1")
    assert (absent.exit_code, absent.stdout) == (8, "")
    assert absent.stderr.startswith("rnnkit: device 'cuda:9' is not usable here: ")
    narrow = cli("bench", "--dtype", "float16", "--sizes", "1x1x1x1")
    assert narrow.exit_code == 2
    assert "--dtype float16: torch's own layers have no kernels in it on a CPU; give --device too" in narrow.stderr
