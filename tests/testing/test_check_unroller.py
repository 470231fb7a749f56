"""check_unroller: a good unroller passes; each broken promise is caught."""

import pytest

import rnnkit
from rnnkit import testing
from rnnkit.errors import CheckError

from ..core_cells import CORE_CELLS
from ..slow_cases import slow_but

pytestmark = pytest.mark.usefixtures("few_cells")


class Wrapping(rnnkit.Unroller):
    """The loop itself; each of the others does one thing wrong."""

    name = "wrapping"

    def __call__(self, cell, xs, state=None, *, lengths=None, reset=None):
        return rnnkit.unrollers["loop"]()(cell, xs, state, lengths=lengths, reset=reset)


class Truncating(Wrapping):
    def __call__(self, cell, xs, state=None, **masks):
        ys, last = super().__call__(cell, xs, state, **masks)
        return ys, tuple(tensor.detach() for tensor in last)


class DropsLengths(Wrapping):
    def __call__(self, cell, xs, state=None, *, lengths=None, reset=None):
        rnnkit.prepare(cell, xs, state, lengths, reset)
        return super().__call__(cell, xs, state, reset=reset)


class DropsResets(Wrapping):
    def __call__(self, cell, xs, state=None, *, lengths=None, reset=None):
        return super().__call__(cell, xs, state, lengths=lengths)


class Rounds(Wrapping):
    def __call__(self, cell, xs, state=None, **masks):
        ys, last = super().__call__(cell, xs, state, **masks)
        return ys * (1 + 1e-6), last


class Unchecked(Wrapping):
    def __call__(self, cell, xs, state=None, *, lengths=None, reset=None):
        if state is not None and len(state) != len(cell.state_names):
            state = None
        if lengths is not None:
            lengths = lengths.clamp(max=len(xs))
        return super().__call__(cell, xs[..., : cell.input_size], state, lengths=lengths, reset=reset)


BROKEN_UNROLLERS = {
    Truncating: ("the loop's numbers for 'lstm'", "the gradient of"),
    DropsLengths: ("the loop's numbers for 'gru'", "lengths, reset): the output differs from the loop's by"),
    DropsResets: ("the loop's numbers for 'rnn'", "lengths, reset): the output differs from the loop's by"),
    Rounds: ("the loop's numbers for 'lstm'", "the output differs from the loop's by"),
    Unchecked: ("refuses what does not fit", "is not refused; begin with rnnkit.prepare()"),
}


@pytest.mark.parametrize("kind", slow_but([Wrapping], [Wrapping, *rnnkit.unrollers.values()]))
def test_good_unrollers_pass(kind):
    found = testing.check_unroller(kind)
    assert found.ok
    assert len(found.promises) == len(CORE_CELLS) + 3


@pytest.mark.parametrize("kind", slow_but([Truncating, Unchecked], BROKEN_UNROLLERS), ids=lambda kind: kind.__name__)
def test_a_broken_unroller_is_caught(kind):
    promise, sentence = BROKEN_UNROLLERS[kind]
    result = testing.inspect_unroller(kind)
    assert any(sentence in line for line in result.promises[promise]), result
    boundary_is_broken = bool(result.promises["refuses what does not fit"])
    assert boundary_is_broken == (kind is Unchecked)
    with pytest.raises(CheckError, match=f"unroller {kind.name!r} breaks"):
        result.raise_if_failed()


def test_everything_that_an_unchecked_unroller_lets_in_is_listed():
    sentences = testing.inspect_unroller(Unchecked).promises["refuses what does not fit"]
    assert [line.split(": ", 1)[1].partition(" is not")[0] for line in sentences] == [
        "an input with a feature too many",
        "a state with a tensor too few",
        "lengths beyond the sequence",
    ]


@pytest.mark.parametrize("steps", [1, 9])
def test_differences_are_none_at_all_for_the_loop_itself(steps):
    cell = rnnkit.cells["lstm"](3, 4)
    assert list(testing.differences(rnnkit.unrollers["loop"](), cell, steps, 2, 0.0)) == []
    assert list(testing.differences(Rounds(), cell, steps, 2, 0.0))
