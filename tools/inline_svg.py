"""SVG that stands inside a page: in the colours of the text around it, with ids that no other picture has."""

import re
from html import escape

UNWANTED = (r"<\?xml.*?\?>", r"<!DOCTYPE.*?>", r"<metadata>.*?</metadata>", r"<style.*?</style>", r"<!--.*?-->")
"""What matplotlib writes around a picture: of use in a file that stands alone, not in a page."""

PLACES = 1
"""Digits after the point: a tenth of a point is not seen."""


def inlined(svg: str, name: str, alt: str) -> str:
    """Return a picture of matplotlib's, or one of `rnnkit.support.figures.svg_of`, for a page.

    Args:
        svg: drawn without a background, its text as text.
        name: of the picture, before each of its ids.
        alt: what a reader hears who does not see it.
    """
    for pattern in UNWANTED:
        svg = re.sub(pattern, "", svg, flags=re.DOTALL)
    view = re.search(r'viewBox="([^"]*)"', svg)
    assert view, f"{name} has no viewBox"
    body = svg[svg.index(">", svg.index("<svg")) + 1 :]
    body = re.sub(r"^\s*<title>.*?</title>", "", body, flags=re.DOTALL)
    body = re.sub(r'<g id="[^"]*"', "<g", body).replace("#000000", "currentColor")
    body = _renamed(_rounded(body), name)
    body = re.sub(r">\s+<", ">\n<", re.sub(r"\s*\n\s*", " ", body))
    head = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" class="drawn" role="img" '
        f'aria-labelledby="{name}-title" viewBox="{_shorter(view[1])}" style="max-width:{_width(view[1]):.0f}pt" '
        'fill="currentColor" stroke-linejoin="round" stroke-linecap="butt">'
    )
    return f'{head}\n<title id="{name}-title">{escape(alt)}</title>\n{body.strip()}\n'


def _rounded(body: str) -> str:
    """Shorten the numbers of paths and places, and of nothing that is read."""
    return re.sub(r'(?<= )(?:d|x|y|width|height|points)="[^"]*"', lambda match: _shorter(match[0]), body)


def _shorter(text: str) -> str:
    return re.sub(r"-?\d+\.\d+", lambda match: f"{round(float(match[0]), PLACES) + 0:g}", text)


def _renamed(body: str, name: str) -> str:
    """Number the ids behind the picture's name, so that no two pictures of a page have one in common."""
    ids = list(dict.fromkeys(re.findall(r'\bid="([^"]*)"', body)))
    for number, old in enumerate(ids):
        body = re.sub(rf'((?<=\bid=")|(?<=href="#)|(?<=url\(#)){re.escape(old)}\b', f"{name}-{number}", body)
    return re.sub(r'(?<=style=")[^"]*', lambda match: re.sub(r"([:;]) ", r"\1", match[0]), body)


def _width(view: str) -> float:
    return float(view.split()[2])
