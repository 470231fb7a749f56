"""Places, ties, failures and targets, from figures that are told."""

import json
import math

import pytest

from rnnkit.racing import tables
from rnnkit.racing.bootstrap import paired_interval


def places(result):
    return [(place.rank, place.cell, place.median) for place in result.leaderboard]


def test_the_lowest_median_comes_first(told_race):
    result = told_race({"lstm": [0.3, 0.1, 0.2], "gru": [0.05, 0.9, 0.15], "rnn": [1.0, 1.0, 0.4]})
    assert places(result) == [(1, "gru", 0.15), (2, "lstm", 0.2), (3, "rnn", 1.0)]
    first, second, _ = result.leaderboard
    assert (first.low, first.high, first.difference, first.interval) == (0.05, 0.9, 0, None)
    assert second.difference == pytest.approx(0.05)
    assert second.interval == paired_interval([0.3, 0.1, 0.2], [0.05, 0.9, 0.15])


def test_the_highest_comes_first_where_higher_is_better(told_race):
    result = told_race({"lstm": [0.5, 0.6], "gru": [0.9, 0.8], "rnn": [None, None]}, higher_is_better=True)
    assert [place.cell for place in result.leaderboard] == ["gru", "lstm", "rnn"]
    assert result.leaderboard[1].difference == pytest.approx(-0.3)


def test_equal_medians_share_a_rank_in_the_order_of_naming(told_race):
    result = told_race({"rnn": [0.2, 0.2], "lstm": [0.1, 0.1], "gru": [0.1, 0.1]})
    assert places(result) == [(1, "lstm", 0.1), (1, "gru", 0.1), (3, "rnn", 0.2)]
    assert "Not told apart from lstm by these seeds: gru." in result.notes()


def test_a_training_that_diverges_counts_as_the_worst(told_race):
    result = told_race({"lstm": [None, None, 0.1], "gru": [0.5, 0.6, None], "rnn": [None, None, None]})
    assert [place.cell for place in result.leaderboard] == ["gru", "lstm", "rnn"]
    gru, lstm, rnn = result.leaderboard
    assert (gru.median, gru.high, gru.failed) == (0.6, math.inf, {"diverged": 1})
    assert (lstm.rank, rnn.rank, lstm.median) == (2, 2, math.inf)
    assert "lstm: 2 of 3 trainings diverged (step 3: the loss is nan)." in result.notes()
    assert math.isnan(rnn.seconds)


def test_where_all_diverge_there_is_no_interval_and_no_difference(told_race):
    result = told_race({"lstm": [None, None], "gru": [None, None]})
    assert [(place.rank, place.difference, place.interval) for place in result.leaderboard] == [(1, 0, None)] * 2
    json.loads(result.to_json(), parse_constant=pytest.fail)


def test_the_rate_of_the_best_median_is_taken_and_what_failed_is_not(told_race):
    tuning = {"lstm": {0.01: [0.2, 0.3], 0.1: [0.1, None]}, "gru": {0.01: [0.5, 0.5], 0.1: [0.4, 0.4]}}
    result = told_race({"lstm": [0.1, 0.1], "gru": [0.2, 0.2]}, tuning, (0.01, 0.1), tuning_seeds=2)
    lstm, gru = result.leaderboard
    assert (lstm.lr, gru.lr) == (0.01, 0.1)
    assert lstm.tried == {0.01: 0.25, 0.1: math.inf}
    assert "lstm took the lowest learning rate, 0.01; a lower one may suit it better." in result.notes()
    assert "gru took the highest learning rate, 0.1; a higher one may suit it better." in result.notes()


def test_of_equal_rates_the_lowest_is_taken_even_where_all_diverge(told_race):
    tuning = {"lstm": {0.01: [0.2], 0.1: [0.2]}, "gru": {0.01: [None], 0.1: [None]}}
    result = told_race({"lstm": [0.1], "gru": [None]}, tuning, (0.1, 0.01))
    assert [place.lr for place in result.leaderboard] == [0.01, 0.01]


def test_no_seed_of_the_ranking_is_one_of_tuning(small_settings):
    settings = small_settings(seeds=5, tuning_seeds=7)
    assert set(settings.ranking_seeds).isdisjoint(settings.choosing_seeds)
    assert (len(settings.ranking_seeds), len(settings.choosing_seeds)) == (5, 7)
    assert settings.trainings == 2 * (5 + 2 * 7)
    assert small_settings(rates=(0.01,)).trainings == 2 * 3


def test_how_soon_the_target_is_reached(told_race):
    """Validations are at 0, 2 and 4 updates: 1, the middle, and the end."""
    result = told_race({"lstm": [0.0, 0.0, 0.4], "gru": [0.9, 0.0, 0.9], "rnn": [0.3, 0.5, None]}, target=0.5)
    reached = {place.cell: place.reached for place in result.leaderboard}
    assert tuple(reached["lstm"]) == (2, 16, 0.2, 3)
    assert tuple(reached["gru"]) == (math.inf, math.inf, math.inf, 1)
    assert tuple(reached["rnn"]) == (4, 32, 0.4, 2)


def test_notes_say_what_few_seeds_are_worth_and_what_is_no_better_than_a_baseline(told_race):
    one = told_race({"lstm": [0.1], "gru": [0.2]})
    assert one.notes()[0] == "One seed: there is no interval, and the order may be chance."
    three = told_race({"lstm": [0.1] * 3, "gru": [0.2] * 3}, baselines={"guessing": 0.2, "knowing": 0.05})
    assert three.notes() == [
        "3 seeds: no interval of a median can claim more than 75 % from them; 6 or more can claim 95 %.",
        "lstm is no better than knowing.",
        "gru is no better than guessing, knowing.",
    ]
    six = told_race({"lstm": [0.1] * 6, "gru": [0.2] * 6}, baselines={})
    assert six.notes() == []


def test_json_and_csv_have_all_cells_and_no_figure_that_they_lack(told_race):
    result = told_race({"lstm": [0.1, None, 0.3], "gru": [None, None, None]})
    plain = json.loads(result.to_json(), parse_constant=pytest.fail)
    assert [(place["cell"], place["median"], place["high"]) for place in plain["places"]] == [
        ("lstm", 0.3, None),
        ("gru", None, None),
    ]
    assert plain["places"][0]["values"] == [0.1, None, 0.3]
    assert (plain["task"], plain["metric"], plain["seeds"]) == ("adding", "MSE", [0, 1, 2])
    head, first, second = result.to_csv().splitlines()
    assert head.startswith("rank,cell,hidden,parameters,flops,lr,median,low,high,difference")
    assert first == "1,lstm,16,100,1000,0.01,0.3,0.1,,0.0,,,1,0.4"
    assert second.startswith("2,gru,16,101,1001,0.01,,,,,")


@pytest.mark.parametrize(("seeds", "heading"), [(3, "interval, 75 % at most"), (6, "95 % interval")])
def test_the_interval_is_called_what_so_many_seeds_can_claim(told_race, seeds, heading):
    assert tables.places(told_race({"gru": [0.1] * seeds, "lstm": [0.2] * seeds})).headings[-1] == heading
