"""Colours that can be told apart on every page, and SVG that fits into one."""

from itertools import combinations
from xml.etree import ElementTree

import numpy as np
import pytest

from rnnkit.support.figures import COLOURS, black_on_nothing, line_style, new_axes, svg_of

BACKGROUNDS = ["#ffffff", "#1e1e1e"]
# Machado, Oliveira & Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency", 2009, whole.
SEEN_BY = {
    "all": np.eye(3),
    "protanopes": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopes": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}


def linear(colour):
    values = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def luminance(colour):
    return linear(colour) @ [0.2126, 0.7152, 0.0722]


def lab(rgb):
    """Return CIE L*a*b* of linear sRGB."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = np.cbrt(np.clip(to_xyz @ rgb / [0.9505, 1, 1.089], 0.008856, None))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("background", BACKGROUNDS)
def test_lines_stand_out_from_white_and_from_dark_pages(colour, background):
    light, dark = sorted((luminance(colour), luminance(background)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 3  # what WCAG 2.2 asks of graphics


@pytest.mark.parametrize("eyes", SEEN_BY)
def test_the_first_four_colours_are_told_apart_by_everyone(eyes):
    seen = [lab(np.clip(np.array(SEEN_BY[eyes]) @ linear(colour), 0, 1)) for colour in COLOURS[:4]]
    assert min(float(np.linalg.norm(a - b)) for a, b in combinations(seen, 2)) > 15


def test_no_two_of_24_lines_are_alike():
    assert len({tuple(line_style(k).values()) for k in range(24)}) == 24


def drawn():
    with black_on_nothing():
        axes = new_axes("a test")
        axes.plot([1, 3, 2], label="a < b")
        axes.set_xlabel("steps & more")
        axes.legend()
        return svg_of(axes.figure, 'what "it" shows < here')


def test_svg_is_one_element_with_a_title_and_text_that_takes_the_colour_of_the_page():
    text = drawn()
    root = ElementTree.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root[0].text == 'what "it" shows < here'
    assert root.get("fill") == "currentColor"
    words = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"steps & more", "a < b"} <= set(words)
    assert "#000000" not in text
    assert "#ffffff" not in text
    assert "stroke: currentColor" in text


def test_svg_fetches_nothing_and_says_nothing_of_others():
    text = drawn()
    assert 'href="http' not in text
    assert "<style" not in text
    assert "metadata" not in text
    assert text.count("http") == 2  # the two namespaces


def test_a_picture_is_the_same_each_time():
    assert drawn() == drawn()
