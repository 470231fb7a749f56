"""torch.nn beside the layer: what a call gave, gradients included, and how far two of them may be apart."""

import pytest
import torch
from torch.nn.utils.rnn import PackedSequence

PROMISED = {  # largest difference of outputs and states, of gradients
    torch.float64: (1e-12, 1e-10),
    torch.float32: (1e-5, 1e-5),
}


def tensors(state):
    """Return a state as a tuple, whether it is one tensor or several."""
    return (state,) if isinstance(state, torch.Tensor) else tuple(state)


def outcome(result, leaves):
    """Return outputs, states and the gradients of `leaves` by name, from what a layer returned.

    Each output is weighed with numbers of its own, so that no two elements can be taken for each other.
    """
    output, state = result
    found = {"the output": output.data if isinstance(output, PackedSequence) else output}
    found |= {f"state {position}": tensor for position, tensor in enumerate(tensors(state))}
    loss = sum((tensor * torch.arange(tensor.numel()).view_as(tensor).cos()).sum() for tensor in found.values())
    gradients = torch.autograd.grad(loss, list(leaves.values()))
    return found, {f"the gradient of {name}": gradient for name, gradient in zip(leaves, gradients, strict=True)}


def assert_same(found, expected):
    """Assert that two outcomes are as close as is promised for their dtype.

    float64: absolutely; float32: relative to the largest element of each tensor, at least 1.
    """
    for these, those, at in zip(found, expected, (0, 1), strict=True):
        assert these.keys() == those.keys()
        for name, wanted in those.items():
            given, wanted = these[name].detach(), wanted.detach()
            assert (given.shape, given.dtype) == (wanted.shape, wanted.dtype), name
            scale = max(1.0, float(wanted.abs().max())) if wanted.dtype == torch.float32 else 1.0
            error = float((given - wanted).abs().max()) / scale
            assert error <= PROMISED[wanted.dtype][at], f"{name} differs by {error:.1e}"


@pytest.fixture(scope="session", name="tensors")
def tensors_fixture():
    """Return `tensors`."""
    return tensors


@pytest.fixture(scope="session", name="outcome")
def outcome_fixture():
    """Return `outcome`."""
    return outcome


@pytest.fixture(scope="session", name="assert_same")
def assert_same_fixture():
    """Return `assert_same`."""
    return assert_same
