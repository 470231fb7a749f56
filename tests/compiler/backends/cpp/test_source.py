"""What the source of a kernel spares: copies, what is asked for in vain, registers; the numbers are the loop's."""

import re
from itertools import pairwise

import pytest
import torch

import rnnkit
from rnnkit_compiler import compiled
from rnnkit_compiler.backends.cpp.building.build import code_digest
from rnnkit_compiler.backends.cpp.code.kernel_source import generate


def kernels_of(name):
    """Return the source of the forward pass in training, and of backward, with sizes for their names."""
    cell = rnnkit.cells[name](8, 16)
    plan = compiled.program_for(cell, *compiled.example(cell)).backend._recurrence.plan
    source = generate(plan, ["Forward", "Backward"], name, "")
    text = re.sub(r"\bd(\d+)\b", lambda size: str(source.sizes[int(size[1])]), source.text)
    forward, backward = text.split("struct Backward {")
    return forward, backward


def test_a_product_of_which_nothing_is_made_goes_straight_to_where_it_is_read():
    for kernel in kernels_of("layernorm"):
        assert kernel.count("goes_straight(") == kernel.count("multiply_packed(") == 1
    forward, backward = kernels_of("lstm")
    assert "goes_straight(" not in forward
    assert backward.count("goes_straight(") == 1


def test_loops_over_rows_ask_once_for_a_row_ahead_where_the_step_finds_it_in_memory():
    for kernel in kernels_of("layernorm"):
        asked = re.findall(r"fetch_one\((\w+ \+ ahead[^;]*) \+ j\);", kernel)
        assert asked
        assert len(asked) == len(set(asked))
        assert not any(place.startswith(("vector", "temporary", "grad_before")) for place in asked)


def test_nobody_asks_for_what_is_written_over_what_is_read_nor_for_single_numbers():
    _, backward = kernels_of("layernorm")
    assert not re.findall(r"fetch<true>\(s, from, to, grad_(part|product)", backward)
    assert not re.findall(r"fetch<\w+>\(s, [^;]*, 1, V\)", backward)
    _, backward = kernels_of("lstm")
    assert not re.findall(r"fetch<true>\(s, from, to, grad_product", backward)
    assert re.findall(r"fetch<false>\(s, from, to, kept", backward)


def test_what_can_be_computed_where_it_is_used_is_not_put_aside():
    """The input's half of a gate waits for the state's: what it reads is in memory then as before."""
    forward, _ = kernels_of("layernorm")
    put_aside = re.findall(r"put<full>\((temporary\d+)", forward)
    assert len(put_aside) == 1  # the output gate, which waits for the norm of the cell state


class Centred(rnnkit.Cell):
    """Its tanh is read by a loop over the row, for the sum of squares, and again behind it."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.weight_hh = torch.nn.Parameter(torch.randn(hidden_size, hidden_size))

    def step(self, x, state):
        (h,) = state
        mean = (h @ self.weight_hh).mean(-1, keepdim=True)
        centred = torch.tanh(h * h + x) - mean
        h = centred / (centred * centred).sum(-1, keepdim=True)
        return h, (h,)


def test_what_a_loop_over_the_row_reads_does_not_wait_for_it():
    cell = Centred(16, 16)
    plan = compiled.program_for(cell, *compiled.example(cell)).backend._recurrence.plan
    text = generate(plan, ["Inference"], "centred", "").text
    assert text.count("vtanh(") == 1
    assert text.index("vtanh(") < text.index("// stage 1")


def test_sums_over_rows_are_taken_as_soon_as_there_is_what_they_add_up():
    _, backward = kernels_of("layernorm")
    body = backward[backward.index("vec sum0{}") :]
    lines = [line.strip() for line in body[: body.index("put<full>(grad_part")].splitlines()]
    at = [k for k, line in enumerate(lines) if line.startswith("sum") and "+=" in line]
    assert len(at) == 14
    assert sum(later - earlier > 1 for earlier, later in pairwise(at)) > 5  # not all of them at the end


@pytest.mark.parametrize("hidden", [16, 21])
def test_rows_that_lie_apart_and_panels_that_are_not_whole_have_the_numbers_of_the_loop(hidden):
    torch.manual_seed(hidden)
    unrollers = "loop", rnnkit.unrollers["compiled"](backend="cpp")
    layers = [rnnkit.RNN("layernorm", 6, hidden, unroller=unroller, dtype=torch.float64) for unroller in unrollers]
    layers[1].load_state_dict(layers[0].state_dict())
    xs = torch.randn(9, 5, 6, dtype=torch.float64)
    for lengths in (None, torch.tensor([9, 2, 7, 9, 1])):
        results = []
        for layer in layers:
            given = xs.clone().requires_grad_()
            ys, _ = layer(given, lengths=lengths)
            results.append([ys, *torch.autograd.grad(ys.square().sum(), [given, *layer.parameters()])])
        for ours, loop in zip(*results, strict=True):
            assert torch.allclose(ours, loop, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", ["lstm", "gru", "peephole", "rnn", "cifg"])
def test_projected_symbols_and_an_input_that_is_projected_ahead_share_kernels(name):
    cell = rnnkit.cells[name](8, 16)
    keys = []
    for apart in (False, True):
        xs, states = compiled.example(cell)
        plan = compiled.program_for(cell, xs, states, apart=apart).backend._recurrence.plan
        sources = [generate(plan, names, name, "").text for names in (["Forward", "Backward"], ["Inference"])]
        keys.append([code_digest(source) for source in sources])
    assert keys[0] == keys[1]


def test_comments_are_no_part_of_what_a_kernel_is_known_by():
    assert code_digest("// lstm\n\nint f();  // %1 = product(0)\n") == code_digest("int f();")
    assert code_digest("int f();") != code_digest("int g();")


@pytest.mark.parametrize("name", ["amax", "amin", "logsumexp", "cummax"])
def test_what_a_loop_over_a_row_begins_with_is_known_to_the_compiler(name):
    """A kernel includes none of the standard headers that have infinity."""

    class Folding(rnnkit.Cell):
        def __init__(self, input_size, hidden_size):
            super().__init__(input_size, hidden_size)
            self.weight = torch.nn.Parameter(torch.randn(hidden_size, hidden_size))

        def step(self, x, state):
            folded = getattr(torch, name)(x + state[0] @ self.weight, 1)
            h = folded[0] if isinstance(folded, tuple) else x - folded.unsqueeze(1)
            return h, (h,)

    xs, unroll = torch.randn(3, 2, 8), rnnkit.unrollers["compiled"](backend="cpp")
    cell = Folding(8, 8)
    torch.testing.assert_close(unroll(cell, xs)[0], rnnkit.unrollers["loop"]()(cell, xs)[0])
