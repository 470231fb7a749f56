"""A snapshot keeps memory for the backward passes that may come, and no longer."""

import pytest
import torch

import rnnkit


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        ctx.snapshot = rnnkit.Snapshot([x])
        return 2 * x

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.snapshot.of(ctx.saved_tensors)
        return 2 * grad + 0 * x


@pytest.mark.parametrize("kept", [True, False], ids=["another pass may come", "the last pass"])
def test_memory_is_let_go_with_the_graph(kept):
    x = torch.ones(3, requires_grad=True)
    y = Doubled.apply(x)
    y.sum().backward(retain_graph=kept)
    assert (y.grad_fn.snapshot._aliases is not None) == kept
