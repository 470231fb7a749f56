"""Nested values come back from what JSON and safetensors hold, with their types and bits."""

import json
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load, save

from rnnkit.support.nested_tensors import pack, unpack

DTYPES = [
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex64, torch.bool),
    *(torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float8_e4m3fn, torch.float8_e5m2),
]

tensors = st.builds(
    lambda dtype, shape: torch.arange(math.prod(shape), dtype=torch.float32).view(shape).to(dtype),
    st.sampled_from([torch.float32, torch.bfloat16, torch.int64, torch.bool]),
    st.lists(st.integers(0, 3), max_size=3),
)
words = st.text() | st.sampled_from(["$tensor", "$tuple", "$items", "$float", "a.b", "a", "b", "0", "", "'"])
keys = words | st.integers() | st.none() | st.booleans() | st.floats(allow_nan=False) | st.tuples(st.integers(), words)
plain = st.none() | st.booleans() | st.integers() | st.floats() | words
values = st.recursive(
    plain | tensors,
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(keys, inner),
    max_leaves=20,
)


def round_trip(value):
    """Pack, and go the whole way: through JSON, and through a safetensors file."""
    packed, named = pack(value)
    data = save({name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in named.items()})
    return unpack(json.loads(json.dumps(packed, allow_nan=False)), load(data))


def same(first, second):
    """Whether two values are the same, types and bits and order included."""
    if type(first) is not type(second):
        return False
    if isinstance(first, torch.Tensor):
        bits = [tensor.contiguous().view(-1).view(torch.uint8) for tensor in (first, second)]
        return first.dtype == second.dtype and first.shape == second.shape and torch.equal(*bits)
    if isinstance(first, float):
        return (first == second and math.copysign(1, first) == math.copysign(1, second)) or first != first != second
    if isinstance(first, dict):
        return same(list(first.items()), list(second.items()))
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    return first == second


@given(values)
def test_round_trip(value):
    assert same(round_trip(value), value)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_tensors_of_every_dtype(dtype):
    tensor = torch.tensor([[0.0, 1.0, 2.0], [3.0, 1.5, 6.0]]).to(dtype)
    value = {"whole": tensor, "turned": tensor.t(), "number": tensor[0, 1], "nothing": tensor[:0]}
    assert same(round_trip(value), value)


@pytest.mark.parametrize("bits", [0x7FC00001, 0xFFC12345, 0x7F800000, 0x80000000, 0x00000001], ids=hex)
def test_odd_bits_of_tensors(bits):
    tensor = torch.tensor([bits], dtype=torch.uint32).view(torch.float32)
    assert same(round_trip([tensor]), [tensor])


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, -math.inf, -0.0, 5e-324, 10**400, (), [], {}, ((),), {(): 1}, {1: {"1": 2}}, {"$tensor": "x"}],
    ids=repr,
)
def test_odd_values(value):
    assert same(round_trip(value), value)


def test_a_tensor_alone():
    assert same(round_trip(torch.ones(2)), torch.ones(2))


@pytest.mark.parametrize(
    "value",
    [
        {"a.b": torch.zeros(1), "a": {"b": torch.ones(1)}},
        {0: torch.zeros(1), "0": torch.ones(1)},
        {1: torch.zeros(1), 1.5: torch.ones(1), "1": torch.ones(2)},
        {"": torch.zeros(1), "x": {"": torch.ones(1)}},
        [torch.zeros(1), {"0": torch.ones(1)}, {0: [torch.ones(2)], "0": (torch.ones(3),)}],
        {"a": torch.zeros(1), "a'": torch.ones(1), None: {"a": torch.ones(2)}},
    ],
    ids=str,
)
def test_tensors_at_places_that_are_spelt_alike(value):
    assert same(round_trip(value), value)


def test_a_tensor_is_named_after_its_place():
    state = torch.optim.Adam([torch.nn.Parameter(torch.ones(2))]).state_dict()
    state["state"] = {0: {"exp_avg": torch.ones(2)}}
    packed, named = pack({"optimizer": state, "carried": (torch.ones(1), None)})
    assert list(named) == ["optimizer.state.0.exp_avg", "carried.0"]
    assert packed["carried"] == {"$tuple": [{"$tensor": "carried.0"}, None]}
    assert packed["optimizer"]["param_groups"][0]["betas"] == {"$tuple": [0.9, 0.999]}


def test_what_json_can_hold_stays_as_it_is():
    value = {"a": [1, 2.5, None, True, "text"], "b": {"c": {}}}
    assert pack(value) == (value, {})


@pytest.mark.parametrize(
    ("value", "about"),
    [
        (object(), "the value is of type object"),
        ({"a": [1, {2}]}, "a.1 is of type set"),
        ({"a": {"b": b""}}, "a.b is of type bytes"),
        ([torch.float32], "0 is of type dtype"),
        ({"a": lambda: 0}, "a is of type function"),
        ({frozenset(): 1}, "the value is of type frozenset"),
        ({"a": 1j}, "a is of type complex"),
    ],
    ids=["object", "set", "bytes", "dtype", "function", "frozenset", "complex"],
)
def test_what_is_refused(value, about):
    with pytest.raises(TypeError) as caught:
        pack(value)
    assert str(caught.value) == f"{about}, which a checkpoint does not hold"


@pytest.mark.parametrize("plain", [{"$tensor": "gone"}, [{"$tuple": 3}], {"$items": [[1]]}, {"$float": "x"}], ids=str)
def test_what_pack_does_not_give(plain):
    with pytest.raises((KeyError, ValueError, TypeError)):
        unpack(plain, {})
