"""Each rule of the intermediate form gives what torch gives, in the kernel: numbers and gradients, at every boundary.

Rows of the table that share a domain are compiled as one cell, whose output has a piece for each.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import pytest
import torch
from operators import rows
from torch import Tensor, nn
from torch.nn import functional as F

import rnnkit
from rnnkit_compiler.ir.rules import RULES
from rnnkit_compiler.ir.rules.refused import REASONS
from rnnkit_compiler.trace import applied, backward, instead
from rnnkit_compiler.trace.projection import nesting
from rnnkit_compiler.trace.record import record

from ..test_backwards import BACKWARDS, function_of
from ..test_functions import Once, Spike

centred, centred_once = (function_of(BACKWARDS["centred"], once=once) for once in (False, True))

aten = torch.ops.aten

DOMAINS = {
    # the bounds, knees and ties of clamp, relu, elu, softplus and the like, and halves for rounding
    "real": (
        [-25.0, -6.0, -3.0, -2.5, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.5, 3.0, 6.0, 20.0, 25.0],
        [-1.0, -0.5, 0.0, 0.5, 1.0, 3.0],
    ),
    # one more that overflows exp on the branch that is not taken
    "far": ([-800.0, -1.0, 0.0, 1.0, 800.0], [-800.0, -1.0, 0.0, 1.0, 800.0]),
    "above 0": ([0.01, 0.25, 1.0, 1.5, 2.0, 10.0, 20.0], [-2.0, -1.0, 0.0, 0.5, 1.0, 3.0]),
    "below 1": ([-0.9, -0.5, -0.01, 0.0, 0.3, 0.99], [-1.0, -0.5, 0.5, 2.0]),
    "above 1": ([1.01, 1.5, 4.0, 100.0], [-1.0, 1.0]),
    "powers": ([0.0, 0.5, 1.0, 2.0], [0.0, 1.0, 2.0, 3.0]),
    "rows": ([0.5, -1.0, 2.0, 2.0, -1.0, 0.0], [0.0, 1.0, -3.0]),
    "forms": ([0.5, -1.0, 2.0, 2.5, -1.5, 0.25], [0.0, 1.0, -3.0]),
}
"""The values of the state and of the input; each of the one meets each of the other."""


class Row(NamedTuple):
    """What tries a rule."""

    domain: str
    apply: Callable[..., tuple[Tensor, ...]]
    """From state h (B, H), input p (B, H) and a parameter w (H, H) to tensors with a row for each of the batch."""


def two(h):
    """See a row of six as 2 x 3."""
    return h.view(-1, 2, 3)


def square(h):
    """See the first four units of a row as 2 x 2."""
    return h[:, :4].reshape(-1, 2, 2)


def each(*functions):
    """Apply functions of one tensor to the state."""
    return lambda h, p, w: tuple(function(h) for function in functions)


def whole(h, p):
    """Return integers."""
    return (h > p).long() * 5 + (h < 1).long() * 2 + 1


def gradient_of(energy, z):
    """Return the gradient of an energy of each row, which has a gradient of its own."""
    with torch.enable_grad():
        z = z if z.requires_grad else z.detach().requires_grad_()
        return torch.autograd.grad(energy(z).sum(), z, create_graph=True)[0]


def boundaries(z, right=False):
    """Return in which of some intervals numbers are."""
    return torch.bucketize(z.detach().contiguous(), torch.tensor([-1.0, 0.5, 3.0], dtype=z.dtype), right=right)


def quietly_cut(z):
    """Overwrite a tensor whose gradient goes on as it was."""
    with torch.no_grad():
        return z.clamp_(-0.5, 1)


TABLE = {
    "neg": Row("real", each(torch.neg)),
    "sigmoid": Row("far", each(torch.sigmoid)),
    "tanh": Row("far", each(torch.tanh)),
    "exp": Row("real", each(torch.exp)),
    "expm1": Row("real", each(torch.expm1)),
    "exp2": Row("real", each(torch.exp2)),
    "log": Row("above 0", each(torch.log)),
    "log1p": Row("below 1", each(torch.log1p)),
    "log2": Row("above 0", each(torch.log2)),
    "log10": Row("above 0", each(torch.log10)),
    "sqrt": Row("above 0", each(torch.sqrt)),
    "rsqrt": Row("above 0", each(torch.rsqrt)),
    "sin": Row("real", each(torch.sin)),
    "cos": Row("real", each(torch.cos)),
    "tan": Row("real", each(torch.tan)),
    "asin": Row("below 1", each(torch.asin)),
    "acos": Row("below 1", each(torch.acos)),
    "atan": Row("real", each(torch.atan)),
    "sinh": Row("real", each(torch.sinh)),
    "cosh": Row("real", each(torch.cosh)),
    "asinh": Row("real", each(torch.asinh)),
    "acosh": Row("above 1", each(torch.acosh)),
    "atanh": Row("below 1", each(torch.atanh)),
    "erf": Row("real", each(torch.erf)),
    "erfc": Row("real", each(torch.erfc)),
    "abs": Row("real", each(torch.abs)),
    "sign": Row("real", each(torch.sign)),
    "sgn": Row("real", each(torch.sgn)),
    "floor": Row("real", each(torch.floor)),
    "ceil": Row("real", each(torch.ceil)),
    "trunc": Row("real", each(torch.trunc)),
    "round": Row("real", each(torch.round)),
    "relu": Row("real", each(torch.relu)),
    "reciprocal": Row("above 0", each(torch.reciprocal)),
    "isnan": Row("real", lambda h, p, w: (torch.isnan(h), torch.isnan((h - h) / (h - h)))),
    "heaviside": Row("real", lambda h, p, w: (torch.heaviside(h.detach(), torch.full_like(h, 0.5)),)),
    **{
        f"{name}_backward": Row("real", lambda h, p, w, slope=slope: tuple(slope(p, h)))
        for name, slope in {
            "tanh": lambda g, a: (aten.tanh_backward(g, a.tanh()),),
            "sigmoid": lambda g, a: (aten.sigmoid_backward(g, a.sigmoid()),),
            "threshold": lambda g, a: (aten.threshold_backward(g, a, 0.5),),
            "hardtanh": lambda g, a: (aten.hardtanh_backward(g, a, -1, 1.5),),
            "leaky_relu": lambda g, a: (aten.leaky_relu_backward(g, a, 0.1, False),),
            "elu": lambda g, a: (
                aten.elu_backward(g, 0.7, 1.1, 0.9, False, a),
                aten.elu_backward(g, 0.7, 1.1, 0.9, True, aten.elu(a, 0.7, 1.1, 0.9)),
            ),
            "softplus": lambda g, a: (aten.softplus_backward(g, a, 1, 20), aten.softplus_backward(g, a, 2, 3)),
            "log_sigmoid": lambda g, a: (aten.log_sigmoid_backward(g, a, torch.exp(-a.abs()).detach()),),
            "silu": lambda g, a: (aten.silu_backward(g.detach(), a.detach()),),
            "gelu": lambda g, a: (aten.gelu_backward(g, a), aten.gelu_backward(g, a, approximate="tanh")),
            "hardshrink": lambda g, a: (aten.hardshrink_backward(g, a, 0.5),),
            "softshrink": lambda g, a: (aten.softshrink_backward(g, a, 0.5),),
            "hardswish": lambda g, a: (aten.hardswish_backward(g, a.detach()),),
            "smooth_l1_loss": lambda g, a: (aten.smooth_l1_loss_backward(g, a.detach(), g.detach(), 0, 0.75),),
            "_prelu_kernel": lambda g, a: aten._prelu_kernel_backward(g, a, torch.full_like(a, 0.25)),
        }.items()
    },
    "_linalg_det": Row("forms", lambda h, p, w: (torch.linalg.det(square(h)), torch.linalg.det(square(h * p)))),
    "_linalg_slogdet": Row("forms", lambda h, p, w: (torch.linalg.slogdet(square(h) + 4 * torch.eye(2)).logabsdet,)),
    "_linalg_solve_ex": Row(
        "forms", lambda h, p, w: (torch.linalg.solve(square(h) + 4 * torch.eye(2), two(p)).flatten(1),)
    ),
    "_softmax_backward_data": Row(
        "forms", lambda h, p, w: (aten._softmax_backward_data(p, h.softmax(1), 1, h.dtype) * h,)
    ),
    "_log_softmax_backward_data": Row(
        "forms",
        lambda h, p, w: (aten._log_softmax_backward_data(two(p * h), two(h).log_softmax(2), 2, h.dtype),),
    ),
    "native_layer_norm_backward": Row(
        "forms",
        lambda h, p, w: (
            gradient_of(lambda z: (F.layer_norm(z, (6,), w[0], w[1]) ** 3).sum(1), h + p),
            gradient_of(lambda z: (F.layer_norm(two(z), (3,)) ** 3).sum((1, 2)), h * p),
        ),
    ),
    "mse_loss_backward": Row("real", lambda h, p, w: (aten.mse_loss_backward(h * p, h, p, 0),)),
    "huber_loss_backward": Row(
        "real",
        lambda h, p, w: (
            aten.huber_loss_backward(h * p, h, p, 0, 1.0),
            gradient_of(lambda z: F.huber_loss(z, p, reduction="sum", delta=0.75), h),
        ),
    ),
    "select_backward": Row("forms", lambda h, p, w: (aten.select_backward(h[:, 0], h.shape, 1, 2),)),
    "slice_backward": Row("forms", lambda h, p, w: (aten.slice_backward(h[:, :3], h.shape, 1, 1, 6, 2),)),
    "diagonal_backward": Row(
        "forms", lambda h, p, w: (aten.diagonal_backward(h[:, :2], [h.shape[0], 2, 3], 0, 1, 2).flatten(1),)
    ),
    "maximum": Row("real", lambda h, p, w: (torch.maximum(h, p), torch.maximum(h, h))),
    "minimum": Row("real", lambda h, p, w: (torch.minimum(h, p), torch.minimum(p, h))),
    "atan2": Row("above 0", lambda h, p, w: (torch.atan2(h, p), torch.atan2(p, h))),
    "eq": Row("real", lambda h, p, w: (h == p, h == 0.5)),
    "ne": Row("real", lambda h, p, w: (h != p, h != 0.5)),
    "lt": Row("real", lambda h, p, w: (h < p, h < 0.5)),
    "le": Row("real", lambda h, p, w: (h <= p, h <= 0.5)),
    "gt": Row("real", lambda h, p, w: (h > p, h > 0.5)),
    "ge": Row("real", lambda h, p, w: (h >= p, h >= 0.5)),
    "mul": Row("real", lambda h, p, w: (h * p, h * 3, h * w[0], h * h)),
    "add": Row("real", lambda h, p, w: (h + p, h + 3, torch.add(h, p, alpha=2), h + w[0])),
    "sub": Row("real", lambda h, p, w: (h - p, h - 3, torch.sub(h, p, alpha=-0.5), h - h)),
    "rsub": Row("real", lambda h, p, w: (1 - h, torch.rsub(h, p, alpha=2))),
    "div": Row(
        "above 0",
        lambda h, p, w: (p / h, h / 3, h / w[0], torch.div(p, h, rounding_mode="trunc")),
    ),
    "where": Row(
        "real",
        lambda h, p, w: (torch.where(h > p, h, p), torch.where(h > 0, 1.0, h), torch.where(h <= p, p, 0.0)),
    ),
    "isinf": Row("real", lambda h, p, w: (torch.isinf(h), torch.isinf(p / (h - h)))),
    "isposinf": Row("real", lambda h, p, w: (torch.isposinf(p / (h - h)),)),
    "isneginf": Row("real", lambda h, p, w: (torch.isneginf(p / (h - h)),)),
    "signbit": Row("real", lambda h, p, w: (torch.signbit(h), torch.signbit(h * -0.0))),
    "nextafter": Row("real", lambda h, p, w: (torch.nextafter(h, p) * p,)),
    "floor_divide": Row(
        "above 0", lambda h, p, w: (h.detach() // 0.1 + p, torch.div(h, 0.1 + 0 * p, rounding_mode="floor"))
    ),
    "logical_xor": Row("real", lambda h, p, w: (torch.logical_xor(h, p), torch.logical_xor(h > p, h < 1))),
    "bitwise_xor": Row("real", lambda h, p, w: ((h > p) ^ (h < 1), whole(h, p) ^ 5)),
    applied.NAME: Row("real", lambda h, p, w: (Spike.apply(h), Spike.apply(h + p) * h)),
    applied.ONCE: Row("real", lambda h, p, w: (Once.apply(h), Once.apply(h + p) * h)),
    backward.NAME: Row("real", lambda h, p, w: (centred(h), centred(h + p) * h)),
    backward.ONCE: Row("real", lambda h, p, w: (centred_once(h), centred_once(h + p) * h)),
    instead.NAME: Row("real", lambda h, p, w: (quietly_cut(h * p), quietly_cut((h + p)[:, :3]))),
    "_neg_view": Row("forms", lambda h, p, w: (torch.complex(h, p).conj().imag,)),
    "zero": Row("forms", lambda h, p, w: (h + (h * p).zero_(),)),
    "logical_not": Row("real", lambda h, p, w: (torch.logical_not(h), torch.logical_not(h > p))),
    "logical_and": Row("real", lambda h, p, w: (torch.logical_and(h, p), torch.logical_and(h > p, h < 1))),
    "logical_or": Row("real", lambda h, p, w: (torch.logical_or(h, p), torch.logical_or(h < p, h > 1))),
    "__lshift__": Row("real", lambda h, p, w: (whole(h, p) << 3,)),
    "__rshift__": Row("real", lambda h, p, w: ((whole(h, p) - 4) >> 1,)),
    "bitwise_left_shift": Row("real", lambda h, p, w: (torch.bitwise_left_shift(whole(h, p), 2),)),
    "bitwise_right_shift": Row("real", lambda h, p, w: (torch.bitwise_right_shift(whole(h, p), 2),)),
    "all": Row("forms", lambda h, p, w: ((h > p).all(1), h.all(1, keepdim=True), two(h).all(2))),
    "any": Row("forms", lambda h, p, w: ((h > p).any(1), h.any(1, keepdim=True), two(h).any(2))),
    "argmax": Row("forms", lambda h, p, w: ((h * p).argmax(1), two(h + p).argmax(1, keepdim=True))),
    "argmin": Row("forms", lambda h, p, w: ((h * p).argmin(1), two(h + p).argmin(2))),
    "bucketize": Row(
        "real",
        lambda h, p, w: (torch.bucketize(h.detach(), w[0].detach().sort().values), boundaries(h), boundaries(p, True)),
    ),
    "searchsorted": Row(
        "real",
        lambda h, p, w: (
            torch.searchsorted(w[0].detach().sort().values, h.detach().contiguous()),
            torch.searchsorted(w[0].detach().sort().values, p.detach().contiguous(), side="right"),
        ),
    ),
    "count_nonzero": Row("forms", lambda h, p, w: (h.relu().count_nonzero(1), two(h > p).count_nonzero(2))),
    "embedding": Row(
        "forms", lambda h, p, w: (F.embedding(h.argmax(1), w), F.embedding(two(h).argmax(2), w[:3]), w[h.argmin(1) - 6])
    ),
    "_cdist_forward": Row("forms", lambda h, p, w: (torch.cdist(two(h), two(p)), torch.cdist(two(h), two(p), 1.0))),
    "bitwise_not": Row("real", lambda h, p, w: (~(h > p),)),
    "bitwise_and": Row("real", lambda h, p, w: ((h > p) & (h < 1), whole(h, p) & 6, whole(h, p) & 0)),
    "bitwise_or": Row("real", lambda h, p, w: ((h > p) | (h < 1), whole(h, p) | 6)),
    "lerp": Row("real", lambda h, p, w: (torch.lerp(h, p, 0.3), torch.lerp(h, p, w[0]), torch.lerp(h, p, p))),
    "addcmul": Row("real", lambda h, p, w: (torch.addcmul(h, p, h, value=0.5), torch.addcmul(p, h, w[0]))),
    "addcdiv": Row("above 0", lambda h, p, w: (torch.addcdiv(p, p, h, value=0.5), torch.addcdiv(h, p, w[0]))),
    "pow": Row(
        "powers",
        lambda h, p, w: (
            *(h**exponent for exponent in (0, 1, 2, 3, 4, 1.5)),
            *((h + 1) ** exponent for exponent in (0.5, -0.5, -1, -2, 0.3)),
            *(h**p, (h + 1) ** -p, 2**h, 0**h, (h + 1) ** w[0]),
        ),
    ),
    "logaddexp": Row("far", lambda h, p, w: (torch.logaddexp(h, p), torch.logaddexp(p, 0.5 * h))),
    # A bound below the other: the upper one counts, and no gradient passes, on the bound either.
    "clamp": Row(
        "real",
        each(lambda h: h.clamp(-0.5, 1), lambda h: h.clamp(max=1), lambda h: h.clamp(min=0), lambda h: h.clamp(1, 0.5)),
    ),
    "clamp_min": Row("real", each(lambda h: torch.clamp_min(h, 0.5))),
    "clamp_max": Row("real", each(lambda h: torch.clamp_max(h, 0.5))),
    "hardtanh": Row("real", each(F.hardtanh, F.relu6, lambda h: F.hardtanh(h, -0.5, 3))),
    "hardsigmoid": Row("real", each(F.hardsigmoid)),
    "hardswish": Row("real", each(F.hardswish)),
    "leaky_relu": Row("real", each(F.leaky_relu, lambda h: F.leaky_relu(h, 0.3))),
    "threshold": Row("real", each(lambda h: F.threshold(h, 0.5, -2.0))),
    "silu": Row("far", each(F.silu)),
    "mish": Row("real", each(F.mish)),
    "elu": Row("far", each(F.elu, F.selu, lambda h: F.elu(h, 0.3))),
    "softplus": Row("far", each(F.softplus, lambda h: F.softplus(h, 2, 2), lambda h: F.softplus(h, 0.5, 400))),
    "gelu": Row("real", each(F.gelu, lambda h: F.gelu(h, approximate="tanh"))),
    "log_sigmoid_forward": Row("far", each(F.logsigmoid)),
    "detach": Row("forms", lambda h, p, w: (h * h.detach(), h * (h * p).detach())),
    "alias": Row("forms", each(aten.alias)),
    "clone": Row("forms", each(torch.clone)),
    "_reshape_alias": Row("forms", each(lambda h: aten._reshape_alias(h, [len(h), 2, 3], [6, 3, 1]))),
    "_to_copy": Row("forms", lambda h, p, w: ((h > 0).to(h.dtype), h * h.to(torch.bool))),
    "view": Row("forms", each(lambda h: h.view(-1, 3, 2)[:, 1])),
    "_unsafe_view": Row("forms", each(lambda h: aten._unsafe_view(h, [len(h), 2, 3])[:, 1])),
    "unsqueeze": Row("forms", lambda h, p, w: (h.unsqueeze(1) * p.unsqueeze(1),)),
    "squeeze": Row("forms", each(lambda h: h.unsqueeze(1).squeeze(1), lambda h: h[:, 1:2].squeeze())),
    "expand": Row(
        "forms",
        lambda h, p, w: (p[:, :1].expand(-1, 6), h.sum(1, keepdim=True).expand(-1, 4), h[:, :2, None].expand(-1, 2, 3)),
    ),
    "repeat": Row("forms", each(lambda h: h.repeat(1, 2), lambda h: h[:, None, :2].repeat(1, 3, 2))),
    "t": Row("forms", lambda h, p, w: ((h.t() * p.t()).t(),)),
    "transpose": Row(
        "forms", each(lambda h: h.unsqueeze(1).transpose(1, 2), lambda h: h.transpose(0, 1).t(), lambda h: two(h).mT)
    ),
    "permute": Row(
        "forms",
        each(
            lambda h: two(h).permute(1, 2, 0).permute(2, 0, 1), lambda h: two(h).permute(2, 0, 1).sin().permute(1, 2, 0)
        ),
    ),
    "split": Row(
        "forms", each(lambda h: h.split(4, 1)[1], lambda h: h.split(2, -1)[1], lambda h: two(h).split(2, 2)[1])
    ),
    "split_with_sizes": Row(
        "forms",
        each(
            lambda h: torch.cat(h.split([1, 3, 2], 1)[::-1], 1), lambda h: torch.cat(two(h).split([1, 2], 2)[::-1], 2)
        ),
    ),
    "slice": Row(
        "forms",
        each(
            lambda h: h[:, 1:3],
            lambda h: h[:, -2:],
            lambda h: h[:, :],
            lambda h: h[:, 2:99],
            lambda h: two(h)[:, :, 1:],
        ),
    ),
    "select": Row(
        "forms",
        each(lambda h: h[:, 2], lambda h: h[:, -1], lambda h: h.view(-1, 3, 2)[:, -1], lambda h: two(h)[:, :, 1]),
    ),
    "unbind": Row(
        "forms", each(lambda h: h.view(-1, 3, 2).unbind(1)[1], lambda h: h.unbind(1)[4], lambda h: two(h).unbind(2)[2])
    ),
    "cat": Row(
        "forms",
        lambda h, p, w: (torch.cat((p, h), 1), torch.cat((h[:, :1], p, h), 1) * 2, torch.cat((two(p), two(h)), 2)),
    ),
    "stack": Row(
        "forms", lambda h, p, w: (torch.stack((p, h), 1), torch.stack((p, h), 2), torch.stack((two(p), two(h)), 2))
    ),
    "constant_pad_nd": Row(
        "forms",
        each(
            lambda h: F.pad(h, (2, -1)),
            lambda h: F.pad(two(h), (-1, 2)),
            lambda h: F.pad(two(h), (1, 0, 1, 1), value=-0.5),
        ),
    ),
    "zeros": Row("forms", each(lambda h: torch.maximum(h, torch.zeros(h.shape, dtype=h.dtype)))),
    "zeros_like": Row("forms", each(lambda h: torch.maximum(h, torch.zeros_like(h)))),
    "new_zeros": Row(
        "forms", each(lambda h: torch.maximum(h, h.new_zeros(h.shape)), lambda h: h.maximum(h.new_zeros(())))
    ),
    "ones": Row("forms", each(lambda h: torch.ones(len(h), 1, dtype=h.dtype) - h)),
    "ones_like": Row("forms", each(lambda h: torch.ones_like(h) - h)),
    "new_ones": Row("forms", each(lambda h: h.new_ones(h.shape) - h, lambda h: h.new_ones(6) - h)),
    "full": Row("forms", each(lambda h: h * torch.full(h.shape, 0.3, dtype=h.dtype))),
    "full_like": Row("forms", each(lambda h: h * torch.full_like(h, 0.3))),
    "new_full": Row("forms", each(lambda h: h * h.new_full(h.shape, 0.3), lambda h: h * h.new_full((1,), 0.3))),
    "fill": Row("forms", lambda h, p, w: (h * (h + p).fill_(0.3), h * (h * p).fill_(w[0, 1]))),
    "mm": Row(
        "rows",
        lambda h, p, w: (h @ w, h @ w.t(), h @ w[:, :2], (w @ h.t()).t(), p @ w, torch.cat((p, h), 1) @ w.repeat(2, 1)),
    ),
    "addmm": Row(
        "rows",
        lambda h, p, w: (
            *(F.linear(h, w, w[0]), torch.addmm(p, h, w), torch.addmm(h, h, w, beta=0.5, alpha=2)),
            torch.addmm(p, h, w, beta=0),
        ),
    ),
    "mv": Row("rows", lambda h, p, w: (h @ w[0], torch.mv(h + p, w[1]))),
    "bmm": Row(
        "rows", lambda h, p, w: (torch.bmm(h[None], w[None])[0], torch.bmm(two(h), two(p).mT), two(h) @ w[:3, :3])
    ),
    "baddbmm": Row(
        "rows",
        lambda h, p, w: (
            torch.baddbmm(p[None], h[None], w[None], alpha=2)[0],
            two(h).baddbmm(two(p) @ two(h).mT, two(p)),
        ),
    ),
    "sum": Row(
        "rows",
        lambda h, p, w: (
            h.sum(1),
            (h * p).sum(-1, keepdim=True) * h,
            p[:, :1].expand(-1, 6).sum(1),
            two(h).sum(1),
            (two(h) * two(p)).sum((1, 2)),
        ),
    ),
    "mean": Row("rows", lambda h, p, w: (h.mean(1), h * (h * p).mean(1, keepdim=True), two(h * p).mean(2))),
    "amax": Row(
        "rows",
        lambda h, p, w: (h.amax(1), torch.cat((h, p), 1).amax(1, keepdim=True) * h, two(h).amax(1), two(h * p).amax(2)),
    ),
    "amin": Row("rows", lambda h, p, w: (h.amin(1), torch.cat((h, p), 1).amin(1), two(h).amin(1), two(h * p).amin(2))),
    "var": Row(
        "rows", lambda h, p, w: (h.var(1), (h * p).var(1, unbiased=False), h.var(1, correction=2), (h - h).var(1))
    ),
    "std": Row("rows", lambda h, p, w: (h.std(1), (h + p).std(1, correction=0, keepdim=True) * h, (h - h).std(1))),
    "var_mean": Row("rows", lambda h, p, w: torch.var_mean(h + p, 1, correction=0)),
    "linalg_vector_norm": Row(
        "rows",
        lambda h, p, w: (h.norm(dim=1), F.normalize(h, dim=1), (h - h).norm(dim=1), (h + p).norm(1, dim=1)),
    ),
    "norm": Row("rows", lambda h, p, w: (aten.norm.ScalarOpt_dim(h, 2, [1]), aten.norm.ScalarOpt_dim(h + p, 1, [1]))),
    "_softmax": Row(
        "rows", lambda h, p, w: (h.softmax(1), (400 * h).softmax(1), torch.cat((h, p), 1).softmax(1), two(h).softmax(1))
    ),
    "_log_softmax": Row(
        "rows", each(lambda h: h.log_softmax(1), lambda h: (400 * h).log_softmax(1), lambda h: two(h).log_softmax(2))
    ),
    "logsumexp": Row(
        "rows",
        each(lambda h: h.logsumexp(1), lambda h: (400 * h).logsumexp(1, keepdim=True), lambda h: two(h).logsumexp(1)),
    ),
    "max": Row("rows", lambda h, p, w: (h.max(1).values, two(h).max(1)[0], (h - h).max(1, keepdim=True)[0] * p)),
    "min": Row("rows", lambda h, p, w: (two(h * p).min(2).values, h.min(1)[0])),
    "convolution": Row(
        "rows",
        lambda h, p, w: (
            F.conv1d(two(h), w[:2].view(2, 2, 3), w[2, :2], padding=1),
            F.conv1d(two(h * p), w[:2].view(3, 2, 2), stride=2),
            F.conv2d(h.view(-1, 1, 2, 3), w[0].view(1, 1, 3, 2), padding=(2, 1), dilation=(2, 1)),
            F.conv1d(two(h), w[0].view(2, 1, 3), w[1, :2], padding=1, groups=2),
            F.conv_transpose1d(two(p), w[:2].view(2, 2, 3), w[2, :2], stride=2, padding=1, output_padding=1),
        ),
    ),
    "_trilinear": Row("rows", lambda h, p, w: (F.bilinear(h, p, torch.stack([w, w * w])),)),
    "native_layer_norm": Row(
        "rows",
        lambda h, p, w: (
            *(F.layer_norm(h, (6,)), F.layer_norm(h * p, (6,), w[0], w[1], 0.1), F.layer_norm(h, (6,), w[2])),
            F.layer_norm(h - h, (6,), w[0], w[1]),
            *(F.layer_norm(two(h), (3,), w[0, :3], w[1, :3]), F.layer_norm(two(h), (2, 3), two(w[0])[0], two(w[1])[0])),
        ),
    ),
    "native_group_norm": Row(
        "rows",
        lambda h, p, w: (F.group_norm(h, 2, w[0], w[1]), F.group_norm(two(h * p), 1, w[0, :2]), F.group_norm(h, 3)),
    ),
    "_scaled_dot_product_flash_attention_for_cpu": Row(
        "forms",
        lambda h, p, w: (
            F.scaled_dot_product_attention(*(x.view(-1, 1, 2, 3) for x in (h, p, h * p))),
            F.scaled_dot_product_attention(*(x.view(-1, 3, 1, 2) for x in (h, p, p)), is_causal=True, scale=0.7),
            F.scaled_dot_product_attention(*(x.view(-1, 1, 3, 2) for x in (p, h, h * p)), is_causal=True),
        ),
    ),
}


class Applied(rnnkit.Cell):
    """Gives what the rows of a domain give; the state stays."""

    name = "applied"

    def __init__(self, domain):
        states, _ = DOMAINS[domain]
        super().__init__(len(states), len(states))
        self.domain = domain
        self.rows = {name: row.apply for name, row in TABLE.items() if row.domain == domain}
        generator = torch.Generator().manual_seed(0)
        drawn = torch.rand(len(states), len(states), generator=generator, dtype=torch.float64)
        self.weight = nn.Parameter(drawn + 0.5)

    @property
    def output_size(self):
        return sum(self.widths().values())

    def widths(self):
        """Return how many elements of the output are each row's."""
        states, inputs = problem(self)
        with torch.no_grad():
            return {name: self.piece(name, states, inputs[0]).shape[1] for name in self.rows}

    def piece(self, name, h, p):
        found = self.rows[name](h, p, self.weight)
        return torch.cat([tensor.to(h.dtype).reshape(len(h), -1) for tensor in found], dim=1)

    def step(self, p, state):
        (h,) = state
        return torch.cat([self.piece(name, h, p) for name in self.rows], dim=1), (h,)


def problem(cell):
    """Return the state (2, H) and the input (T, 2, H): the second row is the first backwards."""
    states, inputs = (torch.tensor(values, dtype=torch.float64) for values in DOMAINS[cell.domain])
    h = torch.stack((states, states.flip(0)))
    steps = [inputs.roll(t).repeat(len(states))[: len(states)] for t in range(len(inputs))]
    return h, torch.stack([torch.stack((p, p.flip(0))) for p in steps])


@cache
def unrolled(domain, unroller):
    """Return a domain's cell, its leaves and its output, cut up by row."""
    cell = Applied(domain)
    h, xs = (tensor.requires_grad_() for tensor in problem(cell))
    ys, _ = rnnkit.unrollers[unroller]()(cell, xs, (h,))
    widths = cell.widths()
    return (h, xs, cell.weight), dict(zip(widths, ys.split(list(widths.values()), 2), strict=True))


def numbers(name, unroller):
    """Return a row's output, and the gradients of the state, the input and the parameter."""
    leaves, pieces = unrolled(TABLE[name].domain, unroller)
    ys = pieces[name]
    weights = torch.rand(ys.shape, generator=torch.Generator().manual_seed(1), dtype=ys.dtype)
    return ys, *torch.autograd.grad((ys * weights).sum(), leaves, retain_graph=True, materialize_grads=True)


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_kernel_runs_them(domain):
    cell = Applied(domain)
    assert rnnkit.unrollers["compiled"]().backend_of(cell) == "cpp", rnnkit.unrollers["compiled"]().explain(cell)


@pytest.mark.parametrize("name", TABLE)
def test_a_rule_is_torchs(name):
    expected, found = numbers(name, "loop"), numbers(name, "compiled")
    assert expected[0].isfinite().all()
    assert expected[1].isfinite().all()
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


EDGES = {
    "the angle at the origin": (lambda h, p: torch.atan2(h, p), 0.0, 0.0),
    "the angle at a negative zero": (lambda h, p: torch.atan2(p, h), 0.0, -0.0),
    "the angle of what is too small to be squared": (lambda h, p: torch.atan2(h, p), 1e-300, 0.0),
    "relu of NaN": (lambda h, p: torch.relu(h) + p, float("nan"), 1.0),
    "maximum beside NaN": (lambda h, p: torch.maximum(h, p), float("nan"), 1.0),
    "minimum beside NaN": (lambda h, p: torch.minimum(h, p), 1.0, float("nan")),
    "clamp of NaN": (lambda h, p: torch.clamp(h, -0.5, 0.5) + p, float("nan"), 1.0),
    "clamp at its bound": (lambda h, p: torch.clamp(h, -0.5, 0.5) + p, 0.5, 1.0),
    "hardsigmoid of NaN": (lambda h, p: F.hardsigmoid(h) + p, float("nan"), 1.0),
    "hardtanh of NaN": (lambda h, p: F.hardtanh(h) + p, float("nan"), 1.0),
    "lerp to its end": (lambda h, p: torch.lerp(h, p, 1.0), 1e20, 1.0),
    "lerp by a tensor to its end": (lambda h, p: torch.lerp(h, p, p), 1e20, 1.0),
    "the root of zero": (lambda h, p: torch.sqrt(h) + p, 0.0, 1.0),
    "the norm of zero": (lambda h, p: h.unsqueeze(1).norm(dim=1) + p, 0.0, 1.0),
    "zero to the power of zero": (lambda h, p: torch.pow(h, p), 0.0, 0.0),
    "the absolute value of zero": (lambda h, p: torch.abs(h) + p, 0.0, 1.0),
}
"""Where a derivative is a matter of agreement: an operation, and the state and input that it is at."""


class AtEdges(rnnkit.Cell):
    """Each operation on a column of its own, so that no NaN reaches another."""

    def step(self, p, state):
        (h,) = state
        columns = [f(h[:, k], p[:, k]) for k, (f, _, _) in enumerate(EDGES.values())]
        return torch.stack(columns, 1), (torch.zeros_like(h),)


def test_at_an_edge_a_gradient_is_torchs():
    h, p = (torch.tensor([[edge[k] for edge in EDGES.values()]], dtype=torch.float64) for k in (1, 2))
    cell = AtEdges(len(EDGES), len(EDGES))
    assert rnnkit.unrollers["compiled"]().backend_of(cell) == "cpp", rnnkit.unrollers["compiled"]().explain(cell)
    answers = []
    for name in ("loop", "compiled"):
        leaves = h.clone().requires_grad_(), p.clone().unsqueeze(0).requires_grad_()
        ys, _ = rnnkit.unrollers[name]()(cell, leaves[1], (leaves[0],))
        found = (ys, *torch.autograd.grad(ys.sum(), leaves))
        answers.append({edge: [float(t.detach().flatten()[k]) for t in found] for k, edge in enumerate(EDGES)})
    expected, found = answers
    for edge, values in expected.items():
        assert found[edge] == pytest.approx(values, rel=1e-10, nan_ok=True), edge


@pytest.mark.parametrize("name", TABLE)
def test_a_row_comes_by_its_rule(name):
    cell = Applied(TABLE[name].domain)
    cell.rows = {name: cell.rows[name]}
    h, xs = problem(cell)
    recording = record(cell, [xs], [h], nesting(xs))
    assert name in {call.base_name for call in recording.calls}


def test_every_rule_has_a_row():
    operators = {row.name for row in rows()}  # which are held to torch's numbers in test_operators.py
    assert set(TABLE) <= set(RULES)
    assert sorted(set(RULES) - set(TABLE) - operators - set(REASONS)) == []


class Nothing(rnnkit.Cell):
    """Takes logarithms of sums of which every term is zero, or infinite."""

    def step(self, p, state):
        (h,) = state
        ends = torch.where(p > 0, torch.inf, -torch.inf)
        sums = torch.cat([torch.logsumexp(ends, 1, keepdim=True), torch.logaddexp(ends, ends)], 1)
        return torch.tanh(sums) + h.sum(1, keepdim=True), (torch.tanh(h + p),)


def test_infinities_come_out_of_sums_of_exponentials_as_they_are():
    cell = Nothing(3, 3)
    xs = torch.tensor([[[1.0, 1, 1], [-1, -1, -1]], [[1, -1, 1], [-1, -1, -1]]])
    assert rnnkit.unrollers["compiled"]().backend_of(cell) == "cpp"
    results = [rnnkit.unrollers[name]()(cell, xs)[0] for name in ("loop", "compiled")]
    assert results[0].isfinite().all()
    torch.testing.assert_close(results[1], results[0])


class Equal(rnnkit.Cell):
    """Its state stays zero, so that all units are equal to what puts them in order."""

    def __init__(self, size, most):
        super().__init__(size, size)
        self.most = most
        self.scale = nn.Parameter(torch.arange(1.0, size + 1))

    def step(self, p, state):
        (h,) = state
        best = torch.zeros_like(p).scatter(1, h.topk(self.most, 1).indices, 1.0)
        middle = torch.zeros_like(p).scatter(1, h.median(1, keepdim=True).indices, 10.0)
        third = torch.zeros_like(p).scatter(1, h.kthvalue(self.most, 1, keepdim=True).indices, 100.0)
        last = torch.zeros_like(p).scatter(1, h.sort(1, descending=True).indices[:, :2], 1000.0)
        return (best + middle + third + last) * self.scale + p, (h,)


@pytest.mark.parametrize(("size", "most"), [(4, 2), (7, 3), pytest.param(33, 5, marks=pytest.mark.slow)])
def test_of_units_that_are_all_equal_torchs_choice_is_taken(size, most):
    cell, xs = Equal(size, most), torch.randn(2, 3, size)
    assert rnnkit.unrollers["compiled"]().backend_of(cell) == "cpp"
    found, expected = (rnnkit.unrollers[name]()(cell, xs)[0] for name in ("compiled", "loop"))
    torch.testing.assert_close(found, expected)
