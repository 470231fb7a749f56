"""What test_forks.py has done in processes of their own: functions by name, which is printed once all was right."""

import faulthandler
import os
import signal
import sys
import threading
import traceback
from concurrent.futures import ProcessPoolExecutor

import torch
from torch.utils.data import DataLoader

import rnnkit
from rnnkit_compiler import _forks as forks
from rnnkit_compiler.backends.cpp.thread_pool import threads

PATIENCE = 20
"""Seconds after which a child is killed that hangs."""

ITEMS = 3
PARENT = os.getpid()
SHAPE = (100, 64, 16)
CONTEXT = torch.multiprocessing.get_context("fork")
layer = rnnkit.RNN("lstm", 16, 64, unroller="compiled")


def hang_no_longer():
    """Have a child that hangs say where, and end."""
    if os.getpid() != PARENT:
        signal.alarm(PATIENCE)


def output(k):
    """Run the layer on input of its own; a result of more than 1 MiB."""
    hang_no_longer()
    return layer(torch.full(SHAPE, float(k)))[0].detach()


def gradient(k):
    """Return the gradient of an input of more than 1 MiB."""
    hang_no_longer()
    xs = torch.full((SHAPE[0], 4 * SHAPE[1], SHAPE[2]), float(k), requires_grad=True)
    layer(xs)[0].sum().backward()
    return xs.grad


def same(found, function):
    """Compare what came from other processes with what this one computes."""
    for k, tensor in enumerate(found):
        torch.testing.assert_close(tensor, function(k), rtol=0, atol=1e-5)


def pool():
    with CONTEXT.Pool(1) as workers:
        same(workers.map(output, range(ITEMS), chunksize=1), output)
        same(workers.map(gradient, range(ITEMS), chunksize=1), gradient)


def executor():
    with ProcessPoolExecutor(1, mp_context=CONTEXT) as workers:
        same(workers.map(output, range(ITEMS)), output)


def put(queue, done, function):
    for k in range(ITEMS):
        queue.put(function(k))
    done.wait()  # what lies in shared files goes with its maker


def queues():
    for strategy in ("file_descriptor", "file_system"):
        torch.multiprocessing.set_sharing_strategy(strategy)
        for function in (output, gradient):
            queue, done = CONTEXT.Queue(), CONTEXT.Event()
            worker = CONTEXT.Process(target=put, args=(queue, done, function))
            worker.start()
            found = [queue.get(timeout=PATIENCE) for _ in range(ITEMS)]
            done.set()
            worker.join()
            same(found, function)


class Outputs(torch.utils.data.Dataset):
    def __len__(self):
        return ITEMS

    def __getitem__(self, k):
        return output(k)


def loader():
    same(list(DataLoader(Outputs(), batch_size=None, num_workers=1, multiprocessing_context=CONTEXT)), output)


def child(work):
    """Do some work in a raw fork; tells whether it succeeded before it was killed."""
    number = os.fork()
    if number == 0:
        status = 1
        try:
            hang_no_longer()
            work()
            status = 0
        except Exception:
            traceback.print_exc()
        finally:
            os._exit(status)
    assert os.waitpid(number, 0)[1] == 0


def check(right):
    assert right


def train():
    """Use all that has threads: the kernel both ways, products of whole sequences, and torch's own operations."""
    gradient(1)
    rnnkit.RNN("layernorm", 64, 64, unroller="compiled")(torch.randn(100, 64, 64))[0].sum().backward()
    torch.randn(800, 800) @ torch.randn(800, 800)
    torch.full((1000, 1000), 1.0).exp()


def fork():
    train()
    assert threads() == 2
    child(train)
    child(lambda: child(train))
    assert threads() == torch.get_num_threads() == 2


def fork_of_others():
    """A child that does not use the layer keeps torch's threads, where kernels had not used them."""
    child(lambda: check(torch.get_num_threads() == 2))


def fork_after_torch():
    """The pool was used by torch alone; in the child the layer is the first to need it."""
    torch.randn(800, 800) @ torch.randn(800, 800)
    xs = torch.ones(SHAPE)
    child(lambda: layer(xs)[0].sum().backward())


def fork_while_locked():
    """Another thread holds every lock at the time of the fork."""
    output(0)
    locked, go = threading.Event(), threading.Event()

    def hold():
        locks = [*forks._locks, *(found.lock for found in forks._properties)]
        assert len(locks) > 2
        for lock in locks:
            lock.acquire()
        locked.set()
        go.wait()
        for lock in locks:
            lock.release()

    holder = threading.Thread(target=hold, daemon=True)
    holder.start()
    locked.wait()
    child(lambda: [train(), rnnkit.unrollers["compiled"].release_memory()])
    go.set()
    holder.join()


def fork_while_running():
    """Other threads are anywhere in the layer, which draws and accumulates nothing: torch's own locks stay as they are.

    Its generator has one that no fork frees, and so has each gradient that it adds to another.
    """
    output(0)
    ends, few, many = threading.Event(), torch.randn(4, 8, 16), torch.randn(20, 100, 16)

    def both_ways(xs):
        torch.autograd.grad(layer(xs)[0].sum(), [*layer.parameters()])

    def run():
        while not ends.is_set():
            both_ways(few)

    runners = [threading.Thread(target=run) for _ in range(2)]
    for runner in runners:
        runner.start()
    for _ in range(8):
        child(lambda: both_ways(many))
    ends.set()
    for runner in runners:
        runner.join()


if __name__ == "__main__":
    torch.set_num_threads(2)
    faulthandler.register(signal.SIGALRM, chain=True)
    for name in sys.argv[1:]:
        globals()[name]()
        print(name, flush=True)
