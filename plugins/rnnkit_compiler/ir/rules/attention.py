"""Attention as one operation: shares of what each query finds in the keys, and the values weighed by them."""

from math import inf, sqrt
from typing import Any

import torch

from rnnkit_compiler.ir.contraction import Term, einsum
from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.ir.lowering import Lowering
from rnnkit_compiler.ir.rules.along import Along
from rnnkit_compiler.ir.rules.reductions import softmax
from rnnkit_compiler.ir.rules.table import Table
from rnnkit_compiler.ir.values import NotLowerable, Value
from rnnkit_compiler.trace.recording import Call

TABLE = Table(cheap=False)

BATCH, HEAD, QUERY, PLACE, WITHIN, OF_VALUE = range(6)
"""Axes: queries are (batch, head, query, within), keys (batch, head, place, within), values end in `of_value`."""


@TABLE.rule("_scaled_dot_product_flash_attention_for_cpu")
def _attention(lowering: Lowering, call: Call) -> list[Value | None]:
    given = lowering.arguments(call)
    query, key, value = (lowering.value(given[name]) for name in ("query", "key", "value"))
    _check(given, query, key, value)
    dims = zip((BATCH, HEAD, QUERY, WITHIN), query.dims, strict=True)
    places = zip((PLACE, OF_VALUE), value.dims[2:], strict=True)
    sizes = {**dict(dims), **dict(places)}
    terms = [Term(query.full(), (BATCH, HEAD, QUERY, WITHIN)), Term(key.full(), (BATCH, HEAD, PLACE, WITHIN))]
    axes = (BATCH, HEAD, QUERY, PLACE)
    scale = given["scale"] or 1 / sqrt(sizes[WITHIN])
    scores = Value(einsum(terms, axes, sizes) * float(scale), (*query.shape[:3], key.shape[2]), 0)
    if given["attn_mask"] is not None:
        mask = lowering.spread(given["attn_mask"], *scores.form).node
        scores = scores.like(scores.full() + mask)
    row = Along.dims_of(scores, [3])
    if given["is_causal"]:
        row = Along.dims_of(scores.like(row.node + row.repeat_of(_later(lowering, *scores.shape[2:]), (2, 3))), [3])
    shares = softmax(row)
    result = (BATCH, HEAD, QUERY, OF_VALUE)
    node = einsum([Term(shares, axes), Term(value.full(), (BATCH, HEAD, PLACE, OF_VALUE))], result, sizes)
    return [Value(node, (*query.shape[:3], value.shape[3]), 0), None]


def _later(lowering: Lowering, queries: int, places: int) -> Node:
    """Return 0 where a query's place is no later than the query, else -inf: (queries, places) in order."""
    mask = torch.full((queries, places), -inf, device="cpu").triu(1)
    return lowering.value(lowering.added.constant(mask.flatten())).node


def _check(given: dict[str, Any], *operands: Value) -> None:
    if any(len(operand.shape) != 4 or operand.axis != 0 or operand.joined != 1 for operand in operands):
        raise NotLowerable("attention goes over the batch")
    if given["dropout_p"]:
        raise NotLowerable("attention with dropout has no counterpart")
