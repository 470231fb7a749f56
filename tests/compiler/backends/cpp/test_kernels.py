"""Kernels: training's and inference's are compiled apart, each when it is first wanted."""

import ctypes

import pytest
import torch

import rnnkit
from rnnkit_compiler import _programs
from rnnkit_compiler._cache import Cache
from rnnkit_compiler.backends.cpp import kernel, kernels, library, runtime
from rnnkit_compiler.backends.cpp.building.compilation import CompileError
from rnnkit_compiler.schedule.sharing import Shares


@pytest.fixture(autouse=True)
def nothing_made_before(monkeypatch):
    monkeypatch.setattr(_programs, "_programs", Cache(4))


@pytest.fixture
def compiled(monkeypatch):
    """Return the functions of each library, in the order in which they were asked for."""
    asked = []
    generate = kernels.generate
    monkeypatch.setattr(
        kernels, "generate", lambda plan, names, *args: (asked.append(names), generate(plan, names, *args))[1]
    )
    return asked


def make():
    return rnnkit.RNN("lstm", 4, 8, unroller="compiled"), torch.randn(3, 2, 4)


def test_training_compiles_no_inference(compiled):
    layer, xs = make()
    for _ in range(2):
        layer(xs)[0].sum().backward()
    assert compiled == [("Forward", "Backward")]


@pytest.mark.parametrize("without", [torch.no_grad, torch.inference_mode])
def test_inference_compiles_nothing_of_training(without, compiled):
    layer, xs = make()
    for _ in range(2):
        with without():
            layer(xs)
    assert compiled == [("Inference",)]


def test_both_give_the_same_bits(compiled):
    layer, xs = make()
    with torch.no_grad():
        outputs = layer(xs)[0]
    trained = layer(xs)[0]
    trained.sum().backward()
    assert compiled == [("Inference",), ("Forward", "Backward")]
    assert torch.equal(outputs, trained)


def test_large_kernels_are_compiled_each_by_itself(compiled, monkeypatch):
    layer, xs = make()
    layer(xs)[0].sum().backward()
    together = [parameter.grad.clone() for parameter in layer.parameters()]
    monkeypatch.setattr(_programs, "_programs", Cache(4))
    monkeypatch.setattr(kernels, "LARGE", 1)
    compiled.clear()
    other = rnnkit.RNN("lstm", 4, 8, unroller="compiled")
    other.load_state_dict(layer.state_dict())
    other(xs)[0].sum().backward()
    assert compiled == [("Forward", "Backward"), ("Forward",), ("Backward",)]
    assert all(torch.equal(one.grad, grad) for one, grad in zip(other.parameters(), together, strict=True))


@pytest.mark.parametrize("fails", [False, True])
def test_products_of_few_rows_are_compiled_when_a_call_has_so_few(fails, monkeypatch):
    asked = []

    def few_of(*how):
        asked.append(how)
        if fails:
            raise CompileError("no compiler any more")
        return real(*how)

    real, functions = library.few_of, library.Functions()
    of_all = library.library_of(torch.float32)
    of_all.library.functions(ctypes.byref(functions))
    monkeypatch.setattr(library, "few_of", few_of)
    monkeypatch.setattr(kernel, "library_of", lambda *how: of_all._replace(functions=functions))
    layer, loop = (rnnkit.RNN("lstm", 4, 8, unroller=name) for name in ("compiled", "loop"))
    loop.load_state_dict(layer.state_dict())
    many, few = torch.randn(20, 2, 4), torch.randn(3, 2, 4)
    torch.testing.assert_close(layer(many)[0], loop(many)[0])
    assert not asked
    torch.testing.assert_close(layer(few)[0], loop(few)[0])
    assert asked
    assert bool(functions.panel_where_it_lies) != fails


def test_no_thread_sees_half_of_the_products_of_few_rows(monkeypatch):
    functions, seen = library.Functions(), []

    class Few:
        @staticmethod
        def few(to):
            given = ctypes.cast(to, ctypes.POINTER(library.Functions)).contents
            given.panel_where_it_lies = 1
            seen.append(functions.panel_where_it_lies)  # what another thread would find now
            given.multiply_where_it_lies = 2

    monkeypatch.setattr(library, "few_of", lambda *how: Few)
    assert library.has_few(functions, torch.float32, narrow=False)
    assert seen == [None]
    assert (functions.panel_where_it_lies, functions.multiply_where_it_lies) == (1, 2)


def test_torch_runs_what_cannot_be_compiled_any_more(monkeypatch):
    """As where the compiler goes, or the disk is full, between a training and its first evaluation."""
    layer, xs = make()
    trained = layer(xs)[0]
    attempts = []  # one is enough

    def fail(source):
        attempts.append(source)
        raise CompileError("no room")

    monkeypatch.setattr(kernels, "build", fail)
    with torch.no_grad():
        for _ in range(3):
            torch.testing.assert_close(layer(xs)[0], trained.detach())
    assert len(attempts) == 1
    trained.sum().backward()
    assert layer.weight_hh_l0.grad.isfinite().all()


@pytest.mark.parametrize(("rows", "steps"), [(1, 512), (48, 10), (200, 2), (257, 2), (400, 1), (513, 1)])
def test_a_stretch_has_about_as_many_rows_as_a_block_is_deep(rows, steps):
    assert kernel.stretch(1000, rows) == steps
    assert kernel.stretch(1, rows) == 1


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("cell", ["lstm", "layernorm", "slstm"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 5e-3)])
def test_whole_products_are_done_stretch_after_stretch(dtype, tolerance, cell, rows, threads, monkeypatch):
    """Without gradients one stretch is written over the one before, in a layer's own shortcuts too."""
    monkeypatch.setattr(kernel, "ROWS_OF_STRETCH", 6)
    monkeypatch.setattr(runtime, "best_shares", lambda *_: Shares(threads, min(threads, 2)))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    torch.manual_seed(rows)
    try:
        layer = rnnkit.RNN(cell, 5, 70, unroller="compiled", dtype=dtype)
        for steps in (19, 16):  # of 16 rows in all, weights are read where they lie
            xs = torch.randn(steps, rows, 5, dtype=dtype, requires_grad=True)
            masks = {"lengths": torch.tensor([steps, 2, 7][:rows]), "reset": torch.rand(steps, rows) < 0.3}
            for given in ({}, masks):
                layer.unroller = "loop"
                expected = results(layer, xs, given)
                layer.unroller = "compiled"
                for _ in range(5):
                    for one, other in zip(results(layer, xs, given), expected, strict=True):
                        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)
    finally:
        torch.set_num_threads(before)


def results(layer, xs, masks):
    """Return outputs with gradients and without, last states, and gradients."""
    with torch.no_grad():
        inferred, last = layer(xs, **masks)
    ys, _ = layer(xs, **masks)
    return [inferred, *last, ys, *torch.autograd.grad(ys.sin().sum(), [xs, *layer.parameters()])]


def test_room_is_that_for_as_many_threads_as_run(monkeypatch):
    """Rows that each of them has tell how wide a panel is, beside how many share the units, and so what is packed."""
    rooms = []
    room = kernel.Kernel._room

    def compare(self, name, call):
        remembered = room(self, name, call)
        with monkeypatch.context() as anew:
            anew.setattr(self, "_known_rooms", {})
            rooms.append((remembered, room(self, name, call)))
        return remembered

    monkeypatch.setattr(kernel.Kernel, "_room", compare)
    for size in range(16, 161, 16):
        layer = rnnkit.RNN("rnn", 4, size, unroller="compiled")
        for workers in (4, 2):  # two of which share the units
            monkeypatch.setattr(runtime, "best_shares", lambda *_, n=workers: Shares(n, 2))
            layer(torch.randn(3, 20, 4))
    assert len({remembered for remembered, _ in rooms}) > 1
    assert all(remembered == anew for remembered, anew in rooms)
