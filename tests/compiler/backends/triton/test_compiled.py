"""Kernels compile for GPUs that are not here, and take what the table of the documentation says of them."""

import json
from functools import partial

import pytest
import torch

import rnnkit
from rnnkit_compiler.backends.triton.availability import is_interpreted, triton_version

from .invented_cells import NARROW, NOT_IN_16_BITS
from .one_element import OF_ONE_ELEMENT, OfOneElement
from .wide_cells import Attentive

NONE = (
    "Triton is not installed" if triton_version() is None else "its kernels are interpreted" if is_interpreted() else ""
)
pytestmark = pytest.mark.skipif(bool(NONE), reason=NONE or "-")


@pytest.fixture
def gpu_kernels(monkeypatch, tmp_path):
    """The tool, with caches of its own."""
    monkeypatch.setenv("TRITON_DEFAULT_FP_FUSION", "1")
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "triton"))
    import gpu_kernels

    return gpu_kernels


@pytest.fixture
def kept(gpu_kernels, tmp_path):
    return gpu_kernels.Kept(tmp_path / "kept.jsonl")


FEW = (
    "rnn 128 float32 sm_90 Forward sequence",
    "gru 128 bfloat16 gfx942 Backward grid",
    "lstm 256 bfloat16 sm_90 Forward grid",
    "onlstm 256 float32 sm_80 Backward grid",
)


@pytest.mark.parametrize("name", FEW)
def test_the_table_is_what_the_compiler_says(name, gpu_kernels, kept):
    committed = json.loads(gpu_kernels.RESULTS.read_text(encoding="utf-8"))
    cell, width, *rest = name.split()
    found = gpu_kernels.result_of(gpu_kernels.Case(cell, int(width), *rest), kept)
    assert found["taken"][1] == 0
    if triton_version() != committed["triton"]:
        pytest.skip(f"the table is of Triton {committed['triton']}")
    assert found == committed["kernels"][name]


def test_each_kernel_of_the_table_compiles_and_none_spills(gpu_kernels):
    kernels = json.loads(gpu_kernels.RESULTS.read_text(encoding="utf-8"))["kernels"]
    assert {result.get("failed") for result in kernels.values()} == {None}
    assert {name.split()[0] for name in kernels} == {*rnnkit.cells}
    assert {result["taken"][1] for result in kernels.values() if "taken" in result} == {0}


def test_the_page_shows_what_is_committed(gpu_kernels):
    kernels = json.loads(gpu_kernels.RESULTS.read_text(encoding="utf-8"))["kernels"]
    page = (gpu_kernels.ASSETS / "gpu-kernels.md").read_text(encoding="utf-8")
    assert page == gpu_kernels.gpu_kernels_table.table(kernels, rnnkit.cells)


def test_what_is_known_is_not_compiled_again(gpu_kernels, kept, monkeypatch, tmp_path):
    case = gpu_kernels.Case("rnn", 64, "float32", "sm_90", "Forward", "sequence")
    found = gpu_kernels.result_of(case, kept)
    monkeypatch.setattr(gpu_kernels.triton, "compile", None)
    known = gpu_kernels.Kept(tmp_path / "kept.jsonl", is_all=True)
    assert gpu_kernels.result_of(case, known) == found
    with pytest.raises(gpu_kernels.UnknownError):
        gpu_kernels.result_of(case._replace(width=128), known)


def test_another_function_that_a_kernel_calls_is_compiled_anew(gpu_kernels, monkeypatch):
    """Few kernels call special functions: a change of those has the others stand."""
    before = {text: gpu_kernels.library_of(text) for text in ("sigmoid(x1)", "lgamma(x1)")}
    text_of = gpu_kernels.library.text_of
    for module in gpu_kernels.library.MODULES:
        monkeypatch.setattr(
            gpu_kernels.library, "text_of", lambda name, m=module: text_of(name) + "# mended" * (name == m)
        )
        changed = [text for text, told in before.items() if gpu_kernels.library_of(text) != told]
        assert changed == (["lgamma(x1)"] if module == gpu_kernels.SPECIAL else [*before])


def test_float64_compiles(gpu_kernels, kept, monkeypatch):
    monkeypatch.setitem(gpu_kernels.DTYPES, "float64", ("*fp64", torch.float64))
    found = gpu_kernels.result_of(gpu_kernels.Case("rnn", 64, "float64", "sm_90", "Forward", "sequence"), kept)
    assert found["taken"][1] == 0


@pytest.mark.slow
@pytest.mark.parametrize("real", ["fp32", "fp64"])
@pytest.mark.parametrize("target", ["sm_90", "gfx942"])
def test_every_operation_compiles(real, target, gpu_kernels):
    from rnnkit_compiler.backends.triton.code.operations import CODE, expression
    from rnnkit_compiler.backends.triton.library import HEAD
    from rnnkit_compiler.backends.triton.loading import load

    for name in CODE:
        value = expression(name, [f"tl.load({p} + j)" for p in "pqr"])
        text = f"""{HEAD}REAL = tl.constexpr(tl.float{real[2:]})


@triton.jit
def kernel(p, q, r, out, N: tl.constexpr):
    j = tl.arange(0, N)[None, :]
    tl.store(out + j, {value})
"""
        signature = {**dict.fromkeys(("p", "q", "r", "out"), f"*{real}"), "N": "constexpr"}
        source = gpu_kernels.ASTSource(fn=load(text).kernel, signature=signature, constexprs={(4,): 64})
        gpu_kernels.triton.compile(source, target=gpu_kernels.TARGETS[target].gpu)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("cell", NARROW)
def test_unseen_cells_compile(cell, dtype, gpu_kernels, kept):
    if cell in NOT_IN_16_BITS and dtype == "bfloat16":
        pytest.skip("torch has it in higher precision alone")
    pointer, real = gpu_kernels.DTYPES[dtype]
    plan, source = gpu_kernels.source_for(cell().to(real))
    for target in ("sm_80", "gfx942") if dtype == "float32" else ("sm_90", "sm_100"):
        compiler = gpu_kernels.Compiler(source.text, pointer, target, kept)
        for kernel, stages in (("forward", plan.forward), ("backward", plan.backward)):
            for kind in (gpu_kernels.SEQUENCE, gpu_kernels.GRID):
                form = gpu_kernels.first_form(stages, kind, real.itemsize, 132)
                taken = partial(compiler.taken, kernel, kind=kind)
                spills = [lambda form: taken(form).spilled, lambda form: taken(form).registers == 255]  # noqa: B023
                assert taken(gpu_kernels.settled(form, *spills)).spilled == 0


@pytest.mark.slow
def test_what_spills_does_not_where_nothing_is_hoisted(gpu_kernels, kept):
    """Heads with attention: what is the same at every step takes all registers else."""
    torch.manual_seed(0)
    plan, source = gpu_kernels.source_for(Attentive(64, 64))
    compiler = gpu_kernels.Compiler(source.text, "*fp32", "sm_80", kept)
    form = gpu_kernels.first_form(plan.backward, gpu_kernels.SEQUENCE, 4, 108)
    spilled = [
        compiler.taken("backward", form._replace(hoists_nothing=hoists_nothing), gpu_kernels.SEQUENCE).spilled
        for hoists_nothing in (False, True)
    ]
    assert spilled[0] > spilled[1] == 0


ONE_ELEMENT_FIRST = {"minimum", "pow"}


@pytest.mark.parametrize("target", ["sm_90", "gfx942"])
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in ONE_ELEMENT_FIRST else pytest.mark.slow) for name in OF_ONE_ELEMENT]
)
def test_parameters_of_one_element_compile(name, target, gpu_kernels, kept):
    plan, source = gpu_kernels.source_for(OfOneElement(OF_ONE_ELEMENT[name], (1,)))
    compiler = gpu_kernels.Compiler(source.text, "*fp32", target, kept)
    for kernel, stages in (("forward", plan.forward), ("backward", plan.backward)):
        form = gpu_kernels.first_form(stages, gpu_kernels.SEQUENCE, 4, 132)
        assert compiler.taken(kernel, form, gpu_kernels.SEQUENCE).spilled == 0
