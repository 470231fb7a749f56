"""The formulas of the docs: every cell has its equations, and the vendored KaTeX typesets all of them."""

import json
import re
from pathlib import Path

import rnnkit

from .browser import answer, needs_browser

DOCS = Path(__file__).parents[2] / "docs"
KATEX = DOCS / "assets" / "katex"
FORMULA = re.compile(r"\\\[(.+?)\\\]|\\\((.+?)\\\)", re.DOTALL)
TYPESET = """
const faults = {};
for (const [formula, block] of %s) {
  try { katex.renderToString(formula, {displayMode: block, throwOnError: true, strict: "error"}); }
  catch (error) { faults[formula] = String(error); }
}
return faults;
"""


def formulas(page):
    """Yield each formula of a page, and whether it stands in a block; what is code is none."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for block, inline in FORMULA.findall(re.sub(r"`[^`]*`", "", text)):
        yield block or inline, bool(block)


def test_every_cell_has_its_equations():
    page = (DOCS / "cells.md").read_text(encoding="utf-8")
    names = [name for name in rnnkit.cells if rnnkit.cells[name].__module__ == f"rnnkit_cells.{name}"]
    assert len(names) == 5
    for name in names:
        assert r"\begin{aligned}" in page.split(f"\n### {name}\n")[1].split("\n### ")[0] or name == "rnn"
        assert r"h_t " in page.split(f"\n### {name}\n")[1].split(f"::: rnnkit_cells.{name}")[0]


@needs_browser
def test_every_formula_is_typeset(tmp_path):
    found = [formula for page in sorted(DOCS.glob("**/*.md")) for formula in formulas(page)]
    assert sum(block for _, block in found) > 10
    asked = [*found, (r"\nonsense{x}", False)]
    script = (KATEX / "katex.min.js").read_text(encoding="utf-8")
    faults = answer(f"<script>{script}</script>", TYPESET % json.dumps(asked), tmp_path)
    assert list(faults) == [r"\nonsense{x}"], faults


def test_katex_comes_with_its_licence_and_every_font_that_its_style_names():
    assert "Permission is hereby granted" in (KATEX / "LICENSE").read_text(encoding="utf-8")
    style = (KATEX / "katex.min.css").read_text(encoding="utf-8")
    named = set(re.findall(r"url\(fonts/([^)]+\.woff2)\)", style))  # the others are for browsers of long ago
    assert named
    assert named == {path.name for path in (KATEX / "fonts").iterdir()}
    assert "//" not in "".join(re.findall(r"url\(([^)]*)\)", style))  # nothing is fetched
