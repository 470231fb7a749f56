"""A case has a name, which is read again, and a seed by that name."""

import pytest

from rnnkit.errors import UsageError
from rnnkit.matrix.case import Case, product_of, seed_of

SEED = 1732866523
"""Of the numbers of lstm/lengths/bi."""


def test_a_name_is_read_again():
    case = Case("zoneout(norm(peephole), rate=0)", "my.module:Mine", "packed", "bi", "second")
    assert Case.read(str(case)) == case


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lstm", "it must be CELL/UNROLLER/LAYOUT/DIRECTION/CHECK"),
        ("lstm/loop//uni/first", "it must be CELL/"),
        ("lstm/loop/pakced/uni/first", "unknown layout 'pakced' (did you mean 'packed'?)"),
        ("lstm/loop/packed/both/first", "unknown direction 'both'; uni, bi"),
        ("lstm/loop/packed/bi/third", "unknown check 'third'"),
    ],
)
def test_what_is_no_name_is_refused(text, said):
    with pytest.raises(UsageError) as caught:
        Case.read(text)
    assert said in str(caught.value)


def test_a_seed_is_that_of_the_name_on_every_machine():
    assert seed_of("lstm/lengths/bi") == SEED
    assert len({seed_of(case.problem) for case in product_of(["lstm", "gru"], ["loop", "vendor"])}) == 24
    assert seed_of("lstm/lengths/bi", 1) != SEED
