"""What a cell's trial writes into what it shares with others is as it was before."""

import array
import copy
from collections import OrderedDict, deque

import numpy as np
import pytest
import torch
from torch import nn

import rnnkit
from rnnkit_compiler.trace.put_back import put_back

NUMBERS = []
COUNT = 0
XS = torch.zeros(4, 2, 3)


class Notes:
    shared = 0

    def __init__(self):
        self.calls = 0
        self.lines = []


class Slotted:
    __slots__ = ("calls", "later")

    def __init__(self):
        self.calls = 0


def closing():
    calls = 0

    def count():
        nonlocal calls
        calls += 1
        return calls

    count.read = lambda: calls
    return count


class Sharing(rnnkit.Cell):
    counted = 0

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.read = nn.Linear(input_size + hidden_size, hidden_size)
        self.log, self.table, self.names, self.last = [], {"a": [0]}, {"a"}, deque(maxlen=3)
        self.many = [*range(300)]
        self.array, self.numpy = array.array("d", [0.0]), np.zeros((2, 2))
        self.notes, self.slotted, self.count = Notes(), Slotted(), closing()

    def step(self, x, state):
        global COUNT
        (h,) = state
        h = torch.tanh(self.read(torch.cat([x, h], 1)))
        COUNT += 1
        NUMBERS.append(COUNT)
        self.log.append(COUNT)
        self.table["a"].append(1)
        self.table["b"] = COUNT
        self.names.add(str(COUNT))
        self.last.append(COUNT)
        self.many[0] += 1
        self.array[0] += 1
        self.numpy += 1
        self.notes.calls += 1
        self.notes.lines.append(1)
        Notes.shared += 1
        type(self).counted += 1
        type(self).new = 1
        self.slotted.calls += 1
        self.slotted.later = 1
        self.count()
        return h, (h,)


def held(cell):
    """Tell what the cell shares, in a form that stays."""
    own = (cell.log, cell.table, cell.names, cell.last, cell.many, cell.array, cell.numpy.tolist())
    others = (vars(cell.notes), Notes.shared, Sharing.counted, cell.slotted.calls, cell.count.read(), NUMBERS, COUNT)
    return copy.deepcopy((own, others)), hasattr(Sharing, "new"), hasattr(cell.slotted, "later")


def test_everything_is_as_it_was():
    cell = Sharing(3, 4)
    before = held(cell)
    with put_back(cell):
        cell.step(torch.zeros(2, 3), (torch.zeros(2, 4),))
        assert held(cell) != before
    assert held(cell) == before


def test_objects_stay_the_same():
    cell = Sharing(3, 4)
    lists = (cell.log, cell.table["a"], cell.notes.lines, vars(cell.notes))
    with put_back(cell):
        cell.step(torch.zeros(2, 3), (torch.zeros(2, 4),))
    assert cell.log is lists[0]
    assert cell.table["a"] is lists[1]
    assert cell.notes.lines is lists[2]
    assert vars(cell.notes) is lists[3]


def test_an_ordered_dict_keeps_its_order_and_stays_sound():
    cell = Sharing(3, 4)
    cell.table = OrderedDict(a=[0], c=2)
    with put_back(cell):
        cell.step(torch.zeros(2, 3), (torch.zeros(2, 4),))
        cell.table.move_to_end("a")
    assert [*cell.table] == ["a", "c"]
    assert [*reversed(cell.table)] == ["c", "a"]
    cell.table.move_to_end("a")
    assert cell.table.popitem(last=False) == ("c", 2)


@pytest.mark.parametrize("unroller", ["compiled", "checkpoint", "rtrl", "auto"])
def test_no_unroller_writes_but_what_its_steps_do(unroller):
    layer = rnnkit.RNN(Sharing, 3, 4, unroller=unroller)
    before = COUNT
    layer(XS)
    layer.unroller.explain(layer.cells[0])
    assert before + len(XS) == COUNT
    assert layer.cells[0].log == [*range(before + 1, COUNT + 1)]
