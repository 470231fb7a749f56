"""The page of an inspection: one file of HTML with every picture, what is normal, and what to do."""

from collections.abc import Mapping, Sequence

from rnnkit.inspection.result import Inspection
from rnnkit.support import html_page

WITHOUT_PICTURES = "Pictures need the extra plot: pip install 'rnnkit[plot]'."


def page(
    title: str,
    facts: Mapping[str, str],
    inspections: Sequence[Inspection],
    pictures: Mapping[str, str],
    remarks: Sequence[str] = (),
) -> str:
    """Return a whole page, which stands alone.

    Args:
        title: plain text.
        facts: what was inspected and how, by name.
        inspections: in the order in which they are to be read.
        pictures: SVG of each by its `slug`; none where there is no matplotlib.
        remarks: what was left out, one sentence each.
    """
    readings = [(inspection.title, inspection.reading, f"#{slug(inspection)}") for inspection in inspections]
    missing = [] if pictures else [WITHOUT_PICTURES]
    return html_page.page(
        title,
        [
            html_page.facts(facts),
            html_page.contents(readings),
            html_page.listing([*missing, *remarks]),
            html_page.cards(_card(inspection, pictures.get(slug(inspection))) for inspection in inspections),
        ],
    )


def slug(inspection: Inspection) -> str:
    """Return what the inspection's files and its place on the page are called: "gradient-flow"."""
    return inspection.title.lower().replace(" ", "-")


def _card(inspection: Inspection, svg: str | None) -> str:
    """Return the picture of one inspection, its reading, and what to make of it."""
    drawn = "" if svg is None else html_page.picture(svg, inspection.reading)
    meaning = {"What is normal": inspection.normal, "What to do": inspection.advice}
    return html_page.card(
        inspection.title,
        slug(inspection),
        [
            drawn or html_page.paragraph(inspection.reading),
            html_page.facts(meaning),
            html_page.listing(inspection.notes),
            html_page.folded("Numbers", html_page.table(["what", "value"], inspection.rows())),
        ],
    )
