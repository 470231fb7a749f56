"""Over a hundred times as many steps, memory stays where it was."""

import pytest

from .promises import STREAMED
from .small_run import PANGRAM, words
from .streams import PIECE

GROWTH, NOISE = 0.05, 3 * 2**20
"""How much more is allowed: of the peak, and in bytes, as most of the peak is torch, which would hide a leak."""

SHORT, LONG = 10**5, 10**7
"""Time steps of one row."""


def lengths(short, long):
    """Return what runs always, and what only the slow tests run."""
    return [(short // 10, short), pytest.param(short, long, marks=pytest.mark.slow)]


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(PANGRAM * 400)
    return path


def grown(short, long):
    """Return the failures, and show what was found."""
    print(f"peak {short.peak / 2**20:.1f} MiB, then {long.peak / 2**20:.1f} MiB")
    failures = [outcome for outcome in (short, long) if outcome.code != 0]
    return failures + [(short.peak, long.peak)] * (long.peak - short.peak > min(GROWTH * short.peak, NOISE))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("short", "long"), lengths(SHORT, LONG))
def test_truncated_training(server, tally, tmp_path, text, short, long):
    unroller = "loop" if long < LONG else "compiled"
    tiny = {"cell": "rnn", "unroller": unroller, "hidden": 2, "layers": 1, "dropout": 0, "batch": 1, "accumulate": 1}
    tiny |= {"seq_len": PIECE, "tbptt": f"{PIECE},{PIECE}", "validate_every": 10**6, "save_every": 1000, "warmup": 0}

    def trained(steps):
        line = words(text, **tiny, steps=steps // PIECE)
        return server.run(*line, "--out", tmp_path / str(steps), folder=tmp_path, limit=1500)

    what = f"training by truncated BPTT over {long:,} time steps peaks within 5 % of {short:,}"
    tally(STREAMED, what, 1, grown(trained(short), trained(long)))


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("short", "long"), lengths(SHORT, LONG))
def test_inference(server, tally, short, long):
    unroller = "loop" if long < LONG else "compiled"

    def streamed(steps):
        return server.run(call=["streams", "inference", {"steps": steps, "unroller": unroller}], limit=1500)

    what = f"inference with a carried state over {long:,} time steps peaks within 5 % of {short:,}"
    tally(STREAMED, what, 1, grown(streamed(short), streamed(long)))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("short", "long"), lengths(SHORT // 10, LONG // 10))
def test_sampling(server, tally, text, short, long):
    def drawn(steps):
        return server.run(call=["streams", "sampling", {"steps": steps, "text": str(text)}], limit=1500)

    what = f"sampling of {long:,} symbols, a call each, peaks within 5 % of {short:,}"
    tally(STREAMED, what, 1, grown(drawn(short), drawn(long)))
