"""Every function on every kind of subject: it runs, leaves the subject alone, goes through JSON, and draws."""

import json
import math
import sys
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

import rnnkit
from rnnkit import inspection
from rnnkit.errors import DivergedError, UsageError
from rnnkit.inspection.overview import Target, overview
from rnnkit.inspection.study import longest_rows

from .conftest import SMALL, built
from .odd_cells import Mixed, NeverFinite

FUNCTIONS = {
    "gradient_flow": inspection.gradient_flow,
    "jacobian_spectrum": inspection.jacobian_spectrum,
    "gate_activity": inspection.gate_activity,
    "lyapunov_spectrum": inspection.lyapunov_spectrum,
    "effective_memory": inspection.effective_memory,
    "truncation_bias": inspection.truncation_bias,
    "input_saliency": inspection.input_saliency,
    "exploding_steps": inspection.exploding_steps,
    "record": inspection.record,
    "replay": lambda *given, **options: inspection.replay(inspection.record(*given, **options), at=2, states=None),
    "state_trajectory": inspection.state_trajectory,
}
every_function = pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)


def numbers_in(value):
    """Yield all numbers of a JSON value."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from numbers_in(part)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


@every_function
def test_it_goes_with_every_subject_and_through_json(function, every_subject):
    subject, small = every_subject
    result = function(subject, **small)
    text = json.dumps(result.to_json(), allow_nan=False)
    back = json.loads(text)
    assert back["reading"] == result.reading
    assert back["kind"] in text
    for sentence in (result.reading, result.normal, result.advice, *result.notes):
        assert sentence.endswith(".")
        assert sentence[0].isupper() or sentence[0].isdigit() or ":" in sentence
        assert "\n" not in sentence
        assert "nan" not in sentence
    assert sum(1 for _ in numbers_in(back)) > 3
    assert all(isinstance(label, str) and isinstance(text, str) for label, text in result.rows())


def everything_of(module):
    tensors = {n: t.detach().clone() for n, t in [*module.named_parameters(), *module.named_buffers()]}
    gradients = {n: t.grad.clone() for n, t in module.named_parameters() if t.grad is not None}
    asked = {n: t.requires_grad for n, t in module.named_parameters()}
    modes = [part.training for part in module.modules()]
    return tensors, gradients, asked, modes


def equal(before, after):
    return all(
        one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
        for one, other in zip(before[:2], after[:2], strict=True)
    ) and (before[2:] == after[2:])


@every_function
@pytest.mark.parametrize("name", ["layer", "model of symbols", "model of numbers", "odd cell"])
def test_the_subject_and_the_random_numbers_of_others_stay_as_they_were(function, name):
    subject = built(name)
    for parameter in subject.parameters():
        parameter.grad = torch.ones_like(parameter)
    next(subject.parameters()).requires_grad_(False)
    before, random = everything_of(subject), torch.get_rng_state()
    trained = function(subject, **SMALL)
    assert equal(before, everything_of(subject))
    assert torch.equal(random, torch.get_rng_state())
    assert torch.is_grad_enabled()
    subject.eval()
    torch.manual_seed(123)
    with torch.inference_mode():
        again = function(subject, **SMALL)
    assert json.dumps(trained.to_json()) == json.dumps(again.to_json())


@every_function
def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(function):
    one, same, other = (
        function("gru", seed=seed, input_size=3, hidden_size=4, **SMALL).to_json() for seed in (1, 1, 2)
    )
    assert one == same
    assert one != other


@every_function
def test_weights_that_are_computed_are_used_as_computed(function):
    torch.manual_seed(0)
    layer = rnnkit.RNN("lstm", 3, 4, dtype=torch.float64)
    plain = function(layer, **SMALL).to_json()
    torch.nn.utils.parametrizations.weight_norm(layer, "weight_hh_l0")
    np.testing.assert_allclose(list(numbers_in(function(layer, **SMALL).to_json())), list(numbers_in(plain)), rtol=1e-9)


@pytest.mark.covering(1)
@every_function
@pytest.mark.parametrize("name", ["layer", "odd cell"])
def test_the_picture_has_title_labels_and_a_legend_that_can_be_read_aloud(function, name):
    result = function(built(name), **SMALL)
    axes = result.plot()
    assert axes.get_title().endswith(result.subject)
    assert axes.get_xlabel()
    assert axes.get_ylabel()
    named = [line for line in axes.lines if not line.get_label().startswith("_")]
    legends = [legend for legend in (axes.get_legend(), *axes.figure.legends) if legend]
    assert len(named) < 2 or sum(len(legend.get_texts()) for legend in legends) >= len(named)
    root = ElementTree.fromstring(result.svg())
    assert root.get("role") == "img"
    assert root[0].tag.endswith("title")
    assert result.reading in root[0].text
    assert math.isfinite(float(root.get("viewBox").split()[2]))


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags = []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)


@every_function
def test_a_notebook_shows_table_sentences_and_picture(function, monkeypatch):
    result = function("gru", input_size=3, hidden_size=4, **SMALL)
    reader = Tags()
    reader.feed(result._repr_html_())
    assert {"table", "p", "svg", "title"} <= set(reader.tags)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("rnnkit.inspection.result.find_spec", lambda name: None)
    monkeypatch.setattr("rnnkit.support.figures.find_spec", lambda name: None)
    without = result._repr_html_()
    assert "<table" in without
    assert "<svg" not in without
    with pytest.raises(UsageError, match=r"plot\(\) needs matplotlib; pip install 'rnnkit\[plot\]'"):
        result.plot()


@every_function
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_it_goes_with_fewer_bits(function, dtype):
    torch.manual_seed(0)
    result = function(rnnkit.RNN("gru", 3, 4, dtype=dtype), **SMALL)
    json.dumps(result.to_json(), allow_nan=False)


@every_function
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_that_are_not_finite_are_said_to_be_and_crash_nothing(function, value):
    cell = rnnkit.cells["lstm"](3, 4)
    cell.weight_hh.data.fill_(value)
    if function in (inspection.state_trajectory, inspection.effective_memory):
        with pytest.raises(DivergedError, match=r"lstm: the .* are not finite"):
            function(cell, **SMALL)
        return
    result = function(cell, **SMALL)
    json.dumps(result.to_json(), allow_nan=False)
    assert {"nan", "inf", "unknown"}.isdisjoint(result.reading.replace(".", " ").split())
    result.svg()


@every_function
def test_a_bare_cell_and_a_layer_of_it_give_the_same_numbers(function):
    torch.manual_seed(0)
    layer = rnnkit.RNN("gru", 3, 4, dtype=torch.float64)
    cell = layer.cells[0]
    assert function(layer, **SMALL).to_json() == function(cell, **SMALL).to_json()


def test_states_are_left_out_only_where_they_are_derived():
    note = "mixed: state count holds no real or complex numbers and is left out."
    cell = Mixed(3, 4)
    for name in ("gradient_flow", "jacobian_spectrum", "lyapunov_spectrum", "state_trajectory", "exploding_steps"):
        assert note in getattr(inspection, name)(cell, steps=4).notes
    for name in ("record", "gate_activity", "effective_memory", "input_saliency", "truncation_bias"):
        assert note not in getattr(inspection, name)(cell, steps=4).notes


def test_both_ways_have_no_last_steps():
    layer = rnnkit.RNN("lstm", 3, 4, bidirectional=True)
    assert inspection.input_saliency(layer, steps=8).reading.endswith("the layer goes both ways.")


def test_rows_that_end_early_are_not_looked_at():
    task = rnnkit.tasks["parity"](train_len=12, test_len=20)
    batch = task.batch(6, torch.Generator().manual_seed(0))
    assert int(batch.lengths.min()) < int(batch.lengths.max())
    whole = longest_rows(task, batch)
    assert whole.lengths is None
    assert len(whole.xs) == int(batch.lengths.max())
    assert torch.equal(whole.xs, batch.xs[: len(whole.xs), batch.lengths == batch.lengths.max()])


def test_of_a_cell_that_is_never_finite_what_cannot_be_answered_is_left_out_and_the_rest_is_not():
    answers = dict(overview(Target(NeverFinite, drawn={"steps": 8, "batch_size": 2})))
    assert answers["memory"].startswith("memory is left out: ")
    assert answers["flow"].verdict == "not finite"
