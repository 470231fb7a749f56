"""The form of a kernel is settled once, at its first launch, and the numbers do not depend on it."""

import linecache

import pytest
import torch

import rnnkit
from rnnkit_compiler import _programs
from rnnkit_compiler.backends.triton import backend, kernels, launching

pytestmark = pytest.mark.usefixtures("trusted", "poisoned")


def trained(layer):
    xs = torch.randn(3, 2, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    ys = layer(xs)[0]
    return [ys, *torch.autograd.grad(ys.sin().sum(), [xs, *layer.parameters()])]


def test_a_kernel_is_run_in_the_form_that_spills_nothing(monkeypatch):
    asked, run = [], []
    all_steps = launching.Run.all_steps
    monkeypatch.setattr(_programs, "_programs", type(_programs._programs)(_programs.CAPACITY))
    monkeypatch.setattr(kernels, "is_interpreted", lambda: False)
    monkeypatch.setattr(launching.Run, "spilled", lambda self, form: asked.append(form) or form.tiles.units - 16)
    monkeypatch.setattr(launching.Run, "all_steps", lambda self, form: (run.append(form), all_steps(self, form)))
    unroller = rnnkit.unrollers["compiled"](backend="triton", kernel="sequence")
    layer = rnnkit.RNN("rnn", 4, 40, unroller=unroller, dtype=torch.float64)
    found = trained(layer)
    assert {form.tiles.units for form in run} == {16}
    assert len(run) == 2, "a kernel forward, one back"
    assert [form.tiles.units for form in asked[:4]] == [64, 64, 32, 16], "less of a product, then fewer units"
    count = len(asked)
    trained(layer)
    assert len(asked) == count, "they are settled"
    layer.unroller = "loop"
    for one, other in zip(found, trained(layer), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_kernels_with_masks_have_forms_of_their_own(order, monkeypatch):
    """They are compiled anew, and may spill where those without do not, whichever call is the first."""
    run, all_steps = [], launching.Run.all_steps

    def spilled(self, form):
        masks = (self._timeline.lengths is not None) + (self._timeline.reset is not None)
        return 8 * (form.tiles.units > 64 >> masks)

    monkeypatch.setattr(_programs, "_programs", type(_programs._programs)(_programs.CAPACITY))
    monkeypatch.setattr(kernels, "is_interpreted", lambda: False)
    monkeypatch.setattr(launching.Run, "spilled", spilled)
    monkeypatch.setattr(launching.Run, "is_full", lambda self, form: True)
    monkeypatch.setattr(launching.Run, "all_steps", lambda self, form: (run.append(form), all_steps(self, form)))
    layer = rnnkit.RNN("rnn", 4, 64, unroller=rnnkit.unrollers["compiled"](backend="triton", kernel="sequence"))
    given = {"lengths": torch.tensor([3, 1])}, {"lengths": torch.tensor([3, 1]), "reset": torch.ones(3, 2).bool()}
    units = {}
    for masks in order:
        run.clear()
        layer(torch.randn(3, 2, 4), **({}, *given)[masks])
        units[masks] = run[0].tiles.units
    assert units == {0: 64, 1: 32, 2: 16}


@pytest.mark.parametrize("kind", ["sequence", "grid"])
def test_a_kernel_that_hoists_nothing_gives_the_same_numbers(kind, monkeypatch):
    texts = []
    monkeypatch.setattr(_programs, "_programs", type(_programs._programs)(_programs.CAPACITY))
    monkeypatch.setattr(kernels, "is_interpreted", lambda: False)
    monkeypatch.setattr(launching.Run, "spilled", lambda self, form: 8 * (not form.hoists_nothing))
    monkeypatch.setattr(launching.Run, "is_full", lambda self, form: True)
    start = launching.Run._start

    def noted(self, name, numbers, form):
        texts.append("".join(linecache.getlines(self._functions(form).__file__)))
        return start(self, name, numbers, form)

    monkeypatch.setattr(launching.Run, "_start", noted)
    unroller = rnnkit.unrollers["compiled"](backend="triton", kernel=kind)
    layer = rnnkit.RNN("lstm", 4, 40, unroller=unroller, dtype=torch.float64)
    found = trained(layer)
    assert len(texts) == 2, "a kernel forward, one back"
    for text in texts:
        assert text.count("for n in tl.range(steps, num_stages=1, disable_licm=True):") == text.count("for n in ") == 2
    layer.unroller = "loop"
    for one, other in zip(found, trained(layer), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def test_more_rows_than_kernels_count_are_left_to_torch_s_operations(monkeypatch):
    ran, run = [], kernels.Kernels.run
    monkeypatch.setattr(kernels.Kernels, "run", lambda *given: (ran.append(1), run(*given)))
    layer = rnnkit.RNN("rnn", 4, 5, unroller=rnnkit.unrollers["compiled"](backend="triton"), dtype=torch.float64)
    with_kernels = trained(layer)
    count = len(ran)
    monkeypatch.setattr(backend, "MOST_ROWS", 3 * 2)
    trained(layer)
    assert len(ran) > count > 0
    count = len(ran)
    monkeypatch.setattr(backend, "MOST_ROWS", 3 * 2 - 1)
    for one, other in zip(trained(layer), with_kernels, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
    assert len(ran) == count
