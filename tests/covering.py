"""What `make test` runs of many cases, where `make test-all` runs all.

`pytest.mark.covering(strength)`: of a product, cases in which each value of each parameter still occurs (1), or each
pair of values (2). `pytest.mark.one_in(n)`: one of n cases; tests that have the same cases take different ones.
"""

import zlib
from collections import Counter, defaultdict
from itertools import combinations

import pytest


def leave_the_rest_to_test_all(items):
    """Mark as slow what a test that is marked as above can do without."""
    tests = defaultdict(list)
    for item in items:
        if not item.get_closest_marker("slow"):
            tests[item.nodeid.partition("[")[0]].append(item)
    for name, cases in tests.items():
        kept = _kept(name, cases)
        for number, item in enumerate(cases):
            if number not in kept:
                item.add_marker(pytest.mark.slow)


def _kept(name, cases):
    """Return the numbers of the cases that `make test` runs."""
    if mark := cases[0].get_closest_marker("covering"):
        return covering([_values(item) for item in cases], *mark.args)
    if mark := cases[0].get_closest_marker("one_in"):
        (n,) = mark.args
        return range(zlib.crc32(name.encode()) % min(n, len(cases)), len(cases), n)
    return range(len(cases))


def _values(item):
    """Return a case as a dict of what tells its values apart."""
    plain = str | int | float | bool | None
    return {key: value if isinstance(value, plain) else id(value) for key, value in item.callspec.params.items()}


def covering(cases, strength):
    """Return the numbers of cases, each a dict of values by parameter, in which all occur that occur in any of them.

    All values, all pairs of values, or more of them together, as `strength` is 1, 2 or more. Greedy: the next case has
    most of what is missing; of several, the one whose values have been taken least; of those, the first.
    """
    parts = [set(combinations(sorted(case.items(), key=str), min(strength, len(case)))) for case in cases]
    missing, taken, kept = set().union(*parts), Counter(), set()
    while missing:
        number = max(range(len(cases)), key=lambda n: (len(parts[n] & missing), -_uses(cases[n], taken), -n))
        kept.add(number)
        missing -= parts[number]
        taken.update(cases[number].items())
    return kept


def _uses(case, taken):
    return sum(taken[value] for value in case.items())
