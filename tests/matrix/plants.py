"""Forty planted wrong terms, one in a cell each: in its step, in an unroller, in the layer's layouts, in the compiler.

Each is right in all but one thing, of the kinds in which derivatives written by hand go wrong.
"""

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

import rnnkit
from rnnkit.core.cell import map_parts, tensors_replaced


class Wrong(torch.autograd.Function):
    """The identity, whose derivative is not: a rule makes of the right gradient a wrong one."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x, rule):
        return x.clone()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.rule = inputs[1]

    @staticmethod
    def backward(ctx, g):
        return RULES[ctx.rule](g), None

    @staticmethod
    def jvp(ctx, tangent, _):
        return tangent * 1.01 if ctx.rule == "forward mode" else tangent


RULES = {
    "right": lambda g: g,
    "sign": lambda g: -g,
    "a hundredth more": lambda g: g * 1.01,
    "a thousandth more": lambda g: g * 1.001,
    "missing": lambda g: g * 0,
    "features swapped": lambda g: g.flip(-1),
    "rows swapped": lambda g: g.flip(0),
    "the first feature missing": lambda g: torch.cat([g[..., :1] * 0, g[..., 1:]], -1),
    "the last feature twice": lambda g: torch.cat([g[..., :-1], g[..., -1:] * 2], -1),
    "float32": lambda g: g * 1.01 if g.dtype == torch.float32 else g,
    "forward mode": lambda g: g,
}


def wrong(tensor, rule):
    return Wrong.apply(tensor, rule) if tensor.is_floating_point() else tensor


class Bent(torch.autograd.Function):
    """x + sin(x) / 8, whose derivative is right, but a constant: that of the derivative is lost."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return x + x.sin() / 8

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(inputs[0])
        ctx.save_for_forward(inputs[0])

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * (1 + x.detach().cos() / 8)

    @staticmethod
    def jvp(ctx, tangent):
        (x,) = ctx.saved_tensors
        return tangent * (1 + x.cos() / 8)


class Shifted(torch.autograd.Function):
    """The identity, whose rule for vmap is wrong."""

    @staticmethod
    def forward(x):
        return x.clone()

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, g):
        return g

    @staticmethod
    def jvp(ctx, tangent):
        return tangent

    @staticmethod
    def vmap(info, in_dims, x):
        return x * 1.001, in_dims[0]


class Plant(NamedTuple):
    """One wrong term."""

    cell: str
    what: str
    where: str
    """In words, for the table of what was found."""

    unroller: str = "loop"
    patch: Callable[[Any], None] = lambda monkeypatch: None
    """What is done to unrollers, layers or the compiler."""

    kind: str = ""
    """The class of the cell, if that is planted."""


PLANTS: list[Plant] = []


def in_cell(name, rule, *, state=None, parameter="", part=None, output=False, apply=None):
    """Plant a wrong derivative by a state, a parameter, a part of the projection, or of the output."""
    apply = apply or (lambda tensor: wrong(tensor, rule))
    base = rnnkit.cells[name]

    def among(self):
        return {parameter: apply(self._parameters[parameter])} if parameter else {}

    class Planted(base):
        def project(self, xs):
            with tensors_replaced(self, among(self)):
                projected = super().project(xs)
            if part is None:
                return projected
            parts = list(projected) if isinstance(projected, tuple) else [projected]
            parts[part] = map_parts(apply, parts[part])
            return tuple(parts) if isinstance(projected, tuple) else parts[0]

        def step(self, p, before):
            if state is not None:
                before = tuple(apply(t) if k == state else t for k, t in enumerate(before))
            with tensors_replaced(self, among(self)):
                y, after = super().step(p, before)
            return (apply(y) if output else y), after

    Planted.__name__ = Planted.__qualname__ = f"Planted_{name}"
    Planted.name = f"planted_{name}"
    setattr(sys.modules[__name__], Planted.__name__, Planted)
    places = {"state": state, "parameter": parameter, "part of the projection": part, "output": output or None}
    where = ", ".join(f"{key} {value}" for key, value in places.items() if value not in (None, ""))
    PLANTS.append(Plant(name, rule, f"step, {where}", kind=f"{__name__}:{Planted.__name__}"))
    return PLANTS[-1]


CONTROL = in_cell("tgru", "right", state=0, parameter="weight_hh", part=1, output=True)
PLANTS.remove(CONTROL)  # it is right, and has to stay green

in_cell("slstm", "sign", state=1)
in_cell("peephole", "a hundredth more", state=1)
in_cell("layernorm", "missing", parameter="bias_ih")
in_cell("janet", "a hundredth more", parameter="weight_hh")
in_cell("mgu", "sign", part=0)
in_cell("cfn", "a thousandth more", part=1)
in_cell("sru", "features swapped", state=0)
in_cell("ran", "missing", state=1)
in_cell("nas", "missing", parameter="bias_hh")
in_cell("lem", "a thousandth more", state=1)
in_cell("star", "sign", parameter="bias_hh")
in_cell("fastrnn", "a hundredth more", parameter="alpha")
in_cell("scrn", "the first feature missing", state=1)
in_cell("minlstm", "the first feature missing", part=0)
in_cell("qrnn", "features swapped", state=0)
in_cell("rhn", "rows swapped", state=0)
in_cell("multiplicative", "the last feature twice", output=True)
in_cell("dreamer", "float32", state=0)
in_cell("cifg", "gradients of gradients", state=0, apply=Bent.apply)
in_cell("lightru", "forward mode", state=0)
in_cell("antisymmetric", "vmap: a thousandth more", state=0, apply=Shifted.apply)


def in_unroller(cell, what):
    """Plant a wrong term around the loop: a function of the keywords of a call, which changes them or the results."""

    def make(call):
        class Planted(rnnkit.unrollers["loop"]):
            def __call__(self, cell, xs, state=None, *, lengths=None, reset=None):
                return call(super().__call__, cell, xs, state, lengths, reset)

        Planted.__name__ = Planted.__qualname__ = f"Around_{cell}"
        Planted.name = f"around_{cell}"
        Planted.auto_rank, Planted.is_reference = None, False
        setattr(sys.modules[__name__], Planted.__name__, Planted)
        PLANTS.append(Plant(cell, what, "around the loop", unroller=f"{__name__}:{Planted.__name__}"))
        return call

    return make


def wrong_states(state, rule):
    return None if state is None else tuple(wrong(tensor, rule) for tensor in state)


@in_unroller("indrnn", "h0: the sign")
def _(run, cell, xs, state, lengths, reset):
    return run(cell, xs, wrong_states(state, "sign"), lengths=lengths, reset=reset)


@in_unroller("irnn", "the step t = 0 is not accumulated")
def _(run, cell, xs, state, lengths, reset):
    xs = torch.cat([wrong(xs[:1], "missing"), xs[1:]])
    return run(cell, xs, state, lengths=lengths, reset=reset)


@in_unroller("ugrnn", "the last state's gradient: a hundredth more")
def _(run, cell, xs, state, lengths, reset):
    ys, last = run(cell, xs, state, lengths=lengths, reset=reset)
    return ys, wrong_states(last, "a hundredth more")


@in_unroller("mut1", "only with lengths: h0's gradient is missing")
def _(run, cell, xs, state, lengths, reset):
    state = state if lengths is None else wrong_states(state, "missing")
    return run(cell, xs, state, lengths=lengths, reset=reset)


@in_unroller("mut2", "only with resets: the input's gradient, a hundredth more")
def _(run, cell, xs, state, lengths, reset):
    return run(cell, xs if reset is None else wrong(xs, "a hundredth more"), state, lengths=lengths, reset=reset)


@in_unroller("mut3", "what was before a reset has a gradient still")
def _(run, cell, xs, state, lengths, reset):
    ys, last = run(cell, xs, state, lengths=lengths, reset=reset)
    if reset is not None and state is not None:
        leak = sum((tensor - tensor.detach()).sum() for tensor in state)
        ys = ys + leak * reset.any(0).to(ys)[:, None] / 100
    return ys, last


@in_unroller("sgu", "the padding has a gradient")
def _(run, cell, xs, state, lengths, reset):
    ys, last = run(cell, xs, state, lengths=lengths, reset=reset)
    return (ys if lengths is None else ys + (xs[-1] - xs[-1].detach()).sum() / 100), last


@in_unroller("lipschitz", "only in sequences of more than 16 steps")
def _(run, cell, xs, state, lengths, reset):
    return run(cell, xs if len(xs) <= 16 else wrong(xs, "sign"), state, lengths=lengths, reset=reset)


UNSEEN = PLANTS.pop()
"""What no case is long enough for."""


def in_layers(cell, what):
    """Plant a wrong term in how the layer brings a batch into its form, or back."""

    def make(patch):
        PLANTS.append(Plant(cell, what, "the layer", patch=patch))
        return patch

    return make


@in_layers("tlstm", "only in the reverse direction: a hundredth more")
def _(monkeypatch):
    flip = rnnkit.layers.rnn.flip
    monkeypatch.setattr("rnnkit.layers.rnn.flip", lambda xs, lengths: wrong(flip(xs, lengths), "a hundredth more"))


@in_layers("trnn", "in the reverse direction a reset is a step off")
def _(monkeypatch):
    monkeypatch.setattr("rnnkit.layers.rnn.flip_starts", lambda reset, lengths: reset.flip(0))


@in_layers("atr", "the reverse direction begins in the padding")
def _(monkeypatch):
    monkeypatch.setattr("rnnkit.layers.rnn.flip", lambda xs, lengths: xs.flip(0))


@in_layers("fastgrnn", "only packed: states are not sorted with their rows")
def _(monkeypatch):
    monkeypatch.setattr("rnnkit.layers.sequence.Packed.state_in", lambda self, tensor: tensor)


@in_layers("minimalrnn", "only batch-first: a thousandth more")
def _(monkeypatch):
    history = rnnkit.layers.sequence.Padded.history

    def planted(self, tensor):
        tensor = history(self, tensor)
        return wrong(tensor, "a thousandth more") if self.batch_first else tensor

    monkeypatch.setattr("rnnkit.layers.sequence.Padded.history", planted)


@in_layers("br", "only unbatched: the state's gradient is missing")
def _(monkeypatch):
    monkeypatch.setattr(
        "rnnkit.layers.sequence.Single.state_in", lambda self, tensor: wrong(tensor.unsqueeze(1), "missing")
    )


def in_plugin(cell, unroller, what):
    """Plant a wrong term in an unroller's own derivative."""

    def make(patch):
        PLANTS.append(Plant(cell, what, f"{unroller}'s own backward", unroller=unroller, patch=patch))
        return patch

    return make


def rule_of(monkeypatch, name, vjp):
    """Replace a rule of the compiler, and let it forget what it has made by the right one."""
    from rnnkit_compiler import _programs
    from rnnkit_compiler._cache import Cache
    from rnnkit_compiler.ir.operations import OPERATIONS

    monkeypatch.setitem(OPERATIONS, name, OPERATIONS[name]._replace(vjp=vjp))
    monkeypatch.setattr(_programs, "_programs", Cache(_programs.CAPACITY))


@in_plugin("wmclstm", "compiled", "tanh' = 1 - y")
def _(monkeypatch):
    rule_of(monkeypatch, "tanh", lambda g, y, a: (g * (1 - y),))


@in_plugin("onlstm", "compiled", "the operands of a product are swapped")
def _(monkeypatch):
    rule_of(monkeypatch, "mul", lambda g, y, a, b: (g * a, g * b))


@in_plugin("cfc", "compiled", "the sign of a subtrahend")
def _(monkeypatch):
    rule_of(monkeypatch, "sub", lambda g, y, a, b: (g, g))


@in_plugin("mogrifier", "checkpoint", "the state's gradient stops at a segment's border")
def _(monkeypatch):
    from rnnkit_unrollers import _replay

    replay = _replay.Backward._replay

    def planted(self, *arguments):
        replay(self, *arguments)
        self.state_gradient = [None] * len(self.state_gradient)

    monkeypatch.setattr(_replay.Backward, "_replay", planted)


@in_plugin("gru", "checkpoint", "what a weight has gathered from later segments is lost")
def _(monkeypatch):
    from rnnkit_unrollers import _replay

    replay = _replay.Backward._replay

    def planted(self, *arguments):
        self.constant_gradient = [None] * len(self.constant_gradient)
        replay(self, *arguments)

    monkeypatch.setattr(_replay.Backward, "_replay", planted)


@in_plugin("lstm", "vendor", "the last weight's gradient, a bias, is a hundredth more")
def _(monkeypatch):
    from rnnkit_unrollers import _kernel_pass

    backward = _kernel_pass.Pass.backward

    def planted(ctx, *gradients):
        *others, last = backward(ctx, *gradients)
        return *others, last * 1.01

    monkeypatch.setattr(_kernel_pass.Pass, "backward", staticmethod(planted))
