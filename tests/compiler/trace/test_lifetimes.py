"""What the compiler keeps of a cell outlives neither its class nor what that reads."""

import dataclasses
import enum
import gc
import weakref

import pytest
import torch

import rnnkit
from rnnkit_compiler._programs import _programs
from rnnkit_compiler.structure.jacobian import jacobian_of

SIZES = (3, 4)


class Own(rnnkit.Cell):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.linear = torch.nn.Linear(input_size + hidden_size, hidden_size)

    def step(self, x, state):
        h = torch.tanh(self.linear(torch.cat([x, state[0]], 1)))
        return h, (h,)


def run(kind):
    layer = rnnkit.RNN(kind, *SIZES)
    for _ in range(3):  # the third call takes a shortcut
        layer(torch.randn(5, 2, SIZES[0]))[0].sum().backward()
        with torch.no_grad():
            layer(torch.randn(5, 2, SIZES[0]))


def plain():
    class Kind(Own):
        gain = 1.5

        def step(self, x, state):
            return super().step(x * self.gain, state)

    run(Kind)
    return [Kind, Kind.step]


def named_by_itself():
    class Kind(Own):
        own = property(lambda self: Kind.held[1])

        def step(self, x, state):
            return super().step(x * self.own, state)

    Kind.held = [Kind, 1.5]
    run(Kind)
    return [Kind]


def with_settings():
    class Mode(enum.Enum):
        ON = 1

    @dataclasses.dataclass(slots=True)
    class Settings:
        gain: float = 1.5

    settings = Settings()

    class Kind(Own):
        def step(self, x, state):
            return super().step(x * (settings.gain if self.mode is Mode.ON else 1), state)

    Kind.mode = Mode.ON
    run(Kind)
    return [Kind, Mode, Settings]


def by_the_loop():
    class Kind(Own):
        def step(self, x, state):
            return super().step(x if float(x.sum()) > 0 else -x, state)

    run(Kind)
    return [Kind]


def with_a_function():
    class Doubled(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        def backward(ctx, grad):
            return 2 * grad

    class Kind(Own):
        def step(self, x, state):
            return super().step(Doubled.apply(x), state)

    run(Kind)
    return [Kind, Doubled]


def looked_at():
    class Kind(Own):
        pass

    jacobian_of(Kind(*SIZES))
    rnnkit.unrollers["compiled"]().explain(Kind(*SIZES))
    return [Kind]


@pytest.mark.parametrize("make", [plain, named_by_itself, with_settings, by_the_loop, with_a_function, looked_at])
def test_classes_go_when_nobody_has_them(make):
    left = [weakref.ref(one) for _ in range(5) for one in make()]
    for _ in range(2):  # what a recording holds goes after it
        gc.collect()
    assert not any(one() for one in left)


def test_what_was_recorded_of_a_class_goes_with_it():
    gc.collect()
    kept = len(_programs._kept)
    for _ in range(3):
        plain()
        gc.collect()
    assert len(_programs._kept) <= kept
    assert _programs._owners.keys() <= _programs._kept.keys()
