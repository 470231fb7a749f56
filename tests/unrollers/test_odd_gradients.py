"""What may come back: batches of gradients, tangents, marks, wrappers. Every unroller answers as the loop does."""

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import forward_ad
from torch.autograd.gradcheck import GradcheckError
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

import rnnkit
from rnnkit.core.cell import building
from rnnkit.testing import differences

from ..core_cells import TAKING_ALL

pytestmark = pytest.mark.filterwarnings("ignore")  # torch's own, of tracing, masked tensors and its use of both
STEPS = 4


class Wrapped(torch.Tensor):
    """A tensor without memory of its own."""

    @staticmethod
    def __new__(cls, inside):
        made = torch.Tensor._make_wrapper_subclass(cls, inside.shape, dtype=inside.dtype, device=inside.device)
        made.inside = inside
        return made

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        args, kwargs = tree_map(lambda a: a.inside if isinstance(a, Wrapped) else a, (args, kwargs or {}))
        return func(*args, **kwargs)


class Watching(TorchDispatchMode):
    """Sees every operation."""

    def __init__(self):
        super().__init__()
        self.seen = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.seen += 1
        return func(*args, **(kwargs or {}))


def drawn(like, *more):
    return torch.randn(*more, *like.shape, generator=torch.Generator().manual_seed(3), dtype=like.dtype)


def leaves(layer, xs):
    return [xs, *layer.parameters()]


def batched(layer, xs):
    ys, _ = layer(xs)
    return torch.autograd.grad(ys, leaves(layer, xs), drawn(ys, 5), is_grads_batched=True)


def jacobian(layer, xs):
    return [torch.autograd.functional.jacobian(lambda xs: layer(xs)[0], xs, vectorize=True)]


def vmapped(layer, xs):
    ys, _ = layer(xs)

    def back(grad):
        return torch.autograd.grad(ys, leaves(layer, xs), grad, retain_graph=True)

    return torch.func.vmap(back)(drawn(ys, 5))


def tangents(layer, xs):
    ys, _ = layer(xs)
    grad, tangent = drawn(ys, 2)
    with forward_ad.dual_level():
        found = torch.autograd.grad(ys, leaves(layer, xs), forward_ad.make_dual(grad, tangent))
        return [part for grad in found for part in forward_ad.unpack_dual(grad)]


def zero_by_a_mark(layer, xs):
    ys, _ = layer(xs)
    return torch.autograd.grad(ys, leaves(layer, xs), torch._efficientzerotensor(ys.shape, dtype=ys.dtype))


def negated_by_a_mark(layer, xs):
    ys, _ = layer(xs)
    grad = torch.complex(drawn(ys), drawn(ys)).conj().imag
    assert grad.is_neg()
    return torch.autograd.grad(ys, leaves(layer, xs), grad)


def wrapped(layer, xs):
    ys, _ = layer(xs)
    return torch.autograd.grad(ys, leaves(layer, xs), Wrapped(drawn(ys)))


def masked(layer, xs):
    ys, _ = layer(xs)
    torch.masked.as_masked_tensor(ys, torch.ones_like(ys, dtype=torch.bool)).sum().backward()
    return [leaf.grad for leaf in leaves(layer, xs)]


def watched(layer, xs):
    ys, _ = layer(xs)
    with Watching() as mode:
        found = torch.autograd.grad(ys, leaves(layer, xs), drawn(ys))
    assert mode.seen > STEPS
    return found


def fake(layer, xs):
    ys, _ = layer(xs)
    with FakeTensorMode(allow_non_fake_inputs=True):
        found = torch.autograd.grad(ys.sum(), leaves(layer, xs))
    return [torch.zeros(grad.shape) for grad in found]


def batched_gradcheck(layer, xs):
    torch.autograd.gradcheck(lambda xs: layer(xs)[0], xs, check_batched_grad=True, fast_mode=True)
    return []


def saved_elsewhere(layer, xs):
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor.clone(), lambda tensor: tensor):
        ys, _ = layer(xs)
    return torch.autograd.grad(ys, leaves(layer, xs), drawn(ys))


def between_two_numbers(layer, xs):
    room = bytearray(xs.nbytes + 8)
    odd = torch.from_numpy(np.frombuffer(memoryview(room)[3 : 3 + xs.nbytes], dtype=np.float64).reshape(xs.shape))
    assert odd.data_ptr() % 8
    odd.copy_(xs.detach()).requires_grad_()
    ys, _ = layer(odd)
    return [ys, *torch.autograd.grad(ys, leaves(layer, odd), drawn(ys))]


def negated_input(layer, xs):
    ys, _ = layer(torch.complex(xs.detach(), xs.detach()).conj().imag)
    return [ys]


def traced(layer, xs):
    function = torch.jit.trace(layer, xs.detach(), check_trace=False)
    return [function(2 * xs.detach())[0]]


def func_jacobian(layer, xs):
    return [torch.func.jacrev(lambda x: layer(x)[0])(xs.detach())]


def func_tangents(layer, xs):
    return list(torch.func.jvp(lambda x: layer(x)[0], (xs.detach(),), (drawn(xs),)))


def hooks_on_weights(layer, xs):
    """As for clipping each by itself; a hook is called once, on the whole gradient."""
    for parameter in layer.parameters():
        parameter.register_hook(lambda grad: grad.clamp(-0.5, 0.5))
    ys, _ = layer(xs)
    ys.backward(drawn(ys))
    return [xs.grad, *(parameter.grad for parameter in layer.parameters())]


def another_default_device(layer, xs):
    with torch.device("meta"):
        ys, _ = layer(xs)
    given = drawn(ys)
    with torch.device("meta"):
        return [ys, *torch.autograd.grad(ys, leaves(layer, xs), given)]


WAYS = (batched, jacobian, vmapped, tangents, zero_by_a_mark, negated_by_a_mark, wrapped, masked, watched, fake)
WAYS += (batched_gradcheck, saved_elsewhere, between_two_numbers, negated_input, traced)
WAYS += (func_jacobian, func_tangents, hooks_on_weights, another_default_device)


def answer(way, cell, unroller, batch, width):
    """Return what comes of a way, an error by its type."""
    torch.manual_seed(0)
    layer = rnnkit.RNN(cell, width, width, unroller=unroller, dtype=torch.float64)
    xs = torch.randn(STEPS, batch, width, dtype=torch.float64).requires_grad_()
    try:
        return [tensor.detach() for tensor in way(layer, xs)]
    except (RuntimeError, TypeError, GradcheckError) as error:
        return type(error)


@pytest.mark.covering(2)
@pytest.mark.parametrize(
    "size", [(3, 5), (40, 160)], ids=["small", "large"]
)  # large: whole products by our own kernels
@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("unroller", [name for name in TAKING_ALL if name != "loop"])
def test_every_unroller_answers_as_the_loop(unroller, way, cell, size):
    if size[0] > 3 and way in (jacobian, func_jacobian, batched_gradcheck):
        pytest.skip("a Jacobian of that size says no more")
    if size[0] > 3 and unroller in ("newton", "rtrl"):
        pytest.skip("no kernel of its own for large products, and a Jacobian of that size")
    if size[0] > 3 and cell != "lstm":
        pytest.skip("one cell does for the large products")
    expected = answer(way, cell, "loop", *size)
    found = answer(way, cell, unroller, *size)
    assert isinstance(found, type) == isinstance(expected, type), found
    if isinstance(expected, type):
        assert found is expected
    else:
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_the_ways_that_the_loop_knows_are_no_errors():
    failed = {way.__name__ for way in WAYS if isinstance(answer(way, "lstm", "loop", 3, 5), type)}
    assert failed <= {"masked"}


class WithOneTooMany(rnnkit.Cell):
    """A recurrence with a parameter that no step uses."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.inward, self.recurrent = (
            torch.nn.Linear(input_size, hidden_size),
            torch.nn.Linear(hidden_size, hidden_size),
        )
        self.spare = torch.nn.Parameter(torch.ones(3))

    def step(self, p, state):
        h = torch.tanh(self.inward(p) + self.recurrent(state[0]))
        return h, (h,)


@pytest.mark.parametrize("again", [False, True], ids=["once", "create_graph"])
@pytest.mark.parametrize("name", TAKING_ALL)
def test_a_hook_of_a_parameter_that_no_step_uses_is_never_handed_none(name, again):
    cell = WithOneTooMany(3, 4)
    cell.spare.register_hook(lambda grad: grad.clamp(-1, 1))
    ys, _ = rnnkit.unrollers[name]()(cell, torch.randn(STEPS, 2, 3))
    ys.sum().backward(create_graph=again)
    assert cell.spare.grad is None or not cell.spare.grad.any()


class OneModuleTwice(rnnkit.Cell):
    """A module under two names."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.read = torch.nn.Linear(input_size, hidden_size)
        self.again = self.read

    def step(self, x, state):
        h = torch.tanh(0.5 * state[0] + self.read(x) + self.again(x * x))
        return h, (h,)


@pytest.mark.parametrize("name", TAKING_ALL)
def test_a_module_under_two_names_keeps_its_parameters(name):
    with building(None, torch.float64):
        cell = OneModuleTwice(3, 4)
    weight, unroller = cell.read.weight, rnnkit.unrollers[name]()
    assert list(differences(unroller, cell, STEPS, 2, 1e-10)) == []
    assert cell.read.weight is weight is cell.again.weight


def test_the_law_sees_a_parameter_that_is_exchanged():
    class Exchanging(rnnkit.unrollers["loop"]):
        def __call__(self, cell, xs, state=None, **masks):
            ys, last = super().__call__(cell, xs, state, **masks)
            cell.read.weight = torch.nn.Parameter(cell.read.weight.detach().clone())
            return ys, last

    with building(None, torch.float64):
        said = list(differences(Exchanging(), OneModuleTwice(3, 4), STEPS, 2, 1e-10))
    assert any("leaves another tensor as parameter 'read.weight'" in sentence for sentence in said)


class CutOff(rnnkit.Cell):
    """Depends on the state, and no gradient goes by way of it."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.linear = torch.nn.Linear(input_size + hidden_size, hidden_size)

    def step(self, x, state):
        h = torch.tanh(self.linear(torch.cat([x, state[0].detach()], 1)))
        return h, (h,)


@pytest.mark.parametrize("name", TAKING_ALL)
def test_a_state_that_gradients_do_not_pass(name):
    with building(None, torch.float64):
        cell = CutOff(3, 8)
    assert list(differences(rnnkit.unrollers[name](), cell, STEPS, 2, 1e-10)) == []
