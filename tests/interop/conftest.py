"""Cells with weights to be converted."""

import pytest
import torch

import rnnkit
from rnnkit.core.cell import building


@pytest.fixture
def build():
    """Build a cell of random weights: build("gru", 3, 4, bias=False)."""

    def build(name, inputs=3, hidden=4, dtype=torch.float64, **options):
        torch.manual_seed(inputs * 100 + hidden)
        with building(None, dtype):
            cell = rnnkit.cells[name](inputs, hidden, **options)
        for parameter in cell.parameters():
            torch.nn.init.normal_(parameter)
        return cell

    return build


@pytest.fixture
def tensors_of():
    """Return a cell's weights by name, or all tensors in a foreign structure of lists and dicts, by path."""

    def tensors_of(value, path=""):
        if isinstance(value, torch.nn.Module):
            return {name: tensor.detach().clone() for name, tensor in value.named_parameters()}
        if isinstance(value, torch.Tensor):
            return {path: value}
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        return {key: tensor for name, part in pairs for key, tensor in tensors_of(part, f"{path}/{name}").items()}

    return tensors_of
