"""What is alive, counted: between the passes, and at every step of the backward pass."""

import subprocess
import sys
import weakref

import pytest
import torch

import rnnkit
from rnnkit.core.cell import building

Checkpoint = rnnkit.unrollers["checkpoint"]
Loop = rnnkit.unrollers["loop"]


class Packed:
    """What autograd holds in place of a tensor that it saves."""

    def __init__(self, tensor):
        self.tensor = tensor


class Meter:
    """Sums up the storages that are alive: those of watched tensors, and those that autograd has saved."""

    def __init__(self, *known):
        self.known = {tensor.untyped_storage().data_ptr() for tensor in known}
        self.watched = []

    def watch(self, *tensors):
        self.watched += [(weakref.ref(tensor), lambda tensor: tensor) for tensor in tensors]

    def saving(self):
        def pack(tensor):
            packed = Packed(tensor.detach() if tensor.requires_grad else tensor)
            self.watched.append((weakref.ref(packed), lambda packed: packed.tensor))
            return packed

        return torch.autograd.graph.saved_tensors_hooks(pack, lambda packed: packed.tensor)

    def alive(self):
        self.watched = [(held, tensor_of) for held, tensor_of in self.watched if held() is not None]
        storages = {}
        for held, tensor_of in self.watched:
            storage = tensor_of(held()).untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
        return sum(size for place, size in storages.items() if place not in self.known)


class PeakMeter(Meter):
    """Keeps the most that was alive at any step."""

    most = 0

    def watch(self, *tensors):
        super().watch(*tensors)
        self.most = max(self.most, self.alive())


class Metered(rnnkit.cells["lstm"]):
    """An LSTM that lets a meter see every state, and the projection, which is no part of a budget."""

    meter = None

    def project(self, xs):
        projected = super().project(xs)
        if self.meter is not None:
            self.meter.known.add(projected.untyped_storage().data_ptr())
        return projected

    def step(self, p, state):
        y, state = super().step(p, state)
        if self.meter is not None:
            self.meter.watch(y, *state)
        return y, state


def build(inputs, hidden):
    torch.manual_seed(0)
    with building(None, torch.float64):
        return Metered(inputs, hidden)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.1, 0.3, 0.7, 1.5])
@pytest.mark.parametrize("time", [60, 61])
def test_a_budget_is_kept_at_every_step_of_the_way_back(time, share):
    """`share` of the way from the least budget to that of the whole graph."""
    cell = build(3, 16)
    xs = torch.randn(time, 4, 3, dtype=torch.float64)
    state = cell.initial_state(4)
    with pytest.raises(rnnkit.errors.ResourceError) as caught:
        Checkpoint(budget=1)(cell, xs, state)
    least = int(str(caught.value).split(" take ")[1].split()[0])
    step_bytes = least - sum(tensor.nbytes for tensor in state)
    budget = least + int(share * time * step_bytes)
    meter = PeakMeter(xs, *state, *cell.parameters())
    with meter.saving():
        ys, _ = Checkpoint(budget=budget)(cell, xs, state)
        meter.known.add(ys.untyped_storage().data_ptr())
        gradient = torch.randn_like(ys)
        meter.known.add(gradient.untyped_storage().data_ptr())
        cell.meter = meter
        ys.backward(gradient)
    assert step_bytes <= meter.most <= budget


def kept(unroller, cell, xs):
    """Unroll; give the result and the bytes that wait for the backward pass, input and weights not counted."""
    meter = Meter(xs, *cell.parameters())
    cell.meter = meter
    with meter.saving():
        ys, last = unroller(cell, xs)
    cell.meter = None
    meter.known |= {tensor.untyped_storage().data_ptr() for tensor in (ys, *last)}
    return (ys, last), meter.alive()


def test_square_root_segments_keep_a_tenth_of_the_loop_s_activations_at_most():
    cell = build(8, 16)
    xs = torch.randn(1000, 4, 8, dtype=torch.float64)
    results, whole = kept(Loop(), cell, xs)
    del results  # and with them the graph
    (ys, _), few = kept(Checkpoint(), cell, xs)
    assert ys.requires_grad
    assert whole > 1000 * 4 * 16 * 8 * 5  # the gates and the cell state of every step at least
    assert 0 < few <= 0.1 * whole


PEAK = """
import sys, torch, rnnkit
torch.set_num_threads(1)
torch.manual_seed(0)
layer = rnnkit.RNN("lstm", 16, 256, unroller=sys.argv[1])
def peak():  # of this program alone: getrusage counts what the process was before it, a large test process
    (line,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024
layer(torch.randn(2, 32, 16))[0].sum().backward()
xs = torch.randn(1000, 32, 16)
before = peak()
layer(xs)[0].sum().backward()
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_process_needs_less_than_half_of_the_loop_s_memory():
    peaks = {}
    for name in ("loop", "checkpoint"):
        command = [sys.executable, "-c", PEAK, name]
        peaks[name] = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert 0 < peaks["checkpoint"] < 0.5 * peaks["loop"], peaks
