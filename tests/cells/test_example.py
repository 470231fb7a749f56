"""The cell of the documentation's example keeps every promise, straight from its file."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import torch

import rnnkit

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "rnnkit-mgu" / "rnnkit_mgu.py"


def load():
    spec = spec_from_file_location("mgu_from_its_file", EXAMPLE)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_keeps_every_promise_of_a_cell():
    rnnkit.testing.check_cell(load().MGU)


def test_works_in_a_layer():
    layer = rnnkit.RNN(load().MGU, 3, 4, num_layers=2, bidirectional=True)
    output, state = layer(torch.randn(5, 2, 3))
    assert output.shape == (5, 2, 8)
    assert state.shape == (4, 2, 4)
    assert "weight_hf_l1_reverse" in layer.state_dict()
