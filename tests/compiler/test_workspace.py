"""Recycled memory: nothing that somebody holds is given again."""

import torch

from rnnkit_compiler.native.workspace import SMALL, Scratch, Workspace


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
    assert [entry.tensor.nbytes for entry in pool._entries] == [SMALL]
    assert scratch._free == []
    assert held.eq(7).all()
