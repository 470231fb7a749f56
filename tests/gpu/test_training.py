"""Training on a device, in each precision: it learns, and goes on to the same bits after it was stopped."""

import json
from itertools import islice

import pytest
import torch

import rnnkit
from rnnkit.training.loss_scaling import AUTOCAST

TASK = {"seq_len": 8}


def training(device, *, steps=6, cell="gru", **options):
    task = rnnkit.tasks["adding"](**TASK)
    torch.manual_seed(0)
    model = rnnkit.Model(task, cell, 12, num_layers=2, dropout=0.2, unroller=options.pop("unroller", "auto"))
    return rnnkit.Training(model.to(device), task, steps=steps, batch_size=8, **options)


@pytest.mark.parametrize("autocast", [None, *AUTOCAST], ids=str)
def test_it_learns(autocast, device):
    records = [*training(device, steps=60, lr=0.02, autocast=autocast).records()]
    assert records[-1].skipped < 20
    assert sum(r.loss for r in records[-10:]) < sum(r.loss for r in records[10:20])


@pytest.mark.parametrize("autocast", [None, *AUTOCAST], ids=str)
@pytest.mark.parametrize("cell", ["gru", "zoneout(lstm)"])
def test_it_goes_on_to_the_same_bits(cell, autocast, device, tmp_path):
    """By the loop: gradients of cuDNN's kernels are the same twice only with CUBLAS_WORKSPACE_CONFIG set."""
    given = {"cell": cell, "autocast": autocast, "unroller": "loop"}
    whole, first, second = (training(device, **given) for _ in range(3))
    expected = [*whole.records()]
    list(islice(first.records(), 3))
    first.save(tmp_path / "run")
    torch.rand(5, device=device)  # as others draw in between
    assert second.resume(tmp_path / "run") == 3
    after = [*second.records()]
    assert [record.loss for record in after] == [record.loss for record in expected[3:]]
    pairs = zip(second.model.parameters(), whole.model.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_run_from_the_command_line(dtype, device, cli, tmp_path):
    words = ("run", "--task", "adding", "--seq-len", 8, "--batch", 8, "--hidden", 8, "--quiet", "--json")
    done = cli(*words, "--steps", 4, "--device", device, "--dtype", dtype, "--out", tmp_path / "run")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout.splitlines()[-1])["steps"] == 4
    for command in ("eval", "inspect"):
        own = ("--only", "flow", "--quiet") if command == "inspect" else ()
        done = cli(command, tmp_path / "run", "--device", device, *own)
        assert done.exit_code == 0, done.output


@pytest.mark.gpu
def test_several_processes_have_a_device_each(process, tmp_path):
    count = torch.cuda.device_count()
    if count < 2:
        pytest.skip(f"{count} GPUs here; it takes two")
    words = ("run", "--task", "adding", "--seq-len", 8, "--batch", 8, "--hidden", 8, "--steps", 4, "--quiet")
    done = process(*words, "--device", "cuda", "--nproc", 2, "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr


def test_a_pinned_batch_goes_without_waiting(device):
    from rnnkit.training.evaluation import to_device

    xs = torch.randn(3, 2, 4)
    xs = xs.pin_memory() if device.type == "cuda" else xs
    moved = to_device(rnnkit.Batch(xs, xs.clone(), torch.tensor([3, 1])), device)
    assert moved.xs.device.type == device.type
    assert moved.lengths.device.type == "cpu"
    assert torch.equal(moved.xs.cpu(), xs)
