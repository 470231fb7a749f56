"""Docstrings are shown as they are written: the site's markdown swallows no character, and no section falls apart."""

import ast
import html
import inspect
import re
from collections import Counter
from functools import cache
from pathlib import Path

import griffe
import markdown
import pytest
import yaml

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*ROOT.glob("rnnkit/**/*.py"), *ROOT.glob("plugins/**/*.py")])
SWALLOWED = "*_<>~^$"
"""Characters that markdown may take for its own."""

NAMED = re.compile(r"^( *)\*{1,2}(?=\w+:)", re.MULTILINE)
"""The stars of `*args: ...` in a list of arguments, which the site sets as a name."""


@cache
def settings():
    """Return the site's settings."""
    return yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))


@cache
def converter():
    """Return the site's own markdown."""
    extensions = {}
    for extension in settings()["markdown_extensions"]:
        extensions |= extension if isinstance(extension, dict) else {extension: {}}
    extensions.pop("pymdownx.snippets")
    return markdown.Markdown(
        extensions=list(extensions), extension_configs={k: v for k, v in extensions.items() if isinstance(v, dict)}
    )


def docstrings(path):
    """Yield all that a file documents: module, classes, functions, and what stands below a name that is set."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        for child in getattr(node, "body", []) if not isinstance(node, ast.Lambda | ast.IfExp) else []:
            if (
                isinstance(child, ast.Expr)
                and isinstance(child.value, ast.Constant)
                and isinstance(child.value.value, str)
            ):
                yield child.lineno, inspect.cleandoc(child.value.value)


def shown(text):
    """Return what a reader sees of a text."""
    rendered = converter().reset().convert(text)
    return html.unescape(re.sub(r"<[^>]*>", "", rendered))


def lost(text):
    """Return what is swallowed of a text, a character as often as it is."""
    text = NAMED.sub(r"\1", text)
    before, after = (Counter(c for c in part if c in SWALLOWED) for part in (text, shown(text)))
    return dict(before - after)


def sections(package, kind):
    """Yield the sections of one kind in a package's docstrings, as the site takes them apart: where, and its items."""
    (plugin,) = (p["mkdocstrings"] for p in settings()["plugins"] if "mkdocstrings" in p)
    options = plugin["handlers"]["python"]["options"]["docstring_options"]
    module = griffe.load(
        package, search_paths=[ROOT, ROOT / "plugins"], docstring_parser="google", docstring_options=options
    )
    todo = [module]
    while todo:
        current = todo.pop()
        todo += [member for member in current.members.values() if not member.is_alias]
        for section in current.docstring.parsed if current.docstring else ():
            if section.kind.value == kind:
                yield current, section.value


PACKAGES = ["rnnkit", *sorted(path.parent.name for path in ROOT.glob("plugins/*/__init__.py"))]


def test_what_is_returned_is_one_piece():
    found = [(of, items) for package in PACKAGES for of, items in sections(package, "returns")]
    assert len(found) > 4
    for of, items in found:
        (item,) = items  # not a bullet a line
        assert str(item.annotation) == str(of.returns), of.path  # nothing before a colon was taken for a type
        assert item.description[0].isupper() or item.description.startswith("ys "), of.path


def test_what_is_raised_is_an_error_an_item():
    found = [(of, items) for package in PACKAGES for of, items in sections(package, "raises")]
    assert len(found) > 50
    odd = [
        (of.path, str(i.annotation))
        for of, items in found
        for i in items
        if not re.fullmatch(r"\(?\w+(, \w+)*\)?", str(i.annotation))
    ]
    assert odd == []


def test_no_text_is_taken_for_a_box():
    assert [of.path for package in PACKAGES for of, _ in sections(package, "admonition")] == []


@pytest.mark.parametrize(
    ("text", "swallowed"),
    [
        ("weights (G*H, D), biases (G*H,)", {"*": 2}),
        ("called initial_<name> here", {"<": 1, ">": 1}),
        ("a _word_ and a name_of_many", {"_": 2}),
        ("`initial_<name>` and `G*H` times `G*H`, 2 * 3, a < b", {}),
        ("Args:\n    *sizes: two\n    **options: others", {}),
    ],
)
def test_what_is_swallowed_is_found(text, swallowed):
    assert lost(text) == swallowed


def test_no_docstring_loses_a_character():
    found = [(str(path.relative_to(ROOT)), line, lost(text)) for path in SOURCES for line, text in docstrings(path)]
    assert len(found) > 500
    assert [(file, line, gone) for file, line, gone in found if gone] == []
