"""The gallery shows what its table says, by commands that there are; its pictures fit into a page."""

import re
import shlex
import shutil
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import click
import gallery
import narrow
import pytest
from gallery_table import HOME, PICTURES, SECTIONS
from inline_svg import inlined

from rnnkit.cli import main

DOCS = Path(__file__).parents[2] / "docs"
LARGEST = 60_000
TITLE = "{http://www.w3.org/2000/svg}title"
INLINE = sorted([*DOCS.glob("assets/gallery/*.svg"), *DOCS.glob("assets/bench-*.svg")])
QUICK = [picture for picture in PICTURES.values() if not picture.slow]
SLOW = [picture for picture in PICTURES.values() if picture.slow]

every_picture = pytest.mark.parametrize("picture", PICTURES.values(), ids=lambda picture: picture.name)


def stored(picture):
    return (gallery.FOLDER / f"{picture.name}.svg").read_text(encoding="utf-8")


def test_the_page_is_that_of_the_table():
    assert gallery.PAGE.read_text(encoding="utf-8") == gallery.page(), "write it again: python tools/gallery.py --page"


def test_every_picture_is_in_the_table_once_and_has_a_file():
    assert len(PICTURES) == sum(map(len, SECTIONS.values()))
    assert {path.stem for path in gallery.FOLDER.iterdir()} == set(PICTURES)


@every_picture
def test_every_picture_is_made_by_commands_or_python(picture):
    assert bool(picture.commands) != bool(picture.python)
    assert bool(picture.commands) == bool(picture.file)
    group = click.Context(main, **main.context_settings)
    for command in picture.commands:
        program, name, *words = shlex.split(command)
        assert program == "rnnkit"
        main.commands[name].make_context(name, list(words), parent=group)
        lines = gallery.folded(command)
        assert shlex.split(lines.replace("\\\n", "")) == [program, name, *words]
        assert max(map(len, lines.splitlines())) <= gallery.COLUMNS + 6


@every_picture
def test_every_picture_says_what_is_to_be_seen(picture):
    assert len(picture.alt) > 30
    assert picture.caption.endswith(".")
    root = ElementTree.fromstring(stored(picture))
    assert root.find(TITLE).text == picture.alt
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == root.find(TITLE).get("id")


@pytest.mark.parametrize("path", INLINE, ids=lambda path: path.stem)
def test_pictures_in_a_page_are_small_and_take_its_colours(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.encode()) < LARGEST
    assert "currentColor" in text
    assert re.findall(r"#000000|#ffffff|black|white|<style|https?://(?!www\.w3\.org/)", text) == []
    assert ElementTree.fromstring(text).find(TITLE).text
    assert "\n\n" not in text  # would end a block of HTML in markdown


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.stem)
def test_no_two_pictures_of_a_page_share_an_id(page):
    """Pictures that are the same to the bit may: then it does not matter which of them is meant."""
    included = re.findall(r'^--8<-- "(assets/(?:gallery/|bench-).+\.svg)"$', page.read_text(encoding="utf-8"), re.M)
    ids = Counter(i for name in included for i in re.findall(r'\bid="([^"]*)"', (DOCS / name).read_text()))
    assert [name for name, count in ids.items() if count > 1] == []


@pytest.mark.one_in(2)
@pytest.mark.parametrize("picture", QUICK, ids=lambda picture: picture.name)
def test_the_command_draws_the_picture(picture, tmp_path):
    redrawn = gallery.Studio(tmp_path).draw(picture)
    assert shape(redrawn) == shape(stored(picture)), f"draw it again: python tools/gallery.py --only {picture.name}"
    assert points(redrawn) == pytest.approx(points(stored(picture)), abs=0.5)  # half a point of the picture


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_long_commands_draw_theirs(tmp_path):
    studio = gallery.Studio(tmp_path)
    for picture in SLOW:
        redrawn = studio.draw(picture)
        if not picture.timed:
            assert shape(redrawn) == shape(stored(picture)), picture.name


def points(svg):
    """Return all numbers of its lines."""
    return [float(number) for path in re.findall(r' d="([^"]*)"', svg) for number in re.findall(r"-?[\d.]+", path)]


def shape(svg):
    """Return the tags of a picture, and its words: what another processor's last bits do not change."""
    return Counter(re.findall(r"<(\w+)", svg)), [
        word for word in re.findall(r">([^<>]+)</text>", svg) if word.isalpha()
    ]


def test_the_home_page_and_the_readme_begin_alike():
    home, readme = ((DOCS / name).resolve().read_text(encoding="utf-8") for name in ("index.md", "../README.md"))
    cell = (DOCS / "examples" / "leaky.py").read_text(encoding="utf-8")
    assert cell in readme
    assert home.index(cell) < home.index(f'--8<-- "assets/gallery/{HOME.name}.svg"')
    promise = home.split("\n\n")[2].split("\n{")[0]
    assert promise.startswith("**Write")
    assert f"\n\n{promise}\n\n" in readme


DRAWN = """<?xml version="1.0"?><svg viewBox="0 0 100.123 50" width="9pt"><metadata>x</metadata><style>*{}</style>
 <g id="figure_1"><defs><path id="m1" d="M 1.2345 -0.0001
L 2 3"/></defs><use xlink:href="#m1" x="3.14159" style="stroke: #000000; opacity: 0.25"/>

<g clip-path="url(#m12)"><text>0.12345</text></g><clipPath id="m12"/></g></svg>"""


def test_a_picture_for_a_page_keeps_what_is_read_and_shortens_the_rest():
    svg = inlined(DRAWN, "one", "a <picture>")
    assert '<title id="one-title">a &lt;picture&gt;</title>' in svg
    assert 'd="M 1.2 0 L 2 3"' in svg
    assert 'x="3.1"' in svg
    assert "0.12345" in svg
    assert "stroke:currentColor;opacity:0.25" in svg
    assert set(re.findall(r'id="([^"]*)"', svg)) == {"one-title", "one-0", "one-1"}
    assert 'href="#one-0"' in svg
    assert "url(#one-1)" in svg
    assert "figure_1" not in svg
    ElementTree.fromstring(svg)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no chromium")
def test_what_is_too_wide_for_a_telephone_is_seen(tmp_path):
    for name, width in {"wide": 600, "narrow": 200}.items():
        box = f'<div class="md-content"><div style="width:{width}px">x</div></div>'
        (tmp_path / f"{name}.html").write_text(f"<html><body style='margin:0'>{box}</body></html>")
    wide = narrow.too_wide(tmp_path)
    assert list(wide) == ["wide.html"]
    assert wide["wide.html"][0] == 600
