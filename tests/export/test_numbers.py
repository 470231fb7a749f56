"""The file computes what the model does, at any length: every cell, every way to export it."""

import numpy as np
import onnx
import pytest
import torch

import rnnkit
from rnnkit.export import program, verification

from ..core_cells import CORE_CELLS
from ..slow_cases import slow_but
from .reading import READERS, SIZES, Session, build, check, check_steps, load

CELLS = CORE_CELLS
adding, copy = rnnkit.tasks["adding"](seq_len=6), rnnkit.tasks["copy"](seq_len=5)


@pytest.mark.parametrize("cell", slow_but(["layernorm", "learnt_state"], CELLS))
def test_every_cell_at_other_lengths_than_those_traced(cell, tmp_path):
    model = build(rnnkit.Model, copy, cell, 7, embedding_size=3)
    exported = rnnkit.export_model(model, tmp_path / "model.pt2")
    assert {program.TRACED, *verification.SIZES}.isdisjoint(SIZES)
    assert exported.difference < 1e-5
    check(load(exported.path), model)


@pytest.mark.slow
def test_steps_of_every_cell_make_up_the_whole(tmp_path):
    model = build(rnnkit.RNN, CELLS, 3, 4)
    rnnkit.export_model(model, tmp_path / "model.pt2", step=True)
    check_steps(load(tmp_path / "model.pt2"), model)


def test_onnx_has_free_sizes_and_a_node_for_each_loop(tmp_path):
    model = build(rnnkit.RNN, ["layernorm", "zoneout(gru, rate=0.2)"], 3, 4)
    path = tmp_path / "model.onnx"
    exported = rnnkit.export_model(model, path)
    check(Session(path), model)
    found = onnx.load(path)
    onnx.checker.check_model(found, full_check=True)
    assert [node.op_type for node in found.graph.node].count("Scan") == 2
    for infos, values in ((exported.inputs, found.graph.input), (exported.outputs, found.graph.output)):
        shapes = [tuple(d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim) for value in values]
        assert shapes == [info.shape for info in infos]
        assert [value.name for value in values] == [info.name for info in infos]
    assert exported.inputs[0].shape == ("time", "batch", 3)
    assert list(tmp_path.iterdir()) == [path]  # the weights are inside


LAYERS = {
    "every option": {"num_layers": 2, "bidirectional": True, "proj_size": 3, "residual": True, "batch_first": True},
    "trainable state": {"trainable_state": True},
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.slow
def test_a_layer_over_sequences_in_pieces(name, tmp_path):
    model = build(rnnkit.RNN, "lstm", 3, 5, **LAYERS[name])
    rnnkit.export_model(model, tmp_path / "model.pt2", state=True)
    check(load(tmp_path / "model.pt2"), model, state=True)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("options", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("state", [False, True])
def test_a_layer_in_onnx(options, state, tmp_path):
    model = build(rnnkit.RNN, "lstm", 3, 5, **options)
    rnnkit.export_model(model, tmp_path / "model.onnx", state=state)
    check(Session(tmp_path / "model.onnx"), model, state=state)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("format", READERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_in_every_way(cell, dtype, format, tmp_path):
    model = build(rnnkit.Model, adding, cell, 7, num_layers=2, dtype=dtype)
    for options in ({}, {"state": True}, {"step": True}):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.{format}"
        rnnkit.export_model(model, path, **options)
        if "step" in options:
            check_steps(READERS[format](path), model)
        else:
            check(READERS[format](path), model, **options)


@pytest.mark.slow
def test_symbols_of_a_float64_model_in_onnx(tmp_path):
    """The rate too, which is no weight, has all of its digits."""
    model = build(rnnkit.Model, copy, "zoneout(gru, rate=0.1)", 7, embedding_size=3, dtype=torch.float64)
    exported = rnnkit.export_model(model, tmp_path / "model.onnx")
    assert [info.dtype for info in (*exported.inputs, *exported.outputs)] == ["int64", "float64", "float64"]
    assert exported.difference < 1e-12
    check(Session(exported.path), model)


def test_more_symbols_than_the_example_has_numbers(tmp_path):
    """Whether rows of the table are projected once goes by how many numbers there are, and is no part of a graph."""
    model = build(rnnkit.Model, rnnkit.tasks["chars"](seq_len=5), "rnn", 7, embedding_size=3)
    assert len(model.embedding.weight) > 100
    for step in (False, True):
        exported = rnnkit.export_model(model, tmp_path / f"{step}.pt2", step=step)
        (check_steps if step else check)(load(exported.path), model)


def test_half_precision(tmp_path):
    exported = rnnkit.export_model(build(rnnkit.RNN, "gru", 3, 4, dtype=torch.bfloat16), tmp_path / "model.pt2")
    assert exported.outputs[0].dtype == "bfloat16"
    assert np.isfinite(exported.difference)


def test_parametrized_weights(tmp_path):
    model = build(rnnkit.RNN, "rnn", 3, 4)
    torch.nn.utils.parametrizations.weight_norm(model, "weight_hh_l0")
    rnnkit.weight_drop(model, weights="weight_ih")
    rnnkit.export_model(model.train(), tmp_path / "model.pt2")
    check(load(tmp_path / "model.pt2"), model.eval())


class Filling(rnnkit.Cell):
    """A cell that writes into a new tensor: in ONNX, sizes that nobody knows beforehand."""

    name = "filling"

    def step(self, p, state):
        h = torch.empty_like(state[0])
        h[:, :1] = torch.sigmoid(p[:, :1])
        h[:, 1:] = torch.tanh(p + state[0])[:, 1:]
        return h, (h,)


@pytest.mark.slow
def test_sizes_without_a_name_stay_apart_in_onnx(tmp_path):
    model = build(rnnkit.RNN, Filling, 3, 3)
    rnnkit.export_model(model, tmp_path / "model.onnx")
    check(Session(tmp_path / "model.onnx"), model)


def test_a_cell_without_state_and_one_of_several_projections(tmp_path):
    class Stateless(rnnkit.Cell):
        name = "stateless"
        state_names = ()

        def step(self, p, state):
            return torch.tanh(p), ()

    class Nested(rnnkit.Cell):
        name = "nested"

        def __init__(self, input_size, hidden_size):
            super().__init__(input_size, hidden_size)
            self.mix = torch.nn.Linear(input_size, hidden_size)

        def project(self, xs):
            return (self.mix(xs), (xs, xs.sum(-1)))

        def step(self, p, state):
            p, (x, total) = p
            h = torch.tanh(p + state[0] * total.unsqueeze(1))
            return torch.cat([h, x], 1), (h,)

        @property
        def output_size(self):
            return self.hidden_size + self.input_size

    for kind in (Stateless, Nested):
        model = build(rnnkit.RNN, kind, 3, 3)
        path = tmp_path / f"{kind.name}.pt2"
        rnnkit.export_model(model, path)
        check(load(path), model)
