"""The page of a race: one file of HTML with the leaderboard, the curves, and how it was run."""

from collections.abc import Iterator
from importlib.util import find_spec

from rnnkit.racing import tables
from rnnkit.racing.bootstrap import CONFIDENCE, percent
from rnnkit.racing.curves import alt, draw
from rnnkit.racing.standings import Standings
from rnnkit.support import html_page
from rnnkit.support.figures import svg_of
from rnnkit.support.html_page import paragraph, section


def whole(result: Standings) -> str:
    """Return the whole page."""
    cells = ", ".join(result.settings.labels)
    return html_page.page(f"{cells} on {result.task.name}", [*_standings(result), *_method(result)])


def notebook(result: Standings) -> str:
    """Return the leaderboard and the curves, to be shown in a notebook."""
    return html_page.fragment(_standings(result))


def _standings(result: Standings) -> Iterator[str]:
    yield paragraph(f"{tables.heading(result)}.")
    yield _table(tables.places(result))
    yield html_page.listing(result.notes())
    yield _picture(result)
    if result.settings.target is not None:
        soon = [_table(tables.reached(result)), paragraph(REACHED, faint=True)]
        yield section(_sentence(tables.target(result)), soon)


def _method(result: Standings) -> Iterator[str]:
    settings = result.settings
    yield section("At equal cost", [_table(tables.costs(result)), paragraph(_equal(result), faint=True)])
    if settings.tunes:
        rates = ", ".join(f"{rate:g}" for rate in settings.rates)
        tuning = (
            f"Each cell tried {len(settings.rates)} learning rates ({rates}) for all {settings.run.steps:,} updates on "
            f"{_seeds(settings.tuning_seeds)} for that alone; the rate of the best median (*) was then trained on "
            f"{_seeds(settings.seeds, other=True)}, which the leaderboard shows."
        )
    else:
        tuning = f"All cells were trained with the learning rate {settings.rates[0]:g}: none was chosen."
    tried = _table(tables.tuning(result)) if settings.tunes else ""
    yield section("How it was run", [paragraph(tuning), tried, paragraph(READING)])
    yield html_page.details("Every setting", settings.to_toml())


READING = (
    "The metric is that of the last validation, since the best of many would be a choice. Seeds are paired: training k "
    "of every cell sees the same batches in the same order. The interval is that of the difference between the two "
    f"medians, the middle {percent(CONFIDENCE)} of a bootstrap that draws seeds for both cells at once. A training "
    "that failed counts as the worst there is."
)
REACHED = (
    "Medians over the seeds, at the validation that first reaches it; a dash where half of the seeds or more do not."
)
CAPTION = (
    "Lines are medians over the seeds, bands go from the lowest to the highest, dashes are baselines, and a cross is "
    "where a training ended early. Seconds are of one thread, beside the other trainings."
)


def _picture(result: Standings) -> str:
    if find_spec("matplotlib") is None:
        return paragraph("There is no picture, which needs the extra plot: pip install 'rnnkit[plot]'.", faint=True)
    words = alt(result)
    wide, narrow = svg_of(draw(result), words), svg_of(draw(result, stacked=True), f"{words}; three panels")
    return html_page.picture(wide, CAPTION, narrow)


def _equal(result: Standings) -> str:
    first, off = result.settings.labels[0], max(abs(place.size.off) for place in result.leaderboard)
    what = {
        "parameters": "Parameters are those of the whole model, embedding and readout included",
        "flops": "Flops are those of the whole model's matrix products, for one time step of one row, both ways",
    }.get(result.settings.equal)
    if what is None:
        return f"All have the hidden size of {first}; what that costs differs."
    return f"{what}; hidden sizes are the nearest to those of {first}, off by {percent(off, 1)} at most."


def _sentence(words: str) -> str:
    return words[0].upper() + words[1:]


def _seeds(count: int, other: bool = False) -> str:
    words = f"{count} {'other ' if other else ''}seed{'s' if count > 1 else ''}"
    return words if other else f"{words} that {'are' if count > 1 else 'is'}"


def _table(table: tables.Table) -> str:
    return html_page.table(table.headings, table.rows, table.numbers)
