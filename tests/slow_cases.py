"""Cases of a product that `make test` leaves to `make test-all`."""

import pytest


def slow_but(few, cases):
    """Return the cases for `parametrize`, all but `few` marked as slow.

    For what is tried with every cell although others, such as the registry product, hold every cell to the same.
    """
    return [case if case in few else pytest.param(case, marks=pytest.mark.slow) for case in cases]
