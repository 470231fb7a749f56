"""A process of its own."""

import os

import pytest
import torch

from rnnkit.benchmark.process import Conditions, in_new_process
from rnnkit.errors import ResourceError, UsageError


@pytest.mark.slow
def test_it_is_another_process_with_the_same_errors():
    assert in_new_process(os.getpid) != os.getpid()
    assert in_new_process(int, "12", base=3) == 5
    with pytest.raises(ValueError, match="invalid literal"):
        in_new_process(int, "x")


def test_what_only_this_process_knows_is_said_in_a_sentence():
    with pytest.raises(UsageError, match="another process cannot be given this cell or unroller"):
        in_new_process(lambda: 1)


def test_a_process_that_dies_is_said_in_a_sentence():
    with pytest.raises(ResourceError, match="was killed"):
        in_new_process(os._exit, 9)


def test_surroundings_are_put_in_force(monkeypatch):
    monkeypatch.setenv("RNNKIT_CACHE", "before")
    threads = torch.get_num_threads()
    Conditions().settle()
    assert (os.environ["RNNKIT_CACHE"], torch.get_num_threads()) == ("before", threads)
    try:
        Conditions(threads=threads + 1, cache="elsewhere").settle()
        assert (os.environ["RNNKIT_CACHE"], torch.get_num_threads()) == ("elsewhere", threads + 1)
    finally:
        torch.set_num_threads(threads)
