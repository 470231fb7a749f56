"""The pictures of the tutorials stand on their pages, are small, say what they show and take the page's colours."""

import json
import re
from pathlib import Path

import pytest
import tutorial_measurements
import tutorial_pictures

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "assets" / "tutorials"
PICTURES = sorted(FOLDER.glob("*.svg"))
SNIPPET = re.compile(r'^--8<-- "(assets/tutorials/.+)"$', re.MULTILINE)
SHOWN = {page.name: SNIPPET.findall(page.read_text(encoding="utf-8")) for page in sorted((ROOT / "docs").glob("*.md"))}

every_picture = pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)


@every_picture
def test_a_picture_is_small_says_what_it_shows_and_has_no_colour_of_its_own_for_text(path):
    svg = path.read_text(encoding="utf-8")
    assert len(svg) < 60_000
    assert len(re.search(r'aria-label="([^"]*)"', svg)[1]) > 40
    assert "<title>" in svg
    assert "currentColor" in svg
    assert not re.search(r"#000000|(?:href|url\()[=\"(]*https?:", svg)


@every_picture
def test_every_reference_within_a_picture_leads_to_an_id_of_it(path):
    svg = path.read_text(encoding="utf-8")
    ids = re.findall(r'\bid="([^"]+)"', svg)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg)) <= set(ids)


@pytest.mark.parametrize("page", [page for page, files in SHOWN.items() if files])
def test_no_id_is_twice_on_a_page(page):
    svgs = [(ROOT / "docs" / name).read_text(encoding="utf-8") for name in SHOWN[page] if name.endswith(".svg")]
    ids = re.findall(r'\bid="([^"]+)"', "".join(svgs))
    assert ids
    assert len(ids) == len(set(ids))


def test_every_picture_is_drawn_by_a_function_and_stands_on_a_page():
    drawn = [picture.__name__.replace("_", "-") for picture in tutorial_pictures.PICTURES]
    assert sorted(drawn) == [path.stem for path in PICTURES]
    shown = [name for files in SHOWN.values() for name in files if name.endswith(".svg")]
    assert sorted(shown) == [f"assets/tutorials/{path.name}" for path in PICTURES]


def test_what_was_measured_is_what_the_pages_say_is_run():
    commands = {"write-a-cell.md": tutorial_measurements.RACE, "gradient-flow.md": tutorial_measurements.WATCHED}
    for page, command in commands.items():
        text = (ROOT / "docs" / page).read_text(encoding="utf-8")
        assert f"$ rnnkit {command}\n".replace(" --quiet", "") in text
    assert set(json.loads((FOLDER / "race.json").read_text())) == {"my_mgu", "lstm", "gru"}
