"""The stages of a step: what is computed in which, what it reads and where it is stored."""

import pytest
import torch

import rnnkit
from rnnkit_compiler import compiled
from rnnkit_compiler.ir.graph import Graph
from rnnkit_compiler.schedule.buffers import Buffer, BufferKind, Place, Store
from rnnkit_compiler.schedule.stage_contents import stages_of
from rnnkit_compiler.schedule.timing import Timing

HIDDEN = 16
STATE, PART, NEXT = Buffer(BufferKind.STATE), Buffer(BufferKind.PART), Buffer(BufferKind.NEXT_STATE)


def plan_of(name):
    cell = rnnkit.cells[name](8, HIDDEN)
    program = compiled.program_for(cell, *compiled.example(cell))
    return program.backend._recurrence.plan


def test_an_lstm_s_step_is_one_stage_as_the_docstring_says():
    (stage,) = plan_of("lstm").forward.stages
    assert (stage.reductions, stage.row_stores) == ([], [])
    (region,) = stage.regions
    (product,) = region.products
    assert (region.width, len(region.nodes)) == (HIDDEN, 13)
    assert product.operand == Place(STATE, HIDDEN)
    assert [block.offset for block in product.blocks] == [0, 16, 32, 48]
    stored = {str(store.place.buffer) for store in region.stores}
    assert stored == {"next_state0", "next_state1", "y", "kept1"}


def test_an_lstm_s_backward_step_is_two_stages_as_the_docstring_says():
    first, second = plan_of("lstm").backward.stages
    (region,) = first.regions
    assert region.products == []
    gradients = Buffer(BufferKind.GRAD_PRODUCT)
    assert [store.place.offset for store in region.stores if store.place.buffer is gradients] == [0, 16, 32, 48]
    (region,) = second.regions
    (product,) = region.products
    assert product.operand == Place(gradients, 4 * HIDDEN)
    assert [block.transposed for block in product.blocks] == [True]
    assert [store.place.buffer.kind for store in region.stores] == [BufferKind.GRAD_BEFORE]


def test_a_layer_norm_waits_for_whole_rows():
    plan = plan_of("layernorm")
    for stages, kind in ((plan.inference, BufferKind.TEMPORARY), (plan.forward, BufferKind.SAVED)):
        assert stages.stages[0].reductions  # of the projection, which is there before
        assert any(node.op == "sum" for group in stages.stages[1].reductions for node in group)
        whole = [region for region in stages.stages[0].regions if region.width == 4 * HIDDEN]
        assert [store.place.buffer.kind for region in whole for store in region.stores] == [kind]
        assert (4 * HIDDEN in stages.temporaries.values()) == (kind is BufferKind.TEMPORARY)


class Heads(rnnkit.Cell):
    """Four heads that attend to each other."""

    def step(self, x, state):
        (h,) = state
        z = h.view(-1, 4, 4)
        h = torch.tanh((torch.softmax(z @ z.transpose(1, 2), 2) @ z).flatten(1) + x)
        return h, (h,)


def test_what_goes_along_axes_is_read_a_stage_later_as_the_docstring_says():
    cell = Heads(HIDDEN, HIDDEN)
    plan = compiled.program_for(cell, *compiled.example(cell)).backend._recurrence.plan
    found = [[(one.node.op, one.node.attr[0]) for one in stage.whole] for stage in plan.forward.stages]
    sums, spread = [("einsum", "ab->a")], [("einsum", "a->ab")]
    scores, mixed = [("einsum", "ab,cb->ac")], [("einsum", "ab,bc->ac")]
    assert found == [scores, [("amax", "ab->a")], spread, [], sums, spread, [], mixed, []]
    assert [len(stage.regions) for stage in plan.forward.stages] == [0, 0, 0, 1, 0, 0, 1, 0, 1]
    assert not any(stage.multiplies for stage in plan.forward.stages)
    assert [node.width for node in plan.saved if node.op == "einsum"] == [4]  # the sums, not what is repeated of them


@pytest.fixture
def graph():
    return Graph()


def given(graph):
    """Return a state and a part of 4 units, and where they are read."""
    state, part = graph.make("state", (), 4, 0), graph.make("part", (), 4, 0)
    return state, part, {state: Place(STATE, 4), part: Place(PART, 4)}


def test_what_is_pointwise_waits_for_nothing(graph):
    state, part, sources = given(graph)
    node = (state + part).tanh()
    timing = Timing([Store(node, Place(NEXT, 4))], sources)
    assert set(timing.stage.values()) == {0}


def test_a_product_of_a_product_waits_for_a_whole_row(graph):
    state, _, sources = given(graph)
    first = graph.product(state, 0, 4)
    second = graph.product(first.tanh(), 1, 4)
    timing = Timing([Store(second, Place(NEXT, 4))], sources)
    assert (timing.stage[first], timing.stage[second]) == (0, 1)
    stages = stages_of([Store(second, Place(NEXT, 4))], sources)
    ((buffer, width),) = stages.temporaries.items()
    assert (buffer.kind, width) == (BufferKind.TEMPORARY, 4)
    assert stages.stages[0].regions[0].stores == [Store(first.tanh(), Place(buffer, 4))]
    assert stages.stages[1].regions[0].products[0].operand == Place(buffer, 4)


def test_a_sum_of_what_is_given_is_in_the_first_stage_and_of_a_product_in_the_next(graph):
    state, _, sources = given(graph)
    product = graph.product(state, 0, 4)
    early, late = graph.sum(state, 4), graph.sum(product, 4)
    node = product * early * late
    timing = Timing([Store(node, Place(NEXT, 4))], sources)
    assert [timing.stage[n] for n in (early, product, late, node)] == [0, 0, 1, 1]


def test_a_result_that_a_later_stage_reads_needs_no_buffer_beside(graph):
    state, _, sources = given(graph)
    first = graph.product(state, 0, 4).tanh()
    results = [Store(first, Place(NEXT, 4)), Store(graph.product(first, 1, 4), Place(Buffer(BufferKind.Y), 4))]
    stages = stages_of(results, sources)
    assert stages.temporaries == {}
    assert stages.stages[1].regions[0].products[0].operand == Place(NEXT, 4)


def test_whole_rows_are_computed_to_one_place_and_copied_to_others(graph):
    state, _, sources = given(graph)
    turned = graph.make("einsum", (state,), 4, "ab->ba", (2, 2))
    stores = [Store(turned, Place(Buffer(BufferKind.Y), 4)), Store(turned, Place(NEXT, 4))]
    first, second = stages_of(stores, sources).stages
    assert [(one.node, one.operands, one.place) for one in first.whole] == [
        (turned, (Place(STATE, 4),), Place(NEXT, 4))
    ]
    assert [store.place.buffer.kind for region in second.regions for store in region.stores] == [BufferKind.Y]


def test_what_is_joined_of_whole_rows_waits_for_the_copies(graph):
    state, part, sources = given(graph)
    turned = graph.make("einsum", (state,), 4, "ab->ba", (2, 2))
    both = graph.concat([turned, part])
    product = graph.product(both, 0, 4)
    timing = Timing([Store(turned, Place(NEXT, 4)), Store(product, Place(Buffer(BufferKind.Y), 4))], sources)
    assert (timing.stage[turned], timing.stage[product]) == (0, 2)


def test_a_buffer_is_one_object_and_knows_the_buffer_that_it_is_a_slot_of():
    assert Buffer(BufferKind.STATE, 1) is Buffer(BufferKind.NEXT_STATE, 1).home
    assert Buffer(BufferKind.GRAD_BEFORE, 2).home is Buffer(BufferKind.GRAD_STATE, 2)
    assert Buffer(BufferKind.PART, 3).home is Buffer(BufferKind.PART, 3)
    assert [str(Buffer(kind)) for kind in (BufferKind.Y, BufferKind.GRAD_Y, BufferKind.PART)] == [
        "y",
        "grad_y",
        "part0",
    ]
