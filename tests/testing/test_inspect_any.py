"""inspect_any: the promises that go with a class, whatever it is."""

import pytest
from torch import nn

import rnnkit
from rnnkit import testing
from rnnkit.errors import UsageError

pytestmark = pytest.mark.usefixtures("few_cells")


@pytest.mark.parametrize("kind", [rnnkit.cells["rnn"], rnnkit.unrollers["loop"], rnnkit.tasks["copy"]])
def test_any_kind_is_inspected_by_its_own_promises(kind):
    assert testing.inspect_any(kind).ok


@pytest.mark.parametrize("kind", [int, "lstm", None, nn.LSTM])
def test_what_is_none_of_them_is_refused(kind):
    with pytest.raises(UsageError, match="is neither a Cell nor an Unroller nor a Task"):
        testing.inspect_any(kind)


def test_an_option_that_it_lacks_is_refused():
    with pytest.raises(UsageError, match=r"cell 'lstm' has no option 'slope'; its options: bias"):
        testing.inspect_any(rnnkit.cells["lstm"], slope=1)
    assert testing.inspect_any(rnnkit.cells["rnn"], nonlinearity="relu").ok
