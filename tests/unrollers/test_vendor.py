"""The unroller `vendor`: torch's kernels where they compute the same, the loop everywhere else."""

import gc
import weakref

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

import rnnkit
from rnnkit.core.cell import building
from rnnkit_unrollers import vendor
from rnnkit_unrollers._kernels import Kernel
from rnnkit_unrollers.loop import Loop
from rnnkit_unrollers.vendor import Vendor

ORACLES = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
T, B, D, H = 6, 4, 3, 5
DTYPES = (torch.float32, torch.float64)
OPTIONS = {
    "plain": {},
    "no biases": {"bias": False},
    "two layers": {"num_layers": 2},
    "batch first": {"batch_first": True},
    "projected": {"proj_size": 2},
    "two layers, projected, no biases": {"num_layers": 2, "proj_size": 2, "bias": False},
    "relu": {"nonlinearity": "relu"},
}
CASES = [
    pytest.param(name, options, id=f"{name}-{label}")
    for name in ORACLES
    for label, options in OPTIONS.items()
    if not ("proj_size" in options and name != "lstm") and not ("nonlinearity" in options and name != "rnn")
]
FORMS = ("padded", "alone", "sorted", "unsorted")

every_kind = pytest.mark.parametrize("name", list(ORACLES))
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)


def pair(name, dtype=torch.float32, **options):
    torch.manual_seed(0)
    reference = ORACLES[name](D, H, dtype=dtype, **options)
    layer = rnnkit.RNN(name, D, H, dtype=dtype, unroller="vendor", **options)
    layer.load_state_dict(reference.state_dict())
    return reference, layer


def form_of(form, xs):
    if form == "alone":
        return xs[:, 0]
    if form in ("sorted", "unsorted"):
        lengths = [6, 4, 4, 1] if form == "sorted" else [4, 6, 1, 4]
        return pack_padded_sequence(xs, torch.tensor(lengths), enforce_sorted=form == "sorted")
    return xs


def everything(module, form, xs, hx):
    """Return output, states and all gradients."""
    xs = xs.clone().requires_grad_()
    hx = None if hx is None else tuple(tensor.clone().requires_grad_() for tensor in hx)
    output, state = module(form_of(form, xs), hx if hx is None or len(hx) > 1 else hx[0])
    output = output.data if isinstance(output, PackedSequence) else output
    found = [output, *(state if isinstance(state, tuple) else (state,))]
    torch.manual_seed(1)
    loss = torch.stack([(tensor * torch.randn_like(tensor)).sum() for tensor in found]).sum()
    return [*found, *torch.autograd.grad(loss, [xs, *(hx or ()), *module.parameters()])]


def states_for(name, options, form, dtype):
    layers, sizes = options.get("num_layers", 1), [options.get("proj_size") or H, H]
    batch = () if form == "alone" else (B,)
    return tuple(torch.randn(layers, *batch, size, dtype=dtype) for size in sizes[: 2 if name == "lstm" else 1])


@pytest.mark.covering(2)
@pytest.mark.parametrize("given", [False, True], ids=["zeros", "states"])
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("form", FORMS)
@every_dtype
@pytest.mark.parametrize(("name", "options"), CASES)
@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")  # in torch's module
def test_equal_to_torch_bit_for_bit(name, options, dtype, form, training, given):
    reference, layer = pair(name, dtype, **options)
    shape = (B, T, D) if "batch_first" in options and form == "padded" else (T, B, D)
    if form != "padded":
        reference.batch_first = layer.batch_first = False
    xs = torch.randn(shape, dtype=dtype)
    hx = states_for(name, options, form, dtype) if given else None
    expected, found = (everything(m.train(training), form, xs, hx) for m in (reference, layer))
    assert len(found) == len(expected)
    assert all(map(torch.equal, found, expected))
    with torch.no_grad():
        ys, others = (m(form_of(form, xs), hx if hx is None or len(hx) > 1 else hx[0])[0] for m in (layer, reference))
    assert torch.equal(ys.data, others.data)


@every_dtype
@every_kind
def test_each_direction_is_equal_to_torch_bit_for_bit(name, dtype):
    _, layer = pair(name, dtype, bidirectional=True)
    xs, (ahead, back) = torch.randn(T, B, D, dtype=dtype), (pair(name, dtype)[0] for _ in range(2))
    weights = layer.state_dict()
    ahead.load_state_dict({k: v for k, v in weights.items() if not k.endswith("_reverse")})
    back.load_state_dict({k.removesuffix("_reverse"): v for k, v in weights.items() if k.endswith("_reverse")})
    assert torch.equal(layer(xs)[0], torch.cat([ahead(xs)[0], back(xs.flip(0))[0].flip(0)], -1))
    together, _ = pair(name, dtype, bidirectional=True)
    torch.testing.assert_close(layer(xs)[0], together(xs)[0])


@pytest.fixture
def calls(monkeypatch):
    """Return a list that gets an entry for every call of a kernel."""
    made, run = [], Kernel.__call__

    def counting(self, *arguments, **options):
        made.append(self.subject.kind)
        return run(self, *arguments, **options)

    monkeypatch.setattr(Kernel, "__call__", counting)
    return made


def build(name, **options):
    torch.manual_seed(0)
    with building(None, torch.float64):
        choice = rnnkit.plugin.cell_spec.choose(name)
        return choice.kind(D, H, **{**choice.options, **options})


class OwnStep(rnnkit.cells["gru"]):
    name = "own_step"

    def step(self, p, state):
        return super().step(2 * p, state)


class OwnStart(rnnkit.cells["gru"]):
    name = "own_start"

    def initial_state(self, batch_size):
        return (self.bias_hh[:H].expand(batch_size, H),)


def test_only_what_torch_has_goes_to_a_kernel(calls):
    with building(None, torch.float64):
        own_step, own_start = OwnStep(D, H), OwnStart(D, H)
    hooked = build("gru")
    hooked.register_forward_hook(lambda *_: None)
    normed = nn.utils.parametrizations.weight_norm(build("gru"), "weight_hh")
    patched = build("gru")
    vars(patched)["seen"] = lambda h: h * 2
    kernels = [
        build("lstm"),
        build("gru"),
        build("rnn"),
        build("lstm", proj_size=2),
        build("learnt_state(gru)"),
        own_start,
    ]
    loops = [build(name) for name in ("peephole", "layernorm", "zoneout(lstm)", "gru(reset_after=False)")]
    loops += [build("gru", proj_size=2), build("rnn", proj_size=2), own_step, hooked, normed, patched]
    xs = torch.randn(T, B, D, dtype=torch.float64)
    for cell in (*kernels, *loops):
        calls.clear()
        torch.manual_seed(0)
        found = Vendor()(cell, xs)
        assert bool(calls) == (cell in kernels), cell
        assert Vendor().explain(cell).startswith("kernel: none") == (cell in loops)
        torch.manual_seed(0)
        expected = Loop()(cell, xs)
        if cell in loops:
            assert torch.equal(found[0], expected[0])
        torch.testing.assert_close(found, expected)


@pytest.fixture
def layers(monkeypatch):
    """Return a list that gets the number of layers of every call of a kernel."""
    made, run = [], Kernel.__call__

    def counting(self, *arguments, **options):
        made.append(len(self.subjects))
        return run(self, *arguments, **options)

    monkeypatch.setattr(Kernel, "__call__", counting)
    return made


STACKS = {
    "two": ("lstm", {"num_layers": 2}, {}, [2]),
    "three of no biases": ("gru", {"num_layers": 3, "bias": False}, {}, [3]),
    "projected": ("lstm", {"num_layers": 2, "proj_size": 2}, {}, [2]),
    "relu": ("rnn", {"num_layers": 2, "nonlinearity": "relu"}, {}, [2]),
    "of different lengths": ("gru", {"num_layers": 2}, {"lengths": [6, 2, 3, 3]}, [2]),
    "learnt states": ("lstm", {"num_layers": 2, "trainable_state": True}, {"lengths": [2, 6, 3, 3]}, [2]),
    "a list of cells": (["gru", "gru"], {}, {}, [2]),
    "another kind": (["gru", "rnn"], {}, {}, [1, 1]),
    "another width": (["gru", "gru"], {"hidden_size": [H, H + 1]}, {}, [1, 1]),
    "a cell that torch has not": (["lstm", "peephole"], {}, {}, [1]),
    "both directions": ("gru", {"num_layers": 2, "bidirectional": True}, {}, [1] * 4),
    "residual": ("gru", {"num_layers": 2, "residual": True}, {}, [1, 1]),
    "dropout": ("gru", {"num_layers": 2, "dropout": 0.5}, {}, [1, 1]),
    "rows that start again": ("gru", {"num_layers": 2}, {"reset": torch.eye(T, B, dtype=torch.bool)}, [1, 1]),
    "states over time": ("gru", {"num_layers": 2}, {"return_states": True}, []),
}


@pytest.mark.parametrize("case", STACKS)
def test_layers_alike_are_one_call(case, layers):
    cell, options, given, calls = STACKS[case]
    options = {"hidden_size": H, "dtype": torch.float64} | options
    torch.manual_seed(0)
    layer, found = rnnkit.RNN(cell, D, **options).eval(), []
    xs = torch.randn(T, B, D, dtype=torch.float64)
    for unroller in ("vendor", "loop"):
        layer.unroller = unroller
        x = xs.clone().requires_grad_()
        ys, last, *_ = layer(x, **given)
        assert layers == calls
        leaves = [x, *layer.parameters()]
        loss = ys.sin().sum() + sum(state.cos().sum() for state in flattened_states(last))
        first = torch.autograd.grad(loss, leaves, retain_graph=True)
        again = torch.autograd.grad(loss, x, create_graph=True)[0].square().sum()
        second = torch.autograd.grad(again, leaves, allow_unused=True)
        found.append([ys, *flattened_states(last), *first, *(torch.zeros(()) if g is None else g for g in second)])
    torch.testing.assert_close(*found)


def flattened_states(state):
    own = isinstance(state, torch.Tensor)
    return [state] if own else [tensor for each in state for tensor in flattened_states(each)]


def test_a_stack_takes_what_hooks_and_computed_weights_ask_for(layers):
    torch.manual_seed(0)
    layer = rnnkit.RNN("lstm", D, H, num_layers=2, unroller="vendor", dtype=torch.float64)
    xs = torch.randn(T, B, D, dtype=torch.float64)
    normed = nn.utils.parametrizations.weight_norm(layer, "weight_hh_l1")
    expected = normed(xs)
    assert layers == [2], "computed for the time of the call"
    normed.unroller = "loop"
    torch.testing.assert_close(expected, normed(xs))
    torch.testing.assert_close(torch.func.vmap(lambda x: layer(x)[0])(xs.unsqueeze(0))[0], layer(xs)[0])


X = torch.randn(T, B, D, dtype=torch.float64)


def masked(start):
    reset = torch.zeros(T, B, dtype=torch.bool)
    reset[start, 1] = True
    return reset


class Marked(torch.Tensor):
    pass


class Once(nn.Module):
    def __init__(self, cell):
        super().__init__()
        self.cell = cell

    def forward(self, xs):
        return Vendor()(self.cell, xs)[0]


SURROUNDINGS = {
    "vmap": lambda cell: torch.func.vmap(lambda xs: Vendor()(cell, xs)[0])(X.unsqueeze(0)),
    "jvp": lambda cell: torch.func.jvp(lambda xs: Vendor()(cell, xs)[0], (X,), (X,)),
    "grad": lambda cell: torch.func.grad(lambda xs: Vendor()(cell, xs)[0].sum())(X),
    "jacrev": lambda cell: torch.func.jacrev(lambda xs: Vendor()(cell, xs)[0])(X),
    "no rows": lambda cell: Vendor()(cell, X[:, :0]),
    "autocast": lambda cell: torch.autocast("cpu", dtype=torch.bfloat16)(lambda: Vendor()(cell, X))(),
    "a subclass": lambda cell: Vendor()(cell, X.as_subclass(Marked)),
    "trace": lambda cell: torch.jit.trace(Once(cell), X, check_trace=False)(X),
    "bfloat16": lambda cell: Vendor()(cell.bfloat16(), X.bfloat16()),
}


@pytest.mark.filterwarnings("ignore")  # torch's own, about tracing
@pytest.mark.parametrize("ask", SURROUNDINGS.values(), ids=SURROUNDINGS)
@every_kind
def test_the_loop_does_what_no_kernel_can(name, ask, calls, monkeypatch):
    cell = build(name)
    found = ask(cell)
    assert not calls
    monkeypatch.setattr(Vendor, "__call__", Loop.__call__)
    torch.testing.assert_close(found, ask(cell), rtol=0, atol=0)


@every_kind
def test_a_reset_before_the_first_step_is_a_state_of_the_kernel(name, calls):
    cell, state = build(f"learnt_state({name})"), tuple(torch.randn(B, H, dtype=torch.float64) for _ in range(2))
    state = state[: len(cell.state_names)]
    arguments = {"reset": masked(0), "lengths": torch.tensor([6, 2, 3, 3])}
    weights = list(cell.parameters())
    found, expected = (u(cell, X, state, **arguments) for u in (Vendor(), Loop()))
    assert calls
    torch.testing.assert_close(found, expected)
    gradients = [torch.autograd.grad(ys.square().sum() + last[0].sum(), weights) for ys, last in (found, expected)]
    torch.testing.assert_close(*gradients)
    assert all(gradient.any() for gradient in gradients[0])


RESTARTS = {
    "one row": masked(3),
    "drawn": torch.rand(T, B, generator=torch.Generator().manual_seed(0)) < 0.3,
    "the last step": masked(T - 1),
    "from the first step on": masked(0) | masked(2),
    "past the end of a row": masked(4),
}


@pytest.mark.covering(2)
@pytest.mark.parametrize("lengths", [None, [6, 2, 3, 3]], ids=["all to the end", "lengths"])
@pytest.mark.parametrize("reset", RESTARTS.values(), ids=RESTARTS)
@pytest.mark.parametrize("cell", [*ORACLES, "learnt_state(lstm)", "lstm(proj_size=2)"])
def test_rows_that_start_again_are_pieces_of_a_batch(cell, reset, lengths, calls):
    cell, found = build(cell), []
    torch.manual_seed(1)
    begun = tuple(torch.randn(B, size, dtype=torch.float64) for size in cell.state_sizes)
    for unroller in (Vendor(), Loop()):
        xs, state = X.clone().requires_grad_(), tuple(tensor.clone().requires_grad_() for tensor in begun)
        ys, last = unroller(cell, xs, state, lengths=lengths, reset=reset)
        loss = ys.sin().sum() + sum((k + 2) * tensor.cos().sum() for k, tensor in enumerate(last))
        leaves = [xs, *state, *cell.parameters()]
        first = torch.autograd.grad(loss, leaves, retain_graph=True, allow_unused=True)
        again = torch.autograd.grad(loss, xs, create_graph=True)[0].square().sum()
        found.append([ys, *last, *first, *torch.autograd.grad(again, leaves, allow_unused=True)])
    assert len(calls) == 1
    for one, other in zip(*found, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other)


@every_kind
def test_pieces_that_would_mostly_be_padding_are_the_loop_s(name, calls, monkeypatch):
    """One row runs on, and three start again at every step."""
    reset = torch.ones(T, B, dtype=torch.bool).index_fill(1, torch.tensor([0]), False)
    cell = build(name)
    for most, kernels in ((8, [name]), (4, [])):
        calls.clear()
        monkeypatch.setattr("rnnkit_unrollers._pieces.MOST", most)
        torch.testing.assert_close(Vendor()(cell, X, reset=reset), Loop()(cell, X, reset=reset))
        assert calls == kernels


@every_kind
def test_what_stands_past_a_row_s_end_reaches_nothing_of_its_pieces(name):
    cell, xs = build(name), X.clone()
    xs[2:, 1] = torch.nan
    given = {"lengths": [6, 2, 3, 3], "reset": masked(1)}
    (ys, last), (expected, of_loop) = (unroller(cell, xs, **given) for unroller in (Vendor(), Loop()))
    torch.testing.assert_close((ys, last), (expected, of_loop))
    gradient = torch.autograd.grad(ys.sum(), cell.weight_ih)[0]
    assert gradient.isfinite().all()


@every_kind
def test_weights_that_do_not_fit_are_the_loop_s_affair(name, calls):
    cell = build(name)
    del cell._parameters["weight_hh"]
    cell._parameters["weight_hh"] = torch.randn(2, 2, dtype=torch.float64)
    with pytest.raises(RuntimeError, match=r"shapes|size"):
        Vendor()(cell, X)
    assert not calls


@every_kind
def test_second_derivatives_are_the_loop_s(name, calls):
    cell, results = build(name), []
    for unroller in (Vendor(), Loop()):
        xs = X.clone().requires_grad_()
        ys, last = unroller(cell, xs, lengths=[6, 2, 3, 3])
        (first,) = torch.autograd.grad(ys.sin().sum() + last[0].sum(), xs, create_graph=True)
        results.append([first, *torch.autograd.grad(first.square().sum(), [xs, *cell.parameters()], allow_unused=True)])
    assert calls == [name]
    for found, expected in zip(*results, strict=True):
        assert (found is None) == (expected is None)
        if found is not None:
            torch.testing.assert_close(found, expected)


@every_kind
def test_a_transform_that_begins_after_the_call(name):
    cell, found = build(name), []
    for unroller in (Vendor(), Loop()):
        xs = X.clone().requires_grad_()
        ys, _ = unroller(cell, xs)
        torch.manual_seed(1)
        many = torch.randn(3, *ys.shape, dtype=torch.float64)
        found.append(torch.autograd.grad(ys, [xs, *cell.parameters()], many, is_grads_batched=True))
    torch.testing.assert_close(*found)
    jacobians = [
        torch.autograd.functional.jacobian(lambda xs, u=unroller: u(cell, xs)[0], X, vectorize=True)
        for unroller in (Vendor(), Loop())
    ]
    torch.testing.assert_close(*jacobians)


@every_kind
def test_a_graph_is_kept_as_long_as_it_is_asked_for(name):
    cell, xs = build(name), X.clone().requires_grad_()
    ys, _ = Vendor()(cell, xs)
    once, twice = (torch.autograd.grad(ys.sum(), xs, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(once, twice)
    ys.sum().backward()
    assert torch.equal(xs.grad, once)
    with pytest.raises(RuntimeError, match="second time"):
        ys.sum().backward()


@every_kind
def test_nothing_outlives_the_graph(name):
    ys = Vendor()(build(name), X)[0]
    kept = weakref.ref(ys.grad_fn.results[0])
    ys.sum().backward(retain_graph=True)
    assert kept() is not None
    del ys
    gc.collect()
    assert kept() is None


@every_kind
def test_only_what_is_asked_for_is_differentiated(name):
    cell = build(name)
    cell.weight_hh.requires_grad_(False)
    ys, _ = Vendor()(cell, X)
    ys.sum().backward()
    assert cell.weight_hh.grad is None
    expected = torch.autograd.grad(Loop()(cell, X)[0].sum(), cell.weight_ih)[0]
    torch.testing.assert_close(cell.weight_ih.grad, expected)


@pytest.mark.parametrize("name", ["gru", "rnn"])  # oneDNN's LSTM in bfloat16 is not on every processor
def test_autocast_on_a_device_whose_kernels_know_it(name, monkeypatch):
    """On a GPU autocast is left to the kernel; its second derivatives come from the loop under autocast."""
    monkeypatch.setattr("rnnkit_unrollers.vendor._obstacle_of_call", lambda *_: "")
    layer, xs = rnnkit.RNN(name, D, H, unroller="vendor"), torch.randn(T, B, D, requires_grad=True)
    reference = ORACLES[name](D, H)
    reference.load_state_dict(layer.state_dict())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ys, expected = layer(xs)[0], reference(xs)[0]
    assert torch.equal(ys, expected)
    assert ys.dtype == expected.dtype
    once = torch.autograd.grad(ys.float().sum(), xs, retain_graph=True)[0]
    assert torch.equal(once, torch.autograd.grad(expected.float().sum(), xs)[0])
    (again,) = torch.autograd.grad(ys.float().sum(), xs, create_graph=True)
    torch.testing.assert_close(again.detach(), once, rtol=0.1, atol=0.05)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("name", list(ORACLES))
def test_under_autocast_on_a_gpu_results_have_its_dtype_whoever_computes_them(name, dtype, monkeypatch):
    """As those of torch.nn have there, rows that start again or not; the CPU stands for a GPU."""
    monkeypatch.setattr(vendor, "FASTEST_ON", ("cpu",))
    layer = rnnkit.RNN(name, D, H, unroller="vendor")
    for reset in (None, masked(3)):
        with torch.autocast("cpu", dtype=dtype):
            ys, last = layer(torch.randn(T, B, D), reset=reset)
        assert {tensor.dtype for tensor in (ys, *(last if name == "lstm" else (last,)))} == {dtype}
    double = rnnkit.RNN(name, D, H, unroller="vendor", dtype=torch.float64)
    with torch.autocast("cpu", dtype=dtype):
        assert double(X, reset=masked(3))[0].dtype == torch.float64


@pytest.mark.filterwarnings("error")
def test_torch_s_hints_about_speed_are_no_errors():
    layer = rnnkit.RNN("lstm", D, H, proj_size=2, unroller="vendor")
    torch.set_warn_always(True)
    try:
        layer(torch.randn(T, B, D))[0].sum().backward()
    finally:
        torch.set_warn_always(False)


@pytest.mark.filterwarnings("ignore")  # torch's own, about its compiler
@every_kind
def test_in_a_compiled_model(name):
    layer, xs = rnnkit.RNN(name, D, H, unroller="vendor"), torch.randn(T, B, D)
    assert torch.equal(torch.compile(layer, backend="eager")(xs)[0], layer(xs)[0])


class Flattened:
    """Stands for cuDNN's own way to put weights into one piece of memory, on a CPU; notes what it is asked for."""

    def __init__(self, monkeypatch):
        self.calls = []
        monkeypatch.setattr("rnnkit_unrollers._kernels.HAVING_CUDNN", ("cpu",))
        monkeypatch.setattr("rnnkit_unrollers._kernels.get_cudnn_mode", lambda mode: mode)
        monkeypatch.setattr(torch.backends.cudnn, "is_available", lambda: True)
        monkeypatch.setattr(torch.backends.cudnn, "is_acceptable", lambda tensor: tensor.device.type == "cpu")
        monkeypatch.setattr(torch, "_use_cudnn_rnn_flatten_weight", lambda: True)
        monkeypatch.setattr(torch, "_cudnn_rnn_flatten_weight", self)

    def __call__(self, weights, stride, *sizes):
        self.calls.append((len(weights), stride, *sizes))
        whole = torch.cat([weight.flatten() for weight in weights])
        for weight, part in zip(weights, whole.split([weight.numel() for weight in weights]), strict=True):
            weight.set_(part.view_as(weight))


@pytest.fixture
def flattened(monkeypatch):
    return Flattened(monkeypatch)


def is_in_one_piece(layer, suffix):
    parts = [tensor for name, tensor in layer.named_parameters() if name.endswith(suffix)]
    return len({part.untyped_storage().data_ptr() for part in parts}) == 1


ASKED = {
    "lstm": (4, 4, D, "LSTM", H, 0, 1, False, False),
    "gru": (4, 4, D, "GRU", H, 0, 1, False, False),
    "rnn": (4, 4, D, "RNN_TANH", H, 0, 1, False, False),
    "rnn(nonlinearity=relu, bias=False)": (2, 2, D, "RNN_RELU", H, 0, 1, False, False),
    "lstm(proj_size=2)": (5, 5, D, "LSTM", H, 2, 1, False, False),
}


@pytest.mark.parametrize("cell", ASKED)
def test_weights_lie_as_cudnn_reads_them(cell, flattened):
    torch.manual_seed(0)
    layer = rnnkit.RNN(cell, D, H, unroller="vendor")
    assert flattened.calls == [ASKED[cell]]
    assert is_in_one_piece(layer, "_l0")
    torch.manual_seed(0)
    other, xs = rnnkit.RNN(cell, D, H, unroller="loop"), torch.randn(T, B, D)
    assert all(map(torch.equal, layer.parameters(), other.parameters()))
    found = [(ys := one(xs)[0], *torch.autograd.grad(ys.sin().sum(), one.parameters())) for one in (layer, other)]
    torch.testing.assert_close(*found)


def test_weights_are_laid_out_anew_wherever_a_layer_moves(flattened):
    layer = rnnkit.RNN("gru", D, H, num_layers=2, bidirectional=True, unroller="vendor")
    parameters = [*layer.parameters()]
    assert len(flattened.calls) == 4
    for act in (layer.double, layer.flatten_parameters, lambda: setattr(layer, "unroller", "vendor")):
        flattened.calls.clear()
        act()
        assert len(flattened.calls) == 4
        assert all(is_in_one_piece(layer, suffix) for suffix in ("_l0", "_l0_reverse", "_l1", "_l1_reverse"))
    assert all(one is other for one, other in zip(parameters, layer.parameters(), strict=True))
    flattened.calls.clear()
    layer.unroller = "loop"
    layer.to("meta")
    assert not flattened.calls


def test_weights_of_layers_that_one_call_runs_are_in_one_piece(flattened):
    layer = rnnkit.RNN("lstm", D, H, num_layers=3, proj_size=2, unroller="vendor")
    assert flattened.calls == [(15, 5, D, "LSTM", H, 2, 3, False, False)]
    assert is_in_one_piece(layer, "")
    flattened.calls.clear()
    rnnkit.RNN("gru", D, H, num_layers=2, dropout=0.5, unroller="vendor")
    rnnkit.RNN(["gru", "rnn"], D, H, unroller="vendor")
    assert [call[0] for call in flattened.calls] == [4] * 4, "of each layer that is a call of its own"


def test_what_cudnn_would_not_read_so_stays_where_it_is(flattened):
    tied = rnnkit.RNN("lstm", D, H, unroller="loop")
    tied.bias_hh_l0.data = tied.bias_ih_l0.data
    computed = nn.utils.parametrizations.weight_norm(rnnkit.RNN("lstm", D, H, unroller="loop"), "weight_hh_l0")
    mixed = rnnkit.RNN("lstm", D, H, unroller="loop")
    mixed.bias_hh_l0 = nn.Parameter(mixed.bias_hh_l0.double())
    for layer in (tied, computed, mixed, rnnkit.RNN("peephole", D, H, unroller="loop")):
        layer.unroller = "vendor"
        layer.flatten_parameters()
    assert not flattened.calls
    rnnkit.RNN("lstm", D, H, unroller="vendor", device="meta")
    assert not flattened.calls
