"""Recycled memory: nothing that somebody holds is given again, and nothing that was changed under a tensor."""

import gc
import weakref

import numpy as np
import pytest
import torch
from torch.multiprocessing.reductions import StorageWeakRef

import rnnkit
from rnnkit_compiler.backends.cpp.workspace import MOST, SMALL, Scratch, Workspace
from rnnkit_compiler.backends.cpp.workspace import shared as pool_of_layers


def alias(tensor):
    return torch.empty(0, dtype=tensor.dtype).set_(tensor.untyped_storage())


def saved_for_backward(tensor):
    return (tensor.view(torch.float32).detach().requires_grad_() ** 2).sum()


HOLDERS = {
    "a view": lambda tensor: tensor[1:],
    "an alias": alias,
    "its data": lambda tensor: tensor.data,
    "its storage": lambda tensor: tensor.untyped_storage(),
    "a piece of its storage": lambda tensor: tensor.untyped_storage()[8:16],
    "an array": lambda tensor: tensor.numpy(),
    "a view of an array": lambda tensor: tensor.numpy()[1:],
    "a buffer of an array": lambda tensor: memoryview(tensor.numpy()),
    "a tensor of an array": lambda tensor: torch.from_numpy(tensor.numpy()),
    "an array by DLPack": np.from_dlpack,
    "a capsule": torch.utils.dlpack.to_dlpack,
    "a saved tensor": saved_for_backward,
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_whatever_holds_the_memory_keeps_it(holder):
    pool = Workspace()
    tensor = pool.take((SMALL,), torch.uint8)
    address = tensor.data_ptr()
    held = HOLDERS[holder](tensor)
    del tensor
    assert pool.take((SMALL,), torch.uint8).data_ptr() != address
    del held
    gc.collect()
    assert address in [pool.take((SMALL,), torch.uint8).data_ptr() for _ in range(2)]


def swapped(tensor):
    other = torch.UntypedStorage(SMALL)
    tensor.untyped_storage()._swap_data_ptr_(other)
    return other


CHANGES = {
    "shared": lambda tensor: [tensor.share_memory_()].clear(),
    "emptied": lambda tensor: [tensor.untyped_storage().resize_(0)].clear(),
    "grown": lambda tensor: [tensor.untyped_storage().resize_(64 * SMALL)].clear(),
    "swapped": swapped,
    "cloned lazily": torch._lazy_clone,
}
"""What each returns is held."""


@pytest.mark.parametrize("change", CHANGES)
def test_a_storage_that_was_changed_is_left_alone(change):
    pool = Workspace()
    tensor = pool.take((SMALL,), torch.uint8)
    changed = CHANGES[change](tensor)
    del tensor
    found = pool.take((SMALL,), torch.uint8)
    assert not found.is_shared()
    assert found.untyped_storage().nbytes() == SMALL
    found.fill_(7)
    if changed is not None:
        changed.fill_(8)
    assert found.eq(7).all()
    assert len(pool._entries) == 1


def test_a_weak_reference_never_finds_what_was_made_later():
    pool = Workspace()
    tensor = pool.take((SMALL,), torch.uint8)
    references = weakref.ref(tensor.untyped_storage()), StorageWeakRef(tensor.untyped_storage())
    address = tensor.data_ptr()
    del tensor
    assert pool.take((SMALL,), torch.uint8).data_ptr() == address
    assert references[0]() is None
    assert references[1].expired()


def test_what_takes_at_each_call_takes_the_same_memory_again():
    pool = Workspace()
    take = pool.allocator((SMALL,), torch.uint8)
    address = take().data_ptr()
    assert [take().data_ptr() for _ in range(3)] == [address] * 3
    held = take()
    assert take().data_ptr() != held.data_ptr()


def test_many_that_are_held_do_not_make_the_search_long():
    pool = Workspace()
    held = [pool.take((SMALL,), torch.uint8) for _ in range(MOST + 20)]
    assert len({tensor.data_ptr() for tensor in held}) == MOST + 20
    assert len(pool._entries) == MOST


def test_results_of_a_layer_come_to_no_harm_by_those_before():
    """Of each kind: shared with another process, its memory given up, only its storage kept."""
    layer, xs = rnnkit.RNN("lstm", 16, 64), torch.randn(64, 64, 16)
    layer.unroller = rnnkit.unrollers["compiled"]()
    expected = layer(xs)[0].detach().clone()
    pool_of_layers.release()
    layer(xs)[0].share_memory_()
    assert not layer(xs)[0].is_shared()
    layer(xs)[0].untyped_storage().resize_(0)
    kept = layer(xs)[0].untyped_storage()
    assert torch.equal(layer(xs)[0], expected)
    layer(2 * xs)[0].sum().backward()
    assert torch.equal(torch.empty(0).set_(kept)[-expected.numel() :], expected.flatten())
    layer.weight_ih_l0.grad.share_memory_()


def test_storage_that_somebody_holds_is_not_given_again():
    pool = Workspace()
    held = pool.take((SMALL,), torch.uint8)
    address = held.data_ptr()
    assert pool.take((SMALL,), torch.uint8).data_ptr() != address
    view = held[1:]
    del held
    assert pool.take((SMALL,), torch.uint8).data_ptr() != address
    assert view.data_ptr() == address + 1


def test_storage_that_nobody_holds_is_given_again():
    pool = Workspace()
    address = pool.take((SMALL,), torch.uint8).data_ptr()
    assert pool.take((SMALL,), torch.uint8).data_ptr() == address


def test_scratch_is_given_to_one_at_a_time():
    pool = Scratch()
    pool.give_back(pool.borrow(64))
    first, second = pool.borrow(64), pool.borrow(64)
    assert first.data_ptr() != second.data_ptr()


def test_scratch_is_large_enough():
    pool = Scratch()
    pool.give_back(pool.borrow(64))
    assert pool.borrow(128).nbytes >= 128


def test_what_is_released_is_what_nobody_holds():
    pool, scratch = Workspace(), Scratch()
    held = pool.take((SMALL,), torch.uint8)
    held.fill_(7)
    pool.take((4 * SMALL,), torch.uint8)
    scratch.give_back(scratch.borrow(64))
    pool.release()
    scratch.release()
    assert [entry.size for entry in pool._entries] == [SMALL]
    assert scratch._free == []
    assert held.eq(7).all()


def test_an_output_lies_on_memory_of_its_own_size():
    """Or else a saved output would take others' old numbers along."""
    layer = rnnkit.RNN("gru", 64, 256, unroller="compiled")
    for steps in (60, 40):  # the second fits into the memory of the first
        ys, _ = layer(torch.randn(steps, 32, 64))
        row = ys[0].nbytes
        assert ys.nbytes <= ys.untyped_storage().nbytes() <= ys.nbytes + row
        del ys
