"""The boundary check that every unroller begins with, and what lengths and resets mean."""

import pytest
import torch

import rnnkit
from rnnkit.core.cell import building
from rnnkit.errors import ShapeError

from ..core_cells import CORE_CELLS, TAKING_ALL

CELLS, UNROLLERS = CORE_CELLS, TAKING_ALL
every_unroller = pytest.mark.parametrize("unroller", UNROLLERS)
every_pair = pytest.mark.parametrize(
    ("name", "unroller"), [(name, unroller) for name in CELLS for unroller in UNROLLERS]
)

T, B, D, H = 6, 3, 4, 5


def build(name="lstm"):
    torch.manual_seed(0)
    with building(None, torch.float64):
        return rnnkit.cells[name](D, H)


def zeros(*shape, dtype=torch.float64, device="cpu"):
    return torch.zeros(*shape, dtype=dtype, device=device)


H0 = zeros(B, H)
WRONG = {
    "the input has shape (6, 4); an unroller takes (time, batch, input_size)": {"xs": zeros(T, D)},
    "the input has 3 features a step; input_size is 4": {"xs": zeros(T, B, D - 1)},
    "the input has no steps; a sequence needs at least one": {"xs": zeros(0, B, D)},
    "the input's dtype is torch.float32, the weights' torch.float64; use .to()": {
        "xs": zeros(T, B, D, dtype=torch.float32)
    },
    "the input is on meta, the weights are on cpu": {"xs": zeros(T, B, D, device="meta")},
    "the initial state has 1 tensors; state_names declares ('h', 'c')": {"state": (H0,)},
    "the initial state has 3 tensors; state_names declares ('h', 'c')": {"state": (H0,) * 3},
    "the initial state is a Tensor; it must be a tuple of tensors": {"state": H0},
    "initial state 'c' is a float, not a tensor": {"state": (H0, 0.0)},
    "initial state 'c' has shape (3, 4); it must be (3, 5)": {"state": (H0, zeros(B, H - 1))},
    "initial state 'h' has shape (2, 5); it must be (3, 5)": {"state": (zeros(B - 1, H),) * 2},
    "initial state 'h' has shape (5,); it must be (3, 5)": {"state": (zeros(H),) * 2},
    "initial state 'h' is on meta; it must be on cpu": {"state": (zeros(B, H, device="meta"), H0)},
    "lengths has shape (3,) and dtype torch.float32; it must be one integer for each of the 3 rows": {
        "lengths": torch.tensor([6.0, 2.0, 1.0])
    },
    "lengths has shape (3,) and dtype torch.bool; it must be one integer for each of the 3 rows": {
        "lengths": torch.tensor([True] * 3)
    },
    "lengths has shape (2,) and dtype torch.int64; it must be one integer for each of the 3 rows": {
        "lengths": torch.tensor([6, 2])
    },
    "lengths runs from 1 to 7; each must be from 1 to the number of steps, 6": {"lengths": torch.tensor([7, 2, 1])},
    "lengths runs from 0 to 6; each must be from 1 to the number of steps, 6": {"lengths": torch.tensor([6, 2, 0])},
    "lengths runs from -1 to 6; each must be from 1 to the number of steps, 6": {"lengths": torch.tensor([6, -1, 1])},
    "reset has shape (3, 6) and dtype torch.bool; it must be booleans (6, 3)": {
        "reset": torch.zeros(B, T, dtype=torch.bool)
    },
    "reset has shape (6, 3) and dtype torch.int64; it must be booleans (6, 3)": {
        "reset": torch.zeros(T, B, dtype=torch.int64)
    },
    "reset is on meta, the input is on cpu": {"reset": torch.zeros(T, B, dtype=torch.bool, device="meta")},
}


@pytest.mark.parametrize("sentence", WRONG)
@every_unroller
def test_what_does_not_fit_is_named(unroller, sentence):
    arguments = {"xs": zeros(T, B, D), **WRONG[sentence]}
    with pytest.raises(ShapeError) as caught:
        rnnkit.unrollers[unroller]()(build(), arguments.pop("xs"), **arguments)
    assert str(caught.value).endswith(sentence)
    if not sentence.startswith(("lengths", "reset")):
        assert str(caught.value).startswith("cell 'lstm' (rnnkit_cells.lstm.LSTM): ")


class Custom(rnnkit.Cell):
    """Returns whatever it was built to return."""

    name = "custom"
    result = None

    def step(self, p, state):
        return self.result


WRONG_STEPS = {
    "step() must return (output tensor, state tuple)": zeros(B, D),
    "step() returned 2 state tensors; state_names declares ('h',)": (zeros(B, D), (zeros(B, D),) * 2),
    "the state returned by step() is a Tensor; it must be a tuple of tensors": (zeros(B, D), zeros(B, D)),
    "state returned by step() 'h' has shape (3, 9); it must be (3, 4)": (zeros(B, D), (zeros(B, 9),)),
    "step() returned an output of shape (9, 4); its first size must be the batch, 3": (zeros(9, D), (zeros(B, D),)),
}


@pytest.mark.parametrize("sentence", WRONG_STEPS)
@every_unroller
def test_a_step_that_returns_something_else_is_named(unroller, sentence):
    cell = Custom(D, D)
    cell.result = WRONG_STEPS[sentence]
    xs = zeros(T, B, D).requires_grad_()
    with pytest.raises(ShapeError, match="cell 'custom'") as caught:
        rnnkit.unrollers[unroller]()(cell, xs)
    assert str(caught.value).endswith(sentence)


@every_unroller
def test_lengths_may_be_any_integers_and_a_list_fits_too(unroller):
    xs = torch.randn(T, B, D, dtype=torch.float64)
    expected, _ = rnnkit.unrollers[unroller]()(build(), xs, lengths=torch.tensor([6, 2, 1]))
    for lengths in (torch.tensor([6, 2, 1], dtype=torch.int32), torch.tensor([6, 2, 1], dtype=torch.uint8), [6, 2, 1]):
        ys, _ = rnnkit.unrollers[unroller]()(build(), xs, lengths=lengths)
        assert torch.equal(ys, expected)


@pytest.mark.covering(2)
@pytest.mark.parametrize("rubbish", [float("nan"), float("inf"), 1e300])
@every_pair
def test_what_stands_in_the_padding_reaches_nothing(name, unroller, rubbish):
    cell, lengths = build(name), torch.tensor([4, 1, 6])
    xs = torch.randn(T, B, D, dtype=torch.float64)
    results = []
    for value in (0.0, rubbish):
        padded = xs.masked_fill(torch.arange(T).view(T, 1, 1) >= lengths.view(1, B, 1), value).requires_grad_()
        torch.manual_seed(1)
        ys, last = rnnkit.unrollers[unroller]()(cell, padded, lengths=lengths)
        gradients = torch.autograd.grad(ys.sin().sum() + last[0].sum(), [padded, *cell.parameters()])
        results.append((ys, *last, *gradients))
    for clean, dirty in zip(*results, strict=True):
        assert torch.equal(clean, dirty)
        assert torch.isfinite(dirty).all()


def alone(cell, xs, state, starts):
    """Step through one row (T, 1, D) in the plainest way, back to zeros before each step in `starts`."""
    ys = []
    for t, x in enumerate(xs):
        if t in starts:
            state = cell.initial_state(1)
        y, state = cell(x, state)
        ys.append(y)
    return torch.cat(ys), state


@pytest.mark.covering(2)
@pytest.mark.parametrize("masks", ["all steps", "lengths", "reset", "lengths and reset"])
@every_pair
def test_each_row_runs_as_if_alone(name, unroller, masks):
    cell = build(name).eval()  # some cells draw masks
    xs = torch.randn(T, B, D, dtype=torch.float64, requires_grad=True)
    state = tuple(torch.randn_like(tensor).requires_grad_() for tensor in cell.initial_state(B))
    lengths = torch.tensor([4, 1, 6]) if "lengths" in masks else torch.tensor([T] * B)
    starts = ({2}, {0}, {1, 4, 5}) if "reset" in masks else (set(), set(), set())
    reset = torch.tensor([[t in starts[row] for row in range(B)] for t in range(T)])
    ys, last = rnnkit.unrollers[unroller]()(
        cell,
        xs,
        state,
        lengths=lengths if "lengths" in masks else None,
        reset=reset if "reset" in masks else None,
    )
    found, expected = [], []
    for row, length in enumerate(lengths.tolist()):
        one = slice(row, row + 1)
        ends, after = alone(cell, xs[:length, one], tuple(tensor[one] for tensor in state), starts[row])
        expected += [torch.cat([ends, zeros(T - length, H)]), *after]
        found += [ys[:, row], *(tensor[one] for tensor in last)]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)

    def gradients(results):
        loss = torch.cat([result.flatten() for result in results]).sin().sum()
        return torch.autograd.grad(loss, [xs, *state, *cell.parameters()], materialize_grads=True)

    torch.testing.assert_close(gradients(found), gradients(expected), rtol=0, atol=1e-12)


@every_unroller
def test_an_empty_batch(unroller):
    cell = build()
    ys, last = rnnkit.unrollers[unroller]()(cell, zeros(T, 0, D), lengths=torch.zeros(0, dtype=torch.int64))
    assert ys.shape == (T, 0, H)
    assert [tensor.shape for tensor in last] == [(0, H)] * 2
