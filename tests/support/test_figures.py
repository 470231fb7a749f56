"""Colours that can be told apart on every page, and SVG that fits into one."""

from itertools import combinations
from xml.etree import ElementTree

import numpy as np
import pytest

from rnnkit.support.figures import COLOURS, black_on_nothing, legend_below, line_style, new_axes, svg_of

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


def drawn(names):
    with black_on_nothing():
        axes = new_axes("a test")
        for name in names:
            axes.plot([1, 3, 2], label=name)
        legend_below(axes)
        return axes.figure


def test_svg_fetches_nothing_and_styles_nothing_but_itself():
    text = svg_of(drawn(["one", "two"]), "lines")
    root = ElementTree.fromstring(text)
    assert root[0].text == "lines"
    assert text.count("http") == 2  # the two namespaces
    assert "<style" not in text
    assert "metadata" not in text
    assert "\n\n" not in text
    groups = [element for element in root.iter() if element.tag.endswith("}g")]
    assert groups
    assert not any("id" in group.attrib for group in groups)


@pytest.mark.parametrize("names", [["a"], ["a", "b", "c"], [f"h_l{k}_reverse" for k in range(9)], ["wide " * 8] * 3])
def test_a_legend_is_below_the_axes_and_within_the_picture(names):
    figure = drawn(names)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    legend, frame, whole = (part.get_window_extent() for part in (axes.get_legend(), axes, figure))
    assert legend.y1 < frame.y0
    assert legend.y0 >= whole.y0 - 1
    assert legend.x0 >= whole.x0
    assert legend.x1 <= whole.x1
    assert frame.width > 0.7 * whole.width


def test_a_picture_is_in_black_whatever_style_the_user_has_set():
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcParams.update({"text.color": "white", "axes.edgecolor": "white"})
        text = svg_of(drawn(["a"]), "a")
        assert matplotlib.rcParams["text.color"] == "white"
    assert "currentColor" in text
    assert "#ffffff" not in text
