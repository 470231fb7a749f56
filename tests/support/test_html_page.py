"""Pages of HTML: their style stays with them, and what is text stays text."""

import re

from rnnkit.support.html_page import STYLE, details, fragment, listing, page, paragraph, picture, table

from ..html_reader import Reader


def test_dark_and_light_and_narrow():
    assert "prefers-color-scheme: dark" in STYLE
    assert "max-width: 700px" in STYLE
    assert [line for line in re.findall(r"^\.[^{]*{", STYLE, re.MULTILINE) if not line.startswith(".rnnkit")] == []


def test_what_users_name_is_escaped():
    text = page("<b> & co", [table(["a<b", '"c"'], [["<script>", "&amp;"]], ["a<b"])])
    read = Reader(text)
    assert read.text("h1") == ["<b> & co"]
    assert read.text("td") == ["<script>", "&amp;"]
    assert [attributes["data-label"] for tag, attributes in read.attributes if tag == "td"] == ["a<b", '"c"']


def test_nothing_to_list_is_nothing():
    assert listing([]) == ""
    assert page("a", [listing([]), ""]) == page("a", [])


def test_every_part_is_closed():
    parts = [paragraph("a", faint=True), listing(["b"]), details("c", "d"), picture("<svg></svg>", "e", "<svg></svg>")]
    for text in (page("f", parts), fragment(parts)):
        read = Reader(text)
        assert (read.text("li"), read.text("pre"), read.text("figcaption")) == (["b"], ["d"], ["e"])
