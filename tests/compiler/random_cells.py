"""Random cells: programs composed of the operations that cells are written with, and calls of them, for Hypothesis.

A program is the source of a Cell class, so what Hypothesis prints can be pasted. Values stay of moderate size, and
where an operation or its derivative jumps, the place is shifted by an odd constant: no two roundings of a number may
end up on its two sides because the number is exactly there.
"""

import linecache
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from random import Random
from typing import Any, NamedTuple

import torch
from hypothesis import strategies as st
from operators import Tried, rows
from operators_table import DOMAINS
from torch import nn
from torch.nn import functional as F

import rnnkit
from rnnkit.core.cell import building

from .test_compiled_law import Call

# Templates. Operands: {a} any value, of width {n}; {b}, {c} of a's width or of width 1; {o} any other, of width {q};
# {t} of the width {m} that the result is to have. {k}, {l}: odd constants. {r}: a small rank. {h}: a, seen as {f} heads
# of {g} units, {u}: a place among these. $[sizes]: a parameter,
# $mask[..], $buffer[..], $linear[..], $norm[..]: other members; $1 is the first of a template once more.

POINTWISE = {
    "add": "{a} + {b}",
    "sub": "{a} - {b}",
    "mul": "{a} * {b}",
    "div": "{a} / (1 + torch.square({b}))",
    "add with alpha": "torch.add({a}, {b}, alpha={k})",
    "sub with alpha": "torch.sub({a}, {b}, alpha={k})",
    "neg": "-{a}",
    "scale": "{k} * {a}",
    "shift": "{a} + {k}",
    "reversed sub": "1 - {a}",
    "divide by a number": "{a} / 3",
    "sigmoid": "torch.sigmoid({a})",
    "tanh": "torch.tanh({a})",
    "method tanh": "{a}.tanh()",
    "gate": "torch.sigmoid({a}) * {b}",
    "relu": "torch.relu({a} + {k})",
    "relu6": "F.relu6({a} + {k})",
    "leaky relu": "F.leaky_relu({a} + {k}, 0.1)",
    "elu": "F.elu({a} + {k}, alpha=1.3)",
    "selu": "F.selu({a} + {k})",
    "celu": "F.celu({a} + {k}, alpha=0.7)",
    "gelu": "F.gelu({a})",
    "gelu by tanh": "F.gelu({a}, approximate='tanh')",
    "silu": "F.silu({a})",
    "mish": "F.mish({a})",
    "softplus": "F.softplus({a})",
    "softplus with beta": "F.softplus({a}, beta=2.5)",
    "log sigmoid": "F.logsigmoid({a})",
    "softsign": "F.softsign({a} + {k})",
    "tanhshrink": "F.tanhshrink({a})",
    "hardtanh": "F.hardtanh({a} + {k})",
    "hardsigmoid": "F.hardsigmoid({a} + {k})",
    "hardswish": "F.hardswish({a} + {k})",
    "prelu": "F.prelu({a} + {k}, $[{n}])",
    "exp": "torch.exp(torch.tanh({a}))",
    "exp2": "torch.exp2(torch.tanh({a}))",
    "expm1": "torch.expm1(torch.tanh({a}))",
    "log1p": "torch.log1p(torch.square({a}))",
    "log": "torch.log(1.5 + torch.square({a}))",
    "sqrt": "torch.sqrt(1 + {a} * {a})",
    "rsqrt": "torch.rsqrt(1 + {a} ** 2)",
    "reciprocal": "torch.reciprocal(1 + torch.square({a}))",
    "number over": "1 / (2 + torch.sin({a}))",
    "abs": "torch.abs({a} + {k})",
    "sin": "torch.sin({a})",
    "cos": "torch.cos({a})",
    "atan": "torch.atan({a})",
    "erf": "torch.erf({a})",
    "square": "torch.square({a})",
    "pow 2": "{a}.pow(2)",
    "pow 3": "torch.tanh({a}) ** 3",
    "pow of a fraction": "torch.sigmoid({a}).pow(1.7)",
    "pow of a tensor": "(1 + torch.sigmoid({a})).pow(torch.tanh({b}))",
    "number to the power": "1.5 ** torch.tanh({a})",
    "clamp": "({a} + {k}).clamp(-0.71, 0.63)",
    "clamp below": "torch.clamp({a} + {k}, min=-0.29)",
    "sign": "torch.sign({a} + {k})",
    "floor": "torch.floor(2 * {a} + {k})",
    "round": "torch.round(3 * {a} + {k})",
    "ceil": "torch.ceil({a} + {k})",
    "trunc": "torch.trunc(2 * {a} + {k})",
    "detach": "{a} * {b}.detach()",
    "in place": "({k} * {a}).add_({b})",
    "where": "torch.where({a} > {b} + {k}, {a}, {b})",
    "where of three": "torch.where({a} < {k}, {b}, {c})",
    "where with a number": "torch.where({a} > {k}, {b}, 0.0)",
    "masked fill": "{a}.masked_fill({b} > {k}, {l})",
    "compare": "({a} > {b} + {k}).to({a}.dtype)",
    "compare with a number": "{b} * ({a} <= {k})",
    "both conditions": "{b} * torch.logical_and({a} > {k}, {b} + {l} < 1.1).to({a}.dtype)",
    "maximum": "torch.maximum({a}, {b} + {k})",
    "minimum": "torch.minimum({a} + {k}, {b})",
    "lerp": "torch.lerp({a}, {b}, 0.3)",
    "lerp of three": "torch.lerp({a}, {b}, torch.sigmoid({c}))",
    "mix": "torch.sigmoid({c}) * {a} + (1 - torch.sigmoid({c})) * {b}",
    "addcmul": "torch.addcmul({a}, {b}, {c}, value=0.5)",
    "addcdiv": "torch.addcdiv({a}, {b}, 1 + torch.square({c}))",
    "logaddexp": "torch.logaddexp({a}, {b})",
    "gain": "{a} * $[{n}]",
    "bias": "{a} + $[{n}]",
    "peephole": "torch.addcmul({b}, {a}, $[{n}])",
    "exponential gain": "{a} * torch.exp($[{n}])",
    "mix by a vector": "torch.sigmoid($[{n}]) * {a} + (1 - torch.sigmoid($1)) * {b}",
    "scalar parameter": "{a} * $[]",
    "buffer": "{a} * $buffer[{n}]",
    "ones like": "torch.ones_like({a}) - {a}",
    "zeros like": "torch.maximum({a} + {k}, torch.zeros_like({a}))",
    "full like": "torch.full_like({a}, {k}) * {a}",
    "zeros of the batch": "torch.zeros({a}.shape[0], {n}, dtype={a}.dtype) + {a}",
    "scalar tensor": "{a} * torch.tensor(0.5)",
    "range": "{a} * torch.arange({n}, dtype={a}.dtype) / {n}",
}

ROWS = {
    "layer norm": "F.layer_norm({a}, ({n},), eps=0.1)",
    "affine layer norm": "F.layer_norm({a}, ({n},), $[{n}], $[{n}], eps=0.01)",
    "layer norm without bias": "F.layer_norm({a}, ({n},), $[{n}], eps=0.1)",
    "layer norm module": "$norm[{n}]({a})",
    "rms norm": "{a} * torch.rsqrt({a}.square().mean(1, keepdim=True) + 0.1)",
    "functional rms norm": "F.rms_norm({a}, ({n},), $[{n}], eps=0.1)",
    "standardise": "({a} - {a}.mean(1, keepdim=True)) / torch.sqrt({a}.var(1, keepdim=True, unbiased=False) + 0.1)",
    "softmax": "torch.softmax({a}, dim=1)",
    "softmax of the last": "F.softmax({a}, -1)",
    "log softmax": "F.log_softmax({a}, dim=1)",
    "normalize": "F.normalize({a} + 1.3, dim=1)",
    "divide by the sum": "torch.exp(torch.tanh({a})) / torch.exp(torch.tanh({a})).sum(1, keepdim=True)",
    "cumsum": "torch.cumsum({a}, 1) / {n}",
    "flip": "{a}.flip(1)",
    "roll": "torch.roll({a}, 1, 1)",
}

AXES = {
    "transposed": "{h}.transpose(1, 2).reshape(-1, {n})",
    "softmax in heads": "torch.softmax({h}, -1).flatten(1)",
    "softmax over heads": "F.softmax({h}, 1).flatten(1)",
    "log softmax in heads": "F.log_softmax({h}, 2).flatten(1)",
    "logsumexp in heads": "({h} - torch.logsumexp({h}, 2, keepdim=True)).flatten(1)",
    "layer norm in heads": "F.layer_norm({h}, ({g},), $[{g}], $[{g}], eps=0.1).flatten(1)",
    "group norm of units": "torch.group_norm({a}, {f}, $[{n}], $[{n}], 0.1)",
    "rms norm in heads": "({h} * torch.rsqrt({h}.square().mean(2, keepdim=True) + 0.1) * $[{f}, 1]).flatten(1)",
    "mean over heads": "({h} + {h}.mean(1, keepdim=True)).flatten(1)",
    "variance in heads": "({h} * {h}.var(2, keepdim=True, unbiased=False)).flatten(1)",
    "norm over heads": "({h} / ({h} + 1.3).norm(dim=1, keepdim=True)).flatten(1)",
    "largest in heads": "({h} - {h}.amax(2, keepdim=True)).flatten(1)",
    "smallest over heads": "({h} - {h}.amin(1, keepdim=True)).flatten(1)",
    "scaled heads": "({h} * torch.sigmoid($[{f}, 1])).flatten(1)",
    "product of blocks": "torch.einsum('bhd,hde->bhe', {h}, $[{f}, {g}, {g}]).flatten(1)",
    "bmm of blocks": "torch.bmm({h}.transpose(0, 1), $[{f}, {g}, {g}]).transpose(0, 1).reshape(-1, {n})",
    "matmul of blocks": "({h}.unsqueeze(2) @ $[{f}, {g}, {g}]).reshape(-1, {n})",
    "shared linear": "F.linear({h}, $[{g}, {g}], $[{g}]).flatten(1)",
    "product along heads": "($[{f}, {f}] @ {h}).flatten(1)",
    "attention in a row": "torch.bmm(torch.softmax({h} @ {h}.transpose(1, 2), -1), {h}).flatten(1)",
    "attention by einsum": "torch.einsum('bij,bkj,bkl->bil', torch.tanh({h}), torch.tanh({h}), {h}).flatten(1) / {n}",
    "outer product": "({a}.unsqueeze(2) * torch.tanh({o}).unsqueeze(1)).mean(2)",
    "product with an outer one": "({o}.sin().unsqueeze(2) * {a}.unsqueeze(1)).bmm({a}.unsqueeze(2)).mean(1) * {a}",
    "experts": "(torch.softmax({a} @ $[{n}, 3], 1).unsqueeze(2) * torch.einsum('bi,eij->bej', {a}, $[3, {n}, {n}]))"
    ".sum(1)",
    "pieces of heads": "torch.cat([torch.tanh({h}[..., {u}:]), {h}[..., :{u}], {h}[..., :0]], -1).flatten(1)",
    "halves of heads": "torch.cat([z.sin() for z in torch.stack([{h}, {k} * {h}], 3).flatten(2).chunk(2, 2)], 2)"
    "[..., :{g}].flatten(1)",
    "interleaved": "torch.stack([{a}, {k} * {a}], 2).flatten(1)[:, :{n}]",
    "shifted memory": "torch.cat([{h}[:, 1:], torch.tanh({h}[:, :1])], 1).flatten(1)",
    "padded heads": "F.pad({h}, (1, -1)).flatten(1)",
    "convolution": "F.conv1d({h}, $[{f}, {f}, 3], $[{f}], padding=1).flatten(1)",
    "depthwise convolution": "F.conv1d({h}, $[{f}, 1, 3], $[{f}], padding=1, groups={f}).flatten(1)",
    "repeated mean": "{h}.mean(1).repeat(1, {f})",
    "expanded head": "{h}[:, :1].expand(-1, {f}, -1).reshape(-1, {n})",
    "first of heads": "({h} + {h}[:, :, 0].unsqueeze(2)).flatten(1)",
    "heads before the batch": "torch.tanh({h}.transpose(0, 1) + $[{g}]).transpose(0, 1).reshape(-1, {n})",
    "heads in the batch": "torch.tanh({h}.reshape(-1, {g}) @ $[{g}, {g}]).view(-1, {n})",
}

REDUCTIONS = {
    "sum": "{a}.sum(1, keepdim=True)",
    "sum of the last": "torch.sum({a}, -1).unsqueeze(1)",
    "mean": "{a}.mean(-1, keepdim=True)",
    "var": "{a}.var(1, keepdim=True, unbiased=False)",
    "std": "torch.sqrt({a}.var(dim=1, keepdim=True, unbiased=False) + 0.1)",
    "amax": "{a}.amax(1, keepdim=True)",
    "amin": "torch.amin({a}, dim=1, keepdim=True)",
    "max": "{a}.max(1, keepdim=True).values",
    "norm": "({a} + 1.3).norm(dim=1, keepdim=True)",
    "vector norm": "torch.linalg.vector_norm({a} + 1.3, dim=1, keepdim=True)",
    "norm of order 1": "torch.linalg.vector_norm({a} + {k}, 1, dim=1, keepdim=True)",
    "logsumexp": "torch.logsumexp({a}, 1, keepdim=True)",
    "dot": "({a} * {b}).sum(1, keepdim=True)",
    "product with a vector": "({a} @ $[{n}]).unsqueeze(1)",
}

PRODUCTS = {
    "matmul": "{a} @ $[{n}, {m}]",
    "matmul transposed": "{a} @ $[{m}, {n}].t()",
    "matmul .T": "torch.matmul({a}, $[{m}, {n}].T)",
    "mm": "torch.mm({a}, $[{n}, {m}])",
    "linear": "F.linear({a}, $[{m}, {n}])",
    "linear with bias": "F.linear({a}, $[{m}, {n}], $[{m}])",
    "addmm": "torch.addmm({t}, {a}, $[{n}, {m}])",
    "addmm transposed": "torch.addmm({t}, {a}, $[{m}, {n}].t())",
    "addmm of a vector": "torch.addmm($[{m}], {a}, $[{n}, {m}])",
    "addmm with factors": "torch.addmm({t}, {a}, $[{n}, {m}], beta=0.5, alpha=1.5)",
    "einsum": "torch.einsum('bi,oi->bo', {a}, $[{m}, {n}])",
    "einsum transposed": "torch.einsum('bi,io->bo', {a}, $[{n}, {m}])",
    "linear module": "$linear[{n}, {m}]({a})",
    "linear module twice": "$linear[{n}, {m}]({a}) * torch.sigmoid($1(-{a}))",
    "product from the left": "torch.mm($[{m}, {n}], {a}.t()).t()",
    "product in three dimensions": "({a}.unsqueeze(1) @ $[{n}, {m}]).squeeze(1)",
    "product by a sum": "({a}.unsqueeze(1) * $[{m}, {n}]).sum(-1)",
    "cat product": "torch.cat([{a}, {o}], 1) @ $[{n} + {q}, {m}]",
    "cat linear": "F.linear(torch.cat(({a}, {o}), dim=-1), $[{m}, {n} + {q}], $[{m}])",
    "multiplicative": "(({a} @ $[{n}, {r}]) * ({o} @ $[{q}, {r}])) @ $[{r}, {m}]",
    "bilinear": "F.bilinear({a}, {o}, $[{m}, {n}, {q}])",
    "reset before": "(torch.sigmoid({b}) * {a}) @ $[{n}, {m}]",
    "some columns beside all": "{a} @ $[{n}, {m}] + {a}[:, {i}:{j}] @ $[{n}, {m}][{i}:{j}]",
    "sum of products": "{a} @ $[{n}, {m}] + {o} @ $[{q}, {m}]",
    "same matrix twice": "{a} @ $[{n}, {m}] + torch.tanh({b} * {a}) @ $1",
    "matrix and transpose": "torch.tanh(torch.tanh({a} @ $[{n}, {m}]) @ $1.t()) @ $1",
    "low rank": "({a} @ $[{n}, {r}]) @ $[{r}, {m}]",
    "low rank matrix": "{a} @ ($[{n}, {r}] @ $[{r}, {m}])",
    "softmax of the weight": "{a} @ torch.softmax($[{n}, {m}], 0)",
    "masked weight": "{a} @ ($[{n}, {m}] * $mask[{n}, {m}])",
    "rows of the weight": "F.linear({a}, $[{m} + 3, {n}][:{m}])",
    "columns of the weight": "{a} @ $[{n}, {m} + 2][:, 2:]",
    "normalised weight": "F.linear({a}, $[{m}, {n}] / $1.norm(dim=1, keepdim=True))",
    "scaled weight": "{a} @ ($[{n}, {m}] * torch.exp($[{m}]))",
    "buffer product": "{a} @ $buffer[{n}, {m}]",
}

PIECES = {
    "first chunk": "{a}.chunk(2, dim=1)[0]",
    "slice": "{a}[:, {i}:{j}]",
    "narrow": "{a}.narrow(1, {i}, {j} - {i})",
    "split": "torch.split({a}, [{i}, {j} - {i}, {n} - {j}], dim=1)[1]",
    "unit": "{a}[:, {i}].unsqueeze(1)",
    "every other": "{a}[:, ::2]",
    "cat": "torch.cat([{a}, {o}], dim=1)",
    "expand": "({a}.mean(1, keepdim=True)).expand(-1, {m})",
    "repeat": "{a}.repeat(1, 2)",
    "heads": "{a}.chunk(2, 1)[0].unsqueeze(1).softmax(-1).flatten(1)",
}

GATES = {
    "chunk": "(torch.mm({a}, $[{n}, 3 * {m}]) + $[3 * {m}]).chunk(3, dim=1)",
    "chunk of linear": "F.linear({a}, $[3 * {m}, {n}], $[3 * {m}]).chunk(3, 1)",
    "split of a product": "torch.split({a} @ $[{n}, 3 * {m}], {m}, dim=1)",
    "chunk of two products": "({a} @ $[{n}, 3 * {m}] + F.linear({o}, $[3 * {m}, {q}])).chunk(3, -1)",
    "chunk of a normed product": "F.layer_norm({a} @ $[{n}, 3 * {m}], (3 * {m},), $[3 * {m}], eps=0.1).chunk(3, 1)",
}

NEXT_STATES = {
    "tanh state": "torch.tanh({t})",
    "sigmoid state": "torch.sigmoid({t})",
    "leaky state": "0.6 * {s} + 0.4 * torch.tanh({t})",
    "gated state": "torch.lerp(torch.tanh({t}), {s}, torch.sigmoid({t} + $[{m}]))",
    "softmax state": "torch.softmax({t}, 1)",
    "clamped state": "torch.clamp({t} + {k}, -1.03, 0.97)",
    "exponential mean": "torch.sigmoid($[{m}]) * {s} + torch.tanh({t}) * (1 - torch.sigmoid($1))",
}

WHOLE_STATES = ("passed on", "another state's", "the same as the first")
OUTPUTS = (
    "a state",
    "the state before",
    "a value",
    "the input",
    "state and input",
    "what is left",
    "what is left",
    "what is left",
)
PROJECTIONS = {
    "plain input": "xs",
    "linear input": "F.linear(xs, $[{m}, {n}], $[{m}])",
    "input module": "$linear[{n}, {m}](xs)",
    "activated input": "torch.sigmoid(xs @ $[{n}, {m}])",
    "column of the input": "xs.mean(-1)",
    "slice of the input": "xs[..., :1]",
}

OPERATORS = {
    f"operator {row.name}": f"tried(lambda a, b, v, m, z, k: {row.expression}, {DOMAINS[row.domain]!r}, "
    "F.linear({a}, $[6, {n}], $[6]), F.linear({o}, $[6, {q}], $[6]), $[6], $[6, 6], $complex[6])"
    for row in rows()
}
"""All of aten's operators that can stand in a step, each on six units."""

# What changes the graph, writes in place, or has sizes that mislead: mostly not for a kernel, but somebody writes it.
# `quietly` computes under no_grad; `rewritten` writes in place there, `pieced` through a view, `seen` beside a view.
STRANGE = {
    "quietly": "{a} * quietly(torch.sigmoid, {b})",
    "rewritten under no_grad": "rewritten({k} * {a})",
    "written piece by piece": "pieced({a}, {k})",
    "written while others see": "seen({a}, {k})",
    "detach in place": "({k} * {a}).detach_() * {b}",
    "chain in place": "({a} + {k}).mul_(0.9).clamp_(-0.71, 0.63).tanh_()",
    "expanded to three": "{a} + {a}.unsqueeze(1).expand(-1, 3, -1).mean(1)",
    "expanded to seven": "{a} + {a}.unsqueeze(2).expand(-1, -1, 7).mean(2)",
    "seven ones": "{a} * {a}.new_ones({a}.shape[0], 7).mean(1, keepdim=True)",
    "repeated to the batch": "{a} + $[{n}].repeat({a}.shape[0], 1)",
    "expanded to the batch": "$[{n}].expand({a}.shape[0], -1) * {a}",
    "joined along the batch": "sum(torch.cat([{a}, {k} * {a}], 0).chunk(2, 0))",
    "identity of the batch": "torch.eye({a}.shape[0], dtype={a}.dtype) @ {a}",
    "rows by index": "{a}[torch.arange({a}.shape[0])] * {k}",
    "columns by index": "{a}[:, torch.arange({n} - 1, -1, -1)]",
    "one column for each": "{a} * {a}[torch.arange({a}.shape[0]), {i}].unsqueeze(1)",
    "gathered": "{a}.gather(1, ({a}.new_zeros({a}.shape[0], {n}) + {i}).long())",
    "selected": "{a}.index_select(1, torch.arange({n}).flip(0))",
    "unfolded": "{a} + {a}.unfold(1, {n}, {n}).sum(1)",
    "group norm": "F.group_norm({a}, 1, eps=0.1)",
    "a group for each unit": "F.group_norm(torch.stack([{a}, {k} * {a}], 2), {n}, eps=0.1).sum(2)",
    "cosine similarity": "{a} * F.cosine_similarity({a} + 1.3, $[{n}].expand_as({a}) + 1.1, dim=1).unsqueeze(1)",
    "angle": "torch.atan2({a}, 1.5 + torch.square({a}))",
    "attention": "F.scaled_dot_product_attention(*[torch.stack([{a}, {k} * {a}], 1)] * 3)[:, 0]",
}

STRANGE_PRODUCTS = {
    "chunk of a weight": "F.linear({a}, $[2 * {m}, {n}].chunk(2, 0)[0])",
    "bent weight transposed": "{a} @ torch.tanh($[{m}, {n}]).t()",
    "antisymmetric weight": "({a} @ ($[{n}, {n}] - $1.t())) @ $[{n}, {m}]",
    "indexed weight": "{a} @ $[{n}, {m}][torch.arange({n} - 1, -1, -1)]",
    "frozen half": "{a} @ $[{n}, {m}] + {a} @ $1.detach()",
}

HELPERS = """
def quietly(function, z):
    with torch.no_grad():
        return function(z)


def rewritten(z):
    with torch.no_grad():
        z.clamp_(-0.7, 0.6)
    return z


def pieced(z, k):
    z = z.clone()
    z[:, :1] = k * z[:, :1]
    return z


def tried(function, domain, a, b, v, m, z):
    a, b = 1.5 * torch.tanh(a), 1.5 * torch.tanh(b)
    result = function(eval(domain, {"a": a}), b, v, m, z, torch.arange(5, -1, -1))
    return torch.tanh(result.reshape(len(a), -1))


def seen(z, k):
    z = z * k
    view = z.view(-1)
    z.add_(0.3)
    return z + view.view_as(z)
"""
"""What the source of a strange program calls, or of one with operators of the table."""

# Groups of operations, each as often as it is to come up.
GROUPS = [
    *[POINTWISE] * 7,
    *[ROWS] * 2,
    *[AXES] * 3,
    *[REDUCTIONS] * 2,
    *[PRODUCTS] * 4,
    PIECES,
    GATES,
    *[OPERATORS] * 4,
]
STRANGERS = [*[STRANGE] * 4, STRANGE_PRODUCTS]
"""Of which two programs in three have one operation: with more, hardly any would be a kernel's."""

CONSTANTS = (-0.613, -0.237, 0.091, 0.419, 0.777)
OPERATIONS = sorted({feature for group in [*GROUPS, *STRANGERS] if group is not OPERATORS for feature in group})
FEATURES = frozenset().union(
    *(OPERATIONS, NEXT_STATES, PROJECTIONS, OUTPUTS, WHOLE_STATES),
    ("shared weight", "tuple projection", "states of different widths", "one unit", "broadcast"),
)


class Value(NamedTuple):
    """A value of the step, (B, width), by its name in the source."""

    name: str
    width: int


class Line(NamedTuple):
    """A line of the step: the values that it gives, the members and values that its text reads, what it is made of."""

    gives: tuple[str, ...]
    text: str
    features: frozenset[str]

    @property
    def words(self) -> set[str]:
        """The names in the text."""
        return set(re.findall(r"\w+", self.text))

    def __str__(self) -> str:
        return f"{', '.join(self.gives)} = {self.text}"


@dataclass(frozen=True)
class Program:
    """A cell as source, and what it is made of."""

    source: str
    features: frozenset[str]
    widths: tuple[int, ...]
    """Of the states."""

    at_twice: Callable[[], "Program"] | None = None
    """What composes the program anew for sizes twice as large, single units aside."""

    def build(self, dtype: torch.dtype, seed: int) -> rnnkit.Cell:
        """Build the cell, with parameters drawn from `seed`."""
        name = f"<random cell {abs(hash(self.source))}>"
        linecache.cache[name] = (len(self.source), None, self.source.splitlines(keepends=True), name)
        space: dict[str, Any] = {"rnnkit": rnnkit, "torch": torch, "nn": nn, "F": F, "__name__": "random_cell"}
        space["aten"] = torch.ops.aten
        exec(HELPERS, space)
        exec(compile(self.source, name, "exec"), space)
        torch.manual_seed(seed)
        with building(None, dtype):
            cell: rnnkit.Cell = space["Drawn"]()
        return cell

    def __repr__(self) -> str:
        return f"\n{self.source}"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))  # Hypothesis would print the fields


@dataclass
class Draft:
    """A program that is being written: values so far, its lines and members."""

    choose: Callable[[Sequence[Any]], Any]
    values: list[Value] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    members: dict[str, str] = field(default_factory=dict)
    """What makes each member, by its name."""

    unread: list[Value] = field(default_factory=list)

    def value(self, fits: Callable[[Value], bool] = lambda value: True) -> Value:
        """Choose a value that fits, rather one that nothing has read yet."""
        unread = [value for value in self.unread if fits(value)]
        value: Value = self.choose(unread if unread and self.choose(range(4)) else [*filter(fits, self.values)])
        if value in self.unread:
            self.unread.remove(value)
        return value

    def of_width(self, width: int) -> Value:
        """Choose a value of a width, or make one by a product."""
        if any(value.width == width for value in self.values) and self.choose([True, True, False]):
            return self.value(lambda value: value.width == width)
        a = self.value()
        return self.write("v", "linear", PRODUCTS["linear"], {"a": a.name, "n": a.width, "m": width}, [width])[0]

    def beside(self, a: Value) -> Value:
        """Choose an operand that goes with `a` element by element: of its width, or a single number a row."""
        return self.value(lambda value: value.width in (1, a.width))

    def write(
        self, letter: str, feature: str, template: str, given: dict[str, Any], widths: Sequence[int]
    ) -> list[Value]:
        """Write a line; returns its values."""
        found: set[str] = {feature}
        text = self.with_members(template.format(**given), found)
        values = [Value(f"{letter}{len(self.values) + k}", width) for k, width in enumerate(widths)]
        self.lines.append(Line(tuple(value.name for value in values), text, frozenset(found)))
        self.values += values
        self.unread += values
        return values

    def with_members(self, text: str, found: set[str]) -> str:
        """Replace $[sizes] and the like by members, new ones or, for parameters, one of the same shape."""
        first: list[str] = []

        def member(match: re.Match[str]) -> str:
            if match[0] == "$1":
                return first[0]
            sizes = [total(size) for size in match[2].split(",") if size.strip()]
            making = make(match[1], sizes)
            same = [name for name, known in self.members.items() if known == making and making.startswith("nn.Par")]
            if same and name_of(same[-1]) not in first and self.choose([True, False, False]):
                found.add("shared weight")
                name = same[-1]
            else:
                name = f"w{len(self.members)}"
                self.members[name] = making
            first.append(name_of(name))
            return name_of(name)

        return re.sub(r"\$1|\$(\w*)\[([^\]]*)\]", member, text)


def name_of(member: str) -> str:
    return f"self.{member}"


def total(sizes: str) -> int:
    """Work out a size such as "3 * 5 + 2"."""
    result = 0
    for term in sizes.split("+"):
        product = 1
        for factor in term.split("*"):
            product *= int(factor)
        result += product
    return result


def make(kind: str, sizes: list[int]) -> str:
    """Return the source of what makes a member."""
    shape = ", ".join(map(str, sizes))
    shape = f"{shape}," if len(sizes) == 1 else shape
    if kind == "linear":
        return f"nn.Linear({shape})"
    if kind == "complex":
        return f"nn.Parameter(torch.view_as_complex(0.6 * torch.randn({shape} 2)))"
    if kind == "norm":
        return f"nn.LayerNorm({sizes[0]})"
    if kind == "mask":
        return f"torch.bernoulli(torch.full(({shape}), 0.7))"
    scale = round(0.9 / max(sizes) ** 0.5, 2) if len(sizes) > 1 else 0.6
    drawn = f"{scale} * torch.randn(({shape}))"
    return drawn if kind == "buffer" else f"nn.Parameter({drawn})"


def add_operation(draft: Draft, groups: Sequence[dict[str, str]]) -> None:
    """Write a line of an operation drawn from all in the groups."""
    group = draft.choose(groups)
    write_operation(draft, group, draft.choose(sorted(group)))


def write_operation(draft: Draft, group: dict[str, str], feature: str) -> None:
    """Write a line of an operation, on values drawn from those that there are; of a row, mostly on several units."""
    template = group[feature]
    several = group in (PIECES, ROWS, REDUCTIONS) and draft.choose([True, True, True, False])
    several = several and any(value.width > 1 for value in draft.values)
    a = draft.value(lambda value: value.width > 1 or not several)
    given: dict[str, Any] = {"a": a.name, "n": a.width, "r": draft.choose([1, 2, 5])}
    given |= {"k": draft.choose(CONSTANTS), "l": draft.choose(CONSTANTS)}
    # Places are parts of the width: so much is chosen whatever the widths are, and they may be exchanged.
    given |= {"m": draft.choose([value.width for value in draft.values]), "i": draft.choose(range(8)) * a.width // 8}
    given["j"] = given["i"] + 1 + draft.choose(range(8)) * (a.width - given["i"]) // 8
    divisors = [size for size in range(1, a.width + 1) if a.width % size == 0]
    heads = divisors[draft.choose(range(8)) * len(divisors) // 8]
    given |= {"f": heads, "g": a.width // heads, "u": draft.choose(range(8)) * a.width // heads // 8}
    given["h"] = f"{a.name}.view(-1, {given['f']}, {given['g']})"
    features = add_operands(draft, template, given, a)
    draft.write("v", feature, template, given, result_widths(group, feature, given))
    draft.lines[-1] = draft.lines[-1]._replace(features=draft.lines[-1].features | features)


def result_widths(group: dict[str, str], feature: str, given: dict[str, Any]) -> list[int]:
    """Return the width of each result of an operation."""
    n, m = given["n"], given["m"]
    half = (n + 1) // 2
    pieces = {"first chunk": half, "every other": half, "heads": half, "unit": 1, "expand": m, "repeat": 2 * n}
    if group is OPERATORS:
        return [width_of(feature)]
    if group is GATES:
        return [m] * 3
    if group is PIECES:
        return [n + given["q"] if feature == "cat" else pieces.get(feature, given["j"] - given["i"])]
    return [{id(REDUCTIONS): 1, id(PRODUCTS): m, id(STRANGE_PRODUCTS): m}.get(id(group), n)]


@cache
def width_of(feature: str) -> int:
    """Return how many units an operator of the table gives."""
    (row,) = (row for row in rows() if f"operator {row.name}" == feature)
    return Tried([row]).widths()[0]


def add_operands(draft: Draft, template: str, given: dict[str, Any], a: Value) -> frozenset[str]:
    """Choose the operands beside `a` that a template asks for; returns the features of the choice."""
    features = set()
    for letter in "bc":
        if f"{{{letter}}}" in template:
            value = draft.beside(a)
            given[letter] = value.name
            if value.width != a.width:
                features.add("broadcast")
    if "{o}" in template:
        other = draft.value()
        given |= {"o": other.name, "q": other.width}
    if "{t}" in template:
        given["t"] = draft.of_width(given["m"]).name
    return frozenset(features)


def add_projection(draft: Draft, inputs: int) -> Line:
    """Choose what `project` gives; the values of its parts are there from then on."""
    count = draft.choose([1, 1, 2, 3])
    chosen = [draft.choose(sorted(PROJECTIONS)) for _ in range(count)]
    widths = [draft.choose([inputs, *[value.width for value in draft.values]]) for _ in chosen]
    found: set[str] = {*chosen, *(["tuple projection"] if count > 1 else [])}
    texts = [
        draft.with_members(PROJECTIONS[feature].format(n=inputs, m=width), found)
        for feature, width in zip(chosen, widths, strict=True)
    ]
    fixed = {"plain input": inputs, "column of the input": 1, "slice of the input": 1}
    parts = [
        Value(f"x{k}", fixed.get(feature, width)) for k, (feature, width) in enumerate(zip(chosen, widths, strict=True))
    ]
    draft.values += parts
    draft.unread += parts
    for part, feature in zip(parts, chosen, strict=True):
        if feature == "column of the input":
            draft.lines.append(Line((part.name,), f"{part.name}.unsqueeze(1)", frozenset()))
    return Line(("return",), ", ".join(texts), frozenset(found))


def add_results(draft: Draft, states: list[Value]) -> tuple[list[str], Value, set[str]]:
    """Choose the next states and the output; returns their names, and features."""
    features: set[str] = set()
    after: list[Value] = []
    for k, state in enumerate(states):
        alike = [other for other in (*after[:1], *states) if other.width == state.width]
        if k and draft.choose([True, *[False] * 4]):
            after.append(draft.choose(alike))
            kinds = {state: "passed on", after[0]: "the same as the first"}
            features.add(kinds.get(after[-1], "another state's"))
            continue
        feature = draft.choose(sorted(NEXT_STATES))
        given = {"t": draft.of_width(state.width).name, "s": state.name, "m": state.width, "k": draft.choose(CONSTANTS)}
        after += draft.write("v", feature, NEXT_STATES[feature], given, [state.width])
    kind = draft.choose(OUTPUTS)
    features.add(kind)
    if kind == "state and input":
        part = next(value for value in draft.values if value.name == "x0")
        text = f"torch.cat([{after[0].name}, x0], 1)"
        draft.lines.append(Line(("y",), text, frozenset()))
        return [value.name for value in after], Value("y", after[0].width + part.width), features
    if kind == "what is left":
        left = [draft.value() for _ in range(draft.choose([2, 4, 6]))]
        draft.lines.append(Line(("y",), f"torch.cat([{', '.join(value.name for value in left)}], dim=-1)", frozenset()))
        return [value.name for value in after], Value("y", sum(value.width for value in left)), features
    choices = {"a state": after, "the state before": states, "the input": [v for v in draft.values if v.name[0] == "x"]}
    return [value.name for value in after], draft.choose(choices.get(kind, draft.values)), features


def needed_lines(lines: list[Line], results: set[str]) -> list[Line]:
    """Leave out what no result depends on."""
    kept: list[Line] = []
    for line in reversed(lines):
        if results & set(line.gives):
            kept.insert(0, line)
            results = results | line.words
    return kept


def compose(seed: int, inputs: int, widths: Sequence[int], operations: int) -> Program:
    """Compose a program of so many operations, for an input and states of these widths.

    A seed makes the same choices for all widths of which the same are equal.
    """
    sizes = [inputs, *widths]
    draft = Draft(Random(f"{seed} {operations} {[sizes.index(size) for size in sizes]}").choice)
    states = [Value(f"s{k}", width) for k, width in enumerate(widths)]
    draft.values += states
    draft.unread += states
    projection = add_projection(draft, inputs)
    stranger = draft.choose(range(3 * operations // 2 + 1))
    for k in range(operations):
        add_operation(draft, STRANGERS if k == stranger else GROUPS)
    after, y, features = add_results(draft, states)
    lines = needed_lines(draft.lines, {*after, y.name})
    features |= projection.features.union(*(line.features for line in lines))
    features |= {"states of different widths"} if len(set(widths)) > 1 else set()
    features |= {"one unit"} if 1 in widths else set()
    source = source_of(draft, inputs, widths, projection, lines, after, y)
    larger = [size if size == 1 else 2 * size for size in sizes]
    again = partial(compose, seed, larger[0], larger[1:], operations)
    return Program(source, frozenset(features), tuple(widths), again)


def alone(feature: str) -> Program:
    """Compose a program around one operation, which is what the output shows."""
    draft = Draft(Random(feature).choice)
    state, part = Value("s0", 9), Value("x0", 6)
    draft.values += [state, part]
    group = next(group for group in [*GROUPS, *STRANGERS] if feature in group)
    write_operation(draft, group, feature)
    y = draft.values[-1]
    (z,) = draft.write("v", "linear", "F.linear(x0, $[9, 6]) + s0 @ $[9, 9]", {}, [9])
    draft.write("v", "tanh state", NEXT_STATES["tanh state"], {"t": z.name}, [9])
    after = draft.values[-1].name
    lines = needed_lines(draft.lines, {after, y.name})
    source = source_of(draft, 6, [9], Line(("return",), "xs", frozenset()), lines, [after], y)
    return Program(source, frozenset([feature]), (9,))


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Draw a program: 1 to 3 states, a projection of 1 to 3 parts, and 4 to 20 operations, of which some go unused.

    Sizes and number are drawn by Hypothesis, which makes them small where something fails. The operations come from a
    seed: drawn one by one they would be few and the same again and again.
    """
    widths = draw(st.lists(st.integers(1, 37), min_size=1, max_size=3))
    if draw(st.booleans()):
        widths = [widths[0]] * len(widths)
    return compose(draw(st.integers(0, 2**64)), draw(st.integers(1, 37)), widths, draw(st.integers(4, 20)))


def source_of(
    draft: Draft, inputs: int, widths: Sequence[int], projection: Line, lines: list[Line], after: list[str], y: Value
) -> str:
    """Put the source of the class together."""
    used = set().union(projection.words, *(line.words for line in lines))
    names = [f"s{k}" for k in range(len(widths))]
    parts = sorted({value.name for value in draft.values if value.name.startswith("x")})
    registered = [
        f"self.{name} = {making}" if making.startswith("nn.") else f'self.register_buffer("{name}", {making})'
        for name, making in draft.members.items()
        if name in used
    ]
    step = [f"{', '.join(parts)} = p", f"{', '.join(names)}{',' * (len(names) == 1)} = state", *map(str, lines)]
    step.append(f"return {y.name}, ({', '.join(after)}{',' * (len(after) == 1)})")
    body = [
        f"state_names = {tuple(names)}",
        f"state_sizes = {tuple(widths)}",
        f"output_size = {y.width}",
        *method("__init__(self)", [f"super().__init__({inputs}, {widths[0]})", *registered]),
        *method("project(self, xs)", [f"return {projection.text}"]),
        *method("step(self, p, state)", step),
    ]
    return "\n".join(["class Drawn(rnnkit.Cell):", *(f"    {line}".rstrip() for line in body)]) + "\n"


def method(head: str, lines: list[str]) -> list[str]:
    return ["", f"def {head}:", *(f"    {line}" for line in lines)]


@st.composite
def calls(draw: st.DrawFn, program: Program) -> Call:
    """Draw a call of a program's cell: sizes, masks, what wants gradients and what the loss hears of."""
    results = range(len(program.widths) + 1)
    silent = draw(st.sampled_from([(), (), (0,), tuple(results[1:]), (draw(st.sampled_from(results)),)]))
    return Call(
        steps=draw(st.one_of(st.just(1), st.integers(1, 12))),
        batch=draw(st.one_of(st.integers(1, 9), st.sampled_from([3, 7, *program.widths]))),  # 3 and 7 as is recorded
        seed=draw(st.integers(0, 999)),
        lengths=draw(st.booleans()),
        reset=draw(st.booleans()),
        state=draw(st.booleans()),
        gradients=draw(st.sampled_from([True] * 7 + [False])),
        silent=silent,
        frozen=draw(st.sampled_from([(), (), (), ("input",), ("state",), ("weights",), ("input", "state")])),
    )
