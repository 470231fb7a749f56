"""The boundary to C: whatever is not plain memory of the CPU never hands over an address. "meta" stands for a GPU."""

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import rnnkit
from rnnkit_compiler import _making
from rnnkit_compiler.backends.base.runtime import Unfit
from rnnkit_compiler.backends.cpp import linear
from rnnkit_compiler.backends.cpp.boundary import address_of, is_plain
from rnnkit_compiler.backends.cpp.prepared_run import PreparedRun
from rnnkit_compiler.trace import projection, verification

from ....core_cells import CORE_CELLS

Compiled = rnnkit.unrollers["compiled"]


def misaligned():
    room = bytearray(64)
    return torch.from_numpy(np.frombuffer(memoryview(room)[3:35], dtype=np.float32))


def given_back():
    tensor = torch.ones(4)
    tensor.untyped_storage().resize_(0)
    return tensor


def fake(device):
    with FakeTensorMode():
        return torch.empty(3, device=device)


UNFIT = {
    "meta": lambda: torch.empty(3, device="meta"),
    "another device": lambda: fake("cuda"),
    "fake": lambda: fake("cpu"),
    "sparse": lambda: torch.eye(3).to_sparse(),
    "compressed": lambda: torch.eye(3).to_sparse_csr(),
    "of oneDNN": lambda: torch.eye(3).to_mkldnn(),
    "nested": lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged),
    "negated by a mark": lambda: torch.ones(3, dtype=torch.complex64).conj().imag,
    "conjugated by a mark": lambda: torch.ones(3, dtype=torch.complex64).conj(),
    "zero by a mark": lambda: torch._efficientzerotensor((3,)),
    "given back": given_back,
    "between two numbers": misaligned,
}

PLAIN = {
    "plain": lambda: torch.ones(3),
    "parameter": lambda: torch.nn.Parameter(torch.ones(3)),
    "computed": lambda: torch.ones(3, requires_grad=True) * 2,
    "view": lambda: torch.ones(3, 4)[1:, ::2],
    "float64": lambda: torch.ones(3, dtype=torch.float64),
    "of whole numbers": lambda: torch.arange(3),
    "booleans": lambda: torch.ones(3, dtype=torch.bool)[1:],
    "empty": lambda: torch.empty(0, 4),
    "of numpy": lambda: torch.from_numpy(np.ones(3)),
    "shared": lambda: torch.ones(3).share_memory_(),
}


@pytest.mark.filterwarnings("ignore:.*eta state")
@pytest.mark.parametrize("kind", UNFIT)
def test_what_is_no_plain_memory_has_no_address(kind):
    tensor = UNFIT[kind]()
    assert not is_plain(tensor)
    with pytest.raises(Unfit):
        address_of(tensor)


@pytest.mark.parametrize("kind", PLAIN)
def test_plain_memory_has_its_address(kind):
    tensor = PLAIN[kind]()
    assert address_of(tensor) == tensor.data_ptr()


def test_an_inference_tensor_is_plain():
    with torch.inference_mode():
        assert is_plain(torch.ones(3))


@pytest.mark.parametrize("transform", [torch.func.vmap, torch.func.functionalize, torch.func.grad])
def test_a_transform_s_tensor_has_no_address(transform):
    seen = []

    def look(x):
        seen.append(is_plain(x))
        return x.sum()

    transform(look)(torch.ones(3))
    assert seen == [False]


@pytest.fixture
def guard_lifted(monkeypatch):
    """Let cells on another device come as far as the boundary, where no kernel and no product of ours may run."""

    def reached(*args, **kwargs):
        raise AssertionError("the library was reached")

    monkeypatch.setattr(_making, "obstacle", lambda *args: "")
    for module in (verification, projection):
        monkeypatch.setattr(module, "_same", lambda *args: True)  # there are no numbers to compare
    monkeypatch.setattr(PreparedRun, "__call__", reached)
    monkeypatch.setattr(linear, "multiply", reached)
    monkeypatch.setattr(linear, "LEAST", 1)


@pytest.mark.usefixtures("guard_lifted")
@pytest.mark.parametrize("backend", [None, "torch"])
@pytest.mark.parametrize("cell", CORE_CELLS)
def test_a_cell_on_another_device_never_reaches_a_kernel(cell, backend):
    layer = rnnkit.RNN(cell, 8, 8, device="meta", unroller=Compiled(backend=backend))
    xs = torch.empty(5, 600, 8, device="meta", requires_grad=True)
    ys, _ = layer(xs)
    assert ys.is_meta
    ys.sum().backward()
    assert xs.grad.is_meta


@pytest.mark.usefixtures("guard_lifted")
def test_the_reason_names_the_device():
    layer = rnnkit.RNN("gru", 8, 8, device="meta", unroller="compiled")
    assert "no native kernel: kernels run on the CPU, and there is a tensor on meta" in layer.unroller.explain(
        layer.equipped(0)
    )
    with pytest.raises(rnnkit.errors.UsageError, match=r"backend='cpp' cannot run cell 'gru'.*on meta"):
        rnnkit.RNN("gru", 8, 8, device="meta", unroller=Compiled(backend="cpp"))(torch.empty(2, 2, 8, device="meta"))


def test_the_library_itself_is_reached_on_the_cpu(monkeypatch):
    """The fixture above would notice it."""
    called = []
    run = PreparedRun.__call__
    monkeypatch.setattr(PreparedRun, "__call__", lambda self, *given: (called.append(self.name), run(self, *given)))
    layer = rnnkit.RNN("gru", 8, 8, unroller="compiled")
    layer(torch.randn(5, 3, 8))[0].sum().backward()
    assert called == ["Forward", "Backward"]


def test_a_default_device_elsewhere_changes_nothing():
    """As in `with torch.device("meta")`, where a model is built whose numbers come later."""
    layer = rnnkit.RNN("lstm", 4, 6, unroller=Compiled(backend="cpp"))
    xs, hx = torch.randn(3, 2, 4), [torch.randn(1, 2, 6, requires_grad=True) for _ in range(2)]
    outputs = []
    for device in ("cpu", "meta"):
        with torch.device(device):
            ys, last = layer(xs, tuple(hx))
            outputs.append([ys, *last, *torch.autograd.grad(ys, hx, torch.ones(3, 2, 6, device="cpu"))])
    for one, other in zip(*outputs, strict=True):
        assert torch.equal(one, other)
