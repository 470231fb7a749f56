"""Nothing that a call does on a GPU waits for it: no value is asked for, but where the documentation says so."""

import traceback
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import Tensor

import rnnkit
import rnnkit_compiler
from rnnkit_compiler.backends.triton import kernels, runtime

from ....test_compiled_law import Compiled
from ..unseen_cells import Unseen

pytestmark = pytest.mark.usefixtures("trusted")

WAITING = ("item", "tolist", "cpu", "nonzero", "__bool__", "__int__", "__float__", "__index__", "__format__")
"""Methods of a tensor that would wait for its device."""


def is_ours(file):
    """Tell whether a file is of the packages, wherever the checkout is and whatever its folder is called."""
    return any(file.is_relative_to(Path(package.__file__).parent) for package in (rnnkit, rnnkit_compiler))


@pytest.fixture
def asked(monkeypatch):
    """Count who asks a tensor for values, by file; kernels do nothing, since the interpreter asks them all."""
    found = Counter()
    monkeypatch.setattr(kernels.Kernels, "run", lambda *given: None)
    monkeypatch.setattr(
        runtime.TritonRuntime, "allocate", lambda own, shape, dtype, exact=False: torch.zeros(shape, dtype=dtype)
    )

    def noting(name):
        method = getattr(Tensor, name)

        def note(own, *given, **options):
            files = [Path(frame.filename) for frame in traceback.extract_stack()]
            found.update([next(file.name for file in reversed(files) if is_ours(file))])
            return method(own, *given, **options)

        return note

    def begin():
        for name in WAITING:
            monkeypatch.setattr(Tensor, name, noting(name))
        return found

    return begin


class Annealed(Unseen):
    """Multiplies by a float that changes from call to call."""

    shapes = {"w": (16, 12)}  # noqa: RUF012

    def step(self, x, state):
        h = torch.tanh(self.rate * (torch.cat([x, state[0]], 1) @ self.w))
        return h, (h,)


class Conditioned(Annealed):
    """Asks torch to check the arguments of a distribution."""

    rate = 1.0

    def step(self, x, state):
        h, after = super().step(x, state)
        return torch.distributions.Normal(h, torch.exp(h), validate_args=True).mean, after


class Shuffled(Annealed):
    """Takes units by a buffer."""

    rate = 1.0

    def __init__(self, input_size=4, hidden_size=12):
        super().__init__(input_size, hidden_size)
        self.register_buffer("order", torch.randperm(hidden_size))

    def step(self, x, state):
        h, (own,) = super().step(x, state)
        return h, (own[:, self.order],)


def made(kind):
    return kind().double() if isinstance(kind, type) else rnnkit.cells[kind](4, 12).double()


CASES = {
    "lstm": ("lstm", {}),
    "peephole": ("peephole", {}),
    "layernorm": ("layernorm", {}),
    "an annealed float": (Annealed, {}),
    "a condition, once a call": (Conditioned, {"solvers.py": 1}),
    "a buffer of indices, once a call": (Shuffled, {"_programs.py": 1}),
}


@pytest.mark.parametrize("case", CASES)
def test_who_waits(case, asked):
    kind, expected = CASES[case]
    torch.manual_seed(0)
    cell, unroller = made(kind), Compiled(backend="triton", kernel="sequence")
    xs = torch.randn(5, 3, 4, dtype=torch.float64, requires_grad=True)
    reset = torch.zeros(5, 3, dtype=torch.bool)

    def call(rate):
        if kind is Annealed:
            cell.rate = rate
        ys, last = unroller(cell, xs, reset=reset)
        (ys.sum() + last[0].sum()).backward()

    for k in range(5):
        call(1 + k / 8)
    found = asked()
    call(2.0)
    assert dict(found) == expected
