"""Contractions keep a normal form, mean what torch's einsum means, and so does their derivative."""

from random import Random

import pytest
import torch

from rnnkit_compiler.ir.contraction import Term, einsum, equation_of, extreme, gradients, multiplied
from rnnkit_compiler.ir.equation import letter, parse, refined
from rnnkit_compiler.ir.graph import Graph, needed
from rnnkit_compiler.ir.kinds import CONTRACTIONS

from .evaluation import evaluate

H, I, J, K = range(4)  # noqa: E741
SIZES = {H: 2, I: 3, J: 4, K: 5}


@pytest.fixture
def graph():
    return Graph()


def leaf(graph, axes, number=0, sizes=SIZES):
    width = 1
    for axis in axes:
        width *= sizes[axis]
    return graph.make("state", (), width, number)


def term(graph, axes, number=0):
    return Term(leaf(graph, axes, number), axes)


def written(node):
    return node.op, node.attr[0] if node.op in CONTRACTIONS else None


def test_an_equation_is_in_one_form_whatever_asked_for_it(graph):
    scores = einsum([term(graph, (H, I, K)), term(graph, (H, K, J), 1)], (H, I, J), SIZES)
    assert written(scores) == ("einsum", "abc,acd->abd")
    assert scores.attr[1] == (2, 3, 5, 4)
    with_ones = {**SIZES, 7: 1}
    assert einsum([Term(scores.inputs[0], (7, H, I, K)), term(graph, (H, K, J), 1)], (H, I, 7, J), with_ones) is scores


def test_axes_that_stay_together_are_one(graph):
    turned = einsum([term(graph, (H, I, J))], (J, H, I), SIZES)
    assert written(turned) == ("einsum", "ab->ba")
    assert turned.attr[1] == (6, 4)


def test_what_a_simpler_node_does_is_left_to_it(graph):
    a, b = leaf(graph, (I, J)), leaf(graph, (I, J), 1)
    assert einsum([Term(a, (I, J))], (I, J), SIZES) is a
    assert einsum([Term(a, (I, J))], (), SIZES) is graph.sum(a, 12)
    assert einsum([Term(a, (I, J)), Term(b, (I, J))], (I, J), SIZES) is a * b
    assert einsum([Term(a, (I, J)), Term(b, (I, J))], (), SIZES) is graph.sum(a * b, 12)
    assert extreme("amax", Term(a, (I, J)), (), SIZES) is graph.max(a)
    assert extreme("amin", Term(a, (I, J)), (I, J), SIZES) is a


def test_a_single_number_is_a_factor(graph):
    one, a = graph.make("vector", (), 1, 0), leaf(graph, (I,))
    assert einsum([Term(one, ())], (I, J), SIZES) is one
    assert einsum([Term(one, (I,)), Term(a, (I,))], (I,), SIZES) is a * one
    assert einsum([Term(graph.expand(one, 12), (I, J))], (I,), SIZES) is one * graph.size(4)


def test_views_of_views_are_read_through(graph):
    a, b = leaf(graph, (I, J)), leaf(graph, (J, K), 1)
    turned = einsum([Term(a, (I, J))], (J, I), SIZES)
    assert einsum([Term(turned, (J, I))], (I, J), SIZES) is a
    product = einsum([Term(turned, (J, I)), Term(b, (J, K))], (I, K), SIZES)
    assert product.inputs == (a, b)
    assert written(product) == ("einsum", "ab,bc->ac")
    repeated = einsum([Term(a, (I, J))], (I, H, J), SIZES)
    assert einsum([Term(repeated, (I, H, J))], (I, J), SIZES) is a * graph.size(2)


def test_an_outer_product_is_no_product_of_what_is_repeated(graph):
    a, b = leaf(graph, (I,)), leaf(graph, (J,), 1)
    rows, columns = (einsum([Term(x, (axis,))], (I, J), SIZES) for x, axis in ((a, I), (b, J)))
    outer = multiplied(rows, columns)
    assert written(outer) == ("einsum", "a,b->ab")
    assert outer.inputs == (a, b)
    whole = leaf(graph, (I, J), 2)
    assert multiplied(rows, whole).op == "mul"
    assert written(einsum([Term(rows * whole, (I, J))], (J,), SIZES)) == ("einsum", "a,ab->b")


def test_sizes_that_both_lists_are_made_of():
    assert refined([6, 4], [2, 12]) == [2, 3, 4]
    assert refined([2, 3], [3, 2]) is None
    assert refined([5], [5]) == [5]
    assert refined([], []) == []


def drawn(random):
    """Draw a sum: terms over leaves and views of leaves, the axes of the result, sizes."""
    graph, leaves = Graph(), []
    sizes = {axis: random.choice([1, 2, 3, 4, 6]) for axis in range(random.randint(1, 4))}

    def some():
        axes = [axis for axis in sizes if random.random() < 0.6]
        random.shuffle(axes)
        return tuple(axes)

    def source(width):
        if random.random() < 0.5:
            leaves.append(graph.make("state", (), width, len(leaves)))
            return leaves[-1]
        factors, rest = [], width
        for factor in (2, 3, 2):
            if rest % factor == 0:
                factors, rest = [*factors, factor], rest // factor
        cut = dict(enumerate([*factors, rest]))
        order = random.sample(list(cut), len(cut))
        own = tuple(axis for axis in order if random.random() < 0.8)
        leaves.append(leaf(graph, own, len(leaves), cut))
        view = graph.expand(einsum([Term(leaves[-1], own)], tuple(cut), cut), width)
        return view * source(width) if random.random() < 0.3 else view

    terms = []
    for axes in [some() for _ in range(random.randint(1, 2))]:
        terms.append(Term(source(leaf(Graph(), axes, 0, sizes).width), axes))
    return terms, some(), sizes, leaves


def by_torch(terms, result, sizes, values):
    """Return the same sum by torch's einsum."""
    operands = [evaluate(node, values).expand(node.width).view([sizes[a] for a in axes]) for node, axes in terms]
    axes = [axes for _, axes in terms]
    repeated = [axis for axis in result if not any(axis in own for own in axes)]
    operands += [torch.ones(sizes[axis]).double() for axis in repeated]
    words = ["".join(map(letter, own)) for own in (*axes, *((axis,) for axis in repeated))]
    return torch.einsum(f"{','.join(words)}->{''.join(map(letter, result))}", *operands).reshape(-1)


@pytest.mark.parametrize("seed", range(5))
def test_it_means_what_torchs_einsum_means(seed):
    random = Random(seed)
    torch.manual_seed(seed)
    for _ in range(60):
        terms, result, sizes, leaves = drawn(random)
        values = {node: torch.randn(node.width).double() for node in leaves}
        node = einsum(terms, result, sizes)
        expected = by_torch(terms, result, sizes, values)
        torch.testing.assert_close(evaluate(node, values).expand(len(expected)), expected)
        for made in needed([node]):
            if made.op in CONTRACTIONS:
                assert equation_of(made) == equation_of(made).normal()
                assert all(operand.width > 1 for operand in made.inputs)


@pytest.mark.parametrize("equation", ["ab->ba", "ab->a", "a->ab", "abc,acd->abd", "a,b->ab", "ab,b->a", "abc->bc"])
def test_its_derivative_is_that_of_torch(graph, equation):
    parsed = parse(equation, [3, 4, 2, 5])
    operands = [leaf(graph, axes, k, parsed.sizes) for k, axes in enumerate(parsed.operands)]
    node = graph.make("einsum", operands, parsed.width, equation, (3, 4, 2, 5)[: len(parsed.sizes)])
    check_derivative(graph, node, operands)


@pytest.mark.parametrize("op", ["amax", "amin"])
def test_equal_ones_share_the_gradient_of_the_largest(graph, op):
    a = leaf(graph, (H, I, J))
    node = extreme(op, Term(a, (H, I, J)), (H, J), SIZES)
    check_derivative(graph, node, [a], lambda x: (2 * x).round())


def check_derivative(graph, node, operands, prepare=lambda x: x):
    torch.manual_seed(0)
    incoming = graph.make("grad_y", (), node.width)
    values = {x: prepare(torch.randn(x.width).double()).requires_grad_() for x in (*operands, incoming)}
    found = [evaluate(g, values).expand(x.width) for g, x in zip(gradients(node, incoming), operands, strict=True)]
    total = (evaluate(node, values) * values[incoming].detach()).sum()
    torch.testing.assert_close(found, list(torch.autograd.grad(total, [values[x] for x in operands])))
