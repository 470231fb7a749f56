"""The intermediate form keeps its normal form: one node for a question, slices low, joins outside."""

import pytest

from rnnkit_compiler.ir.graph import Graph, needed, text
from rnnkit_compiler.ir.operations import OPERATIONS


@pytest.fixture
def graph():
    return Graph()


def leaf(graph, op="state", width=4, number=0):
    return graph.make(op, (), width, number)


def test_the_same_question_gives_the_same_node(graph):
    a, b = leaf(graph), leaf(graph, "part")
    assert leaf(graph) is a
    assert a.tanh() is a.tanh()
    assert a + b is b + a
    assert a * b is b * a
    assert a - b is not b - a
    assert graph.number(2) is graph.number(2.0)
    assert graph.size(4) is not graph.number(4)


def test_literals_that_differ_in_sign_or_kind_are_two_nodes(graph):
    assert graph.number(0.0) is not graph.number(-0.0)
    assert leaf(graph, number=1) is not leaf(graph)


def test_a_slice_goes_below_pointwise_nodes(graph):
    a, b = leaf(graph), leaf(graph, "part")
    assert graph.slice((a + b).tanh(), 1, 2) is (graph.slice(a, 1, 2) + graph.slice(b, 1, 2)).tanh()


def test_a_slice_of_a_slice_is_one_of_the_leaf(graph):
    a = leaf(graph, width=8)
    inner = graph.slice(graph.slice(a, 2, 5), 1, 3)
    assert inner is graph.slice(a, 3, 3)
    assert inner.inputs == (a,)
    assert inner.is_leaf


def test_a_slice_of_all_or_of_a_single_number_is_the_node(graph):
    a, single = leaf(graph), leaf(graph, width=1)
    assert graph.slice(a, 0, 4) is a
    assert graph.slice(single, 2, 1) is single
    assert graph.slice(graph.expand(single, 4), 1, 2) is graph.expand(single, 2)


def test_a_slice_of_a_product_stays(graph):
    product = graph.product(leaf(graph), 0, 6)
    piece = graph.slice(product, 2, 3)
    assert (piece.op, piece.inputs, piece.width, piece.attr) == ("slice", (product,), 3, (2,))
    assert not piece.is_leaf


def test_joins_stay_outside_of_pointwise_nodes(graph):
    a, b, c = leaf(graph), leaf(graph, "part", 2), leaf(graph, "vector", 6)
    joined = (graph.concat([a, b]) * c).tanh()
    assert joined.op == "concat"
    assert joined.inputs == ((a * graph.slice(c, 0, 4)).tanh(), (b * graph.slice(c, 4, 2)).tanh())


def test_joins_that_are_cut_in_different_places_are_cut_in_all_of_them(graph):
    a, b = leaf(graph), leaf(graph, "part")
    total = graph.concat([a, graph.slice(b, 0, 2)]) + graph.concat([graph.slice(a, 0, 2), b])
    assert [piece.width for piece in total.inputs] == [2, 2, 2]
    assert total.width == 6


def test_a_single_number_serves_every_piece(graph):
    a, b, single = leaf(graph), leaf(graph, "part"), leaf(graph, "vector", 1)
    assert (graph.concat([a, b]) + single).inputs == (a + single, b + single)


def test_neighbours_in_one_leaf_are_joined_to_one_slice(graph):
    a = leaf(graph, width=6)
    assert graph.concat([graph.slice(a, 0, 2), graph.slice(a, 2, 4)]) is a
    assert graph.concat([graph.slice(a, 2, 4), graph.slice(a, 0, 2)]).op == "concat"


def test_joins_of_joins_are_flat_and_cuts_of_them_are_of_their_pieces(graph):
    a, b, c = leaf(graph), leaf(graph, "part"), leaf(graph, "vector")
    joined = graph.concat([graph.concat([a, b]), c])
    assert joined.inputs == (a, b, c)
    assert graph.slice(joined, 4, 4) is b
    assert graph.slice(joined, 2, 4).inputs == (graph.slice(a, 2, 2), graph.slice(b, 0, 2))


def test_what_changes_nothing_is_left_out(graph):
    a = leaf(graph)
    assert a + 0 is a
    assert a - 0 is a
    assert a * 1 is a
    assert a / 1 is a
    assert a.neg().neg() is a
    assert 0 - a is -a
    assert (a * 0).op == "mul"  # 0 times infinity is not 0
    assert (1 / a).op == "div"


def test_sums_of_joins_and_of_repeated_numbers(graph):
    a, b, single = leaf(graph), leaf(graph, "part"), leaf(graph, "vector", 1)
    narrow = leaf(graph, "part", 3)
    assert graph.sum(graph.concat([a, b]), 8) is graph.sum(a + b, 4)  # one loop along the row
    assert graph.sum(graph.concat([a, narrow, b]), 11) is graph.sum(a + b, 4) + graph.sum(narrow, 3)
    assert graph.sum(graph.expand(single, 4), 4) is single * graph.size(4)
    assert graph.sum(single, 5) is single * graph.size(5)
    assert graph.sum(single, 1) is single
    assert graph.sum(-a, 4) is -graph.sum(a, 4)
    assert graph.sum(a * single, 4) is graph.sum(a, 4) * single
    assert graph.sum(-(b * graph.expand(single, 4)), 4) is -(graph.sum(b, 4) * single)
    assert graph.sum(a * b, 4).op == "sum"
    assert graph.max(graph.concat([a, b])) is graph.max(a).maximum(graph.max(b))
    assert graph.min(graph.concat([a, b])) is graph.min(a).minimum(graph.min(b))


def test_once_gradients_are_taken_stop_means_nothing(graph):
    a, b = leaf(graph), leaf(graph, "part")
    before = (a.stop() + b).tanh()
    assert graph.rebuilt([before])[before] is (a + b).tanh()


def test_needed_lists_operands_first_and_each_once(graph):
    a, b = leaf(graph), leaf(graph, "part")
    total = a + b
    result = total.tanh() * total
    aside = a.exp()
    found = needed([result, total])
    assert len(found) == len(set(found)) == 5
    assert aside not in found
    assert all(found.index(operand) < found.index(node) for node in found for operand in node.inputs)


def test_needed_stops_where_it_is_told(graph):
    a = leaf(graph)
    middle = a.tanh()
    result = middle.exp()
    assert needed([result], stop=[middle]) == [middle, result]


def test_needed_is_not_deep(graph):
    node = leaf(graph)
    for _ in range(5000):
        node = node.tanh()
    assert len(needed([node])) == 5001


def test_text(graph):
    a, matrix = leaf(graph), 3
    result = (graph.product(a, matrix, 4) * 0.5 + graph.slice(leaf(graph, "part", 6), 1, 4)) / graph.size(4, -1)
    assert text(needed([result]), {result: "output"}) == "\n".join(
        [
            "    %0: 4 = state(0)",
            "    %1: 4 = product(%0, 3, False)",
            "    %3: 4 = mul(%1, 0.5)",
            "    %4: 6 = part(0)",
            "    %5: 4 = slice(%4, 1)",
            "    %6: 4 = add(%3, %5)",
            "    %8: 4 = div(%6, 4-1)  # output",
        ]
    )


def test_a_node_knows_the_operations_and_nothing_else(graph):
    a = leaf(graph)
    assert {a.erf().op, a.atan2(a).op, a.where(a, a).op} <= set(OPERATIONS)
    with pytest.raises(AttributeError, match="no_such"):
        a.no_such  # noqa: B018
