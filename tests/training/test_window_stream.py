"""The stream of training data goes on from any place where it was left, with the same pieces."""

from functools import cache
from itertools import islice, pairwise

import pytest
import torch

import rnnkit
from rnnkit.errors import PluginError, UsageError
from rnnkit.training.window_stream import Stream

B = 2


class Fresh(rnnkit.Task):
    """Batches drawn one by one: each is a break, and `batches` may begin at any."""

    name = "fresh"
    metric_name = "MSE"
    input_size, output_size = 3, 1
    drawn = 0

    def batch(self, size, generator):
        self.drawn += 1
        xs = torch.randn(7, size, 3, generator=generator)
        return rnnkit.Batch(xs, xs.sum(-1, keepdim=True))

    def loss(self, outputs, targets):
        return (outputs - targets).square().mean()

    metric = loss


class Threes(Fresh):
    """Batches that continue each other in threes, of uneven lengths, read again from each break."""

    name = "threes"
    fresh_at_breaks = True

    def batches(self, size, generator):
        while True:
            for number in range(3):
                batch = self.batch(size, generator)
                steps = 7 - 2 * number
                yield rnnkit.Batch(batch.xs[:steps], batch.targets[:steps], continues=number > 0)


class Remembering(Threes):
    """The same, but what it gives depends on all that it gave before."""

    name = "remembering"

    def batches(self, size, generator):
        total = torch.zeros(())
        for batch in super().batches(size, generator):
            total = total + batch.xs.sum()
            yield batch._replace(xs=batch.xs + total)


class Last(Fresh):
    """One target a sequence."""

    name = "last"
    every_step = False

    def batch(self, size, generator):
        batch = super().batch(size, generator)
        return batch._replace(targets=batch.targets[-1])


TASKS = [Fresh, Threes, Remembering, Last]


def taken(stream, count):
    """Take pieces: all that they hold, as plain values."""
    return [
        (*(tensor.numpy().tobytes() for tensor in piece.batch[:2]), piece.batch.continues, *piece[1:])
        for piece in islice(stream, count)
    ]


def test_tasks_with_batches_of_their_own_begin_anew_only_if_they_say_so():
    assert [kind.fresh_at_breaks for kind in (Fresh, Threes, Remembering, Last)] == [True, True, False, True]
    assert rnnkit.tasks["chars"].fresh_at_breaks


@pytest.mark.parametrize("truncate", [None, (2, 2), (2, 5), (3, 4)], ids=str)
@pytest.mark.parametrize("make", TASKS)
def test_it_goes_on_from_every_place(make, truncate):
    goes_on_from_every_place(make, truncate, 16)


@pytest.mark.parametrize("truncate", [None, (30_000, 30_000), (20_000, 50_000)], ids=str)
def test_a_long_text_goes_on_from_every_place(truncate):
    goes_on_from_every_place(cache(lambda: rnnkit.tasks["chars"](seq_len=60_000)), truncate, 9)


def goes_on_from_every_place(make, truncate, count):
    whole = taken(Stream(make(), B, truncate, seed=3), count)
    for place in range(count):
        first, second = Stream(make(), B, truncate, seed=3), Stream(make(), B, truncate, seed=99)
        before = taken(first, place)
        second.load_state(first.state())
        assert before + taken(second, count - place) == whole, place
        assert taken(first, count - place) == whole[place:], place  # asking for its place has not moved it


@pytest.mark.parametrize("make", TASKS)
def test_a_place_reached_after_going_on_is_a_place_too(make):
    whole = taken(Stream(make(), B, (2, 4), seed=3), 16)
    state, found = Stream(make(), B, (2, 4), seed=3).state(), []
    for _ in range(16):  # a new process for each piece
        stream = Stream(make(), B, (2, 4), seed=0)
        stream.load_state(state)
        found += taken(stream, 1)
        state = stream.state()
    assert found == whole


def test_a_state_stays_what_it_was():
    stream = Stream(Fresh(), B, None, seed=3)
    state = stream.state()
    whole = taken(stream, 5)
    again = Stream(Fresh(), B, None, seed=4)
    again.load_state(state)
    assert taken(again, 5) == whole


def test_of_what_is_before_a_break_nothing_is_read_again():
    stream = Stream(Threes(), B, None, seed=0)
    taken(stream, 301)
    again = Threes()
    Stream(again, B, None, seed=0).load_state(stream.state())
    assert again.drawn <= 3


def test_of_what_cannot_begin_anew_all_is_read_again():
    stream = Stream(Remembering(), B, None, seed=0)
    taken(stream, 10)
    again = Remembering()
    Stream(again, B, None, seed=0).load_state(stream.state())
    assert again.drawn == 10


def test_pieces_say_which_window_is_the_first_and_which_follows():
    pieces = list(islice(Stream(Fresh(), B, (3, 4), seed=0), 4))
    assert [piece.first for piece in pieces] == [True, False, False, True]
    for piece, after in pairwise(pieces[:3]):
        assert piece.following == after.window
        assert piece.batch is after.batch
    assert pieces[2].following is None


def test_the_seed_decides():
    first, again, other = (taken(Stream(Fresh(), B, None, seed), 3) for seed in (1, 1, 2))
    assert first == again != other


def test_rows_of_different_lengths_are_not_cut():
    class Ragged(Fresh):
        def batch(self, size, generator):
            return super().batch(size, generator)._replace(lengths=torch.tensor([7, 3]))

    next(Stream(Ragged(), B, None, seed=0))
    with pytest.raises(UsageError, match="task 'ragged' gives rows of different lengths"):
        next(Stream(Ragged(), B, (2, 2), seed=0))


class Ending(Fresh):
    """Gives three batches."""

    name = "ending"

    def batches(self, size, generator):
        for _ in range(3):
            yield self.batch(size, generator)


def test_a_task_that_runs_out_of_batches_is_named():
    stream = Stream(Ending(), B, None, seed=0)
    taken(stream, 3)
    with pytest.raises(PluginError, match="task 'ending' has run out of batches"):
        next(stream)


def test_a_place_that_is_none():
    stream = Stream(Fresh(), B, (2, 2), seed=0)
    taken(stream, 2)
    for wrong in ({"window": 5}, {"window": -1}, {"batches": 0}):
        with pytest.raises(ValueError, match="window"):
            Stream(Fresh(), B, (2, 2), seed=0).load_state({**stream.state(), **wrong})
