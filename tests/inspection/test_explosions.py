"""Exploding steps and saliency against autograd by hand."""

import json

import numpy as np
import pytest
import torch

import rnnkit
from rnnkit import Batch
from rnnkit.core.cell import building
from rnnkit.errors import UsageError
from rnnkit.inspection import exploding_steps, gradient_flow, input_saliency

from .odd_cells import Linear, NeverFinite


class Scaled(Linear):
    """Multiplies its state by the input, so that it is known which step explodes."""

    name = "scaled"

    def step(self, p, state):
        h = state[0] * p[:, :1]
        return h, (h,)


def factors(*values):
    return torch.tensor(values, dtype=torch.float64).view(-1, 1, 1)


def scaled():
    with building(None, torch.float64):
        return Scaled(1, 3)


def test_growth_is_the_factor_of_the_step():
    explosions = exploding_steps(scaled(), factors(0.5, 3.0, 1.0, 20.0, 0.1, 1.0))
    np.testing.assert_allclose(explosions.growth["scaled"], [0.5, 3, 1, 20, 0.1, np.nan])
    np.testing.assert_allclose(explosions.singular_values["scaled"], [0.5, 3, 1, 20, 0.1, 1])
    assert [(one.step, one.growth) for one in explosions.explosions] == [(3, 20.0), (1, 3.0)]
    assert explosions.reading == (
        "At 2 of 5 steps the gradient grows by more than 2.00 times, most at step 3 of scaled: by 20.0."
    )
    assert json.loads(json.dumps(explosions.to_json(), allow_nan=False))["explosions"][0]["step"] == 3


def test_where_a_gradient_becomes_infinite_its_growth_is():
    explosions = exploding_steps(scaled(), factors(1.0, 1e150, 1e150, 1.0))
    assert explosions.explosions[0].step == 1
    assert explosions.explosions[0].growth == np.inf


def test_growth_goes_with_the_gradient_flow():
    sizes = {"input_size": 3, "hidden_size": 4, "steps": 7, "batch_size": 2}
    growth = exploding_steps("rnn", **sizes).growth["rnn"]
    total = gradient_flow("rnn", **sizes).total[::-1]
    np.testing.assert_allclose(growth[:-1], total[:-1] / total[1:], rtol=1e-12)


def test_a_quiet_sequence_has_none():
    explosions = exploding_steps(scaled(), factors(0.5, 1.0, 0.9))
    assert explosions.explosions == ()
    assert explosions.advice == "Nothing needs to be done."
    with pytest.raises(UsageError, match="threshold is 0"):
        exploding_steps("rnn", threshold=0)


def test_saliency_is_the_gradient_of_autograd():
    torch.manual_seed(0)
    layer = rnnkit.RNN("lstm", 3, 4, 2, bidirectional=True, dtype=torch.float64)
    xs = torch.randn(6, 2, 3, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(layer(xs)[0][-1].square().sum(), xs)
    saliency = input_saliency(layer, xs, loss=lambda ys: ys[-1].square().sum())
    np.testing.assert_allclose(saliency.norms, gradient.norm(dim=2).mean(1), rtol=1e-12)
    np.testing.assert_allclose(saliency.features, gradient.abs().mean(1), rtol=1e-12)
    assert xs.grad is None


def test_saliency_of_symbols_is_that_of_their_vectors():
    torch.manual_seed(0)
    task = rnnkit.tasks["copy"](seq_len=2)
    model = rnnkit.Model(task, "gru", 4, embedding_size=5)
    batch = task.batch(3, torch.Generator().manual_seed(0))
    vectors = model.embed(batch.xs).detach().requires_grad_()
    loss = task.loss(model.readout(model.layer(vectors)[0])[-1:], batch.targets[-1:])
    (gradient,) = torch.autograd.grad(loss, vectors)
    saliency = input_saliency(model, task=task, batch=batch)
    np.testing.assert_allclose(saliency.norms, gradient.norm(dim=2).mean(1), rtol=1e-4)
    assert saliency.characters == ()  # symbols, but no text


@pytest.mark.parametrize(("text", "characters"), [("a $b\n" * 16, True), ("a $b\n" * 16 + "a", False)])
def test_the_characters_of_a_text_stand_below_it(tmp_path, text, characters):
    pytest.importorskip("matplotlib")
    (tmp_path / "text").write_text("a $b\n" * 300)
    task = rnnkit.tasks["chars"](text=str(tmp_path / "text"), seq_len=8)
    model = rnnkit.Model(task, "gru", 4)
    symbols = task.prompt(text).unsqueeze(1)
    saliency = input_saliency(model, task=task, batch=Batch(symbols, symbols))
    assert "".join(saliency.characters) == text
    axes = saliency.plot()
    labels = [tick.get_text() for tick in axes.get_xticklabels()]
    assert axes.get_xlabel() == ("character" if characters else "step")
    if characters:
        assert labels == ["a", "\u2423", r"\$", "b", "\u21b5"] * 16
        axes.figure.canvas.draw()
        widths = [tick.get_window_extent().width for tick in axes.get_xticklabels()]
        assert sum(widths) < axes.get_window_extent().width
    else:
        assert len(labels) < 20
    two = Batch(symbols.repeat(1, 2), symbols.repeat(1, 2))
    assert input_saliency(model, task=task, batch=two).characters == ()


def test_the_window_holds_nine_tenths():
    saliency = input_saliency(scaled(), factors(1.0, 2.0, 3.0), loss=lambda ys: ys[-1].sum())
    assert saliency.window == 0  # from a state of zeros nothing comes
    assert "depends on none of the inputs" in saliency.reading
    linear = Linear(1, 1)
    linear.matrix.data.fill_(0.5)
    assert input_saliency(linear, torch.zeros(10, 1, 1)).window == 4  # 1 + 1/2 + 1/4 + 1/8 of 2


def test_steps_are_those_of_the_sequence():
    layer = rnnkit.RNN("lstm", 3, 4, num_layers=2, bidirectional=True)
    assert exploding_steps(layer, steps=8, threshold=1e9).reading.startswith("At none of 7 steps of 4 cells ")


def test_gradients_that_are_not_finite_are_not_called_zero():
    assert input_saliency(NeverFinite, steps=6).reading.startswith("Some gradients are not finite")
