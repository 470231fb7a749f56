"""Initialisation against closed forms, in every layer and direction, and nothing else touched."""

import math

import pytest
import torch
from torch.nn.utils.parametrizations import weight_norm

import rnnkit
from rnnkit import init
from rnnkit.core.cell import building
from rnnkit.layers.wrapper import innermost

from .slow_cases import slow_but

STACK = {"num_layers": 2, "bidirectional": True, "dtype": torch.float64}
SUFFIXES = ["_l0", "_l0_reverse", "_l1", "_l1_reverse"]
FORGETTING = ["lstm", "peephole", "layernorm", "gru", "zoneout(lstm)", "residual(gru)"]
GATED = [*FORGETTING, "rnn"]
# The rows of each gate in units of H, as torch has them.
FORGET = {"lstm": 1, "peephole": 1, "layernorm": 1, "zoneout(lstm)": 1, "gru": 1, "residual(gru)": 1}
INPUT = {"lstm": 0, "peephole": 0, "layernorm": 0, "zoneout(lstm)": 0}

SENTENCES = {
    "no gates": "cell 'bare' declares no gates, so its weights are not known by blocks",
    "no bias": "cell 'lstm' has no bias_ih",
    "no forget gate": "cell 'rnn' has no forget gate",
    "projection": "cell 'lstm' has a projection: a gate of weight_hh is (4, 2), not square",
    "projection, one gate": "cell 'rnn' has a projection: a gate of weight_hh is (4, 2), not square",
    "many gates": "cell 'lstm' has 4 gates, i, f, g, o; it must have one",
}


class Bare(rnnkit.Cell):
    """A cell that says nothing of gates and cannot draw its parameters."""

    name = "bare"

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.weight = torch.nn.Parameter(torch.zeros(hidden_size, input_size))

    def step(self, p, state):
        return p @ self.weight.t(), state


def build(cell, hidden_size=6, **options):
    torch.manual_seed(0)
    return rnnkit.RNN(cell, 3, hidden_size, unroller="loop", **STACK | options)


def alone(name, hidden_size=6, **options):
    torch.manual_seed(0)
    with building(None, torch.float64):
        return rnnkit.cells[name](3, hidden_size, **options)


def block(tensor, gate, size=6):
    return tensor[gate * size : (gate + 1) * size]


def copies(layer):
    return {name: parameter.detach().clone() for name, parameter in layer.named_parameters()}


def changed(layer, before):
    """Return the rows that are no longer the same bits, by parameter."""
    found = {}
    for name, parameter in layer.named_parameters():
        rows = (parameter != before[name]).reshape(len(parameter), -1).any(1).nonzero().flatten().tolist()
        found |= {name: rows} if rows else {}
    return found


def rows(gates, size=6):
    return [row for gate in sorted(gates) for row in range(gate * size, (gate + 1) * size)]


@pytest.mark.parametrize("cell", FORGETTING)
def test_the_forget_bias_is_one_once(cell):
    layer = build(cell)
    before = copies(layer)
    assert init.forget_bias_(layer) is layer
    for suffix in SUFFIXES:
        ih, hh = (block(getattr(layer, f"bias_{kind}{suffix}"), FORGET[cell]) for kind in ("ih", "hh"))
        assert (ih + hh).tolist() == ih.tolist() == [1.0] * 6
    found = changed(layer, before)
    assert set(found) <= {f"bias_{kind}{suffix}" for kind in ("ih", "hh") for suffix in SUFFIXES}
    assert all(set(which) <= set(rows([FORGET[cell]])) for which in found.values())


def test_a_forget_bias_of_another_size():
    layer = init.forget_bias_(build("lstm"), -2)
    assert block(layer.bias_ih_l1_reverse, 1).tolist() == [-2.0] * 6


@pytest.mark.parametrize("gain", [1.0, 0.5])
@pytest.mark.parametrize("cell", GATED)
def test_every_gate_s_block_is_orthogonal_by_itself(cell, gain):
    layer = build(cell)
    before = copies(layer)
    assert init.orthogonal_(layer, gain) is layer
    seen = []
    for suffix in SUFFIXES:
        weight = getattr(layer, f"weight_hh{suffix}").detach()
        for square in weight.split(6):
            torch.testing.assert_close(square @ square.T, gain**2 * torch.eye(6).double(), rtol=0, atol=1e-12)
            seen.append(square)
    assert len(seen) == 4 * len(innermost(layer.cells[0]).gates)
    assert not any(torch.allclose(a, b) for k, a in enumerate(seen) for b in seen[:k])
    assert set(changed(layer, before)) == {f"weight_hh{suffix}" for suffix in SUFFIXES}


@pytest.mark.parametrize("cell", slow_but(FORGETTING[:2], FORGETTING))
def test_chrono_biases_are_spread_as_the_paper_says(cell):
    """The distance of Kolmogorov and Smirnov is below 1.63 / √n in 99 of 100 draws; the seed is fixed."""
    size, longest = 1000, 50
    layer = build(cell, size)
    before = copies(layer)
    torch.manual_seed(1)
    assert init.chrono_(layer, longest) is layer
    touched = [FORGET[cell], *([INPUT[cell]] if cell in INPUT else [])]
    draws = []
    for suffix in SUFFIXES:
        ih, hh = (getattr(layer, f"bias_{kind}{suffix}").detach() for kind in ("ih", "hh"))
        forget = block(ih, FORGET[cell], size)
        draws.append(forget)
        uniform = ((forget.exp() - 1) / (longest - 2)).sort().values
        assert uniform[0] >= 0
        assert uniform[-1] <= 1
        below = torch.arange(size + 1).double() / size
        assert max((uniform - below[:-1]).abs().max(), (uniform - below[1:]).abs().max()) < 1.63 / size**0.5
        assert not any(block(hh, gate, size).any() for gate in touched)
        if cell in INPUT:
            assert torch.equal(block(ih, INPUT[cell], size), -forget)
    assert not any(torch.equal(a, b) for k, a in enumerate(draws) for b in draws[:k])
    expected = {f"bias_{kind}{suffix}": rows(touched, size) for kind in ("ih", "hh") for suffix in SUFFIXES}
    if cell == "layernorm":  # whose biases are zero to begin with
        expected = {name: which for name, which in expected.items() if "ih" in name}
    found = changed(layer, before)
    assert found == expected


def test_chrono_of_two_steps_keeps_half():
    layer = init.chrono_(build("gru"), 2)
    assert block(layer.bias_ih_l0, 1).tolist() == [0.0] * 6


@pytest.mark.parametrize("scale", [1.0, 0.01])
@pytest.mark.parametrize("cell", ["rnn", "residual(rnn)"])
def test_the_recurrent_weight_is_the_identity(cell, scale):
    layer = build(cell)
    before = copies(layer)
    assert init.identity_(layer, scale) is layer
    for suffix in SUFFIXES:
        assert torch.equal(getattr(layer, f"weight_hh{suffix}"), scale * torch.eye(6).double())
    assert set(changed(layer, before)) == {f"weight_hh{suffix}" for suffix in SUFFIXES}


def test_an_identity_of_relu_units_remembers():
    layer = init.identity_(build("rnn", nonlinearity="relu", bias=False, num_layers=1, bidirectional=False))
    h = torch.rand(1, 2, 6, dtype=torch.float64)
    assert torch.equal(layer(torch.zeros(100, 2, 3, dtype=torch.float64), h)[1], h)


@pytest.mark.parametrize("cell", [*GATED, "learnt_state(norm(residual(lstm)))"])
def test_the_default_is_what_building_draws(cell):
    layer = build(cell)
    before = copies(layer)
    for parameter in layer.parameters():
        torch.nn.init.constant_(parameter, 7.0)
    assert set(changed(layer, before)) == set(before)
    torch.manual_seed(0)
    assert init.default_(layer) is layer
    assert changed(layer, before) == {}


def test_the_default_is_torch_s():
    layer = init.orthogonal_(build("lstm"))
    torch.manual_seed(0)
    init.default_(layer)
    torch.manual_seed(0)
    theirs = torch.nn.LSTM(3, 6, **STACK)
    assert all(map(torch.equal, layer.parameters(), theirs.parameters()))


def test_a_cell_alone_and_in_wrappers():
    cell = alone("zoneout", inner="residual(lstm)")
    before = copies(cell)
    assert init.forget_bias_(cell, 3.0) is cell
    inside = cell.inner.inner
    assert block(inside.bias_ih + inside.bias_hh, 1).tolist() == [3.0] * 6
    assert set(changed(cell, before)) == {"inner.inner.bias_ih", "inner.inner.bias_hh"}
    identity = torch.eye(6).double()
    torch.testing.assert_close(init.orthogonal_(inside).weight_hh[:6] @ inside.weight_hh[:6].T, identity)
    assert torch.equal(init.identity_(alone("rnn")).weight_hh, identity)
    chrono = init.chrono_(alone("gru"), 100)
    assert 0 <= block(chrono.bias_ih, 1).min() < block(chrono.bias_ih, 1).max() <= math.log(99)
    torch.manual_seed(0)
    init.default_(cell)
    assert changed(cell, before) == {}


def test_every_layer_of_a_mixed_stack_goes_by_its_own_gates():
    layer = rnnkit.RNN(["lstm", "gru"], 3, [6, 4])
    init.forget_bias_(layer)
    assert block(layer.bias_ih_l0, 1).tolist() == [1.0] * 6
    assert block(layer.bias_ih_l1, 1, 4).tolist() == [1.0] * 4
    for parameter in (layer.bias_ih_l0, layer.bias_ih_l1):
        assert (parameter == 1).sum() == len(parameter) // (4 if parameter is layer.bias_ih_l0 else 3)


def test_the_layer_computes_with_the_new_values():
    layer, xs = build("lstm"), torch.randn(4, 2, 3, dtype=torch.float64)
    before, _ = layer(xs)
    init.forget_bias_(layer, 5.0)
    assert not torch.allclose(layer(xs)[0], before)
    assert all(parameter.requires_grad and parameter.grad is None for parameter in layer.parameters())


@pytest.mark.parametrize(
    ("function", "cell", "why"),
    [
        *((function, Bare, "no gates") for function in ("forget_bias_", "orthogonal_", "chrono_", "identity_")),
        ("forget_bias_", "lstm(bias=false)", "no bias"),
        ("chrono_", "zoneout(lstm, bias=false)", "no bias"),
        ("forget_bias_", "rnn", "no forget gate"),
        ("chrono_", "residual(rnn)", "no forget gate"),
        ("orthogonal_", "lstm(proj_size=2)", "projection"),
        ("identity_", "rnn(proj_size=2)", "projection, one gate"),
        ("identity_", "lstm", "many gates"),
    ],
    ids=str,
)
def test_what_a_cell_cannot_honour_changes_nothing(function, cell, why):
    """Not even the layer below, which could."""
    layer = rnnkit.RNN(["rnn" if function == "identity_" else "gru", cell], 3, 4, unroller="loop")
    before = copies(layer)
    with pytest.raises(rnnkit.errors.UsageError) as caught:
        getattr(init, function)(layer, *[10] * (function == "chrono_"))
    assert str(caught.value) == f"{function}: {SENTENCES[why]}"
    assert changed(layer, before) == {}


def test_a_cell_that_cannot_draw_changes_nothing():
    layer = rnnkit.RNN(["lstm", Bare], 3, 4)
    before = copies(layer)
    with pytest.raises(rnnkit.errors.UsageError, match=r"cell 'bare' has no reset_parameters\(\)"):
        init.default_(layer)
    assert changed(layer, before) == {}


@pytest.mark.parametrize("weight", ["weight_hh_l1", "bias_ih_l1"])
def test_a_computed_weight_is_no_place_to_write_to(weight):
    layer = weight_norm(build("lstm", bidirectional=False), weight)
    before = copies(layer)
    function = init.orthogonal_ if weight == "weight_hh_l1" else init.forget_bias_
    with pytest.raises(
        rnnkit.errors.UsageError, match=f"{weight.removesuffix('_l1')} is computed by a parametrization"
    ):
        function(layer)
    with pytest.raises(rnnkit.errors.UsageError, match="default_: a parametrization computes some of the parameters"):
        init.default_(layer)
    assert changed(layer, before) == {}


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda layer: init.forget_bias_(layer, math.nan), "forget_bias_: value is nan; it must be a finite number"),
        (lambda layer: init.orthogonal_(layer, "big"), "orthogonal_: gain is 'big'; it must be a finite number"),
        (lambda layer: init.identity_(layer, math.inf), "identity_: scale is inf; it must be a finite number"),
        (lambda layer: init.chrono_(layer, 1), "chrono_: longest is 1; it must be a whole number >= 2"),
        (lambda layer: init.chrono_(layer, 9.5), "chrono_: longest is 9.5; it must be a whole number >= 2"),
        (
            lambda layer: init.default_(torch.nn.LSTM(3, 4)),
            "default_: the layer is a LSTM; it must be an rnnkit.RNN or a Cell",
        ),
    ],
)
def test_arguments_that_make_no_sense(call, sentence):
    layer = build("lstm")
    before = copies(layer)
    with pytest.raises(rnnkit.errors.UsageError) as caught:
        call(layer)
    assert str(caught.value) == sentence
    assert changed(layer, before) == {}


def test_a_wrapper_s_own_bias_is_not_the_cell_s():
    class Biased(rnnkit.Wrapper):
        def __init__(self, input_size, hidden_size, *, inner="lstm", **options):
            super().__init__(input_size, hidden_size, inner=inner, **options)
            self.bias_hh = torch.nn.Parameter(torch.full((hidden_size,), 7.0))

    layer = rnnkit.init.forget_bias_(rnnkit.RNN(Biased, 3, 4))
    assert (layer.bias_hh_l0 == 7).all()
    assert ((layer.bias_ih_l0 + layer.inner_bias_hh_l0)[4:8] == 1).all()
