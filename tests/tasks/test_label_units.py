"""Numbers with labels in torch's operations: raw features in, the shares that the run itself gives out."""

import pytest
import torch

import rnnkit
from rnnkit.export.interface import Interface
from rnnkit_tasks.labelled.padding import probabilities

from .labelled_files import json_lines, numbers, texts


@pytest.fixture
def task(tmp_path):
    path = tmp_path / "moves.jsonl"
    path.write_text(json_lines([(sequence, label) for sequence, label in numbers(60)], key="sequence"))
    return rnnkit.tasks["classify"](file=str(path))


def test_shares_of_labels_are_those_of_the_run(task):
    units = task.units()
    assert units.targets == ("down", "up")
    assert units.columns == tuple(task._learnt.names)
    torch.manual_seed(0)
    model = rnnkit.Model(task, "gru", 6, unroller="loop").eval()
    served = Interface(model, units=units)
    for sequence, _ in numbers(9):
        raw = torch.tensor(sequence, dtype=torch.float64)
        scaled = (raw - torch.tensor(task._learnt.scale.mean)) / torch.tensor(task._learnt.scale.scale)
        (wanted,) = probabilities(model, [scaled.float()], every_step=False)
        with torch.no_grad():
            said, _ = served(raw.unsqueeze(1))
        torch.testing.assert_close(said[-1, 0], wanted, rtol=0, atol=1e-6)
        assert float(said[-1, 0].sum()) == pytest.approx(1)


@pytest.mark.slow
def test_they_are_in_the_file(task, tmp_path):
    model = rnnkit.Model(task, "gru", 6, unroller="loop").eval()
    exported = rnnkit.export_model(model, tmp_path / "model.pt2", units=task.units())
    raw = torch.tensor(numbers(5)[4][0], dtype=torch.float64).unsqueeze(1)
    found, _ = torch.export.load(exported.path).module()(raw)
    with torch.no_grad():
        wanted, _ = Interface(model, units=task.units())(raw)
    torch.testing.assert_close(found, wanted)
    assert rnnkit.testing.inspect_task(type(task), file=str(tmp_path / "moves.jsonl")).promises["units"] == []


def test_texts_have_none(tmp_path):
    path = tmp_path / "texts.jsonl"
    path.write_text(json_lines(texts()))
    assert rnnkit.tasks["classify"](file=str(path)).units() is None
