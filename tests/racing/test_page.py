"""The page of a race: it stands alone, says all in words, and is drawn for wide and narrow screens."""

import re

import numpy as np
import pytest

from rnnkit.racing import curves, tables

from ..html_reader import Reader


@pytest.fixture(scope="module")
def drawn():
    """Keep what one test has drawn for the others: drawing takes a second."""
    return {}


@pytest.fixture
def result(told_race):
    tuning = {cell: {0.01: [0.2], 0.1: [0.3]} for cell in ("lstm", "gru", "rnn")}
    figures = {"lstm": [0.1, 0.2, None], "gru": [0.01, 0.02, 0.03], "rnn": [None, None, None]}
    return told_race(figures, tuning, (0.01, 0.1), target=0.15)


@pytest.fixture
def html(result, drawn):
    if "html" not in drawn:
        drawn["html"] = result.to_html()
    return drawn["html"]


def test_it_is_well_formed_and_says_what_the_leaderboard_says(html, result):
    read = Reader(html)
    assert html.startswith("<!DOCTYPE html>")
    assert read.text("h1") == ["lstm, gru, rnn on adding"]
    for row in [*tables.places(result).rows, *tables.costs(result).rows, *tables.tuning(result).rows]:
        assert [cell for cell in row if cell and cell not in read.text("td")] == []
    for note in result.notes():
        assert note in read.text("li")
    assert "How soon validation MSE 0.15 is reached" in read.text("h2")


def test_it_fetches_nothing(html):
    links = {value for _, attributes in Reader(html).attributes for value in attributes.values() if value}
    outside = {
        value for value in links if re.search(r"(https?:)?//", value) and not value.startswith("http://www.w3.org")
    }
    assert outside == set()
    assert "@import" not in html
    assert "url(http" not in html
    assert not [tag for tag, _ in Reader(html).attributes if tag in ("script", "link", "img", "iframe")]


def test_pictures_say_what_they_show_and_take_the_colours_of_the_page(html, result):
    pictures = [attributes for tag, attributes in Reader(html).attributes if tag == "svg"]
    assert len(pictures) == 2  # for a wide screen, and for a narrow one
    assert all(picture["role"] == "img" and picture["fill"] == "currentColor" for picture in pictures)
    titles = [text for text in Reader(html).text("title") if text.startswith("Validation MSE")]
    assert titles == [curves.alt(result), f"{curves.alt(result)}; three panels"]
    drawings = "".join(re.findall(r"<svg.*?</svg>", html, re.DOTALL))
    assert "#000000" not in drawings
    assert "#ffffff" not in drawings
    for word in (
        "updates",
        "tokens",
        "seconds of training",
        "validation MSE",
        "lstm (hidden 16)",
        "predicting 1 (0.167)",
    ):
        assert f">{word}</text>" in drawings


def test_names_of_parts_in_the_two_pictures_differ(html):
    """A page has each name once, or one picture would be clipped by what belongs to the other."""
    names = re.findall(r'<clipPath id="([^"]+)"', html)
    assert len(names) == len(set(names)) == 6


def test_a_notebook_gets_the_leaderboard_without_touching_what_is_around_it(result, monkeypatch):
    monkeypatch.setattr("rnnkit.racing.page.find_spec", lambda name: None)
    shown = result._repr_html_()
    read = Reader(shown)
    assert read.attributes[0][0] == "style"
    assert "gru" in read.text("td")
    assert "<html" not in shown
    assert "There is no picture, which needs the extra plot" in shown


@pytest.mark.parametrize(
    ("figures", "baselines", "scale"),
    [
        ({"lstm": [0.9, 0.8], "gru": [0.5, 0.4]}, {}, "linear"),
        ({"lstm": [0.001, 0.8], "gru": [0.5, 0.4]}, {}, "log"),
        ({"lstm": [0.9, 0.8], "gru": [0.5, 0.4]}, {"perfect": 0.0}, "linear"),
        ({"lstm": [0.9, 0.8], "gru": [0.5, 0.4]}, {"perfect": 0.001}, "log"),
        ({"lstm": [None, None], "gru": [None, None]}, {}, "linear"),
    ],
)
def test_the_axis_is_logarithmic_where_figures_span_decades(told_race, figures, baselines, scale):
    figure = told_race(figures, baselines=baselines).plot()
    assert [panel.get_yscale() for panel in figure.axes] == [scale] * 3


def test_the_line_is_the_median_and_the_band_the_range(told_race):
    result = told_race({"lstm": [0.1, 0.4, 0.2], "gru": [0.5, 0.6, None]}, baselines={})
    panel = result.plot().axes[0]
    lstm, gru, cross = panel.get_lines()
    assert list(lstm.get_xdata()) == [0, 2, 4]
    assert list(lstm.get_ydata()) == pytest.approx([1, 0.6, 0.2])
    assert list(gru.get_ydata()) == pytest.approx([1, 0.8, 0.55])  # of the two that go on
    assert (list(cross.get_xdata()), cross.get_marker()) == ([2], "x")
    band = panel.collections[0].get_paths()[0].vertices
    assert (band[band[:, 0] == 4][:, 1].min(), band[band[:, 0] == 4][:, 1].max()) == pytest.approx((0.1, 0.4))


def test_labels_of_baselines_that_are_near_each_other_do_not_overlap(told_race):
    levels = {f"level {k}": 0.5 + k / 1000 for k in range(4)}
    panel = told_race({"lstm": [0.9, 0.1], "gru": [0.5, 0.4]}, baselines=levels).plot().axes[2]
    heights = sorted(text.get_position()[1] for text in panel.texts)
    assert len(heights) == 4
    assert np.diff(heights).min() >= 0.06


@pytest.mark.parametrize("count", [2, 9, 11])
def test_each_cell_has_a_colour_of_its_own(told_race, count):
    cells = ["lstm", "gru", *(f"zoneout(gru, rate=0.{k})" for k in range(1, count - 1))]
    lines = told_race({cell: [0.5] for cell in cells}, baselines={}).plot().axes[0].get_lines()
    assert len({str(line.get_color()) for line in lines}) == len(lines) == count


@pytest.mark.parametrize("panel", range(3))
def test_an_axis_counts_thousands_only_where_there_are_some(told_race, panel):
    """Half a second is 0.5, and not 500m."""
    figure = curves.draw(told_race({"lstm": [0.1, 0.2], "gru": [0.2, 0.3]}))
    figure.canvas.draw()
    labels = [label.get_text() for label in figure.axes[panel].get_xticklabels()]
    assert not any(label.endswith("m") for label in labels), labels
