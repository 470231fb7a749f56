"""What is kept for backward, and what its gradients are written over."""

import pytest
import torch

import rnnkit
from rnnkit_compiler import compiled
from rnnkit_compiler.schedule.buffers import BufferKind
from rnnkit_compiler.schedule.recompute import choose_saved

HIDDEN = 16


class Centred(rnnkit.Cell):
    """Gates of a product whose mean is taken off; `whole` says whether anything reads all of the product."""

    def __init__(self, input_size, hidden_size, whole=True):
        super().__init__(input_size, hidden_size)
        self.weight = torch.nn.Parameter(torch.randn(2 * hidden_size, hidden_size) / hidden_size**0.5)
        self.whole = whole

    def step(self, x, state):
        (h,) = state
        product = h @ self.weight.t()
        mean = (product if self.whole else h).mean(1, keepdim=True)
        f, n = (product - mean).chunk(2, dim=1)
        return (h := torch.sigmoid(f * f) * h + torch.tanh(n * n) * x), (h,)


def plan_of(cell):
    return compiled.program_for(cell, *compiled.example(cell)).backend._recurrence.plan


def kept_of(cell):
    """Return what is kept, but for numbers of the row: the node's operation and width."""
    return [(node.op, node.width) for node in plan_of(cell).saved if node.width > 1]


def test_a_product_that_a_layer_norm_reads_whole_is_kept_as_it_is_and_the_projection_where_it_is():
    plan = plan_of(rnnkit.cells["layernorm"](8, HIDDEN))
    assert [(node.op, node.width) for node in plan.saved if node.width > HIDDEN] == [("product", 4 * HIDDEN)]
    assert (plan.reads_parts, plan.kept) == ([1], {})


def test_each_gate_is_kept_by_itself_of_a_product_that_nothing_reads_whole():
    assert kept_of(Centred(HIDDEN, HIDDEN)) == [("product", 2 * HIDDEN)]
    assert kept_of(Centred(HIDDEN, HIDDEN, whole=False)) == [("sub", HIDDEN)] * 2


def test_what_is_rounded_when_it_is_kept_has_its_mean_taken_off_before():
    plan = plan_of(Centred(HIDDEN, HIDDEN))
    results = [plan.step.output, *plan.step.next_states]
    rounded = [node.op for node in choose_saved(results, plan.gradients, rounded=True) if node.width > 1]
    assert rounded == ["sub", "sub"]


def test_gradients_are_written_over_all_that_is_kept_in_their_form():
    plan = plan_of(rnnkit.cells["layernorm"](8, HIDDEN))
    over = {str(buffer): overlay.over.kind for buffer, overlay in plan.written_over.items()}
    assert over == {"grad_product0": BufferKind.PART, "grad_part1": BufferKind.SAVED}
    assert all(overlay.alone for overlay in plan.written_over.values())  # loops over the rows read both
    assert len({overlay.over for overlay in plan.written_over.values()}) == len(over)


class Scaled(rnnkit.Cell):
    """Reads its input as it is given, and keeps as many numbers."""

    def step(self, x, state):
        (h,) = state
        h = torch.tanh(h * torch.sigmoid(x))
        return h, (h,)


def test_the_gradient_of_what_is_given_lies_in_memory_of_its_own():
    plan = plan_of(Scaled(HIDDEN, HIDDEN))
    assert [*map(str, plan.gradient_widths)] == ["grad_part0"]
    assert all(overlay.over.kind is BufferKind.KEPT for overlay in plan.written_over.values())


@pytest.mark.parametrize("name", ["layernorm", "sgu"])
def test_what_was_written_over_is_not_read_again(name):
    torch.manual_seed(0)
    layer = rnnkit.RNN(name, 12, 20, unroller=rnnkit.unrollers["compiled"](backend="cpp"))
    xs = torch.randn(7, 3, 12, requires_grad=True)
    loss = layer(xs)[0].square().sum()
    tensors = [xs, *layer.parameters()]
    once, again, last = (torch.autograd.grad(loss, tensors, retain_graph=keep) for keep in (True, True, False))
    for one, two, three in zip(once, again, last, strict=True):
        assert torch.equal(one, two)
        assert torch.equal(one, three)


def test_how_much_is_kept_is_told_as_other_figures_are():
    told = compiled.Compiled().explain(rnnkit.cells["lstm"](8, 512))
    assert "kept for the backward pass, for each row and step: 2,048 numbers beside the states' 1,024" in told
