"""What `make test` runs of a product of cases has every value, or every pair of values."""

from itertools import combinations, product

import pytest

from .covering import covering

SIZES = [(5, 3), (4, 4, 4), (30, 4, 2), (1, 1), (7,)]


def every_case(sizes):
    return [dict(enumerate(values)) for values in product(*map(range, sizes))]


def parts(cases, strength):
    return {part for case in cases for part in combinations(case.items(), strength)}


@pytest.mark.parametrize("strength", [1, 2])
@pytest.mark.parametrize("sizes", [sizes for sizes in SIZES if len(sizes) > 1], ids=str)
def test_nothing_is_missing(sizes, strength):
    cases = every_case(sizes)
    kept = [cases[number] for number in covering(cases, strength)]
    assert parts(kept, strength) == parts(cases, strength)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_each_value_takes_as_many_cases_as_the_longest_parameter_has_values(sizes):
    assert len(covering(every_case(sizes), 1)) == max(sizes)


def test_values_take_turns():
    cases = every_case((30, 4, 2))
    kept = [cases[number] for number in covering(cases, 1)]
    assert {sum(case[1] == value for case in kept) for value in range(4)} <= {7, 8}


def test_a_value_that_only_one_case_has_is_kept():
    cases = [case for case in every_case((6, 3)) if case[1] < 2 or case[0] == 5]
    assert {0: 5, 1: 2} in [cases[number] for number in covering(cases, 1)]
