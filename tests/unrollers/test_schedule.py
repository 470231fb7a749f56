"""Where checkpoints stand in time: the dynamic program against a search over every way, and the closed form."""

import heapq
from math import comb, isqrt

import pytest

from rnnkit.errors import ResourceError
from rnnkit_unrollers._schedule import MOST_SLOTS, Schedule, budget_schedule, sqrt_schedule


def fewest_runs(steps, slots):
    """Search all ways to take `steps` back with `slots` states kept beside the first: Dijkstra over machine states.

    A machine state is (end of what is left, positions whose states are kept, position of the state at hand).
    """
    start = (steps, frozenset(), 0)
    queue, seen = [(0, 0, start)], set()
    pushed = 0
    while queue:
        cost, _, state = heapq.heappop(queue)
        if state in seen:
            continue
        seen.add(state)
        stop, kept, at = state
        if stop == 0:
            return cost
        moves = [(0, (stop, kept, back)) for back in (0, *kept)]
        moves += [(0, (stop, kept - {dropped}, at)) for dropped in kept]
        if at == stop - 1:
            moves.append((1, (stop - 1, kept, at)))
        elif at < stop - 1:
            moves.append((1, (stop, kept, at + 1)))
        if len(kept) < slots:
            moves.append((0, (stop, kept | {at}, at)))
        for price, following in moves:
            pushed += 1
            heapq.heappush(queue, (cost + price, pushed, following))
    raise AssertionError("no way back")


def binomial_runs(steps, slots):
    """Griewank & Walther 2000: with c states, the first included, and r = the least with C(c + r, c) >= steps,
    r * steps - C(c + r, r - 1) steps are run before replays, of which there is one a step.
    """
    states, repetitions = slots + 1, 0
    while comb(states + repetitions, states) < steps:
        repetitions += 1
    advanced = repetitions * steps - comb(states + repetitions, repetitions - 1) if repetitions else 0
    return advanced + steps


def walk(schedule):
    """Take a sequence back as the schedule says: the steps run, and the most states held at once."""
    leaf, time = schedule.leaf, schedule.time

    def steps(first, last):
        return min(last * leaf, time) - first * leaf

    held = [0, *schedule.descend(0, schedule.blocks, 0)]
    run, most, stop = steps(0, schedule.blocks - 1), len(held), schedule.blocks
    while stop:
        block = held[-1]
        for following in schedule.descend(block, stop, len(held) - 1):
            assert block < following < stop
            run += steps(block, following)
            held.append(following)
            block = following
        most = max(most, len(held))
        assert held.pop() == stop - 1
        run += steps(stop - 1, stop)
        stop -= 1
    assert held == []
    return run, most


@pytest.mark.parametrize("slots", range(5))
@pytest.mark.parametrize("steps", range(1, 9))
def test_no_other_way_is_cheaper(steps, slots):
    assert Schedule(steps, 1, slots).runs() == fewest_runs(steps, slots)


def test_equals_the_closed_form_of_binomial_checkpointing():
    for steps in (1, 2, 3, 5, 10, 31, 64, 100, 257, 600):
        for slots in (0, 1, 2, 3, 5, 8, 13, 40):
            assert Schedule(steps, 1, slots).runs() == binomial_runs(steps, slots), (steps, slots)


@pytest.mark.parametrize("slots", [0, 1, 2, 4, 9, MOST_SLOTS, MOST_SLOTS + 1, 200])
def test_a_walk_runs_what_the_schedule_says_and_holds_no_more_than_its_slots(slots):
    for blocks in (1, 2, 3, 7, 20, 65, 130):
        for leaf in (1, 3):
            schedule = Schedule(blocks * leaf, leaf, slots)
            run, most = walk(schedule)
            assert most <= slots + 2, schedule  # the first state and the one that is replayed have no slot
            if slots <= MOST_SLOTS:
                assert run == schedule.runs(), schedule
            else:  # counted as if there were MOST_SLOTS, until few steps are left
                assert run <= schedule.runs(), schedule


def test_a_shorter_last_block_costs_no_more():
    for time in range(1, 60):
        for leaf in (2, 5, 7):
            for slots in (0, 1, 3):
                run, most = walk(Schedule(time, leaf, slots))
                assert time <= run <= Schedule(time, leaf, slots).runs()
                assert most <= slots + 2


def test_the_default_has_square_root_segments_and_runs_everything_twice():
    for time in (1, 2, 3, 4, 10, 64, 99, 100, 1000, 4097):
        schedule = sqrt_schedule(time)
        root = isqrt(time)
        assert root <= schedule.leaf <= root + 2
        assert schedule.blocks <= root + 2
        assert schedule.slots == schedule.blocks - 1
        run, _ = walk(schedule)
        assert run == time + (schedule.blocks - 1) * schedule.leaf
    assert sqrt_schedule(100) == Schedule(100, 10, 9)


def test_a_given_segment_is_taken_and_never_longer_than_the_sequence():
    assert sqrt_schedule(100, 25) == Schedule(100, 25, 3)
    assert sqrt_schedule(10, 25) == Schedule(10, 10, 0)


@pytest.mark.parametrize("time", [1, 7, 50, 200])
def test_every_budget_is_kept_and_none_that_fits_is_beaten(time):
    state, step = 16, 40
    for budget in (56, 57, 72, 100, 160, 400, 1000, 5000, 100_000):
        schedule = budget_schedule(time, budget, state, step)
        run, most = walk(schedule)
        assert (most - 1) * state + schedule.leaf * step <= budget, (budget, schedule)  # the first state is the input's
        for leaf in range(1, time + 1):
            slots = (budget - leaf * step) // state - 1
            if slots >= 0:
                assert schedule.runs() <= Schedule(time, leaf, slots).runs(), (budget, leaf)
        assert run <= schedule.runs()


def test_a_larger_budget_never_runs_more():
    runs = [budget_schedule(300, budget, 16, 40).runs() for budget in range(56, 3000, 50)]
    assert runs == sorted(runs, reverse=True)
    assert runs[-1] < runs[0]


def test_a_long_sequence_under_the_least_budget_still_has_a_schedule():
    schedule = budget_schedule(5000, 56, 16, 40)
    assert schedule == Schedule(5000, 1, 0)


def test_a_budget_that_nothing_fits_names_the_least_that_does():
    with pytest.raises(ResourceError, match=r"budget=55 bytes is too small; .* take 56 bytes"):
        budget_schedule(100, 55, 16, 40)
    assert budget_schedule(100, 56, 16, 40) == Schedule(100, 1, 0)
