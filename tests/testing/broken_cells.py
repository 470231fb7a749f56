"""Cells of which each breaks a promise in another way; the line that does it ends with `# here`."""

import random

import torch
from torch import nn

import rnnkit


class Whole(rnnkit.Cell):
    """Keeps every promise."""

    state_names = ("h", "c")

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.inward = nn.Linear(input_size, hidden_size)
        self.across = nn.Parameter(torch.randn(hidden_size, hidden_size) / hidden_size)

    def project(self, xs):
        return self.inward(xs)

    def step(self, p, state):
        h, c = state
        c = 0.5 * c + torch.tanh(p)
        h = torch.tanh(c + h @ self.across)
        return h, (h, c)


class NoSizes(Whole):
    def __init__(self):  # here
        super().__init__(3, 4)


class FailsToBuild(Whole):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.scale = torch.ones(hidden_size, 2).view(hidden_size)  # here


class NamesNoTuple(Whole):
    state_names = "hc"  # here


class BeginsWithOne(Whole):
    def initial_state(self, batch_size):
        h, _ = super().initial_state(batch_size)
        return (h,)  # here


class StateGrows(Whole):
    def step(self, p, state):
        h, (_, c) = super().step(p, state)
        c = torch.cat([c, c], dim=1)  # here
        h = h + 0
        return h, (h, c)


class StateTooMany(Whole):
    def step(self, p, state):
        h, (_, c) = super().step(p, state)
        return h, (h, c, c)  # here


class OutputTooNarrow(Whole):
    def step(self, p, state):
        y, state = super().step(p, state)
        y = y[:, :-1]  # here
        return y, state


class BatchInCode(Whole):
    def step(self, p, state):
        p = p.reshape(3, -1)  # here
        return super().step(p, state)


class BatchDropped(Whole):
    def step(self, p, state):
        h, c = state
        c = 0.5 * c + torch.tanh(p)
        h = torch.tanh(c + h @ self.across).squeeze()  # here
        return h, (h, c)


class ParameterInStep(Whole):
    def step(self, p, state):
        if not hasattr(self, "late"):
            self.late = nn.Parameter(torch.ones(self.hidden_size, dtype=p.dtype, device=p.device))  # here
        return super().step(p * self.late, state)


class ParameterInStepOfAnotherDtype(Whole):
    def step(self, p, state):
        if not hasattr(self, "late"):
            self.late = nn.Parameter(torch.eye(self.hidden_size, dtype=torch.float32))  # here
        return super().step(p @ self.late, state)


class NanAtStart(Whole):
    def step(self, p, state):
        h, c = state
        scale = c / c.abs().sum(1, keepdim=True)  # here
        return super().step(p + scale, (h, c))


class WritesState(Whole):
    def step(self, p, state):
        h, c = state
        c *= 0.5  # here
        c = c + torch.tanh(p)
        h = torch.tanh(c + h @ self.across)
        return h, (h, c)


class WritesInput(Whole):
    def project(self, xs):
        xs[..., 0] = 1.0  # here
        return super().project(xs)


class WritesParameter(Whole):
    def step(self, p, state):
        with torch.no_grad():
            self.across.clamp_(-0.1, 0.1)  # here
        return super().step(p, state)


class ClampsParameter(Whole):
    def step(self, p, state):
        with torch.no_grad():
            self.across.clamp_(-9, 9)  # here
        return super().step(p, state)


class WritesBufferInTraining(Whole):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.register_buffer("mean", torch.zeros(hidden_size))

    def project(self, xs):
        p = super().project(xs)
        if self.training:
            self.mean.lerp_(p.detach().mean((0, 1)), 0.1)  # here
        return p - self.mean


class DtypeOfBuffer(Whole):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.register_buffer("scale", torch.ones(hidden_size, dtype=torch.float32))  # here

    def step(self, p, state):
        return super().step(p * self.scale, state)


class DtypeOfConstant(Whole):
    def step(self, p, state):
        half = torch.full((), 0.5, dtype=torch.float32)  # here
        return super().step(p * half, state)


class DtypeOfResult(Whole):
    def step(self, p, state):
        half = torch.full((self.hidden_size,), 0.5, dtype=torch.float64, device=p.device)  # here
        h, (_, c) = super().step(p, state)
        return h * half, (h, c)


class DeviceOfConstant(Whole):
    def step(self, p, state):
        one = torch.ones(self.hidden_size, device="cpu", dtype=p.dtype)
        return super().step(p * one, state)  # here


class PlainTensor(Whole):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.scale = torch.full((hidden_size,), 0.5)  # here

    def step(self, p, state):
        return super().step(p * self.scale, state)


class LooksAtValues(Whole):
    def step(self, p, state):
        if p.sum() > 1e9:  # here
            p = -p
        return super().step(p, state)


class TakesItem(Whole):
    def step(self, p, state):
        h, c = state
        largest = h[0, 0].item()  # here
        return super().step(p + 0 * largest, (h, c))


class MixesRows(Whole):
    def step(self, p, state):
        centred = p - p.mean(dim=0)  # here
        return super().step(centred, state)


class Draws(Whole):
    def step(self, p, state):
        noise = torch.rand_like(p)  # here
        return super().step(p + 0 * noise, state)


class PythonDraws(Whole):
    def step(self, p, state):
        return super().step(p * random.random(), state)  # here


class Counts(Whole):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.register_parameter("unused", None)

    def project(self, xs):
        self.calls = 0  # here
        return super().project(xs)

    def step(self, p, state):
        self.calls += 1
        return super().step(p, state)


class BeginsAtRandom(Whole):
    def initial_state(self, batch_size):
        h, c = super().initial_state(batch_size)
        return h + torch.randn_like(h), c  # here


class IgnoresInput(Whole):
    def project(self, xs):
        return torch.zeros(*xs.shape[:2], self.hidden_size, dtype=xs.dtype, device=xs.device) + self.inward.bias

    def step(self, p, state):  # here
        return super().step(p + self.inward.weight.sum(), state)


class IgnoresState(Whole):
    def step(self, p, state):  # here
        h = torch.tanh(p @ self.across)
        return h, (h, p)


class ParameterIdle(Whole):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.idle = nn.Parameter(torch.ones(hidden_size))  # here


class LooksAhead(Whole):
    def project(self, xs):  # here
        return super().project(xs + xs.roll(-1, 0))


class OddForward(Whole):
    def forward(self, x, state=None):  # here
        y, state = super().forward(x, state)
        return 2 * y, state


class Detaches(Whole):
    def step(self, p, state):
        h, c = state
        c = 0.5 * c.detach() + torch.tanh(p)  # here
        h = torch.tanh(c + h @ self.across)
        return h, (h, c)


class WithoutGradients(Whole):
    def step(self, p, state):
        h, c = state
        with torch.no_grad():
            c = 0.5 * c  # here
        c = c + torch.tanh(p)
        h = torch.tanh(c + h @ self.across)
        return h, (h, c)


class WrongBackward(Whole):
    class Tanh(torch.autograd.Function):
        @staticmethod
        def forward(ctx, z):
            y = torch.tanh(z)
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx, gradient):  # here
            (y,) = ctx.saved_tensors
            return gradient * (1 - y)

    def step(self, p, state):
        h, c = state
        c = 0.5 * c + p
        h = self.Tanh.apply(c + h @ self.across)
        return h, (h, c)


class Gated(Whole):
    """Begins a cell with two blocks: f keeps the state, n replaces it."""

    state_names = ("h",)

    def __init__(self, input_size, hidden_size):
        rnnkit.Cell.__init__(self, input_size, hidden_size)
        self.weight_ih = nn.Parameter(torch.randn(2 * hidden_size, input_size) / input_size)
        self.weight_hh = nn.Parameter(torch.randn(2 * hidden_size, hidden_size) / hidden_size)
        self.bias_ih = nn.Parameter(torch.zeros(2 * hidden_size))

    def project(self, xs):
        return nn.functional.linear(xs, self.weight_ih, self.bias_ih)


class GatesSwapped(Gated):
    gates = ("f", "n")  # here
    forget_gate = "f"

    def step(self, p, state):
        (h,) = state
        n, f = (p + nn.functional.linear(h, self.weight_hh)).chunk(2, dim=1)
        h = torch.sigmoid(f) * h + (1 - torch.sigmoid(f)) * torch.tanh(n)
        return h, (h,)


class ForgetGateElsewhere(Gated):
    gates = ("f", "n")  # here
    forget_gate = "f"

    def step(self, p, state):
        (h,) = state
        a, b = (p + nn.functional.linear(h, self.weight_hh)).chunk(2, dim=1)
        h = torch.sigmoid(b) * h + (1 - torch.sigmoid(b)) * torch.tanh(a)
        return h, (h,)


class GatesTooFew(Gated):
    gates = ("f",)  # here

    def step(self, p, state):
        (h,) = state
        f, n = (p + nn.functional.linear(h, self.weight_hh)).chunk(2, dim=1)
        h = torch.sigmoid(f) * h + (1 - torch.sigmoid(f)) * torch.tanh(n)
        return h, (h,)


class GatesSwappedWithoutBias(Gated):
    gates = ("f", "n")  # here
    forget_gate = "f"

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        del self.bias_ih

    def project(self, xs):
        return nn.functional.linear(xs, self.weight_ih)

    def step(self, p, state):
        (h,) = state
        n, f = (p + nn.functional.linear(h, self.weight_hh)).chunk(2, dim=1)
        h = torch.sigmoid(f) * h + (1 - torch.sigmoid(f)) * torch.tanh(n)
        return h, (h,)


class CountsRows(Whole):
    def step(self, p, state):  # here
        y, (h, c) = super().step(p, state)
        return y / len(y), (h / len(y), c)


class EndsTheProgram(Whole):
    def step(self, p, state):
        raise SystemExit(0)


class GatesOfNothing(Whole):
    gates = ("f", "n")  # here


BROKEN = {
    NoSizes: ("shapes and state", "__init__() cannot take the sizes; write __init__(self, input_size, hidden_size)"),
    FailsToBuild: ("shapes and state", "cannot be built: RuntimeError: "),
    NamesNoTuple: ("shapes and state", "state_names is 'hc'; it must be a tuple of different words"),
    BeginsWithOne: ("shapes and state", "initial_state() returns 1 state tensors; state_names declares ('h', 'c')"),
    StateGrows: ("shapes and state", "state returned by step() 'c' has shape (3, 10); it must be (3, 5)"),
    StateTooMany: ("shapes and state", "step() returned 3 state tensors; state_names declares ('h', 'c')"),
    OutputTooNarrow: ("shapes and state", "step() returns an output of shape (3, 4); output_size says (3, 5)"),
    BatchInCode: ("shapes and state", "3 rows can be stepped and 4 cannot: RuntimeError: shape '[3, -1]' is invalid"),
    BatchDropped: ("shapes and state", "3 rows can be stepped and 1 cannot: ShapeError: "),
    ParameterInStep: ("shapes and state", "parameter 'late' is made as the cell is stepped; make it in __init__"),
    ParameterInStepOfAnotherDtype: ("shapes and state", "parameter 'late' is made as the cell is stepped"),
    NanAtStart: ("shapes and state", "the output of the first step, from the initial state, is not finite"),
    WritesState: ("purity", "step() writes in place on its state 'c'; compute a new tensor instead"),
    WritesInput: ("purity", "project() writes in place on its input; compute a new tensor instead"),
    WritesParameter: ("purity", "step() writes in place on parameter 'across'; compute a new tensor instead"),
    ClampsParameter: ("purity", "step() writes in place on parameter 'across'; compute a new tensor instead"),
    WritesBufferInTraining: ("purity", "project() writes in place on buffer 'mean'; compute a new tensor instead"),
    DtypeOfBuffer: ("dtype", "scale is torch.float32 in a cell built as torch.float64"),
    DtypeOfConstant: ("dtype", "a number in a cell built as torch.float64 is of another dtype, named in its code"),
    DtypeOfResult: ("dtype", "the output is torch.float64 in a cell built as torch.float32"),
    DeviceOfConstant: ("device", "a step on the meta device fails, so it looks at values or names a device"),
    PlainTensor: ("device", "attribute 'scale' is a plain tensor, which .to() leaves behind; use register_buffer()"),
    LooksAtValues: ("device", "a step on the meta device fails, so it looks at values or names a device"),
    TakesItem: ("device", "a step on the meta device fails, so it looks at values or names a device"),
    MixesRows: ("rows are independent", "the output of one row depends on another row of the batch"),
    Draws: ("determinism", "step() draws random numbers; draw them in project(), for the whole sequence"),
    PythonDraws: ("determinism", "the output differs between two runs from the same seed"),
    Counts: ("determinism", "step() changes its attribute 'calls' at each call; what it is to remember goes into"),
    BeginsAtRandom: ("determinism", "initial_state() gives another 'h' at each call; hand a random state in instead"),
    IgnoresInput: ("dependence", "nothing depends on the input; read it in project() or step()"),
    IgnoresState: ("dependence", "nothing depends on the state, so no step knows of those before; read it in step()"),
    ParameterIdle: ("dependence", "nothing depends on parameter 'idle'; use it, or leave it out"),
    LooksAhead: ("project agrees with step", "project() of the sequence and of step 0 alone differ"),
    OddForward: ("project agrees with step", "the output differs between forward() and step() of the projection"),
    Detaches: ("gradients", "the gradient of c0 at "),
    WithoutGradients: ("gradients", "the gradient of c0 at "),
    WrongBackward: ("gradients", "the gradient of inward.weight at "),
    GatesSwapped: ("gates", "'f' in step() does not depend on the rows that gates calls 'f'"),
    ForgetGateElsewhere: (
        "gates",
        "the rows that gates calls 'n' keep the state where they are open, not those of 'f'",
    ),
    GatesSwappedWithoutBias: ("gates", "'f' in step() does not depend on the rows that gates calls 'f'"),
    CountsRows: ("rows are independent", "the output of a row is another one among 1 rows than among others"),
    GatesTooFew: ("gates", "gates names 1 blocks of 5 rows; weight_ih has 10"),
    GatesOfNothing: ("gates", "gates names blocks of rows, and there is no weight_ih, weight_hh, bias_ih or bias_hh"),
}
"""By cell: the promise that it breaks, and how the sentence begins."""
