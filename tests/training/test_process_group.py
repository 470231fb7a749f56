"""Processes that train together do what one does, on shares of the same batches."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rnnkit.errors import LostError, ResourceError, UsageError
from rnnkit.training import process_group as process_group_module
from rnnkit.training.process_group import Processes, lost, process_group

PROBE = Path(__file__).with_name("processes_probe.py")
spec = importlib.util.spec_from_file_location("processes_probe", PROBE)
probe = importlib.util.module_from_spec(spec)
spec.loader.exec_module(probe)

TOLERANCE = {"float64": 1e-12, "float32": 1e-6, "float16": 2e-2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return what one process leaves, and two that took it up."""
    folder = tmp_path_factory.mktemp("processes")
    one = probe.training("truncated, accumulated")
    probe.curve(one, 3)
    one.save(folder / "of one")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    result = subprocess.run(
        [*command, PROBE, folder], env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture(scope="module")
def seen(folder):
    """Return what each of the two has seen."""
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)]


def close(found, expected, tolerance):
    torch.testing.assert_close(
        [torch.tensor(row, dtype=torch.float64) for row in found],
        [torch.tensor(row, dtype=torch.float64) for row in expected],
        rtol=tolerance,
        atol=tolerance,
    )


@pytest.mark.parametrize("case", probe.CASES)
def test_two_give_the_curve_of_one(seen, case):
    one = probe.training(case)
    tolerance = TOLERANCE[probe.CASES[case][2]]
    close(seen[0]["curves"][case], probe.curve(one), tolerance)
    close(seen[0]["weights"][case], probe.weights(one), tolerance)


def test_all_see_the_same(seen):
    first, second = seen
    for name in ("curves", "weights", "undisturbed", "one goes on as two", "told"):
        assert first[name] == second[name], name


def test_two_that_were_stopped_go_on_to_the_bit(seen):
    for one in seen:
        assert one["stopped"] == one["undisturbed"]


def test_each_has_random_numbers_of_its_own(seen):
    assert seen[0]["drawn"] != seen[1]["drawn"]


def test_a_run_of_one_goes_on_as_two(seen):
    one = probe.training("truncated, accumulated")
    expected = probe.curve(one)
    close(seen[0]["one goes on as two"][0], expected[3:], 1e-12)
    close(seen[0]["one goes on as two"][1], probe.weights(one), 1e-12)


def test_a_run_of_two_goes_on_as_one(folder):
    whole = probe.training("truncated, accumulated")
    expected = probe.curve(whole)
    half = probe.resumed(probe.training("truncated, accumulated"), folder / "of two")
    close(probe.curve(half), expected[3:], 1e-12)
    close(probe.weights(half), probe.weights(whole), 1e-12)


def test_the_first_one_judges(seen):
    metrics, best, waited = seen[1]["told"]
    assert all(metric > 0 for metric in metrics)  # its own would be below zero
    assert best == [metrics.index(min(metrics)) + 1, min(metrics)]
    assert waited == len(metrics) - best[0]


def test_what_cannot_be_shared_is_refused(seen):
    for one in seen:
        uneven, lengths, lengths_of_whole_rows = one["refused"]
        assert uneven == "a batch of 3 rows does not divide among 2 processes; give a multiple of 2"
        assert "rows of different lengths" in lengths
        assert lengths_of_whole_rows is None


def test_alone_without_torchrun(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with process_group("cpu") as processes:
        assert type(processes) is Processes
        assert processes.is_main
        assert not torch.distributed.is_initialized()


def test_an_error_of_ones_own_is_left_alone():
    with pytest.raises(UsageError, match="mine"), process_group("cpu"):
        raise UsageError("mine")


SAID = {
    "[../third_party/gloo/gloo/transport/tcp/unbound_buffer.cc:81] Timed out waiting 20000ms for recv": ResourceError,
    "Application timeout caused pair closure": ResourceError,
    "[../third_party/gloo/gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]:4711": LostError,
    "mat1 and mat2 shapes cannot be multiplied": type(None),
}


@pytest.mark.parametrize("said", SAID)
def test_what_gloo_says_of_the_others_is_known(said):
    assert type(lost(RuntimeError(said))) is SAID[said]


class Accelerators:
    """GPUs that there are not: as many as wanted, one of them the current one."""

    def __init__(self, monkeypatch, count):
        self.current = 0
        monkeypatch.setenv("LOCAL_RANK", "1")
        known = {
            "is_available": lambda: True,
            "current_accelerator": lambda: torch.device("cuda"),
            "device_count": lambda: count,
            "set_device_index": lambda index: setattr(self, "current", index),
        }
        for name, function in known.items():
            monkeypatch.setattr(torch.accelerator, name, function)


@pytest.mark.parametrize(
    ("device", "backend", "current"), [("cuda", "nccl", 1), ("cuda:0", "gloo", 0), ("cpu", "gloo", 0)]
)
def test_each_process_has_a_device_of_its_own_and_the_device_s_backend(device, backend, current, monkeypatch):
    machine = Accelerators(monkeypatch, 2)
    assert (process_group_module._backend(device), machine.current) == (backend, current)


def test_fewer_devices_than_processes_are_said_in_a_sentence(monkeypatch):
    Accelerators(monkeypatch, 1)
    with pytest.raises(ResourceError, match="there are 1, fewer than processes; start fewer, or share one: cuda:0"):
        process_group_module._backend("cuda")


@pytest.mark.parametrize(("device", "patience"), [("cuda", "600 s"), ("cpu", "20 s")])
def test_the_patience_is_that_of_the_backend(device, patience, monkeypatch):
    """By gloo in place of NCCL, which has no device here; then the other process does not answer."""
    Accelerators(monkeypatch, 2)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    begun = []

    def begin(backend, timeout):
        begun.append((backend, f"{timeout.total_seconds():.0f} s"))
        raise torch.distributed.DistBackendError("Watchdog caught collective operation timeout")

    monkeypatch.setattr(torch.distributed, "init_process_group", begin)
    with pytest.raises(ResourceError, match=f"has not answered for {patience}"), process_group(device):
        pass
    assert begun == [("nccl" if device == "cuda" else "gloo", patience)]
