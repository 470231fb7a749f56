"""What else computes on a device: gradient checks, measurements, doctor."""

import json

import pytest
import torch

import rnnkit


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(("cell", "unroller"), [("lstm", "vendor"), ("lstm", "compiled"), ("peephole", "compiled")])
def test_gradients_hold_in_float64(cell, unroller, order, device):
    report = rnnkit.gradcheck(cell, unroller, order, steps=3, device=device)
    assert report.ok, report.failures


def test_the_command_checks_there_too(device, cli):
    done = cli("gradcheck", "--cell", "gru", "--unroller", "compiled", "--steps", 3, "--device", device)
    assert done.exit_code == 0, done.output


@pytest.mark.slow
@pytest.mark.parametrize("way", ["train", "forward"])
def test_a_measurement(way, device, cli):
    words = ("bench", "--cell", "peephole", "--sizes", "2x4x3x5", "--pairs", 2, "--against", "torch,loop")
    done = cli(*words, f"--{way}", "--device", device, "--json")
    assert done.exit_code == 0, done.output
    line, means = map(json.loads, done.stdout.splitlines())
    assert line["seconds"] > 0
    assert means["nn.LSTM"]["median"] > 0
    if device.type == "cuda":
        assert line["device"] == torch.cuda.get_device_name(device)
        assert line["wall"] >= 0.5 * line["seconds"]
        assert line["bytes"] > 0
        assert {"driver", "Triton"} <= line.keys()


def test_doctor_says_what_runs_there(device, cli):
    told = json.loads(cli("doctor", "--json").stdout)["unrollers"]
    assert "kernels" in told["compiled"]
    for index in range(torch.cuda.device_count()):
        assert told["compiled"][f"on cuda:{index}"]
        assert told["vendor"][f"on cuda:{index}"]
    done = cli("doctor", "--compile", "gru", "--device", device)
    assert done.exit_code == 0, done.output


@pytest.mark.slow
@pytest.mark.parametrize("only", ["flow,gates", "jacobian,memory,truncation,saliency,exploding,lyapunov,trajectory"])
@pytest.mark.parametrize("cell", ["peephole", "lstm"])
def test_a_cell_is_inspected_there(cell, only, device, cli, tmp_path):
    words = (
        "inspect",
        "--cell",
        cell,
        "--steps",
        8,
        "--hidden",
        4,
        "--only",
        only,
        "--quiet",
        "--out",
        tmp_path / "out",
    )
    done = cli(*words, "--device", device)
    assert done.exit_code == 0, done.output
    told = json.loads((tmp_path / "out" / "inspection.json").read_text())
    assert told
