"""Generated configurations: whatever torch.nn.LSTM, GRU and RNN are asked for, the layer gives the same numbers."""

from collections import Counter
from dataclasses import dataclass, field

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import rnnkit

ORACLES = {
    "lstm": (nn.LSTM, {}),
    "gru": (nn.GRU, {}),
    "rnn tanh": (nn.RNN, {"nonlinearity": "tanh"}),
    "rnn relu": (nn.RNN, {"nonlinearity": "relu"}),
}
RAGGED = ("lengths", "packed", "packed and sorted")
FEATURES = {  # what one configuration in twenty, or more, must have
    *(*ORACLES, "projection", "no bias", "batch first", "bidirectional", "1 layers", "2 layers", "3 layers"),
    *(*RAGGED, "all steps", "unbatched", "a length of 1", "a length of T", "one step", "hx", "no hx"),
    *("torch.float32", "torch.float64", "loop", "checkpoint"),
}


@dataclass(frozen=True)
class Configuration:
    """A layer, and what it is fed with."""

    oracle: str
    input_size: int
    hidden_size: int
    num_layers: int
    bias: bool
    batch_first: bool
    bidirectional: bool
    proj_size: int
    dtype: torch.dtype
    unroller: str
    steps: int
    rows: int | None  # None: one sequence without a batch
    lengths: tuple[int, ...] | None  # None: every row has all steps
    ragged: str | None  # how the lengths are told, one of RAGGED
    with_hx: bool
    seed: int = field(compare=False)  # other numbers make no other configuration

    @property
    def features(self):
        """What is counted: each of FEATURES that it has."""
        lengths = self.lengths or ()
        having = {
            self.oracle: True,
            "projection": self.proj_size > 0,
            "no bias": not self.bias,
            "batch first": self.batch_first,
            "bidirectional": self.bidirectional,
            f"{self.num_layers} layers": True,
            self.ragged or "all steps": True,
            "unbatched": self.rows is None,
            "a length of 1": 1 in lengths and self.steps > 1,
            "a length of T": self.steps in lengths and min(lengths) < self.steps,
            "one step": self.steps == 1,
            "hx" if self.with_hx else "no hx": True,
            str(self.dtype): True,
            self.unroller: True,
        }
        return [feature for feature, has in having.items() if has]

    def modules(self):
        """Return torch's module and the layer, with the same weights."""
        kind, options = ORACLES[self.oracle]
        shared = ("num_layers", "bias", "batch_first", "bidirectional", "dtype", *["proj_size"] * (kind is nn.LSTM))
        options = options | {name: getattr(self, name) for name in shared}
        reference = kind(self.input_size, self.hidden_size, **options)
        name, _, _ = self.oracle.partition(" ")
        layer = rnnkit.RNN(name, self.input_size, self.hidden_size, **options, unroller=self.unroller)
        layer.load_state_dict(reference.state_dict())
        return reference, layer

    def leaves(self):
        """Draw the input, and the states to begin with: hx is those other than the first."""
        batch = () if self.rows is None else (self.rows,)
        leading = (self.steps, *batch)[:: -1 if self.batch_first else 1]
        count = self.num_layers * (2 if self.bidirectional else 1)
        widths = [self.proj_size or self.hidden_size, self.hidden_size][: 2 if self.oracle == "lstm" else 1]
        shapes = {"input": (*leading, self.input_size)}
        if self.with_hx:
            shapes |= {f"hx {position}": (count, *batch, width) for position, width in enumerate(widths)}
        return {name: torch.randn(shape, dtype=self.dtype, requires_grad=True) for name, shape in shapes.items()}

    def pack(self, xs):
        """Pack the input, as torch takes rows of different lengths."""
        is_sorted = self.ragged == "packed and sorted"
        return pack_padded_sequence(xs, torch.tensor(self.lengths), self.batch_first, enforce_sorted=is_sorted)


@st.composite
def configurations(draw):
    """Draw a configuration; what contradicts itself is never drawn."""
    oracle = draw(st.sampled_from(list(ORACLES)))
    hidden_size = draw(st.integers(1, 6))
    steps = draw(st.sampled_from([5, 1, 8, 3, 7, 2, 4, 6, 1]))
    rows = draw(st.sampled_from([2, 5, 3, 6, 4, 1, None]))
    ragged = None if rows is None else draw(st.sampled_from([*RAGGED, None]))
    lengths = None
    if ragged:
        length = st.sampled_from([*range(1, steps + 1), steps])
        lengths = draw(st.lists(length, min_size=rows, max_size=rows))
        lengths = tuple(sorted(lengths, reverse=True) if ragged == "packed and sorted" else lengths)
    return Configuration(
        oracle=oracle,
        input_size=draw(st.integers(1, 6)),
        hidden_size=hidden_size,
        num_layers=draw(st.integers(1, 3)),
        bias=draw(st.booleans()),
        batch_first=draw(st.booleans()),
        bidirectional=draw(st.booleans()),
        proj_size=draw(st.sampled_from([*range(1, hidden_size), 0])) if oracle == "lstm" else 0,
        dtype=draw(st.sampled_from([torch.float64, torch.float32])),
        unroller=draw(st.sampled_from(["loop", "checkpoint"])),
        steps=steps,
        rows=rows,
        lengths=lengths,
        ragged=ragged,
        with_hx=draw(st.booleans()),
        seed=draw(st.integers(0, 2**31)),
    )


def run_both(configuration):
    """Return what the layer and torch's module return for the same input, and the leaves of each."""
    torch.manual_seed(configuration.seed)
    reference, layer = configuration.modules()
    leaves = configuration.leaves()
    xs, *hx = leaves.values()
    hx = tuple(hx) if len(hx) > 1 else hx[0] if hx else None
    if configuration.ragged is None:
        results = layer(xs, hx), reference(xs, hx)
    elif configuration.ragged == "lengths":
        output, state = reference(configuration.pack(xs), hx)
        steps = configuration.steps
        padded, _ = pad_packed_sequence(output, configuration.batch_first, total_length=steps)
        results = layer(xs, hx, lengths=torch.tensor(configuration.lengths)), (padded, state)
    else:
        results = layer(configuration.pack(xs), hx), reference(configuration.pack(xs), hx)
    modules = layer, reference
    return [(result, leaves | dict(module.named_parameters())) for result, module in zip(results, modules, strict=True)]


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")  # torch's own choice
@pytest.mark.timeout(600)
@pytest.mark.parametrize("count", [200, pytest.param(1000, marks=pytest.mark.slow)])
def test_outputs_states_and_gradients_are_torch_s(count, outcome, assert_same):
    seen, features = set(), Counter()

    @settings(max_examples=count + count // 2, derandomize=True, deadline=None, database=None)
    @given(configurations())
    def compare(configuration):
        found, expected = (outcome(*both) for both in run_both(configuration))
        assert_same(found, expected)
        if configuration not in seen:
            seen.add(configuration)
            features.update(configuration.features)

    compare()
    assert len(seen) >= count  # half as many more are drawn, since some come twice
    assert {feature for feature in FEATURES if features[feature] < count / 20} == set()
    assert features.keys() == FEATURES
