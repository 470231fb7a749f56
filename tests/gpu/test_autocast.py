"""Under autocast a layer computes like torch.nn on a device; what torch has not errs at most twice as the loop does."""

import copy

import pytest
import torch

import rnnkit

from .test_auto import TORCH_HAS

LOW = (torch.bfloat16, torch.float16)
T, B, D, H = 6, 4, 4, 20


def everything(module, xs, dtype, **given):
    """Return outputs, last states and gradients, under autocast if there is a dtype."""
    leaf = xs.clone().requires_grad_()
    with torch.autocast(xs.device.type, dtype=dtype or torch.bfloat16, enabled=dtype is not None):
        ys, last = module(leaf, **given)
    last = last if isinstance(last, tuple) else (last,)
    total = sum(tensor.double().sin().sum() for tensor in (ys, *last))
    return [ys, *last], torch.autograd.grad(total, [leaf, *module.parameters()])


def distance(found, exact):
    pairs = zip((*found[0], *found[1]), (*exact[0], *exact[1]), strict=True)
    return max(float(((a.double() - b).abs().max() / (1e-3 + b.abs().max())).detach()) for a, b in pairs)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", LOW, ids=str)
@pytest.mark.parametrize("name", TORCH_HAS)
def test_bits_and_dtypes_are_torch_s(name, dtype, device):
    if device.type == "cpu":
        pytest.skip("on a CPU autocast is left to the loop")
    theirs = TORCH_HAS[name](D, H).to(device)
    ours = rnnkit.RNN(name, D, H, device=device)
    ours.load_state_dict(theirs.state_dict())
    xs = torch.randn(T, B, D, device=device)
    found, expected = (everything(module, xs, dtype) for module in (ours, theirs))
    assert [tensor.dtype for tensor in found[0]] == [tensor.dtype for tensor in expected[0]] == [dtype] * len(found[0])
    for one, other in zip(found[0], expected[0], strict=True):
        assert torch.equal(one, other)
    reset = torch.zeros(T, B, dtype=torch.bool, device=device)
    reset[3, 1] = True
    restarted, _ = everything(ours, xs, dtype, reset=reset)
    assert [tensor.dtype for tensor in restarted] == [dtype] * len(restarted)


@pytest.mark.parametrize("dtype", LOW, ids=str)
@pytest.mark.parametrize("name", ["lstm", "peephole", "layernorm"])
def test_the_error_is_at_most_twice_the_loop_s(name, dtype, device):
    torch.manual_seed(0)
    ours = rnnkit.RNN(name, D, H, device=device)
    loop = rnnkit.RNN(name, D, H, device=device, unroller="loop")
    loop.load_state_dict(ours.state_dict())
    xs, masks = torch.randn(T, B, D, device=device), {"lengths": [6, 2, 5, 3]}
    exact = everything(copy.deepcopy(loop).double(), xs.double(), None, **masks)
    of_ours, of_loop = (distance(everything(module, xs, dtype, **masks), exact) for module in (ours, loop))
    # cuDNN keeps its state in the low precision too, which the loop does not: as torch.nn, by design.
    times = 8 if device.type == "cuda" and name == "lstm" else 2
    assert of_ours <= times * of_loop
