"""Tensors that are neither parameters nor buffers: kernels read what they are at each call, as the loop does."""

import copy
import gc
import pickle
from weakref import ref

import pytest
import torch
from torch import nn

import rnnkit
from rnnkit_compiler.trace.holdings import of_use
from rnnkit_compiler.trace.recording import NotRecordable, Recording

from . import holding_cells as cells
from .holding_cells import LEFT, NATIVE, H
from .test_compiled_law import Compiled
from .test_odd_cells import assert_same

T, B, D = 5, 3, 4

SHARED = (cells.OfGlobal, cells.OfGlobalTable, cells.OfClass, cells.OfDefault)
"""Their tensors are those of all cells of the class."""


@pytest.fixture(autouse=True)
def as_before():
    """Put back what tests change of this module's globals and classes."""
    scale, table, own = cells.a_global, cells.a_table["scale"], cells.OfClass.scale
    yield
    cells.a_global, cells.a_table["scale"], cells.OfClass.scale = scale, table, own


def build(kind):
    torch.manual_seed(0)
    return rnnkit.RNN(kind, D, H, unroller="loop").double()


def held_by(layer):
    """Return the tensors that a test may look for gradients of, by the names they have in the cells."""
    cell = layer.cells[0]
    found = [getattr(cell, name, None) for name in ("scale", "own", "matrix", "context")]
    held = getattr(cell, "held", None)
    items = held.values() if isinstance(held, dict) else held if isinstance(held, list) else ()
    for item in items:
        found += item.parameters() if isinstance(item, nn.Module) else [item]
    found = [*found, *layer.parameters()]
    return [one for one in found if isinstance(one, torch.Tensor) and one.requires_grad]


def outcome(layer, unroller, rows=B):
    """Return outputs and states, gradients and those of gradients, of one layer by an unroller."""
    layer.unroller = unroller
    return outcome_of(layer, rows)


def outcome_of(layer, rows=B):
    """Do so by the unroller that it has, which may have calls prepared."""
    torch.manual_seed(1)
    xs = torch.randn(T, rows, D, dtype=torch.float64, requires_grad=True)
    leaves = [xs, *held_by(layer)]
    ys, h = layer(xs)
    weights = torch.arange(ys.numel(), dtype=ys.dtype).cos().view(ys.shape)
    options = {"allow_unused": True, "materialize_grads": True}
    grads = torch.autograd.grad((ys * weights).sum() + h.sum(), leaves, create_graph=True, **options)
    again = torch.autograd.grad(grads[0].square().sum(), leaves, retain_graph=True, **options)
    with torch.no_grad():
        streamed = [layer(xs[t : t + 1]) for t in range(2)]
    return [ys, h, *grads, *again, *(one for pair in streamed for one in pair)]


def assert_law(layer, rows=B):
    assert_same(outcome(layer, "compiled", rows), outcome(layer, "loop", rows))


@pytest.mark.parametrize("kind", NATIVE)
def test_they_are_native(kind):
    layer = build(kind)
    for _ in range(4):  # from the third on they are prepared
        assert_law(layer)
    assert_law(layer, rows=1)
    assert Compiled().backend_of(layer.cells[0]) == "cpp"


@pytest.mark.parametrize("kind", LEFT)
def test_others_are_the_loops(kind):
    layer, other = build(kind), build(kind)
    own = {**vars(layer.cells[0])}
    reason = Compiled().explain(layer.cells[0])
    assert reason.startswith("backend: loop\n"), reason
    assert all(vars(layer.cells[0])[name] is value for name, value in own.items())
    for _ in range(3):
        results = [outcome(one, unroller) for one, unroller in ((layer, "compiled"), (other, "loop"))]
        assert_same(*results)
        if kind is cells.KeepsItsGradient:
            assert_same(*([one.cells[0].held[0].grad] for one in (layer, other)))
        with torch.no_grad():
            for one in (layer, other):
                one.cells[0].recurrent.weight.mul_(0.9)


@pytest.mark.parametrize("kind", [cells.Remembers, cells.RemembersWeights])
def test_what_a_function_keeps_is_kept(kind):
    layer = build(kind)
    for unroller in ("compiled", "loop") * 2:
        first = outcome(layer, unroller)
        assert_same(outcome(layer, "loop"), first)
        with torch.no_grad():
            layer.cells[0].recurrent.weight.mul_(0.9)


def in_place(tensor):
    if 0 in tensor.stride():  # torch refuses it
        return other(tensor)
    with torch.no_grad():
        tensor.mul_(0.5) if tensor.is_floating_point() else tensor.copy_(tensor.roll(1))
    return tensor


def other(tensor):
    made = (0.5 * tensor.detach()) if tensor.is_floating_point() else tensor.roll(1)
    return made.requires_grad_(tensor.requires_grad)


def other_data(tensor):
    tensor.data = other(tensor).data
    return tensor


def of_other_form(tensor):
    if tensor.is_floating_point() and tensor.dim() == 1 and tensor.grad_fn is None:
        tensor.data = tensor.data.float()  # of another dtype, in the same object
    return tensor


def learning(tensor):
    return tensor.requires_grad_() if tensor.is_floating_point() and tensor.is_leaf else tensor


def learned(tensor):
    return tensor.detach().requires_grad_(not tensor.requires_grad) if tensor.is_floating_point() else tensor


def narrow(tensor):
    is_factor = tensor.is_floating_point() and tensor.dim() == 1  # a matrix is refused by torch, beside doubles
    return tensor.detach().float() if is_factor else tensor


def in_numpy(tensor):
    if not tensor.requires_grad and tensor.dim() and 0 not in tensor.stride():
        tensor.numpy()[...] = tensor.numpy()[::-1].copy()
    return tensor


REFUSED = [(cells.Computed, in_place), (cells.ClampsByNumber, learning), (cells.ClampsByNumber, learned)]


def change(kind, layer, way):
    """Change what a cell holds, where it holds it."""
    cell = layer.cells[0]
    for name in ("scale", "matrix", "order", "keeps"):
        if isinstance(vars(cell).get(name), torch.Tensor):
            setattr(cell, name, way(vars(cell)[name]))
    if kind is cells.OfAttributeOfSubmodule:
        cell.recurrent.mask = way(cell.recurrent.mask)
    if kind is cells.OfGlobal:
        cells.a_global = way(cells.a_global)
    if kind is cells.OfGlobalTable:
        cells.a_table["scale"] = way(cells.a_table["scale"])
    if kind is cells.OfClass:
        kind.scale = way(kind.scale)
    if kind is cells.OfDefault:
        kind.mixed.__defaults__ = (way(kind.mixed.__defaults__[0]),)
    if kind is cells.OfClosure:
        place = cell.scaled.__closure__[0]
        place.cell_contents = way(place.cell_contents)
    held = getattr(cell, "held", None)
    if isinstance(held, list | dict):
        for key in range(len(held)) if isinstance(held, list) else held:
            if type(held[key]) is torch.Tensor and held[key] is not vars(cell).get("scale"):
                held[key] = way(held[key])
            elif isinstance(held[key], nn.Module):
                for parameter in held[key].parameters():
                    in_place(parameter)
    elif held is not None:
        name = next((one for one in ("inside", "weight", "left") if hasattr(held, one)), "")
        tensor = getattr(held, name)
        if isinstance(held, tuple):
            cell.held = held._replace(left=way(tensor))
        elif type(tensor) is torch.Tensor:
            setattr(held, name, way(tensor))


@pytest.mark.parametrize("way", [in_place, other, other_data, of_other_form, learning, learned, narrow, in_numpy])
@pytest.mark.parametrize("kind", NATIVE)
def test_what_changes_between_calls_is_seen(kind, way):
    if kind in SHARED and way in (in_place, other_data, of_other_form, learning, in_numpy):
        pytest.skip("other tests have that tensor too")
    if (kind, way) in REFUSED:
        pytest.skip("torch refuses it")
    layer = build(kind)
    for _ in range(3):
        assert_law(layer)
    default = cells.OfDefault.mixed.__defaults__
    try:
        for _ in range(2):
            change(kind, layer, way)
            for _ in range(3):
                assert_law(layer)
    finally:
        cells.OfDefault.mixed.__defaults__ = default


@pytest.mark.parametrize("way", [in_place, other, other_data, of_other_form, learning, learned, narrow])
@pytest.mark.parametrize("kind", [kind for kind in NATIVE if kind not in SHARED])
def test_what_changes_between_prepared_calls_is_seen(kind, way):
    if (kind, way) in REFUSED:
        pytest.skip("torch refuses it")
    layers = [build(kind), build(kind)]
    layers[0].unroller = "compiled"
    for changes in range(3):
        for layer in layers:
            if changes:
                change(kind, layer, way)
        for _ in range(4):
            assert_same(*map(outcome_of, layers))


def test_a_hook_between_prepared_calls_is_seen():
    layers = [build(cells.ForeignModules), build(cells.ForeignModules)]
    layers[0].unroller = "compiled"
    for _ in range(4):
        assert_same(*map(outcome_of, layers))
    for layer in layers:
        layer.cells[0].held[0].register_forward_hook(lambda module, given, made: 0.5 * made)
    assert_same(*map(outcome_of, layers))


def copied(layer):
    return copy.deepcopy(layer)


def pickled(layer):
    return pickle.loads(pickle.dumps(layer))


def in_float32(layer):
    return layer.float().double()


def loaded(layer):
    layer.load_state_dict({name: 0.5 * tensor for name, tensor in layer.state_dict().items()})
    return layer


@pytest.mark.parametrize("way", [copied, pickled, in_float32, loaded])
@pytest.mark.parametrize("kind", NATIVE)
def test_layers_that_are_copied_or_converted(kind, way):
    if (way in (copied, pickled) and kind is cells.Computed) or (
        way is pickled and kind in (cells.OfClosure, cells.ReadsItselfInClosure)
    ):
        pytest.skip("torch or Python refuses")
    layer = build(kind)
    for _ in range(3):
        assert_law(layer)
    for _ in range(2):
        layer = way(layer)
        for _ in range(3):
            assert_law(layer)


@torch.no_grad()
@pytest.mark.parametrize("kind", NATIVE)
def test_steppers_read_them(kind):
    found = []
    for unroller in ("loop", "compiled"):
        layer = build(kind)
        layer.unroller = unroller
        stepper = layer.stepper(B)
        xs = torch.ones(B, D, dtype=torch.float64)
        ys = [stepper(xs).clone() for _ in range(3)]
        if kind not in (*SHARED, cells.OfExpanded):  # of which the number is replaced, which counts from `reset` on
            change(kind, layer, in_place)
        ys += [stepper(xs).clone() for _ in range(3)]
        change(kind, layer, other)
        stepper.reset()
        found.append([*ys, *(stepper(xs).clone() for _ in range(3))])
        change(kind, layer, lambda tensor: (2 * tensor.detach()) if tensor.is_floating_point() else tensor.roll(-1))
    assert_same(found[1], found[0])


def test_one_that_replaces_another_way_to_the_same_tensor():
    layer = build(cells.OfListAndAttribute)
    assert_law(layer)
    layer.cells[0].scale = 2 * layer.cells[0].scale  # the list still has the one before
    assert_law(layer)
    layer.cells[0].held[0] = layer.cells[0].scale
    assert_law(layer)


def test_a_mask_that_is_drawn_for_each_sequence_is_recorded_once(recorded):
    layer = build(type("OfMask", (cells.OfAttribute,), {}))  # a class that was not seen before
    for seed in range(6):
        torch.manual_seed(seed)
        layer.cells[0].scale = cells.numbers()
        assert_law(layer)
    assert len(recorded) == 1


def test_nothing_is_kept_alive():
    layer = build(cells.OfList)
    assert_law(layer)
    gone = [ref(tensor) for tensor in layer.cells[0].held]
    del layer
    gc.collect()
    assert [one() for one in gone] == [None, None]


@pytest.mark.parametrize("unroller", ["checkpoint", "newton", "rtrl"])
@pytest.mark.parametrize(
    "kind", [cells.Learned, cells.LearnedInList, cells.Computed, cells.ParametersInObject, cells.ForeignModules]
)
def test_other_unrollers_lose_no_gradient(kind, unroller):
    layer = build(kind)
    found, expected = outcome(layer, unroller), outcome(layer, "loop")
    assert_same(found, expected)


@pytest.mark.parametrize("unroller", ["newton", "rtrl"])
@pytest.mark.parametrize("kind", [cells.OfAttribute, cells.OfMatrix])
def test_other_unrollers_read_what_does_not_learn(kind, unroller):
    layer = build(kind)
    layer.unroller = unroller
    assert "the loop runs" not in layer.unroller.explain(layer.cells[0])
    change(kind, layer, other)
    assert_same(outcome(layer, unroller), outcome(layer, "loop"))


@pytest.mark.parametrize("unroller", ["newton", "rtrl", "compiled"])
@pytest.mark.parametrize("kind", [cells.OfAttribute, cells.OfList])
def test_what_is_exchanged_before_the_way_back_does_not_count(kind, unroller):
    xs = torch.ones(T, B, D, dtype=torch.float64)
    found = []
    for name in ("loop", unroller):
        layer = build(kind)
        layer.unroller = name
        ys, _ = layer(xs)
        change(kind, layer, other)
        ys.sum().backward()
        found.append([one.grad for one in layer.parameters()])
    assert_same(found[1], found[0])


def test_hooks_of_modules_in_lists_are_called():
    layer = build(cells.ForeignModules)
    for _ in range(3):
        assert_law(layer)
    handle = layer.cells[0].held[0].register_forward_hook(lambda module, given, made: 0.5 * made)
    for _ in range(3):
        assert_law(layer)
    assert "a module of the cell has hooks" in Compiled().explain(layer.cells[0])
    handle.remove()
    assert_law(layer)


def test_explaining_leaves_buffers_of_modules_in_lists():
    layer = build(cells.WritesBufferOfForeignModule)
    module = layer.cells[0].held[0]
    mean = module.mean
    Compiled().explain(layer.cells[0])
    assert module.mean is mean
    torch.testing.assert_close(mean, torch.zeros(H, dtype=torch.float64))


def test_one_that_is_sparse_is_named():
    reason = Compiled().explain(build(cells.OfSparse).cells[0])
    assert "step() reads a tensor that is torch.sparse_coo; kernels read dense ones, as to_dense() makes" in reason


def test_what_is_not_read_is_no_weight_and_all_are_on_one_device():
    cell = build(cells.OfAttribute).cells[0]
    recording = Recording(weights={"inputs.weight": 0, "scale": 1, "held[0]": 2}, output=0)
    there, here = torch.empty(1, device="meta"), torch.empty(1)
    assert of_use(recording, {"inputs.weight": here, "scale": there, "held[0]": here}, cell) == {"inputs.weight": 0}
    recording.next_states = [1]
    with pytest.raises(NotRecordable, match="on another device"):
        of_use(recording, {"inputs.weight": here, "scale": there, "held[0]": here}, cell)
