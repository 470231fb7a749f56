"""Figures as SVG within a page."""

import re

from matplotlib.figure import Figure

from rnnkit.support.figures import svg_of

from ..html_reader import Reader


def drawn():
    figure = Figure()
    axes = figure.subplots()
    axes.plot([1, 2], [3, 4], color="black")
    axes.plot([1, 2], [4, 3], color="#0072b2")
    axes.set_title("a < b")
    return figure


def test_it_stands_within_a_page_in_the_colours_of_the_page():
    text = svg_of(drawn(), 'what "it" shows: a < b')
    assert text.startswith("<svg ")
    assert text.endswith("</svg>")
    assert "#000000" not in text
    assert "#ffffff" not in text  # no ground
    assert "stroke: currentColor" in text
    assert "#0072b2" in text
    read = Reader(text)
    (picture,) = [attributes for tag, attributes in read.attributes if tag == "svg"]
    assert (picture["role"], picture["fill"]) == ("img", "currentColor")
    assert "width" not in picture  # the page says how wide
    assert read.text("title") == ['what "it" shows: a < b']
    assert "a < b" in read.text("text")  # letters, not shapes


def test_it_is_the_same_at_every_call_and_what_it_is_clipped_by_is_its_own():
    assert svg_of(drawn(), "one") == svg_of(drawn(), "one")
    first, second = (set(re.findall(r'<clipPath id="(\w+)"', svg_of(drawn(), alt))) for alt in ("one", "two"))
    assert first
    assert first.isdisjoint(second)
