"""Symbols with a table: what the rows that they name would give, each projected once where that is worth it."""

import pytest
import torch
from torch import nn
from torch.nn.functional import embedding

import rnnkit
from rnnkit.errors import KindError, ShapeError
from rnnkit_compiler import _symbols, compiled
from rnnkit_compiler.backends.cpp.kernel import stretch

SYMBOLS, STEPS, ROWS, INPUT, HIDDEN = 5, 6, 4, 3, 4
CELLS = sorted(rnnkit.cells)


def tensors(layer):
    torch.manual_seed(1)
    table = torch.randn(SYMBOLS, INPUT, dtype=torch.float64, requires_grad=True)
    return torch.randint(SYMBOLS, (STEPS, ROWS)), table


def build(cell="lstm", **options):
    torch.manual_seed(0)
    return rnnkit.RNN(cell, INPUT, HIDDEN, dtype=torch.float64, unroller="compiled", **options).eval()


def agree(layer, symbols, table, run=None, **named):
    """Compare outputs, last states and gradients of the first and second order with those of the rows."""
    found = []
    for given in ((symbols, table), (embedding(symbols, table), None)):
        ys, last = layer(given[0], table=given[1], **named)
        last = last if isinstance(last, tuple) else (last,)
        total = ys.sin().sum() + sum(tensor.double().cos().sum() for tensor in last)
        leaves = [table, *(p for p in layer.parameters() if p.requires_grad)]
        grads = torch.autograd.grad(total, leaves, create_graph=True, materialize_grads=True)
        twice = torch.autograd.grad(grads[0].sin().sum(), [table], materialize_grads=True)
        found.append([ys, *last, *grads, *twice])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)


@pytest.fixture
def projected(monkeypatch):
    """Return the tables that were projected row by row."""
    seen, run = [], compiled.Program.run_symbols
    monkeypatch.setattr(compiled.Program, "run_symbols", lambda *given: seen.append(given) or run(*given))
    return seen


@pytest.mark.one_in(12)
@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_gives_what_the_rows_give(cell):
    layer = build(cell) if "conv" not in cell else rnnkit.RNN(cell, INPUT, HIDDEN, dtype=torch.float64)
    agree(layer, *tensors(layer))


@pytest.mark.parametrize(
    "options", [{}, {"num_layers": 2, "bidirectional": True}, {"batch_first": True}, {"trainable_state": True}], ids=str
)
def test_forms_of_layers(options, projected):
    layer = build(**options)
    symbols, table = tensors(layer)
    agree(layer, symbols, table)
    assert projected


@torch.no_grad()
def test_more_steps_than_products_are_kept_for(projected):
    """Without gradients products of the input go round in fewer slots than there are steps; what is given does not."""
    layer = build()
    steps, rows = 300, 16
    assert stretch(steps, rows) < steps
    symbols, table = torch.randint(SYMBOLS, (steps, rows)), tensors(layer)[1]
    for _ in range(2):
        torch.testing.assert_close(layer(symbols, table=table)[0], layer(embedding(symbols, table))[0])
    assert projected


@pytest.mark.parametrize("what", ["lengths", "reset", "single", "packed", "states"])
def test_forms_of_calls(what):
    layer = build(bidirectional=what == "lengths")
    symbols, table = tensors(layer)
    if what == "lengths":
        agree(layer, symbols, table, lengths=torch.tensor([6, 1, 3, 6]))
    elif what == "reset":
        agree(layer, symbols, table, reset=torch.rand(STEPS, ROWS) < 0.3)
    elif what == "single":
        agree(layer, symbols[:, 0].repeat(4), table)
    elif what == "states":
        for one, other in zip(
            layer(symbols, table=table, return_states=True),
            layer(embedding(symbols, table), return_states=True),
            strict=True,
        ):
            torch.testing.assert_close(one, other)
    else:
        packed = nn.utils.rnn.pack_sequence([symbols[:4, 0], symbols[:2, 1]])
        rows = packed._replace(data=embedding(packed.data, table))
        assert torch.equal(layer(packed, table=table)[0].data, layer(rows)[0].data)


def test_few_symbols_are_looked_up(projected):
    layer = build()
    symbols, table = tensors(layer)
    agree(layer, symbols[:1, : _symbols.OFTEN * SYMBOLS - 7], table)
    assert not projected


def test_a_row_that_nobody_names_may_hold_anything():
    layer = build()
    symbols, table = tensors(layer)
    with torch.no_grad():
        table[-1] = torch.nan
    ys, _ = layer(symbols.clamp(max=SYMBOLS - 2), table=table)
    ys.sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in layer.parameters())


def test_a_cell_whose_projection_sees_other_steps_is_given_the_rows(projected):
    class Before(rnnkit.cells["lstm"]):
        def project(self, xs):
            return super().project(xs + torch.nn.functional.pad(xs[:-1], (0, 0, 0, 0, 1, 0)))

    layer = build(Before)
    agree(layer, *tensors(layer))
    assert not projected


def test_a_model_hands_its_table_on(projected):
    task = rnnkit.tasks["chars"]()
    batch = task.batch(8, torch.Generator().manual_seed(0))
    model = rnnkit.Model(task, hidden_size=8).double()
    found, _ = model(batch.xs)
    assert projected
    seen = []
    hook = model.embedding.register_forward_hook(lambda *given: seen.append(given))
    expected, _ = model(batch.xs)
    torch.testing.assert_close(found, expected)
    assert seen
    assert len(projected) == 1
    hook.remove()


class Positions(rnnkit.Model):
    def embed(self, xs):
        embedded = super().embed(xs)
        return embedded + torch.arange(len(xs))[:, None, None] / 10


class Doubling(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.inner, self.unroller = layer, layer.unroller

    def forward(self, xs, state=None, *, lengths=None):
        return self.inner(2 * xs, state, lengths=lengths)


def patch(model):
    before = model.embedding.forward
    model.embedding.forward = lambda xs: 2 * before(xs)


def hook(model):
    model.layer.register_forward_pre_hook(lambda layer, given: (2 * given[0], *given[1:]))


CHANGED = {
    "embed is overridden": (Positions, lambda model: None),
    "embed is replaced": (rnnkit.Model, lambda model: setattr(model, "embed", lambda xs: 2 * model.embedding(xs))),
    "the embedding's forward is replaced": (rnnkit.Model, patch),
    "the layer is hooked": (rnnkit.Model, hook),
    "the layer is another module": (rnnkit.Model, lambda model: setattr(model, "layer", Doubling(model.layer))),
}


@pytest.mark.parametrize(("kind", "change"), CHANGED.values(), ids=CHANGED)
def test_what_a_user_does_to_the_rows_is_done(kind, change, projected):
    torch.manual_seed(0)
    task = rnnkit.tasks["chars"]()
    model = kind(task, hidden_size=8)
    xs = torch.randint(task.input_size, (40, 16))
    change(model)
    found, _ = model(xs)
    expected = model.readout(model.layer(model.embed(xs))[0])
    torch.testing.assert_close(found, expected)
    assert not projected


def test_what_cannot_be_symbols_is_said():
    layer = build()
    symbols, table = tensors(layer)
    for given, error, words in [
        ((symbols.double(), table), KindError, "the input is torch.float64; with table= it must be int64 or int32"),
        ((symbols, table[0]), ShapeError, "table has shape (3,); it must be (symbols, input_size)"),
        ((symbols, [1.0]), KindError, "table is a list; it must be a tensor (symbols, input_size)"),
        ((symbols, table[:, :2]), ShapeError, "the input has 2 features a step; input_size is 3"),
        ((symbols, table.float()), ShapeError, "the input's dtype is torch.float32, the weights' torch.float64"),
    ]:
        with pytest.raises(error) as raised:
            layer(given[0], table=given[1])
        assert words in str(raised.value)
