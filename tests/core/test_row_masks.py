"""Lengths are sent to a device without waiting for it; that device is one of torch's fake ones."""

from contextlib import suppress

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from rnnkit.core.row_masks import running_rows, sent
from rnnkit.layers.model import last_outputs
from rnnkit.layers.sequence import flip

CUDA = torch.device("cuda", 0)


class Sent(TorchDispatchMode):
    """Notes what is copied from the CPU to another device, and whether the copy is waited for."""

    def __init__(self):
        super().__init__()
        self.waited_for = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if "_to_copy" in str(function) and args[0].is_cpu and kwargs.get("device", args[0].device) != args[0].device:
            self.waited_for.append(not kwargs.get("non_blocking"))
        return function(*args, **kwargs)


@pytest.mark.parametrize(
    "use",
    [
        lambda lengths: running_rows(lengths, 5, CUDA),
        lambda lengths: flip(torch.empty(5, 3, 2, device=CUDA), lengths),
        lambda lengths: last_outputs(torch.empty(5, 3, 2, device=CUDA), lengths),
    ],
    ids=["masks", "reversed rows", "last outputs"],
)
def test_lengths_on_the_cpu_are_sent_without_waiting(use):
    with FakeTensorMode(), Sent() as noted, suppress(RuntimeError):  # a fake device takes no rows by an index
        use(torch.ones(3, dtype=torch.int64))
    assert noted.waited_for == [False]


def test_a_copy_is_sent_which_nobody_overwrites(monkeypatch):
    given = torch.tensor([3, 1])
    sources = []
    monkeypatch.setattr(torch.Tensor, "to", lambda own, *_, **options: sources.append((own, options)) or own)
    sent(given, CUDA)
    sent(given, torch.device("mps"))
    (copied, options), (own, plain) = sources
    assert copied.data_ptr() != given.data_ptr()
    assert own is given
    assert (options, plain) == ({"non_blocking": True}, {})


def test_what_a_graph_records_is_no_copy_that_goes_away(monkeypatch):
    for name in ("is_initialized", "is_current_stream_capturing"):
        monkeypatch.setattr(torch.cuda, name, lambda: True)
    with FakeTensorMode(), Sent() as noted:
        sent(torch.ones(3, dtype=torch.int64), CUDA)
    assert noted.waited_for == [True]
