"""Parameters start as a cell's paper or its authors' code has them: means and deviations, written down from there."""

import math

import pytest
import torch

import rnnkit
from rnnkit.init import default_
from rnnkit_zoo._declared import Declared

CATALOGUE = [name for name in rnnkit.cells if rnnkit.cells[name].__module__.startswith("rnnkit_zoo.")]
D, H = 90, 120


def uniform(bound, low=None):
    low = -bound if low is None else low
    return (bound + low) / 2, (bound - low) / math.sqrt(12)


def normal(deviation):
    return 0.0, deviation


def glorot(inputs, outputs):
    return normal(math.sqrt(2 / (inputs + outputs)))


# The mean and the deviation of a parameter, or of one of its blocks of H rows.
PUBLISHED = {
    "antisymmetric": {"weight_ih": normal(D**-0.5), "weight_hh": normal(H**-0.5), "bias_ih": (0, 0)},
    "br": {("weight_ih", 2): glorot(D, H), "weight_hh": (1, 0), "bias_ih": (0, 0)},
    "cfn": {
        "weight_ih": uniform(0.07), "weight_hh": uniform(0.07), "weight_in": uniform(0.07),
        ("bias_ih", 0): (1, 0), ("bias_ih", 1): (-1, 0), "bias_hh": (0, 0),
    },
    "cifg": {"weight_hh": normal(0.1), "bias_ih": normal(0.1), "peephole_o": normal(0.1)},
    "clockwork": {"weight_ih": normal(0.1), "bias_hh": normal(0.1)},
    "cornn": {"weight_ih": uniform((D + 2 * H) ** -0.5), "weight_zh": uniform((D + 2 * H) ** -0.5)},
    "echostate": {"weight_ih": uniform(1), "bias_ih": uniform(1)},
    "elstm": {
        ("weight_ih", 0): normal(0.1), ("weight_ih", 2): uniform((D + H) ** -0.5),
        "weight_hh": uniform((D + H) ** -0.5), "w_f": normal(0.1), "w_z": normal(0.1),
    },
    "fastgrnn": {"weight_ih": normal(0.1), "bias_z": (1, 0), "bias_n": (1, 0), "zeta": (1, 0), "nu": (-4, 0)},
    "fastrnn": {"weight_hh": normal(0.1), "bias_ih": (1, 0), "bias_hh": (0, 0), "alpha": (-3, 0), "beta": (3, 0)},
    "indrnn": {"weight_ih": uniform(math.sqrt(6 / (65 * D))), "u": uniform(1, 0)},
    "intersection": {("bias_ih", 0): (0, 0), ("bias_ih", 2): (1, 0), ("bias_ih", 3): (1, 0), "bias_hh": (0, 0)},
    "irnn": {"weight_ih": normal(0.001), "weight_hh": (1 / H, math.sqrt((1 - 1 / H) / H)), "bias_ih": (0, 0)},
    "janet": {("bias_ih", 0): (1, 0), ("bias_ih", 1): (0, 0), "bias_hh": (0, 0)},
    "lem": {"weight_ih": uniform(H**-0.5), "weight_zy": uniform(H**-0.5)},
    "ligru": {("weight_ih", 1): glorot(D, H), ("weight_hh", 1): normal(H**-0.5), "bias_hh": (0, 0)},
    "lipschitz": {"weight_ih": uniform(D**-0.5), "weight_hh": normal(0.1 / H), "bias_ih": uniform(D**-0.5)},
    "lmu": {"recurrent.weight": glorot(H, H), "kernel_m.weight": glorot(32, H), "encode_m": (0, 0)},
    "lru": {"weight_ih": normal((2 * D) ** -0.5), "weight_out": normal(H**-0.5)},
    "mclstm": {("bias_ih", 0): (0, 0), ("bias_ih", 1): (-3, 0), ("weight_ih", 0): normal((D - 1 + H) ** -0.5)},
    "mlstm": {("linear.weight", 3): normal((0.4 / D) ** 0.5), ("linear.weight", 4): (0, 0), ("linear.bias", 0): (0, 0)},
    "multiplicative": {("bias_ih", 2): (1, 0), ("bias_ih", 1): (0, 0), "bias_hh": (0, 0)},
    "nbr": {"weight_hh": glorot(H, H), "bias_ih": (0, 0)},
    "onlstm": {"weight_ih": uniform(D**-0.5), "weight_hh": uniform(H**-0.5), "master_ih.weight": uniform(D**-0.5)},
    "phased": {
        "weight_ih": normal(0.1), ("bias_ih", 1): (2, 0), ("bias_ih", 0): (0, 0), "shift": uniform(100, 0),
        "open_ratio": (0.05, 0),
    },
    "qrnn": {"now.weight": uniform((2 * D) ** -0.5), "before.weight": uniform((2 * D) ** -0.5)},
    "ran": {"bias_ih": (0, 0), "bias_hh": (0, 0)},
    "rhn": {
        ("bias_ih", 1): (0, 0), ("bias_hh", 1): (-2, 0), ("above.3.bias", 1): (-2, 0), "weight_hh": uniform(H**-0.5),
    },
    "slstm": {"weight_ih": normal((0.4 / D) ** 0.5), "weight_hh": uniform(H**-0.5), ("bias_ih", 0): (0, 0)},
    "sru": {
        ("weight_ih", 0): uniform((3 / D) ** 0.5), ("weight_ih", 1): uniform((1.5 / D) ** 0.5),
        "peephole_f": uniform(1.5**0.5), "bias_f": (0, 0), "bias_r": (0, 0),
    },
    "star": {("weight_ih", 0): normal(H**-0.5), "weight_hh": normal(H**-0.5), "bias_ih": (0, 0)},
    "taugru": {"weight_hh": uniform(H**-0.5)},
    "ugrnn": {("bias_ih", 0): (0, 0), ("bias_ih", 1): (1, 0), "bias_hh": (0, 0)},
    "unicornn": {
        "weight_ih": uniform(math.sqrt(6 / (65 * D))), "w": uniform(1, 0), "c": uniform(0.1), "bias_ih": (0, 0)
    },
}  # fmt: skip


def build(name):
    torch.manual_seed(0)
    hidden = 30 if name == "mclstm" else H  # its weights grow as H³
    return rnnkit.cells[name](D, hidden)


def moments(tensor):
    return tensor.mean().item(), tensor.std(correction=0).item()


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_start_as_published(name):
    cell = build(name)
    tensors = cell.state_dict()
    for where, (mean, deviation) in PUBLISHED[name].items():
        key, block = where if isinstance(where, tuple) else (where, None)
        tensor = tensors[key].double()
        if block is not None:
            tensor = tensor.split(cell.hidden_size)[block]
        if name == "mclstm" and deviation:
            deviation = (D - 1 + cell.hidden_size) ** -0.5
        found = moments(tensor)
        few = 4 * deviation / math.sqrt(tensor.numel())  # standard errors
        assert found[0] == pytest.approx(mean, abs=few + 1e-7), (where, found)
        assert found[1] == pytest.approx(deviation, rel=0.02 + 3 / math.sqrt(tensor.numel()), abs=1e-7), (where, found)


@pytest.mark.parametrize("name", CATALOGUE)
def test_all_is_drawn_again_as_it_was_first(name):
    """`rnnkit.init.default_` leaves the distributions of a new cell: the period of a phased LSTM is no weight."""
    cell = build(name)
    first = {key: moments(tensor) for key, tensor in cell.state_dict().items()}
    with torch.no_grad():
        for tensor in cell.state_dict().values():
            tensor.fill_(7.0)
    default_(cell)
    for key, tensor in cell.state_dict().items():
        mean, deviation = first[key]
        few = 6 * deviation / math.sqrt(tensor.numel())
        wide = (
            0.15 if name == "echostate" else 0.03 + 5 / math.sqrt(tensor.numel())
        )  # its scale is that of an eigenvalue
        expected = pytest.approx(mean, abs=few + 1e-6), pytest.approx(deviation, rel=wide, abs=1e-6)
        assert moments(tensor) == expected, key


@pytest.mark.parametrize("name", CATALOGUE)
def test_blocks_are_named_in_the_order_of_the_rows(name):
    kind = rnnkit.cells[name]
    assert issubclass(kind, Declared)
    for parameter, start in kind.starts.named.items():
        if start.names:
            assert start.names == (kind.blocks if parameter.endswith("_ih") else kind.recurrent_blocks or kind.blocks)
