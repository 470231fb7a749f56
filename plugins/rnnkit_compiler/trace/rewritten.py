"""Functions that look at values, sizes or gradients to choose what they do: written otherwise for a recording."""

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from rnnkit_compiler._forks import fork_safe_lock

_without_library = fork_safe_lock()


def one_hot(indices: Tensor, num_classes: int = -1) -> Tensor:
    """Return zeros, and a one at each index; torch itself looks first whether an index is out of range."""
    if num_classes <= 0:  # as many as the largest index says
        return torch.nn.functional.one_hot(indices, num_classes)
    shape = (*indices.shape, num_classes)
    return indices.new_zeros(shape).scatter(-1, indices.unsqueeze(-1), 1)


def product_of_all(*matrices: Any) -> Tensor:
    """Multiply matrices from the left; torch itself chooses an order by their sizes, of which the batch is one."""
    listed = matrices[0] if len(matrices) == 1 and not isinstance(matrices[0], Tensor) else matrices
    found: Tensor = reduce(torch.matmul, listed)
    return found


def matmul(left: Tensor, right: Tensor, **given: Any) -> Tensor:
    """Multiply a stack of matrices by one as rows of all; torch itself does so where the one wants a gradient."""
    largest = max(left.dim(), right.dim())
    if given or largest < 3 or min(left.dim(), right.dim()) not in (1, 2):
        return torch.matmul(left, right, **given)
    if left.dim() < largest:
        found = _rows_times(right.mT, left.mT if left.dim() == 2 else left)
        return found.mT if left.dim() == 2 else found
    return _rows_times(left, right)


def _rows_times(stack: Tensor, one: Tensor) -> Tensor:
    found = torch.matmul(stack.reshape(-1, stack.shape[-1]), one)
    return found.reshape(*stack.shape[:-1], *one.shape[1:])


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Multiply the last dimension of several, by rows of all, and add a bias."""
    if input.dim() < 3 or weight.dim() != 2:
        return torch.nn.functional.linear(input, weight, bias)
    found = matmul(input, weight.t())
    return found if bias is None else found + bias


def rrelu(
    input: Tensor, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, inplace: bool = False
) -> Tensor:
    """Return a leaky ReLU with the mean slope, where it isn't drawn."""
    if training or inplace:
        return torch.nn.functional.rrelu(input, lower, upper, training, inplace)
    return torch.nn.functional.leaky_relu(input, (lower + upper) / 2)


def lstm(*args: Any) -> tuple[Tensor, ...]:
    """Return what an `nn.LSTM` gives, by operations of torch's own and not by one of a library."""
    with _without_library:  # the setting is that of all threads
        enabled = torch._C._get_mkldnn_enabled()
        torch._C._set_mkldnn_enabled(False)  # `torch.backends.mkldnn.flags` sets more, and warns of it
        try:
            found: tuple[Tensor, ...] = torch.lstm(*args)
        finally:
            torch._C._set_mkldnn_enabled(enabled)
    return found


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Attend by products and a softmax; torch itself does so where the mask wants a gradient, and there alone."""
    found: Tensor = torch._scaled_dot_product_attention_math(
        query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
    )[0]
    return found


REWRITTEN: dict[Any, Callable[..., Any]] = {
    torch.nn.functional.one_hot: one_hot,
    torch.nn.functional.rrelu: rrelu,
    torch.linalg.multi_dot: product_of_all,
    torch.chain_matmul: product_of_all,
    torch.lstm: lstm,
    torch.matmul: matmul,
    torch.linalg.matmul: matmul,
    Tensor.matmul: matmul,
    Tensor.__matmul__: matmul,
    torch.nn.functional.linear: linear,
    torch.nn.functional.scaled_dot_product_attention: attention,
}


class Rewriting(TorchFunctionMode):
    """Has these functions called as they are written here.

    What torch warns of then is said of a line here, not of the caller's; so it is for what cannot be recorded without.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rewrote = False
        """Whether one of them was called."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        self.rewrote |= func in REWRITTEN
        return REWRITTEN.get(func, func)(*args, **(kwargs or {}))
