"""The catalogue's pages are what tools/catalogue.py writes, and say of each cell what it needs."""

import re

import catalogue
import compared
import pytest
from flow_picture import BOTTOM, LEFT, LOWEST, RIGHT, TOP, flow_picture
from formulas import katex

import rnnkit

from .test_equations import PEERS

PAGES = catalogue.pages()


def test_every_cell_has_a_page_as_it_is_written_now():
    """Write them anew: python tools/catalogue.py."""
    there = {*(catalogue.DOCS / "catalogue").iterdir(), catalogue.TABLE}
    assert there == PAGES.keys()
    assert [path.name for path, text in PAGES.items() if path.read_text(encoding="utf-8") != text] == []


@pytest.mark.parametrize("name", catalogue.CELLS)
def test_a_page_has_equation_paper_and_figures(name):
    text = PAGES[catalogue.DOCS / "catalogue" / f"{name}.md"]
    for needed in (
        "begin{aligned}",
        "| Paper | ",
        "| Parameters | ",
        "| Initialisation | ",
        "| Gradients | ",
        "**What differs.** ",
        "**When to use it.** ",
        "<polyline",
    ):
        assert needed in text


def test_what_was_compared_with_torchrecurrent_is_what_is_tested():
    assert {name for name, peer in PEERS.items() if not peer.differs} == set(compared.SAME)
    assert {name for name, peer in PEERS.items() if peer.differs} == set(compared.OTHER)
    assert set(catalogue.CELLS) >= compared.COMPARED.keys()


def valued(formula, sizes):
    """Return a polynomial such as "2DH - H + 3" at sizes of D and H."""
    value = 0
    for term in formula.replace("- ", "-").replace("+ ", "").split():
        number = re.match(r"-?\d*", term)[0]
        factor = {"": 1, "-": -1}.get(number) or float(number)
        d, h = sizes
        value += (
            factor
            * {"H^3": h**3, "DH^2": d * h * h, "DH": d * h, "H^2": h * h, "D^2": d * d, "H": h, "D": d, "": 1}[
                term[len(number) :]
            ]
        )
    return value


@pytest.mark.parametrize("name", catalogue.CELLS)
def test_the_formula_counts_the_parameters_of_other_sizes(name):
    formula, sizes = catalogue.formula(catalogue.card(name)), (24, 96)
    assert valued(formula, sizes) == sum(p.numel() for p in rnnkit.cells[name](*sizes).parameters())


@pytest.mark.one_in(6)
@pytest.mark.parametrize("name", catalogue.CELLS)
def test_what_is_proven_of_the_state_is_what_the_page_has(name):
    """Prove it anew: python tools/catalogue.py structure."""
    known = catalogue.card(name).measured
    assert catalogue.proven(name) == {key: known[key] for key in ("structure", "linear")}


def test_equations_become_formulas():
    drawn = katex("i~ = √(1 + b_if) ⊙ tanh(W_n x)    of the last state\nh_j = n_j where t is a multiple of 2,  y = h'")
    assert drawn.splitlines() == [
        r"\[",
        r"\begin{aligned}",
        r"\tilde{i} &= \sqrt{1 + b_{\mathrm{if}}} \odot  \tanh (W_{n} x) \\",
        r"h_{j} &= n_{j} \text{ where } t \text{ is a multiple of } 2, y = h'",
        r"\end{aligned}",
        r"\]",
        "",
        r"- \(\tilde{i}\): of the last state",
    ]


def line_of(picture):
    """Return the points of a picture's line."""
    (points,) = re.findall(r'<polyline points="([^"]*)"', picture)
    return [tuple(map(float, point.split(","))) for point in points.split()]


def test_a_picture_of_gradient_flow_has_axes_with_words_and_marks():
    picture = flow_picture([2.0 * 0.1**k for k in range(13)], "halves & halves")
    assert 'aria-label="halves &amp; halves"' in picture
    words = re.sub(r"<[^>]+>", " ", re.sub(r"<tspan[^>]*>([^<]*)</tspan>", r"^\1", picture))
    assert words.split() == [
        "10^−12",
        "10^−9",
        "10^−6",
        "10^−3",
        "1",
        "10^3",
        "gradient",
        "left",
        "0",
        "10",
        "steps",
        "back",
    ]
    line = line_of(picture)
    assert (line[0][0], line[-1]) == (LEFT, (RIGHT, BOTTOM))  # a tenth each step: the twelfth at the lowest mark
    one = re.search(r'd="M58 ([\d.]+)H332" stroke="currentColor" stroke-opacity="0.6"', picture)
    assert one is not None
    assert line[0][1] == float(one[1])


def test_what_is_beyond_the_marks_leaves_the_picture():
    heights = [y for _, y in line_of(flow_picture([1.0, 10.0 ** (LOWEST - 1), 0.0, 1e9], ""))]
    assert BOTTOM < heights[1] < heights[2]
    assert heights[3] < TOP
    assert len(line_of(flow_picture([0.0, 0.0], ""))) == 2
