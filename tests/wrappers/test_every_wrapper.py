"""What all wrappers owe, around every cell. A new one of either kind is tested by being registered."""

import copy
import pickle
from itertools import product

import pytest
import torch

import rnnkit
from rnnkit.layers.wrapper import Wrapper, innermost
from rnnkit.testing import check_cell, differences

from ..core_cells import CORE_CELLS
from ..slow_cases import slow_but

WRAPPERS = [name for name in CORE_CELLS if issubclass(rnnkit.cells[name], Wrapper)]
INNER = [name for name in CORE_CELLS if name not in WRAPPERS]
DRAWING = ["zoneout", "variational"]

every_wrapper = pytest.mark.parametrize("wrapper", WRAPPERS)
every_inner = pytest.mark.parametrize("inner", INNER)

# Options under which a wrapper changes nothing.
NEUTRAL = {
    "wrapper": Wrapper,
    "zoneout, rate 0": "zoneout({}, rate=0)",
    "zoneout, an empty table": "zoneout({}, rate={{}})",
    "variational, rate 0": "variational({}, rate=0, input_rate=0.0)",
    "norm of nothing": "norm({}, input=false, output=false)",
    "learnt_state, before it has learnt": "learnt_state({})",
}

COMPOSITIONS = [
    *(f"{outer}({middle}(gru))" for outer, middle in product(WRAPPERS, WRAPPERS)),
    "zoneout(residual(norm(gru)))",
    "variational(zoneout(lstm, rate={'h': 0.05, 'c': 0.5}), rate=0.3)",
    "learnt_state(residual(norm(variational(zoneout(lstm)))))",
]
every_composition = pytest.mark.parametrize("expression", COMPOSITIONS)


class FromOnes(rnnkit.cells["layernorm"]):
    """From zeros, where a learnt state begins, its normalisation divides by √ε: too steep for finite differences."""

    def initial_state(self, batch_size):
        return tuple(torch.ones_like(tensor) for tensor in super().initial_state(batch_size))


def test_all_are_here():
    assert set(WRAPPERS) >= {"learnt_state", "norm", "residual", "variational", "zoneout"}
    assert set(INNER) >= {"gru", "layernorm", "lstm", "peephole", "rnn"}


@pytest.mark.parametrize("inner", slow_but(["gru"], INNER))
@pytest.mark.parametrize("wrapper", slow_but(["learnt_state", "zoneout"], WRAPPERS))
def test_every_promise_of_a_cell_is_kept(wrapper, inner):
    steep = (wrapper, inner) == ("learnt_state", "layernorm")
    check_cell(rnnkit.cells[wrapper], inner=FromOnes if steep else inner)


@pytest.mark.covering(1)
@pytest.mark.parametrize("inner", [name for name in rnnkit.cells if name not in WRAPPERS])
@pytest.mark.parametrize("neutral", NEUTRAL)
def test_rate_zero_is_the_cell_itself_to_the_bit(neutral, inner, results, equal_bits):
    # Compiled, two forms of one cell may add in another order: the loop is where bits can be promised.
    options = {"num_layers": 2, "bidirectional": True, "dropout": 0.5, "unroller": "loop"}
    around = NEUTRAL[neutral]
    layers = []
    for cell, more in ((inner, {}), (around, {"inner": inner}) if around is Wrapper else (around.format(inner), {})):
        torch.manual_seed(0)
        layers.append(rnnkit.RNN(cell, 3, 4, **options, **more))
    xs, lengths = torch.randn(7, 3, 3), torch.tensor([7, 2, 5])
    equal_bits(*(results(layer, xs, lengths=lengths) for layer in layers))


@every_inner
@every_wrapper
def test_a_bare_cell_s_state_dict_fits(wrapper, inner):
    options = {"num_layers": 2, "bidirectional": True, "unroller": "loop"}
    bare, wrapped = (rnnkit.RNN(cell, 3, 4, **options) for cell in (inner, f"{wrapper}({inner})"))
    own = {name for name, _ in wrapped.named_parameters()} - {name for name, _ in bare.named_parameters()}
    missing, unexpected = wrapped.load_state_dict(bare.state_dict(), strict=False)
    assert (set(missing), unexpected) == (own, [])
    assert bool(own) == (wrapper not in DRAWING)
    for position, cell in enumerate(bare.cells):
        assert all(map(torch.equal, cell.parameters(), innermost(wrapped.equipped(position)).parameters()))


@pytest.mark.one_in(2)
@every_composition
def test_compositions_give_the_same_bits_through_every_unroller(expression, build):
    cell = build(expression).train()
    lengths, reset = torch.tensor([17, 4, 11]), torch.rand(17, 3) < 0.2
    for unroller in map(rnnkit.unrollers.__getitem__, ("loop", "checkpoint")):
        assert list(differences(unroller(), cell, 17, 3, 0.0)) == []
        assert list(differences(unroller(), cell, 17, 3, 0.0, lengths=lengths, reset=reset)) == []


@pytest.mark.one_in(2)
@every_composition
def test_compositions_have_the_gradient_of_differences(expression):
    report = rnnkit.gradcheck(expression, lengths=[4, 2]).raise_if_failed()
    assert [row.tensor for row in report.rows if row.gradient_norm == 0] == []


@pytest.mark.parametrize("expression", [f"{wrapper}(lstm)" for wrapper in WRAPPERS] + COMPOSITIONS[-3:])
def test_a_layer_gives_the_same_bits_through_every_unroller(expression, results, equal_bits):
    found = []
    for unroller in ("loop", "checkpoint"):
        torch.manual_seed(0)
        layer = rnnkit.RNN(expression, 3, 4, num_layers=2, bidirectional=True, dropout=0.3, unroller=unroller)
        xs, reset = torch.randn(9, 3, 3), torch.rand(9, 3) < 0.2
        found.append(results(layer, xs, lengths=torch.tensor([9, 2, 5]), reset=reset))
    equal_bits(*found)


@pytest.mark.parametrize("wrapper", DRAWING)
@pytest.mark.parametrize("inner", ["lstm", "gru"])
def test_evaluation_between_the_passes_changes_no_gradient(wrapper, inner):
    """Whether masks were drawn belongs to the forward pass, also where the backward pass runs it again."""
    found = []
    for unroller in ("loop", "checkpoint"):
        torch.manual_seed(0)
        layer = rnnkit.RNN(f"{wrapper}({inner})", 3, 4, unroller=unroller)
        xs = torch.randn(9, 3, 3)
        ys, _ = layer(xs)
        layer.eval()(xs)
        found.append(torch.autograd.grad(ys.sin().sum(), list(layer.parameters())))
    assert all(map(torch.equal, *found))


@every_wrapper
def test_evaluation_draws_nothing_and_training_only_where_it_must(wrapper):
    torch.manual_seed(0)
    layer, xs = rnnkit.RNN(wrapper, 3, 8), torch.randn(9, 3, 3)
    for training in (True, False):
        before = torch.get_rng_state()
        first, second = (layer.train(training)(xs)[0] for _ in range(2))
        draws = training and wrapper in DRAWING
        assert torch.equal(first, second) != draws
        assert torch.equal(before, torch.get_rng_state()) != draws


@pytest.mark.parametrize("wrapper", [*WRAPPERS, Wrapper])
def test_what_is_to_be_read_is_passed_on(wrapper, build):
    """So that dropout outside of a wrapper leaves alone what the cell inside hands on."""
    seen = []

    class Spy(rnnkit.cells["gru"]):
        def advance(self, p, read, state):
            seen.append((*read, *state))
            return super().advance(p, read, state)

    cell = build(wrapper, inner=Spy).eval()
    (p,) = rnnkit.time_slices(cell.project(torch.randn(1, 2, 3, dtype=torch.float64)))
    read, h = torch.randn(2, 2, 4, dtype=torch.float64)
    y, (new,) = cell.advance(p, (read,), (h,))
    assert [tensor is expected for tensor, expected in zip(seen[0], (read, h), strict=True)] == [True, True]
    for found, expected in zip(cell.step(p, (h,)), cell.advance(p, (h,), (h,)), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=0)
    assert not torch.equal(y, cell.step(p, (h,))[0])
    assert not torch.equal(new, cell.step(p, (h,))[1][0])


@every_inner
@every_wrapper
def test_reset_parameters_draws_what_building_draws(wrapper, inner, build):
    cell = build(wrapper, inner=inner)
    before = {name: parameter.clone() for name, parameter in cell.named_parameters()}
    for parameter in cell.parameters():
        torch.nn.init.constant_(parameter, 7.0)
    torch.manual_seed(0)
    cell.reset_parameters()
    assert [name for name, parameter in cell.named_parameters() if not torch.equal(parameter, before[name])] == []


@every_wrapper
def test_a_layer_is_copied_and_pickled(wrapper, results, equal_bits):
    layer, xs = rnnkit.RNN(f"{wrapper}(gru)", 3, 4, 2, unroller="loop"), torch.randn(5, 2, 3)
    expected = results(layer, xs)
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        equal_bits(expected, results(twin, xs))
        assert not {id(parameter) for parameter in layer.parameters()} & {id(p) for p in twin.parameters()}


@every_wrapper
def test_options_go_to_the_cell_inside(wrapper, build):
    cell = build(wrapper, inner="rnn", nonlinearity="relu", bias=False)
    assert cell.inner.nonlinearity == "relu"
    assert cell.inner.bias_ih is None
    assert build(f"{wrapper}(rnn(nonlinearity=relu, bias=false))").inner.bias_ih is None


@every_wrapper
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"inner": "lstn"}, "unknown cell 'lstn' (did you mean 'lstm'?); `rnnkit cells` lists what there is"),
        ({"inner": "rnn", "reset_after": True}, "cell 'rnn' has no option 'reset_after'; its options: "),
        ({"inner": int}, "the cell is <class 'int'>; it must be a registered name or a class derived from Cell"),
    ],
    ids=["unknown", "option", "no cell"],
)
def test_an_inner_cell_that_cannot_be(wrapper, options, sentence, build):
    with pytest.raises(rnnkit.errors.UsageError) as caught:
        build(wrapper, **options)
    assert str(caught.value).startswith(sentence)


@every_wrapper
def test_a_cell_inside_that_cannot_be_reset_is_named(wrapper, build):
    class Fixed(rnnkit.Cell):
        name = "fixed"

        def __init__(self, input_size, hidden_size):
            super().__init__(input_size, hidden_size)
            self.weight = torch.nn.Parameter(torch.zeros(hidden_size))

        def step(self, p, state):
            return state[0] * self.weight, state

    with pytest.raises(rnnkit.errors.UsageError, match=r"cell 'fixed' has no reset_parameters\(\)"):
        build(wrapper, inner=Fixed).reset_parameters()
