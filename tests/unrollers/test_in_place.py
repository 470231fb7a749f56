"""Changes in place between forward and backward: torch's error or the right gradient, through every unroller."""

import re

import pytest
import torch
from torch import nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

import rnnkit
from rnnkit.core.cell import building, starting_state

from ..core_cells import CORE_CELLS, TAKING_ALL

T, B, D, H = 5, 3, 2, 4
SAVED = re.compile(r"modified (by an )?inplace")


class Aliases(rnnkit.Cell):
    """Hands on a state as it was, another as a view of a weight."""

    name = "aliases"
    state_names = ("h", "kept", "level")

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.mix = nn.Linear(input_size, hidden_size)
        self.level = nn.Parameter(torch.ones(hidden_size))

    def step(self, x, state):
        h, kept, _ = state
        new = torch.tanh(self.mix(x) + h * kept)
        return new, (new, kept.view_as(kept), self.level.expand_as(kept))


class Twice(rnnkit.cells["rnn"]):
    """Has one tensor for two states."""

    name = "twice"
    state_names = ("h", "again")

    def step(self, p, state):
        y, (h,) = super().step(p, (state[0] + state[1],))
        return y, (h, h)

    @property
    def state_sizes(self):
        return (self.hidden_size,) * 2


CELLS = {name: rnnkit.cells[name] for name in CORE_CELLS} | {"aliases": Aliases, "twice": Twice}


WAYS = {str(way): way for name in TAKING_ALL for way in rnnkit.unrollers[name].variants()}
"""Every unroller in each of its ways, those that are only taken at other sizes or on other devices too."""

ANY_SIZE = ("loop", "newton", "rtrl")
"""Those that do the same at every size; two of them at a price that grows fast."""

every_way = pytest.mark.parametrize("unroller", WAYS.values(), ids=WAYS)


def built(name, unroller):
    """Return the cell; skips what is no way to run it."""
    with building(None, torch.float64):
        cell = CELLS[name](D, H)
    if "backend" in str(unroller) and not unroller.applies(cell):
        pytest.skip(f"{unroller} does not run {name}")
    return cell


def call(cell, unroller, xs, state):
    torch.manual_seed(3)  # for the masks of some wrappers
    return unroller(cell, xs, state)


EDITS = {
    "the output": lambda found: found["ys"].mul_(3),
    "a step of the output": lambda found: found["ys"][1].zero_(),
    "the last state": lambda found: [tensor.zero_() for tensor in found["last"]],
    "the input": lambda found: found["xs"].mul_(3),
    "the first state": lambda found: [tensor.mul_(3) for tensor in found["state"]],
    "the weights": lambda found: [parameter.mul_(3) for parameter in found["cell"].parameters()],
}
DETACHED = ("the output", "a step of the output", "the last state")


def gradients(name, unroller, edit=None, recorded=False):
    """Return the gradients of everything; before backward something may be changed, recorded or not."""
    torch.manual_seed(0)
    cell = built(name, unroller)
    xs = torch.randn(T, B, D, dtype=torch.float64, requires_grad=True)
    begun = starting_state(cell, B)
    state = tuple(torch.rand_like(tensor).requires_grad_() for tensor in begun)
    ys, last = call(cell, unroller, xs, state)
    weights = [torch.randn_like(tensor) for tensor in (ys, *last)]
    # The loss was computed before, as that of a window whose output is then written over.
    loss = sum((tensor.clone() * weight).sum() for tensor, weight in zip((ys, *last), weights, strict=True))
    if edit is not None:
        with torch.set_grad_enabled(recorded):
            EDITS[edit]({"ys": ys, "last": last, "xs": xs, "state": state, "cell": cell})
    return torch.autograd.grad(loss, [xs, *state, *cell.parameters()], allow_unused=True)


@pytest.mark.covering(2)
@pytest.mark.parametrize("recorded", [pytest.param(False, id="unrecorded", marks=pytest.mark.slow), True], ids=str)
@pytest.mark.parametrize("edit", EDITS)
@every_way
@pytest.mark.parametrize("name", CELLS)
def test_an_error_or_the_right_gradient(name, unroller, edit, recorded):
    if recorded and edit not in DETACHED:
        return  # leaves that need a gradient: torch refuses to change them while it records
    expected = gradients(name, unroller)
    try:
        found = gradients(name, unroller, edit, recorded)
    except RuntimeError as error:
        if SAVED.search(str(error)):
            return
        raise
    for a, b in zip(found, expected, strict=True):
        assert (a is None) == (b is None)
        assert a is None or torch.equal(a, b)


@pytest.mark.covering(2)
@every_way
@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("edit", DETACHED)
def test_results_may_be_changed(name, unroller, edit):
    """As torch's GRU and RNN allow it; of an LSTM torch saves the output in some kernels, and says so."""
    for a, b in zip(gradients(name, unroller, edit), gradients(name, unroller), strict=True):
        assert a is None or torch.equal(a, b)


@every_way
@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("recording", [True, False], ids=["recording", "not recording"])
def test_a_last_state_is_nobody_else_s(name, unroller, recording):
    cell = built(name, unroller)
    state = tuple(torch.rand_like(tensor) for tensor in starting_state(cell, B))
    xs = torch.randn(1, B, D, dtype=torch.float64)
    with torch.set_grad_enabled(recording):
        ys, last = call(cell, unroller, xs, state)
    assert len({tensor.untyped_storage().data_ptr() for tensor in last}) == len(last)
    own = {tensor.untyped_storage().data_ptr() for tensor in (ys, xs, *state, *cell.parameters())}
    assert own.isdisjoint(tensor.untyped_storage().data_ptr() for tensor in last)


FORMS = {
    "padded": {},
    "batch first": {"batch_first": True},
    "two layers": {"num_layers": 2},
    "both directions": {"bidirectional": True},
    "residual": {"num_layers": 2, "residual": True},
}


@pytest.mark.parametrize("steps", [1, T])
@pytest.mark.parametrize("options", FORMS.values(), ids=FORMS)
@every_way
@pytest.mark.parametrize("name", ["gru", "rnn"])
def test_an_output_is_changed_in_place_as_torch_allows_it(name, unroller, options, steps):
    built(name, unroller)
    found = []
    for in_place in (False, True):
        torch.manual_seed(0)
        layer = rnnkit.RNN(name, D, H, unroller=unroller, **options)
        xs, shift = torch.randn(2, steps, B, D)
        ys, h = layer(xs)
        if in_place:
            ys += shift.mean()
            ys.relu_()
            h.mul_(2)
        else:
            ys, h = (ys + shift.mean()).relu(), h * 2
        (ys.square().sum() + h.sum()).backward()
        found.append([parameter.grad for parameter in layer.parameters()])
    assert all(map(torch.equal, *found))


SMALL, LARGE = (2, 4), (40, 96)  # large: whole products by kernels of an unroller's own
SIZED = [(way, size) for way in WAYS.values() for size in (SMALL, LARGE) if size == SMALL or way.name not in ANY_SIZE]


@pytest.mark.parametrize(("unroller", "size"), SIZED, ids=str)
@pytest.mark.parametrize("name", ["lstm", "gru", "rnn"])
def test_data_that_are_exchanged_before_the_way_back_do_not_count(name, unroller, size):
    """As by `vector_to_parameters`, which no version tells of; of these cells the loop too keeps to what it read."""
    batch, width = size
    if batch > 3 and str(unroller) in ("newton", "rtrl"):
        pytest.skip("no kernel of its own for large products, and a Jacobian of that size")
    built(name, unroller)
    found = []
    for exchanged in (False, True):
        torch.manual_seed(0)
        layer = rnnkit.RNN(name, width, width, unroller=unroller, dtype=torch.float64)
        xs = torch.randn(T, batch, width, dtype=torch.float64, requires_grad=True)
        ys, _ = layer(xs)
        if exchanged:
            vector = parameters_to_vector(layer.parameters()).detach()
            vector_to_parameters(0.3 * vector, layer.parameters())
        found.append(torch.autograd.grad(ys.square().sum(), [xs, *layer.parameters()]))
    torch.testing.assert_close(found[1], found[0], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("unroller", ["checkpoint", "compiled"])
def test_exchanged_data_have_no_second_gradient(unroller):
    layer = rnnkit.RNN("gru", 3, 4, unroller=unroller, dtype=torch.float64)
    ys, _ = layer(torch.randn(T, 2, 3, dtype=torch.float64))
    for parameter in layer.parameters():
        parameter.data = parameter.data.clone()
    with pytest.raises(RuntimeError, match=r"\.data was assigned"):
        torch.autograd.grad(ys.sum(), list(layer.parameters()), create_graph=True)


@pytest.mark.parametrize("unroller", ["loop", "checkpoint", "compiled"])
@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_saved_tensors_may_be_packed_in_another_dtype(name, unroller):
    torch.manual_seed(0)
    layer = rnnkit.RNN(name, 64, 64, unroller=unroller)
    xs = torch.randn(20, 8, 64, requires_grad=True)

    def real(change):
        return lambda tensor: change(tensor) if tensor.is_floating_point() else tensor

    hooks = {
        "none": (real(lambda t: t), real(lambda t: t)),
        "wider": (real(lambda t: t.double()), real(lambda t: t.float())),
        "scaled": (real(lambda t: t * 2), real(lambda t: t / 2)),
        "narrower": (real(lambda t: t.bfloat16()), real(lambda t: t.float())),
    }
    found = {}
    for kind, (pack, unpack) in hooks.items():
        with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
            ys, _ = layer(xs)
        found[kind] = torch.autograd.grad(ys.square().sum(), [xs, *layer.parameters()])
    torch.testing.assert_close(found["wider"], found["none"], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found["scaled"], found["none"], rtol=1e-5, atol=1e-5)
    for exact, rounded in zip(found["none"], found["narrower"], strict=True):
        assert float((rounded - exact).norm()) < 0.05 * float(exact.norm())
