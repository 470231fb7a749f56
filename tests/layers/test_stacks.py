"""Stacks: another cell or width in each layer, and residual connections between them."""

import re
from itertools import product

import pytest
import torch

import rnnkit
from rnnkit.errors import UsageError

from ..core_cells import TAKING_ALL

T, B, D = 6, 3, 4
every_unroller = pytest.mark.parametrize("unroller", TAKING_ALL)
STACKS = [
    (["lstm", "gru"], 5),
    (["gru", "gru", "rnn"], [3, 4, 5]),
    ("lstm", [6, 2]),
    ([rnnkit.cells["peephole"], "rnn(nonlinearity=relu)"], 5),
]
every_stack = pytest.mark.parametrize("stack", STACKS, ids=str)


def draw(*shape, seed=1):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def build(stack, **options):
    torch.manual_seed(0)
    return rnnkit.RNN(stack[0], D, stack[1], dtype=torch.float64, **{"unroller": "loop"} | options)


def alone(layer, index, cell, hidden, width):
    """Return layer `index` of a stack as a layer of its own."""
    single = rnnkit.RNN(cell, width, hidden, bidirectional=layer.bidirectional, dtype=torch.float64)
    weights = {k: v for k, v in layer.state_dict().items() if f"_l{index}" in k}
    single.load_state_dict({name.replace(f"_l{index}", "_l0"): tensor for name, tensor in weights.items()})
    return single


def listed(given, count):
    return given if isinstance(given, list) else [given] * count


def tensors(state):
    return state if isinstance(state, tuple) else (state,)


@pytest.mark.parametrize("bidirectional", [False, True])
@every_unroller
@every_stack
def test_a_stack_is_its_layers_one_after_the_other(stack, unroller, bidirectional):
    layer = build(stack, unroller=unroller, bidirectional=bidirectional)
    count = layer.num_layers
    ys, hx, expected = draw(T, B, D), [], []
    for k, (cell, hidden) in enumerate(zip(listed(stack[0], count), listed(stack[1], count), strict=True)):
        single = alone(layer, k, cell, hidden, ys.shape[2])
        state = [draw(*t.shape, seed=k) for t in tensors(single.initial_state(B))]
        hx.append(tuple(state) if len(state) > 1 else state[0])
        ys, last = single(ys, hx[-1])
        expected.append(last)
    output, states = layer(draw(T, B, D), hx)
    assert isinstance(states, list)
    torch.testing.assert_close((output, states), (ys, expected), rtol=0, atol=1e-12)


@every_stack
def test_lengths_resets_and_states_over_time_reach_every_layer(stack):
    layer = build(stack, bidirectional=True)
    xs, lengths = draw(T, B, D), torch.tensor([6, 2, 4])
    output, states, over_time = layer(xs, lengths=lengths, return_states=True)
    for row, length in enumerate(lengths.tolist()):
        single = layer(xs[:length, row], return_states=True)
        torch.testing.assert_close(output[:length, row], single[0], rtol=0, atol=1e-12)
        assert not output[length:, row].any()
        for whole, part in zip(layer.layout.flat(states), layer.layout.flat(single[1]), strict=True):
            torch.testing.assert_close(whole[:, row], part, rtol=0, atol=1e-12)
        for whole, part in zip(layer.layout.flat(over_time), layer.layout.flat(single[2]), strict=True):
            torch.testing.assert_close(whole[:, :length, row], part, rtol=0, atol=1e-12)


@every_unroller
def test_the_gradients_of_a_stack_are_differences(unroller):
    report = rnnkit.gradcheck(build((["lstm", "gru"], [3, 2])), unroller).raise_if_failed()
    names = [row.tensor for row in report.rows]
    assert names[:4] == ["input", "h0_l0", "c0_l0", "h0_l1"]
    assert all(row.gradient_norm > 0 for row in report.rows)


REFUSED = {
    "cell is a list of 2 for 3 layers; give one for each layer": ((["lstm", "gru"], [4] * 3), {}),
    "hidden_size is a list of 3 for 2 layers; give one for each layer": (("lstm", [4, 4, 4]), {"num_layers": 2}),
    "hidden_size is 0; it must be a whole number >= 1": (("lstm", [4, 0]), {}),
    "cell 'peephole' has no option 'nonlinearity'": ((["rnn", "peephole"], 4), {"nonlinearity": "relu"}),
    "residual: layer 1 has an input of 4 and an output of 5; they must agree": (("gru", [4, 5]), {"residual": True}),
    "unknown cell 'lsmt'": ((["lstm", "lsmt"], 4), {}),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_a_stack_that_cannot_be_is_said_in_a_sentence(sentence):
    (cell, hidden), options = REFUSED[sentence]
    with pytest.raises(UsageError, match=re.escape(sentence)):
        rnnkit.RNN(cell, D, hidden, **options)


MISFITS = {
    "hx is a Tensor; it must be a list of 2, the states of each layer": lambda h: h,
    "hx is a list of 1; it must be a list of 2, the states of each layer": lambda h: [h],
    "hx of layer 0 has 1 tensor; cell 'lstm' takes a tuple of 2 tensors: h, c": lambda h: [h, h],
    "hx of layer 1: 'h' has shape (1, 3, 9); it must be (layers * directions, batch, ...) = (1, 3, 5)": lambda h: [
        (h, h),
        torch.zeros(1, B, 9, dtype=h.dtype),
    ],
}


@pytest.mark.parametrize("sentence", MISFITS)
def test_states_that_do_not_fit_a_stack_are_named(sentence):
    layer = build((["lstm", "gru"], 5))
    with pytest.raises(UsageError, match=re.escape(sentence)):
        layer(draw(T, B, D), MISFITS[sentence](draw(1, B, 5)))


def test_as_many_layers_as_the_list_may_be_said():
    assert rnnkit.RNN(["lstm", "gru"], D, 5, num_layers=2).num_layers == 2
    assert rnnkit.RNN("lstm", D, [5], num_layers=1).num_layers == 1


@pytest.mark.parametrize(("cell", "bidirectional"), list(product(("lstm", "gru"), (False, True))))
def test_residual_adds_the_input_of_each_layer_after_the_first(cell, bidirectional):
    layer = build((cell, 5), num_layers=3, residual=True, bidirectional=bidirectional)
    ys = draw(T, B, D)
    for k in range(3):
        width = ys.shape[2]
        fed = alone(layer, k, cell, 5, width)(ys)[0]
        ys = fed + ys if k else fed
    torch.testing.assert_close(layer(draw(T, B, D))[0], ys, rtol=0, atol=1e-12)


def test_residual_passes_by_the_dropout():
    layer = build(("gru", 5), num_layers=2, residual=True, dropout=1.0)
    first = alone(layer, 0, "gru", 5, D)(draw(T, B, D))[0]
    second = alone(layer, 1, "gru", 5, 5)(torch.zeros(T, B, 5, dtype=torch.float64))[0]
    torch.testing.assert_close(layer(draw(T, B, D))[0], first + second, rtol=0, atol=1e-12)


def test_residual_keeps_the_padding_zero():
    layer = build(("gru", 5), num_layers=2, residual=True)
    output, _ = layer(draw(T, B, D), lengths=[2, 6, 1])
    assert not output[2:, 0].any()
    assert output[:2, 0].all()


def test_residual_in_one_layer_is_warned_of():
    with pytest.warns(UserWarning, match="residual=True acts between layers, and there is only one"):
        rnnkit.RNN("gru", D, 5, residual=True)
