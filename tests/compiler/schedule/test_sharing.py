"""How workers share a step: by the model, and by what it must come to whatever its numbers are."""

import pytest

import rnnkit
from rnnkit_compiler import compiled
from rnnkit_compiler.schedule.sharing import CACHE, Shares, StepWork, best_shares, meeting, shares_of_a_step

THREADS = (1, 2, 3, 4, 8, 16, 64)
ROWS = (1, 2, 3, 5, 8, 32, 100)


def work_of(name, hidden):
    cell = rnnkit.cells[name](hidden, hidden)
    return compiled.program_for(cell, *compiled.example(cell)).backend._recurrence.work


def test_the_work_of_an_lstm_s_step_is_read_off_its_stages():
    assert work_of("lstm", 128) == StepWork(128, 4 * 4 * 128 * 128, 13 * 128, 1, 4)


@pytest.mark.parametrize("name", ["lstm", "layernorm", "mingru"])
def test_the_shares_are_a_grid_of_at_most_all_threads_and_no_slower_than_rows_alone(name):
    work = work_of(name, 96)
    for threads in THREADS:
        for rows in ROWS:
            shares = shares_of_a_step(work, rows, threads)
            assert shares.workers % shares.units == 0
            assert threads - shares.units < shares.workers <= threads
            assert work.time(rows, shares) <= work.time(rows, Shares(threads, 1))


def test_two_threads_share_rows_whose_weights_stay_in_their_caches_and_units_otherwise():
    assert all(shares_of_a_step(work_of("lstm", hidden), 32, 2) == (2, 1) for hidden in (32, 64, 128, 256))
    assert all(shares_of_a_step(work_of("lstm", hidden), 32, 2) == (2, 2) for hidden in (512, 1024))
    assert shares_of_a_step(work_of("lstm", 128), 1, 2) == (2, 2)  # there is but one row
    assert shares_of_a_step(work_of("lstm", 16), 1, 2) == (2, 1)  # so little that a barrier would cost more


def test_many_threads_share_both():
    assert shares_of_a_step(work_of("lstm", 512), 32, 64) == (64, 4)
    assert shares_of_a_step(work_of("lstm", 128), 1, 64).units == 8  # no more than there are vectors of units


def test_more_work_takes_longer_and_more_workers_for_rows_do_not():
    work = work_of("lstm", 128)
    for threads in THREADS:
        times = [work.time(rows, Shares(threads, 1)) for rows in ROWS]
        assert times == sorted(times)
    times = [work.time(100, Shares(threads, 1)) for threads in THREADS]
    assert times == sorted(times, reverse=True)
    assert [meeting(count) for count in (1, 2, 3)] == [0, 150, 180]


def test_weights_beyond_a_cache_are_read_anew_at_every_step():
    within, beyond = (StepWork(1024, bytes_, 0, 1, 4) for bytes_ in (CACHE, 2 * CACHE))
    assert beyond.time(4, Shares(1, 1)) > 2 * within.time(4, Shares(1, 1))
    assert beyond.time(4, Shares(2, 2)) == pytest.approx(within.time(4, Shares(1, 1)) + meeting(2))


def test_one_thread_does_what_is_done_before_another_has_begun():
    work = work_of("lstm", 128)
    assert best_shares(work, 1, 1, 8) == (1, 1)
    assert best_shares(work, 100, 1, 8) == shares_of_a_step(work, 1, 8) != (1, 1)


def test_rows_of_a_vector_that_is_left_over_are_shared_where_there_are_enough():
    work = work_of("lstm", 300)
    assert work.vectors == 19
    assert work.part(Shares(2, 2)) == 10 / 19
    assert work.computed(Shares(2, 2), 20) == 0.5
    assert work.computed(Shares(2, 2), 4) == 10 / 19
    assert work.computed(Shares(8, 8), 40) == (2 + 1 / 2) / 19
    assert work_of("lstm", 288).computed(Shares(2, 2), 20) == 0.5
