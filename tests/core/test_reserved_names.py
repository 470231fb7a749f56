"""Any name will do in a cell or layer, but for those that its class has: these are refused when they are set."""

import copy
import inspect
import pickle

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

import rnnkit
from rnnkit.errors import TakenNameError

XS = torch.randn(5, 2, 3)


class Named(rnnkit.Cell):
    """A cell that keeps one more thing under a name of choice."""

    name = "named"

    def __init__(self, input_size, hidden_size, keep=None):
        super().__init__(input_size, hidden_size)
        self.mix = nn.Linear(input_size + hidden_size, hidden_size)
        if keep is not None:
            keep(self)

    def step(self, x, state):
        h = torch.tanh(self.mix(torch.cat([x, *state], 1)))
        return h, (h,)


class Gates(rnnkit.Cell):
    """The most natural names, for what they naturally name."""

    name = "natural"

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.gates = nn.Linear(input_size, 3 * hidden_size)
        self.input_gate = nn.Linear(hidden_size, hidden_size)
        self.forget_gate = nn.Linear(hidden_size, hidden_size)
        self.register_buffer("state", torch.ones(hidden_size))
        self.gate = self.cell = self.hidden = self.reset = self.output = self.weight = 1.0

    def project(self, xs):
        return self.gates(xs)

    def step(self, p, state):
        (h,) = state
        i, f, g = p.chunk(3, 1)
        h = torch.sigmoid(f + self.forget_gate(h)) * h + torch.sigmoid(i + self.input_gate(h)) * torch.tanh(g)
        return h, (h * self.state,)


def test_natural_names_are_free():
    rnnkit.testing.check_cell(Gates)
    layer = rnnkit.RNN(Gates, 3, 4)
    assert {"gates_l0.weight", "input_gate_l0.weight", "forget_gate_l0.bias"} < set(layer.state_dict())
    layer(XS)[0].sum().backward()
    assert all(parameter.grad is not None for parameter in layer.parameters())
    with pytest.raises(rnnkit.RnnkitError, match="cell 'natural' declares no gates"):
        rnnkit.init.forget_bias_(layer)


def test_gates_may_be_declared_by_an_instance_too():
    layer = rnnkit.RNN("lstm", 3, 4)
    (cell,) = layer.cells
    vars(cell)["gates"] = ["i", "f", "g", "o"]
    rnnkit.init.forget_bias_(layer, 2.0)
    assert torch.equal(layer.bias_ih_l0[4:8], torch.full((4,), 2.0))


METHODS = [
    name
    for name in dir(Named)
    if not name.startswith("_") and isinstance(inspect.getattr_static(Named, name), property | type(copy.copy))
]
TENSORS = {
    "module": lambda cell, name: setattr(cell, name, nn.Linear(2, 2)),
    "parameter": lambda cell, name: setattr(cell, name, nn.Parameter(torch.zeros(2))),
    "buffer": lambda cell, name: setattr(cell, name, nn.Buffer(torch.zeros(2))),
    "register_module": lambda cell, name: cell.register_module(name, nn.Linear(2, 2)),
    "register_parameter": lambda cell, name: cell.register_parameter(name, None),
    "register_buffer": lambda cell, name: cell.register_buffer(name, torch.zeros(2)),
}
VALUES = {
    "number": lambda cell, name: setattr(cell, name, 3),
    "None": lambda cell, name: setattr(cell, name, None),
    "tensor": lambda cell, name: setattr(cell, name, torch.zeros(2)),
}


@pytest.mark.parametrize("keep", [*TENSORS.values(), *VALUES.values()], ids=[*TENSORS, *VALUES])
@pytest.mark.parametrize("name", METHODS)
def test_a_name_of_the_contract_is_refused_when_it_is_set(name, keep):
    with pytest.raises(TakenNameError, match=rf"Named: '{name}' is taken by the class; .*such as '{name}_'$"):
        Named(3, 4, lambda cell: keep(cell, name))


@pytest.mark.parametrize("keep", TENSORS.values(), ids=TENSORS)
@pytest.mark.parametrize("name", ["name", "state_names", "input_size", "hidden_size", "training", "dump_patches"])
def test_a_tensor_or_module_takes_no_place_of_a_plain_value(name, keep):
    with pytest.raises(TakenNameError, match=f"'{name}' is taken"):
        Named(3, 4, lambda cell: keep(cell, name))


@pytest.mark.parametrize("value", [3, None, 1.5])
@pytest.mark.parametrize("name", ["name", "state_names"])
def test_a_name_is_a_text(name, value):
    with pytest.raises(TakenNameError, match=f"'{name}' is taken by the class; a value of type {type(value).__name__}"):
        Named(3, 4, lambda cell: setattr(cell, name, value))


def test_methods_are_enough():
    assert {"project", "step", "advance", "initial_state", "forward", "output_size", "state_sizes", "to"} <= {*METHODS}


def test_what_an_author_s_own_class_has_is_refused_only_where_it_would_be_lost():
    class Own(Named):
        name = "own"
        width = None
        helper = None

        def draw(self):
            return 1

    cell = Own(3, 4)
    cell.width, cell.draw = 3, None
    assert (cell.width, cell.draw) == (3, None)
    with pytest.raises(TakenNameError, match="'helper' is taken by the class"):
        cell.helper = nn.Linear(2, 2)


def test_functions_may_stand_in_for_methods():
    cell = Named(3, 4)
    cell.step = lambda x, state: (state[0], state)
    assert torch.equal(rnnkit.unrollers["loop"]()(cell, XS)[0], torch.zeros(5, 2, 4))
    layer = rnnkit.RNN(Named, 3, 4)
    layer.forward = lambda x: x  # as accelerate and others wrap it
    assert layer(XS) is XS


def test_properties_with_a_setter_are_set():
    class Wide(Named):
        name = "wide"

        @property
        def output_size(self):
            return self._width

        @output_size.setter
        def output_size(self, width):
            self._width = width

    cell = Wide(3, 4)
    cell.output_size = 7
    assert cell.output_size == 7


@pytest.mark.parametrize("name", ["cells", "unroller", "all_weights", "forward", "adopt"])
def test_layers_refuse_them_too(name):
    layer = rnnkit.RNN("lstm", 3, 4)
    with pytest.raises(TakenNameError, match=f"RNN: '{name}' is taken by the class"):
        setattr(layer, name, nn.Linear(2, 2))
    layer.readout = nn.Linear(4, 1)
    assert "readout.weight" in layer.state_dict()


def test_wrappers_refuse_them_too():
    wrapper = rnnkit.cells["zoneout"](3, 4)
    for name in ("project", "rates_for", "inner_"):
        if name == "inner_":
            wrapper.inner_ = nn.Linear(2, 2)
        else:
            with pytest.raises(TakenNameError, match=name):
                setattr(wrapper, name, nn.Linear(2, 2))


class Free(nn.Module):
    def forward(self, tensor):
        return tensor

    right_inverse = forward


def test_parametrizations_come_and_go():
    cell = Named(3, 4, lambda cell: setattr(cell, "weight", nn.Parameter(torch.ones(2))))
    parametrize.register_parametrization(cell, "weight", Free())
    cell.weight = torch.full((2,), 3.0)
    assert torch.equal(cell.weight, torch.full((2,), 3.0))
    with pytest.raises(KeyError, match="weight"):  # as torch does
        cell.weight = nn.Parameter(torch.zeros(2))
    parametrize.remove_parametrizations(cell, "weight")
    cell.weight = nn.Parameter(torch.zeros(2))
    assert not cell.weight.any()


def test_copies():
    cell = Gates(3, 4)
    for other in (copy.deepcopy(cell), pickle.loads(pickle.dumps(cell))):
        assert torch.equal(other(XS[0])[0], cell(XS[0])[0])


@pytest.mark.filterwarnings("ignore")  # torch's own, about its compiler
def test_in_a_compiled_model():
    layer = rnnkit.RNN(Gates, 3, 4, unroller="loop")
    run = torch.compile(layer, backend="eager")
    for training in (True, False, True):
        layer.train(training)
        assert torch.equal(run(XS)[0], layer(XS)[0])
