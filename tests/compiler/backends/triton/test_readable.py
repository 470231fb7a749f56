"""Who knows the cell recognises it in its kernels, forward and back: names, equations and legends."""

import ast
import re

import pytest
import torch

import rnnkit
from rnnkit_compiler import compiled
from rnnkit_compiler._recorded import recorded_projected, recorded_whole
from rnnkit_compiler.backends.triton.code.author_names import NUMBERED, OWN, names_of
from rnnkit_compiler.backends.triton.code.kernel_source import generate
from rnnkit_compiler.backends.triton.code.legend import legend
from rnnkit_compiler.backends.triton.code.notes import WORD
from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.schedule.plan import KernelPlan

from .invented_cells import CELLS, Sorted

ALL = ("Forward", "Backward", "Inference")


def written(cell, kernels=ALL):
    """Return the plan of a cell, and the lines of its kernels."""
    xs, states = compiled.example(cell)
    step = recorded_whole(cell, xs, states, False) or recorded_projected(cell, xs, states, True, False)
    plan = KernelPlan(step.lowered)
    text = generate(plan, kernels, step.title, "\n".join(legend(plan, step.recording)), narrow=False).text
    compile(text, cell.name, "exec")
    return plan, text


def lines_of(name, *kernels):
    return [line.strip() for line in written(rnnkit.cells[name](8, 20), kernels)[1].splitlines()]


@pytest.mark.parametrize("kernel", ["Forward", "Inference"])
def test_one_recognises_the_equation(kernel):
    lines = lines_of("lstm", kernel)
    for line in (
        "sigmoid_i = sigmoid(i)",
        "sigmoid_f = sigmoid(f)",
        "tanh_g = tanh(g)",
        "sigmoid_o = sigmoid(o)",
        "tanh_c = tanh(c)",
        "h = sigmoid_o * tanh_c",
        "tl.store(next_state0_at + j, h, mask=here)",
        "tl.store(next_state1_at + j, c, mask=here)",
    ):
        assert line in lines
    for value, made_of in (("i", "p[0:20] + (h_before w1)[0:20]"), ("c", "c_before * sigmoid_f + sigmoid_i * tanh_g")):
        ends = [line.partition("  # ") for line in lines if line.startswith(f"{value} = ")]
        assert {comment for _, _, comment in ends} == {made_of}
    assert sum(" = multiplied(a, columns(w1" in line for line in lines) == 4


def test_one_recognises_the_gradients():
    lines = lines_of("lstm", "Backward")
    for line in (
        "d_h = d_y + d_h_later  # of h = sigmoid_o * tanh_c",
        "d_sigmoid_f = c_before * d_c  # of sigmoid_f = sigmoid(f)",
        "d_c_before = sigmoid_f * d_c  # of c_before",
        "tl.store(grad_product0_at + j, d_i, mask=here)",
        "tl.store(grad_before0_at + j, d_h_before, mask=here)",
    ):
        assert line in lines
    of = {gate: [line for line in lines if line.startswith(f"d_{gate} = ")] for gate in "ifgoc"}
    assert [len(found) for found in of.values()] == [1] * 5
    assert of["c"][0].endswith("  # of c = c_before * sigmoid_f + sigmoid_i * tanh_g")
    assert any(line.endswith("# [d_i, d_f, d_g, d_o] w1ᵀ") for line in lines)


class Clipped(rnnkit.Cell):
    """Compares with a number, and chooses one."""

    def __init__(self):
        super().__init__(2, 3)
        self.scale = torch.nn.Parameter(torch.ones(3))

    def step(self, x, state):
        h = state[0] * self.scale + x.sum(1, keepdim=True)
        h = h.masked_fill(h > 0.75, 0.1)
        return h, (h,)


def test_a_line_says_what_its_literals_are():
    lines = [line.strip() for line in written(Clipped(), ("Forward",))[1].splitlines()]
    (where,) = [line for line in lines if " = tl.where(x" in line]
    assert where.endswith("; q1 = 0.1")
    assert any(line.endswith("> q0).to(REAL)  # q0 = 0.75") for line in lines)


class Faded(rnnkit.Cell):
    """Multiplies by what is made of its parameters."""

    def __init__(self):
        super().__init__(2, 3)
        self.fade, self.scale = (torch.nn.Parameter(torch.ones(3)) for _ in range(2))

    def step(self, x, state):
        (h,) = state
        long = self.scale
        for _ in range(6):
            long = torch.tanh(long + self.fade)
        h = h * torch.sigmoid(self.fade) + long + x.sum(1, keepdim=True)
        return h, (h,)


def test_the_legend_says_what_is_made_of_the_parameters():
    def vectors(cell):
        return [line[4:] for line in written(cell)[1].splitlines() if line.startswith("#   vector")]

    assert vectors(rnnkit.cells["lstm"](8, 20)) == ["vector0: add(bias_ih, bias_hh) (80)"]
    assert sorted(line.partition(": ")[2] for line in vectors(Faded())) == [
        "made of scale, fade (3)",
        "sigmoid(fade) (3)",
    ]


def test_gates_that_are_assigned_to_again():
    lines = lines_of("peephole", "Forward")
    for line in ("i = sigmoid(i_in)", "f = sigmoid(f_in)", "o = sigmoid(o_in)", "h = o * tanh_c"):
        assert line in lines
    assert [line.partition("  # ")[2] for line in lines if line.startswith("o_in = ")] == ["o_1 + c * peephole_o"]
    assert [line.partition("  # ")[2] for line in lines if line.startswith("c = ")] == ["c_before * f + i * tanh_g"]


def test_the_text_does_not_depend_on_where_nodes_lie(monkeypatch):
    """Verdicts are kept by it."""
    texts = []
    for sign in (1, -1):
        monkeypatch.setattr(Node, "__hash__", lambda node, sign=sign: sign * node.number)
        texts.append(written(Sorted())[1])
    assert texts[0] == texts[1]


class Renamed(rnnkit.Cell):
    """Assigns to its variables again, and calls them as the kernel calls its own, or as Python does not."""

    state_names = ("h'",)

    def __init__(self):
        super().__init__(2, 3)
        self.weight = torch.nn.Parameter(torch.ones(3))

    def step(self, x, state):
        (h,) = state
        row, x12 = torch.tanh(h) * self.weight, torch.sigmoid(h)
        row = row + x12
        row = torch.tanh(row * row + x.sum(1, keepdim=True))
        return row, (row + x12,)


def test_a_name_is_that_of_the_last_assignment():
    plan, text = written(Renamed())
    found = {name: node for node, name in names_of(plan).items()}
    assert found["h_"] is plan.step.next_states[0]
    assert found["row_"].op == "tanh"
    assert {"h__before", "row_1", "row_2", "row_in", "x12_", "weight", "d_row", "d_y"} <= {*found}
    assert "tl.store(next_state0_at + j, h_, mask=here)" in text


def functions_of(text):
    tree = ast.parse(text)
    lines = text.splitlines()
    for function in (node for node in tree.body if isinstance(node, ast.FunctionDef)):
        yield function, lines[function.lineno - 1 : function.end_lineno]


def assigned(function):
    """Return the names that a function sets by assignments."""
    targets = [target for n in ast.walk(function) if isinstance(n, ast.Assign) for target in n.targets]
    targets += [n.target for n in ast.walk(function) if isinstance(n, ast.AugAssign)]
    return {n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)}


BARRIER = "# all is read before anything is written over it"

EVERY = {**{name: lambda name=name: rnnkit.cells[name](8, 20) for name in ("gru", "lstm", "peephole", "layernorm")}}
EVERY |= {"renamed": Renamed, **{cell.__name__: cell for cell in CELLS}}


@pytest.mark.parametrize("name", EVERY)
def test_names_are_of_one_value_and_comments_cite_what_is_defined(name):
    plan, text = written(EVERY[name]())
    names = names_of(plan)
    assert len({*names.values()}) == len(names)
    head = {*WORD.findall(text.partition("import triton")[0])}
    own = {f"{kind}{node.number}" for kind in "xn" for node in plan.step.graph.nodes} | {*names.values()}
    for function, lines in functions_of(text):
        given = {argument.arg for argument in function.args.args}
        set_ = {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        assert not set_ & {*names.values()} & given, "an argument is not overwritten"
        if function.name[-1].isdigit():  # of a stage: others have no values
            taken = {n for n in set_ | given if n not in OWN and not NUMBERED.fullmatch(n)}
            assert taken <= own, "what is the kernel's own is no author's"
        counters = {n.target.id for n in ast.walk(function) if isinstance(n, ast.For)}
        assert not counters & assigned(function), "Triton has a counter of a loop keep its type behind the loop"
        legends = {line.strip()[2:].partition(":")[0] for line in lines if line.strip().startswith("# ")}
        comments = [re.split(r"  # |^\s*# \w+:", line, maxsplit=1) for line in lines if BARRIER not in line]
        said = (re.sub(r"\b\w+\(", "(", split[1]) for split in comments if len(split) == 2)  # operations are no names
        cited = {word for words in said for word in WORD.findall(words)}
        assert cited & own <= set_ | legends | head
