"""What a copy button takes of a console: the commands alone, in a real browser."""

import re
from pathlib import Path

import pytest
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name

from .browser import answer, needs_browser

DOCS = Path(__file__).parents[2] / "docs"
SCRIPT = DOCS / "assets" / "commands.js"
BLOCKS = {
    "one command": ("$ rnnkit cells", "rnnkit cells"),
    "with output": ("$ rnnkit cells\nlstm   h, c\n\n$ rnnkit tasks  \nadding", "rnnkit cells\nrnnkit tasks"),
    "over two lines": ("$ rnnkit run --steps 3 \\\n    --lr 1\nsaved", "rnnkit run --steps 3 \\\n    --lr 1"),
    "with a comment": ("$ make quick    # in a minute\n$ make test", "make quick\nmake test"),
    "with a hash in it": ('$ rnnkit sample runs/a --prompt "# x"', 'rnnkit sample runs/a --prompt "# x"'),
    "with a pipe": ("$ rnnkit compare runs/* --json | head -1", "rnnkit compare runs/* --json | head -1"),
}
COPIED = 'return [...document.querySelectorAll("pre > code")].map((code) => code.getAttribute("data-copy"));'


def coloured(text, language="console"):
    """Return a block as the site has it."""
    return highlight(text, get_lexer_by_name(language), HtmlFormatter(wrapcode=True))


@needs_browser
def test_a_browser_copies_the_commands_alone(tmp_path):
    blocks = "".join(coloured(text) for text, _ in BLOCKS.values()) + coloured("cost = '$ 3'", "python")
    copied = answer(f"{blocks}<script>{SCRIPT.read_text(encoding='utf-8')}</script>", COPIED, tmp_path)
    assert copied == [*(commands for _, commands in BLOCKS.values()), None]  # of Python all is copied


def test_the_site_has_the_script_and_the_theme_asks_for_what_it_leaves():
    material = pytest.importorskip("material")
    assert "assets/commands.js" in (DOCS.parent / "mkdocs.yml").read_text(encoding="utf-8")
    (bundle,) = Path(material.__file__).parent.glob("templates/assets/javascripts/bundle.*.js")
    assert 'closest("[data-copy]")' in bundle.read_text(encoding="utf-8")


def test_every_console_of_the_docs_has_a_command_to_copy():
    for page in sorted([*DOCS.glob("*.md"), *DOCS.glob("api/*.md")]):
        for block in re.findall(r"```console\n(.*?)\n```", page.read_text(encoding="utf-8"), re.DOTALL):
            assert re.match(r"\$ |--8<-- ", block), (page.name, block[:80])
