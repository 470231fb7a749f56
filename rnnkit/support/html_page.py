"""A page of HTML that stands alone: style, pictures and tables in one file, light or dark as the reader has it.

Nothing is fetched from anywhere. Pictures are inline SVG in the colour of the text (`rnnkit.support.figures.svg_of`).
On a narrow screen each row of a table becomes a block of its own, every figure with its heading before it, so that
nothing scrolls sideways.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

__all__ = [
    "STYLE",
    "card",
    "cards",
    "contents",
    "details",
    "escape",
    "facts",
    "folded",
    "fragment",
    "listing",
    "page",
    "paragraph",
    "picture",
    "section",
    "table",
]

STYLE = """
.rnnkit { color-scheme: light dark; --ink: #1c2024; --faint: #5b646d; --line: #d8dde2; --ground: #ffffff;
  --raised: #f5f7f9; color: var(--ink); background: var(--ground);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
@media (prefers-color-scheme: dark) {
  .rnnkit { --ink: #e4e8ec; --faint: #9aa5b0; --line: #363d45; --ground: #14181c; --raised: #1d2228; } }
.rnnkit *, .rnnkit { box-sizing: border-box; }
.rnnkit main { max-width: 76rem; margin: 0 auto; padding: 1.5rem clamp(1rem, 4vw, 3rem) 4rem; }
.rnnkit h1 { font-size: clamp(1.35rem, 1rem + 2vw, 2rem); line-height: 1.2; margin: 0.5rem 0; }
.rnnkit h2 { font-size: 1.15rem; margin: 2.2rem 0 0.6rem; }
.rnnkit p, .rnnkit li, .rnnkit figcaption { max-width: 46rem; }
.rnnkit h1, .rnnkit p, .rnnkit li, .rnnkit td, .rnnkit code { overflow-wrap: anywhere; }
.rnnkit figure { margin: 1.2rem 0; }
.rnnkit figure svg { display: block; width: 100%; height: auto; }
.rnnkit figcaption, .rnnkit .faint { color: var(--faint); font-size: 0.9rem; }
.rnnkit .narrow { display: none; }
.rnnkit code, .rnnkit pre { font: 0.88em/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
.rnnkit pre { background: var(--raised); border-radius: 6px; padding: 0.8rem 1rem; white-space: pre-wrap;
  overflow-wrap: anywhere; }
.rnnkit table { border-collapse: collapse; margin: 0.8rem 0; font-variant-numeric: tabular-nums; }
.rnnkit th, .rnnkit td { text-align: left; padding: 0.4rem 1.4rem 0.4rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }
.rnnkit th { font-weight: 600; color: var(--faint); font-size: 0.85rem; vertical-align: bottom; }
.rnnkit .number { text-align: right; }
.rnnkit dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.25rem 1.2rem; margin: 0.8rem 0; }
.rnnkit dt { color: var(--faint); }
.rnnkit dd { margin: 0; overflow-wrap: anywhere; }
.rnnkit .contents { list-style: none; padding: 0; }
.rnnkit .contents li { margin: 0.35rem 0; max-width: 56rem; }
.rnnkit a { color: inherit; text-underline-offset: 0.2em; }
.rnnkit .cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 29rem), 1fr)); gap: 1.4rem;
  align-items: start; margin-top: 2rem; }
.rnnkit .card { border: 1px solid var(--line); border-radius: 10px; padding: 0.4rem 1.2rem 1rem; min-width: 0; }
.rnnkit .card h2 { margin: 0.8rem 0 0; }
.rnnkit .card dl { font-size: 0.92rem; }
.rnnkit summary { cursor: pointer; color: var(--faint); }
@media (max-width: 700px) {
  .rnnkit dl { grid-template-columns: 1fr; gap: 0; }
  .rnnkit dd { margin-bottom: 0.5rem; }
  .rnnkit .wide { display: none; }
  .rnnkit .narrow { display: block; }
  .rnnkit thead { display: none; }
  .rnnkit table, .rnnkit tbody, .rnnkit tr, .rnnkit td { display: block; width: 100%; }
  .rnnkit tr { border: 1px solid var(--line); border-radius: 8px; padding: 0.4rem 0.9rem; margin: 0 0 0.7rem; }
  .rnnkit td, .rnnkit .number { display: flex; justify-content: space-between; gap: 1rem; text-align: right;
    border-bottom: 0; padding: 0.15rem 0; }
  .rnnkit td:empty { display: none; }
  .rnnkit td::before { content: attr(data-label); color: var(--faint); text-align: left; flex: none; }
  .rnnkit td:first-child { font-weight: 600; } }
@media print { .rnnkit { --ground: #ffffff; --ink: #000000; --faint: #444444; } }
"""
"""All rules are below the class `rnnkit`, so that a fragment changes nothing else of a notebook or site."""


def page(title: str, body: Iterable[str]) -> str:
    """Return a whole page.

    Args:
        title: plain text; of the window, and the heading.
        body: HTML, as the other functions here return it.
    """
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n<style>html, body {{ margin: 0; }}{STYLE}</style>\n</head>\n"
        f'<body class="rnnkit">\n<main>\n<h1>{escape(title)}</h1>\n{_joined(body)}\n</main>\n</body>\n</html>\n'
    )


def fragment(body: Iterable[str]) -> str:
    """Return HTML to stand within a page of somebody else's, such as a notebook, with its style."""
    return f'<style>{STYLE}</style>\n<div class="rnnkit">\n{_joined(body)}\n</div>\n'


def section(heading: str, body: Iterable[str]) -> str:
    """Return a heading and what stands below it."""
    return f"<section>\n<h2>{escape(heading)}</h2>\n{_joined(body)}\n</section>"


def paragraph(text: str, *, faint: bool = False) -> str:
    """Return a paragraph of plain text."""
    style = ' class="faint"' if faint else ""
    return f"<p{style}>{escape(text)}</p>"


def listing(texts: Iterable[str]) -> str:
    """Return a list of plain texts, or nothing if there are none."""
    items = "\n".join(f"<li>{escape(text)}</li>" for text in texts)
    return f"<ul>\n{items}\n</ul>" if items else ""


def details(summary: str, text: str) -> str:
    """Return plain text that keeps its lines, shown when `summary` is opened."""
    return folded(summary, f"<pre>{escape(text)}</pre>")


def folded(summary: str, body: str) -> str:
    """Return HTML that is shown when `summary` is opened."""
    return f"<details>\n<summary>{escape(summary)}</summary>\n{body}\n</details>"


def facts(values: Mapping[str, str]) -> str:
    """Return a list of plain texts, each with its name before it."""
    items = "\n".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in values.items())
    return f"<dl>\n{items}\n</dl>" if items else ""


def contents(entries: Iterable[tuple[str, str, str]]) -> str:
    """Return a list of links: heading, plain text, and where it leads to, such as "#place"."""
    items = "\n".join(
        f'<li><a href="{escape(to)}">{escape(heading)}</a>: {escape(text)}</li>' for heading, text, to in entries
    )
    return f'<ul class="contents">\n{items}\n</ul>' if items else ""


def cards(bodies: Iterable[str]) -> str:
    """Return cards side by side, as many as there is room for."""
    return f'<div class="cards">\n{_joined(bodies)}\n</div>'


def card(heading: str, place: str, body: Iterable[str]) -> str:
    """Return a card with a heading, which links lead to by `#place`."""
    return f'<section class="card" id="{escape(place)}">\n<h2>{escape(heading)}</h2>\n{_joined(body)}\n</section>'


def picture(svg: str, caption: str, narrow: str | None = None) -> str:
    """Return a picture with a caption below it.

    Args:
        svg: inline, with its own title for those who do not see it.
        caption: plain text.
        narrow: the same for a narrow screen; None: the same one.
    """
    drawn = svg if narrow is None else f'<div class="wide">{svg}</div>\n<div class="narrow">{narrow}</div>'
    return f"<figure>\n{drawn}\n<figcaption>{escape(caption)}</figcaption>\n</figure>"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[str] = ()) -> str:
    """Return a table.

    Args:
        headings: of the columns, plain text.
        rows: a plain text for each column.
        numbers: headings of the columns that hold figures.
    """
    styles = [' class="number"' if heading in numbers else "" for heading in headings]
    head = "".join(f'<th scope="col"{style}>{escape(h)}</th>' for h, style in zip(headings, styles, strict=True))
    body = "\n".join(
        "<tr>"
        + "".join(
            f'<td{style} data-label="{escape(heading)}">{escape(text)}</td>'
            for heading, style, text in zip(headings, styles, row, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def _joined(body: Iterable[str]) -> str:
    return "\n".join(part for part in body if part)
