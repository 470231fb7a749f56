"""All states over time, on request; initial states that are learnt; nested input."""

import pytest
import torch
from torch.nn.utils.rnn import pack_sequence

import rnnkit
from rnnkit.errors import UsageError

from ..core_cells import CORE_CELLS, TAKING_ALL
from ..slow_cases import slow_but

T, B, D, H = 7, 3, 4, 5
every_cell = pytest.mark.parametrize("name", CORE_CELLS)
every_unroller = pytest.mark.parametrize("unroller", TAKING_ALL)


def draw(*shape, seed=1):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def build(name="lstm", **options):
    torch.manual_seed(0)
    return rnnkit.RNN(name, D, H, dtype=torch.float64, **options).eval()


def tensors(state):
    return state if isinstance(state, tuple) else (state,)


@every_unroller
@pytest.mark.parametrize("name", slow_but(["lstm", "zoneout"], CORE_CELLS))
def test_states_over_time_are_the_last_states_of_shorter_sequences(name, unroller):
    layer = build(name, unroller=unroller, num_layers=2)
    xs = draw(T, B, D)
    output, last, states = layer(xs, return_states=True)
    plain = layer(xs)
    for tensor, expected in zip((output, *tensors(last)), (plain[0], *tensors(plain[1])), strict=True):
        torch.testing.assert_close(tensor, expected, rtol=0, atol=1e-12)
    for t in range(T):
        for over_time, state in zip(tensors(states), tensors(layer(xs[: t + 1])[1]), strict=True):
            torch.testing.assert_close(over_time[:, t], state, rtol=0, atol=1e-12)


@every_cell
def test_the_reverse_direction_has_its_states_where_it_read_the_input(name):
    layer = build(name, bidirectional=True, unroller="loop")
    xs = draw(T, B, D)
    states = layer(xs, return_states=True)[2]
    for t in range(T):
        for over_time, state in zip(tensors(states), tensors(layer(xs[t:])[1]), strict=True):
            torch.testing.assert_close(over_time[1, t], state[1], rtol=0, atol=1e-12)


@every_unroller
@pytest.mark.parametrize("name", slow_but(["lstm", "layernorm"], CORE_CELLS))
def test_states_over_time_have_gradients(name, unroller):
    results = []
    for through in ("loop", unroller):
        layer = build(name, unroller=through, bidirectional=True)
        xs = draw(T, B, D).requires_grad_()
        states = layer(xs, lengths=[7, 3, 1], return_states=True)[2]
        loss = torch.stack([(tensor * draw(*tensor.shape)).sum() for tensor in tensors(states)]).sum()
        results.append(torch.autograd.grad(loss, [xs, *layer.parameters()], allow_unused=True))
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=1e-12)
    assert results[0][0].any()


def test_states_over_time_are_laid_out_as_the_input():
    xs, lengths = draw(T, B, D), torch.tensor([2, 7, 4])
    states = build(num_layers=2, bidirectional=True)(xs, lengths=lengths, return_states=True)[2]
    assert [tensor.shape for tensor in states] == [(4, T, B, H)] * 2
    first = build(num_layers=2, bidirectional=True, batch_first=True)
    for tensor, expected in zip(first(xs.transpose(0, 1), lengths=lengths, return_states=True)[2], states, strict=True):
        assert torch.equal(tensor, expected.transpose(1, 2))
    for tensor, expected in zip(first(xs[:4, 2], return_states=True)[2], states, strict=True):
        torch.testing.assert_close(tensor, expected[:, :4, 2], rtol=0, atol=1e-12)
    packed = pack_sequence([xs[:n, row] for row, n in enumerate(lengths)], enforce_sorted=False)
    for tensor, expected in zip(first(packed, return_states=True)[2], states, strict=True):
        torch.testing.assert_close(tensor, expected, rtol=0, atol=1e-12)
    assert not any(tensor[:, n:, row].any() for tensor in states for row, n in enumerate(lengths))


def test_a_state_of_integers_is_not_returned_over_time():
    class Counting(rnnkit.Cell):
        state_names = ("h", "n")

        def initial_state(self, batch_size):
            return torch.zeros(batch_size, self.hidden_size), torch.zeros(batch_size, dtype=torch.long)

        def step(self, p, state):
            h, n = state
            return h, (h + p.sum(), n + 1)

    layer = rnnkit.RNN(Counting, 3, 4)
    assert layer(torch.zeros(5, 2, 3))[1][1].tolist() == [[5, 5]]
    with pytest.raises(UsageError, match=r"return_states: state 'n' is torch.int64"):
        layer(torch.zeros(5, 2, 3), return_states=True)


@pytest.mark.covering(1)
@every_unroller
@every_cell
def test_a_trainable_state_is_where_rows_begin_and_begin_again(name, unroller):
    layer = build(name, unroller=unroller, trainable_state=True, bidirectional=True, num_layers=2)
    names = [f"initial_{state}_l{k}{d}" for k in (0, 1) for d in ("", "_reverse") for state in layer.state_names]
    assert set(names) <= set(dict(layer.named_parameters()))
    with torch.no_grad():
        for key in names:
            assert not layer.get_parameter(key).any()
            layer.get_parameter(key).normal_()
    reset = torch.zeros(T, B, dtype=torch.bool)
    reset[3] = True
    output, _ = layer(draw(T, B, D), reset=reset)
    halves = [layer(part)[0] for part in (draw(T, B, D)[:3], draw(T, B, D)[3:])]
    torch.testing.assert_close(output, torch.cat(halves), rtol=0, atol=1e-12)
    given = layer.initial_state(B)
    assert all(tensor.any() for tensor in tensors(given))
    torch.testing.assert_close(layer(draw(T, B, D), given)[0], layer(draw(T, B, D))[0], rtol=0, atol=1e-12)


@every_unroller
def test_a_trainable_state_has_the_right_gradients(unroller):
    layer = build("gru", trainable_state=True)
    report = rnnkit.gradcheck(layer, unroller).raise_if_failed()
    assert {row.tensor: row.gradient_norm > 0 for row in report.rows}["initial_h_l0"]


def test_a_checkpoint_goes_into_a_layer_with_a_trainable_state():
    plain, layer = build(), build(trainable_state=True)
    result = layer.load_state_dict(plain.state_dict(), strict=False)
    assert result.missing_keys == ["initial_h_l0", "initial_c_l0"]
    assert result.unexpected_keys == []
    assert torch.equal(layer(draw(T, B, D))[0], plain(draw(T, B, D))[0])


@pytest.mark.covering(1)
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
@every_cell
def test_a_jagged_tensor_goes_in_and_comes_out(name, bidirectional, batch_first):
    layer = build(name, bidirectional=bidirectional, batch_first=batch_first, num_layers=2)
    rows = [draw(n, D, seed=n).requires_grad_() for n in (3, 7, 1)]
    nested = torch.nested.as_nested_tensor(rows, layout=torch.jagged)
    output, last = layer(nested)
    assert (output + output).shape == (3, nested.shape[1], layer.output_size)  # the ragged size is the input's own
    output.values().sin().sum().backward()
    for k, (row, ys) in enumerate(zip(rows, output.unbind(), strict=True)):
        gradient, row.grad = row.grad, None
        expected, state = layer(row)
        torch.testing.assert_close(ys, expected, rtol=0, atol=1e-12)
        for tensor, alone in zip(tensors(last), tensors(state), strict=True):
            torch.testing.assert_close(tensor[:, k], alone, rtol=0, atol=1e-12)
        expected.sin().sum().backward()
        torch.testing.assert_close(gradient, row.grad, rtol=0, atol=1e-12)


def test_a_nested_output_is_an_input_that_knows_its_longest_row():
    first, second = build("gru"), rnnkit.RNN("gru", H, H, dtype=torch.float64)
    values, offsets = draw(11, D), torch.tensor([0, 3, 10, 11])
    nested = torch.nested.nested_tensor_from_jagged(values, offsets)
    output, _ = first(nested)
    assert torch.nested.to_padded_tensor(output, 0.0).shape == (3, 7, H)
    again, _, states = second(output, reset=torch.zeros(7, 3, dtype=torch.bool), return_states=True)
    assert states.shape == (1, 3, 7, H)
    for ys, over_time, row in zip(again.unbind(), states[0], values.split([3, 7, 1]), strict=True):
        torch.testing.assert_close(ys, second(first(row)[0])[0], rtol=0, atol=1e-12)
        torch.testing.assert_close(over_time[: len(row)], ys, rtol=0, atol=1e-12)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")  # torch, of the strided layout
def test_other_nested_tensors_are_refused_in_a_sentence():
    layer = build()
    with pytest.raises(UsageError, match=r"the input is a nested tensor of another kind than .* torch\.jagged"):
        layer(torch.nested.nested_tensor([draw(2, D), draw(3, D)], layout=torch.strided))
    nested = torch.nested.as_nested_tensor([draw(2, D), draw(3, D)], layout=torch.jagged)
    with pytest.raises(UsageError, match="lengths= goes with a padded input; a nested tensor has its own"):
        layer(nested, lengths=[2, 3])
    with pytest.raises(UsageError, match="lengths runs from 0 to 3"):
        layer(torch.nested.as_nested_tensor([draw(0, D), draw(3, D)], layout=torch.jagged))
