"""Kernels are compared with torch's operations before they are used; planted wrong ones are found and not used."""

import json
import logging
from pathlib import Path

import pytest
import torch

import rnnkit
from rnnkit_compiler import _programs
from rnnkit_compiler.backends.triton import backend, cost, kernels, launching, library, runtime, trust

from ..invented_cells import CELLS
from ..unseen_cells import Rotor

Compiled = rnnkit.unrollers["compiled"]


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """No program is known, and no verdict kept."""
    monkeypatch.setenv("RNNKIT_CACHE", str(tmp_path))
    tmp_path.chmod(0o700)

    def again():
        monkeypatch.setattr(_programs, "_programs", type(_programs._programs)(_programs.CAPACITY))

    again()
    return again


def run(cell="lstm", kernel="sequence", **masks):
    torch.manual_seed(0)
    layer = rnnkit.RNN(cell, 3, 5, unroller=Compiled(backend="triton", kernel=kernel), dtype=torch.float64)
    return layer, everything(layer, **masks)


def expected(layer, cell="lstm", **masks):
    torch.manual_seed(0)
    return everything(rnnkit.RNN(cell, 3, 5, unroller="loop", dtype=torch.float64), **masks)


def everything(layer, **masks):
    """Return outputs, all gradients, and outputs without gradients."""
    torch.manual_seed(0)
    xs = torch.randn(6, 4, 3, dtype=torch.float64, requires_grad=True)
    ys = layer(xs, **masks)[0]
    with torch.no_grad():
        inferred = layer(xs, **masks)[0]
    return [ys, *torch.autograd.grad(ys.sin().sum(), [xs, *layer.parameters()]), inferred]


def plant(monkeypatch, name, right, wrong):
    """Have some text of a function of the generated source be another."""
    generate = kernels.generate

    def planted(*given):
        source = generate(*given)
        head, found, body = source.text.partition(f"def {name}(")
        if found:
            own, further, rest = body.partition("\n@triton.jit")
            assert right in own
            source.text = head + found + own.replace(right, wrong, 1) + further + rest
        return source

    monkeypatch.setattr(kernels, "generate", planted)


NUMBERS = "the kernels' numbers are not those of torch's operations"
WRONG = {
    "forward": ("forward_0", "sigmoid(", "tanh(", NUMBERS),
    "backward alone": ("backward_0", "1.0 - ", "1.5 - ", NUMBERS),
    "inference alone": ("inference_0", "sigmoid(", "tanh(", NUMBERS),
    "rows that have ended alone": ("forward_ended", "run = (row < batch) & (run == 0)", "run = row < 0", NUMBERS),
    "gradients of rows that have ended alone": ("backward_ended", "run = (row < batch)", "run = (row < 0)", NUMBERS),
    "rows that start again alone": ("forward_restart", "!= 0", "== 2", NUMBERS),
    "gradients of rows that start again alone": ("backward_restart", "!= 0", "== 2", NUMBERS),
    "a mask": ("forward_0", "here = run & (j < 5)", "here = run & (j < 4)", NUMBERS),
    "more rows than a program has": ("forward_0", "tl.program_id(0) * ROWS", "0", NUMBERS),
    "does not compile": (
        "forward_0",
        "tanh(c)",
        "tanh_of(c)",
        "the kernels do not run (NameError: name 'tanh_of' is not defined);",
    ),
}
FEW = {"gradients of rows that have ended alone", "does not compile"}


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=[] if kind in FEW else pytest.mark.slow) for kind in WRONG])
def test_a_wrong_kernel_costs_speed_and_no_numbers(kind, fresh, monkeypatch, caplog):
    *planted, reason = WRONG[kind]
    plant(monkeypatch, *planted)
    masks = {"lengths": torch.tensor([6, 2, 4, 3]), "reset": torch.eye(6, 4, dtype=torch.bool)}
    with caplog.at_level(logging.WARNING):
        layer, found = run(**masks)
        run(**masks)
        fresh()
        run(**masks)
    first, again = [record.getMessage() for record in caplog.records]
    assert first == again, "it is said once in a process"
    assert first.startswith("cell 'lstm' by kernel 'sequence' in float64 on the interpreter: " + reason)
    reason = reason.removesuffix(";")
    assert first.endswith("; torch's operations run instead")
    assert first.count(". ") == 0
    for one, other in zip(found, expected(layer, **masks), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
    told = backend.Triton.facts()
    assert told["triton kernels"] == "1 program compared with torch's operations, 1 not used"
    assert told["triton kernels not used, 1"] == first.removesuffix("; torch's operations run instead")
    assert f"trust in sequence: {reason}" in Compiled(backend="triton", kernel="sequence").explain(layer.cells[0])


def test_what_a_kernel_does_not_write_is_found_whatever_lies_there(fresh, monkeypatch, caplog):
    """Zeros are the right output of rows that have ended."""

    def zeros(self, shape, dtype, exact=False):
        return torch.zeros(shape, dtype=dtype, device=self.device)

    monkeypatch.setattr(runtime.TritonRuntime, "allocate", zeros)
    plant(monkeypatch, "inference_ended", "REAL), mask=here)", "REAL), mask=here & (j < 0))")
    with caplog.at_level(logging.WARNING):
        run("rnn")
    assert [NUMBERS in record.getMessage() for record in caplog.records] == [True]


OF_OTHER_INVARIANTS = ("Rotor", "Spectrum")
"""Their kernels read parts of a complex number, and matrices of literals, where torch's operations do not."""


@pytest.mark.parametrize(
    "cell",
    [pytest.param(cell, marks=[] if cell.__name__ in OF_OTHER_INVARIANTS else pytest.mark.slow) for cell in CELLS],
)
def test_right_kernels_of_cells_that_nobody_has_seen_are_used(cell, fresh, caplog):
    torch.manual_seed(0)
    cell = cell().double()
    with caplog.at_level(logging.WARNING), torch.no_grad():
        Compiled(backend="triton", kernel="sequence")(cell, torch.randn(1, 1, cell.input_size, dtype=torch.float64))
    assert not caplog.records
    (kept,) = trust.VERDICTS.folder.glob("*.json")
    assert json.loads(kept.read_text())["reason"] == ""


class WideNumber(rnnkit.Cell):
    """Divides by a number in float64, whatever its weights are in."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.read, self.recur = torch.nn.Linear(input_size, hidden_size), torch.nn.Linear(hidden_size, hidden_size)
        self.register_buffer("tau", torch.tensor(0.7, dtype=torch.float64))

    def project(self, xs):
        return self.read(xs)

    def step(self, p, state):
        h = torch.tanh((p + self.recur(state[0])) / self.tau)
        return h, (h,)


def test_the_gradient_of_a_wider_number_is_held_to_what_it_is_computed_in(fresh, caplog):
    with caplog.at_level(logging.WARNING):
        rnnkit.RNN(WideNumber, 3, 5, unroller=Compiled(backend="triton", kernel="sequence"))(torch.randn(4, 2, 3))
    assert not caplog.records


@pytest.mark.slow
def test_a_wrong_gradient_of_what_is_made_of_a_complex_parameter_is_found(fresh, monkeypatch, caplog):
    plant(monkeypatch, "backward_5", "other=0.0) + sums", "other=0.0) - sums")
    torch.manual_seed(0)
    cell = Rotor().double()
    with caplog.at_level(logging.WARNING):
        Compiled(backend="triton", kernel="sequence")(cell, torch.randn(1, 1, cell.input_size, dtype=torch.float64))
    assert [NUMBERS in record.getMessage() for record in caplog.records] == [True]


class Months(rnnkit.Cell):
    """Counts from 1 to 4 and over again; another start is left to torch's operations."""

    state_names = ("h", "n")

    def __init__(self):
        super().__init__(3, 5)
        self.read = torch.nn.Linear(8, 5)
        self.season = torch.nn.Parameter(torch.randn(5, 5))

    def initial_state(self, batch_size, *, device=None, dtype=None):
        return torch.zeros(batch_size, 5, device=device, dtype=dtype), torch.ones(batch_size, 1, dtype=torch.int64)

    def step(self, x, state):
        h, n = state
        n = n % 4 + 1
        h = torch.tanh(self.read(torch.cat([x, h], dim=1)) + self.season[n[:, 0]])
        return h, (h, n)


def test_whole_numbers_of_a_trial_are_such_as_kernels_take(fresh, monkeypatch, caplog):
    plant(monkeypatch, "forward_0", "tl.program_id(0) * ROWS", "0")
    cell, xs = Months().double(), torch.randn(2, 2, 3, dtype=torch.float64)
    with caplog.at_level(logging.WARNING):
        Compiled(backend="triton", kernel="sequence")(cell, xs)
    assert [NUMBERS in record.getMessage() for record in caplog.records] == [True]


def test_what_kernels_leave_to_torch_s_operations_is_no_trial(fresh, caplog):
    cell, xs = Months().double(), torch.randn(2, 2, 3, dtype=torch.float64)
    h, n = cell.initial_state(2, dtype=torch.float64)
    states = [(h, torch.zeros_like(n)), (h, n)]
    unroller = Compiled(backend="triton", kernel="sequence")
    for state, verdicts in zip(states, (0, 1), strict=True):
        with caplog.at_level(logging.WARNING):
            found = unroller(cell, xs, state)[0]
        torch.testing.assert_close(found, rnnkit.unrollers["loop"]()(cell, xs, state)[0], rtol=1e-10, atol=1e-10)
        assert len([*trust.VERDICTS.folder.glob("*.json")]) == verdicts
    assert not caplog.records


@pytest.mark.slow
def test_each_kind_of_kernel_is_compared_by_itself(fresh, monkeypatch, caplog):
    plant(monkeypatch, "forward_0", "block_of_stack(layers, 0", "block_of_stack(layers, 1")
    with caplog.at_level(logging.WARNING):
        run(kernel="sequence")
        assert not caplog.records
        run(kernel="grid")
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("cell 'lstm' by kernel 'grid'"), "weights on chip are those of the grid alone"


@pytest.mark.slow
def test_a_grid_of_several_blocks_a_program_is_compared_by_itself(fresh, monkeypatch, caplog):
    """It reads weights at every step, by other code than one that holds them."""
    plant(monkeypatch, "forward_0", "columns(w1, d[:, None], j,", "columns(w1, d[:, None], j + 1,")
    torch.manual_seed(0)
    narrow, wide = (
        rnnkit.RNN("rnn", 3, width, unroller=Compiled(backend="triton", kernel="grid"), dtype=torch.float64)
        for width in (16, 160)
    )
    for layer in (narrow, wide):
        with caplog.at_level(logging.WARNING):
            found = everything(layer)
        layer.unroller = "loop"
        torch.testing.assert_close(found, everything(layer))
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("cell 'rnn' by kernel 'grid', several blocks a program in float64 on the interpreter: ")
    told = Compiled(backend="triton", kernel="grid").explain(wide.cells[0])
    assert f"trust in grid, several blocks a program: {NUMBERS}" in told


def test_another_kind_runs_before_torch_s_operations_do(fresh, monkeypatch, caplog):
    plant(monkeypatch, "forward_0", "block_of_stack(layers, 0", "block_of_stack(layers, 1")  # of the grid alone
    monkeypatch.setattr(cost, "time_of", lambda choice, *_: {"grid": 1, "sequence": 2, "steps": 3}[choice.kind])
    with caplog.at_level(logging.WARNING):
        layer, found = run("rnn", kernel=None)
        run("rnn", kernel=None)
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("cell 'rnn' by kernel 'grid' in float64 on the interpreter: " + NUMBERS)
    assert said.endswith("; kernel 'sequence' is tried instead")
    for one, other in zip(found, expected(layer, "rnn"), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
    told = Compiled(backend="triton").explain(layer.cells[0])
    assert f"trust in grid: {NUMBERS}" in told
    assert "trust in sequence: compared with torch's operations on this device: equal" in told
    assert "trust in steps: not yet compared" in told


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_in_low_precision_kernels_may_be_near_to_float32_instead(dtype, fresh, monkeypatch, caplog):
    """Where a fraction begins again, torch's operations, which round one by one, are far from what kernels compute."""

    def explained(name):
        torch.manual_seed(0)
        layer = rnnkit.RNN(name, 3, 8, unroller=Compiled(backend="triton", kernel="sequence")).to(dtype)
        layer(torch.randn(4, 2, 3, dtype=dtype))
        return layer.unroller.explain(layer.cells[0])

    assert "trust in sequence: compared with torch's operations on this device: equal" in explained("phased")
    assert not caplog.records
    plant(monkeypatch, "forward_0", "sigmoid(", "tanh(")
    assert f"trust in sequence: {NUMBERS}" in explained("gru")
    fresh()
    assert f"trust in sequence: {NUMBERS}" in explained("phased")


EVERY_KIND = {"grid", "sequence", "steps"}


@pytest.mark.parametrize(
    ("spilling", "wanted", "runs"),
    [({"grid"}, None, {"sequence"}), (EVERY_KIND, None, set()), (EVERY_KIND, "grid", {"grid"})],
    ids=["one", "all", "all, and one is asked for"],
)
def test_a_kind_that_spills_in_every_form_runs_only_by_name(spilling, wanted, runs, fresh, monkeypatch, caplog):
    used, all_steps = [], launching.Run.all_steps
    monkeypatch.setattr(cost, "time_of", lambda choice, *_: {"grid": 1, "sequence": 2, "steps": 3}[choice.kind])
    monkeypatch.setattr(kernels.Kernels, "spilled", lambda self, kind: 8 * (kind in spilling))
    monkeypatch.setattr(launching.Run, "all_steps", lambda run, form: (used.append(run._kind), all_steps(run, form)))
    run("rnn", kernel=wanted)
    for known in (False, True):  # by a trial, and from the verdicts that it has left
        if known:
            fresh()
            monkeypatch.setattr(trust.Trust, "_found", None)
        used.clear()
        layer, found = run("rnn", kernel=wanted)
        run("rnn", kernel=wanted)
        assert set(used) == runs
        for one, other in zip(found, expected(layer, "rnn"), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
    told = Compiled(backend="triton", kernel=wanted).explain(layer.cells[0])
    equal = "trust in grid: compared with torch's operations on this device: equal within rounding; a thread spills 8"
    assert equal in told
    told_of = "torch's operations run instead, where no kind of kernels is right and spills nothing"
    assert (told_of in told) == (not runs)
    said = [record.getMessage() for record in caplog.records]
    spill = "cell 'rnn': kernels 'grid', 'sequence', 'steps' spill registers in every form"
    assert said == ([] if runs else [f"{spill}; torch's operations run instead"] * 2), "once for each of two programs"


def test_a_verdict_that_cannot_be_read_is_found_again(fresh, caplog):
    run("rnn")
    (kept,) = trust.VERDICTS.folder.glob("*.json")
    for text in ("", "{", "[]", '{"what": 1, "reason": 2}', '{"other": ""}'):
        kept.write_text(text)
        told = backend.Triton.facts()["triton kernels"]
        assert told == "0 programs compared with torch's operations, 0 not used"
    fresh()
    run("rnn")
    assert json.loads(kept.read_text())["reason"] == ""
    assert not caplog.records


@pytest.mark.slow
def test_a_verdict_that_cannot_be_kept_is_found_in_each_process(fresh, monkeypatch, caplog):
    monkeypatch.setattr(trust.VERDICTS, "keep", lambda path, verdict: _to_a_full_disk(monkeypatch, path, verdict))
    layer, _ = run("rnn")
    assert not [*trust.VERDICTS.folder.glob("*.json")]
    assert "equal within rounding" in Compiled(backend="triton", kernel="sequence").explain(layer.cells[0])
    assert not caplog.records


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), OSError(28, "No space left on device")]
)
def test_a_verdict_for_want_of_memory_or_disk_goes_for_its_process_alone(error, fresh, monkeypatch, caplog):
    def failing(*_):
        raise error

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(kernels.Kernels, "run", failing)
        run("rnn")
    (said,) = [record.getMessage() for record in caplog.records]
    assert "the kernels do not run" in said
    assert not [*trust.VERDICTS.folder.glob("*.json")]
    fresh()
    run("rnn")
    (kept,) = trust.VERDICTS.folder.glob("*.json")
    assert json.loads(kept.read_text())["reason"] == ""


KEEP = trust.VERDICTS.keep


def _to_a_full_disk(monkeypatch, path, verdict):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        KEEP(path, verdict)


def test_a_right_one_is_used_and_the_verdict_kept(fresh, monkeypatch, caplog):
    trials = []
    strays = trust.Trust._strays
    monkeypatch.setattr(trust.Trust, "_strays", lambda *given: (trials.append(1), strays(*given))[1])
    layer, _ = run("rnn")
    assert len(trials) == 1
    assert "equal within rounding" in Compiled(backend="triton", kernel="sequence").explain(layer.cells[0])
    (kept,) = trust.VERDICTS.folder.glob("*.json")
    assert json.loads(kept.read_text())["reason"] == ""
    fresh()
    run("rnn")
    assert len(trials) == 1
    monkeypatch.setattr(trust, "device_facts", lambda device: ["another driver"])
    fresh()
    run("rnn")
    assert len(trials) == 2
    assert not caplog.records


@pytest.mark.parametrize("module", library.MODULES)
def test_a_verdict_holds_for_the_functions_that_kernels_call_as_they_were(module, fresh, monkeypatch):
    """Another release may have others under the same names: the text of the kernels is the same then."""
    run("rnn")
    text_of = library.text_of
    monkeypatch.setattr(library, "text_of", lambda name: text_of(name) + "# mended" * (name == module))
    fresh()
    run("rnn")
    assert len([*trust.VERDICTS.folder.glob("*.json")]) == 2


def test_a_verdict_holds_for_its_release(monkeypatch):
    before = trust.device_facts(torch.device("cpu"))
    monkeypatch.setattr(rnnkit, "__version__", "another")
    assert trust.device_facts(torch.device("cpu")) != before


def test_a_trial_leaves_the_random_state_alone(fresh):
    layer = rnnkit.RNN("rnn", 3, 5, unroller=Compiled(backend="triton"))
    xs = torch.randn(2, 2, 3)
    before = torch.get_rng_state()
    layer(xs)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_inference_is_tried_too(dtype, fresh):
    layer = rnnkit.RNN("rnn", 3, 5, unroller=Compiled(backend="triton"), dtype=dtype)
    with torch.inference_mode():
        ys = layer(torch.randn(2, 2, 3, dtype=dtype))[0]
    assert ys.isfinite().all()
    assert "equal within rounding" in Compiled(backend="triton").explain(layer.cells[0])


def test_hooks_of_a_call_see_nothing_of_the_trial(fresh, caplog):
    """A checkpoint counts what its hooks are shown, and compares that with the call made again, which has no trial."""
    layer = rnnkit.RNN("rnn", 3, 4, unroller=Compiled(backend="triton", kernel="sequence"))
    xs = torch.randn(2, 2, 3, requires_grad=True)
    ys, _ = torch.utils.checkpoint.checkpoint(layer, xs, use_reentrant=False)
    ys.sum().backward()
    assert xs.grad.count_nonzero()
    assert not caplog.records
