"""A small run with everything that has state, and what it leaves behind."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from .client import Outcome, Server

PANGRAM = "The quick brown fox jumps over the lazy dog, again. "
SMALL = {
    "cell": "lstm",
    "unroller": "loop",
    "hidden": 6,
    "layers": 2,
    "dropout": 0.2,
    "batch": 4,
    "seq-len": 16,
    "tbptt": "4,7",
    "accumulate": 2,
    "steps": 15,
    "lr": 0.02,
    "clip": 0.5,
    "warmup": 5,
    "average": 0.9,
    "validate-every": 4,
    "save-every": 3,
    "keep": 2,
    "seed": 3,
}
SCHEDULES = {
    "cosine": {"schedule": "cosine", "optimizer": "adamw", "weight_decay": 0.1},
    "plateau": {"schedule": "plateau", "optimizer": "rmsprop", "cell": "gru"},
    "long": {"steps": 80, "validate_every": 10},
}


FINISHED = "to go on, give more than that"


class Left(NamedTuple):
    """What a run has left behind that must not depend on how often it was killed."""

    metrics: bytes
    newest: dict[str, Any]
    """Of the newest checkpoint: the bytes of each file, and the manifest but for the time."""
    kept: list[str]
    """The names of all checkpoints."""


def words(text: Path, **changed: object) -> list[str]:
    """Return the command line of the run, but for its folder; `steps=5` changes a setting."""
    settings = {**SMALL, "text": text, **{key.replace("_", "-"): value for key, value in changed.items()}}
    return ["run", "--quiet", *(str(word) for key, value in settings.items() for word in (f"--{key}", value))]


def left(run: Path) -> Left:
    kept = sorted(path.name for path in (run / "checkpoints").iterdir())
    files: dict[str, Any] = {path.name: path.read_bytes() for path in (run / "checkpoints" / kept[-1]).iterdir()}
    manifest = json.loads(files["manifest.json"])
    del manifest["sha256"], manifest["training"]["seconds"]
    return Left((run / "metrics.jsonl").read_bytes(), {**files, "manifest.json": manifest}, kept)


def go_on(server: Server, start: list[str], run: Path, **request: Any) -> Outcome:
    """Go on with a run as a user would; one that was killed before its folder was there is begun again."""
    how = ("run", "--resume", run, "--quiet") if run.exists() else (*start, "--out", run)
    return server.run(*how, folder=run.parent, **request)


def differences(server: Server, start: list[str], run: Path, expected: Left, *, stopped: bool = False) -> list[str]:
    """Let a run go on to its end; give what is not as in the undisturbed one.

    One that was `stopped` in order, and not killed, has made a checkpoint where the other has none.
    """
    if run.exists() and lost(run) > SMALL["save-every"]:
        return [f"{lost(run)} updates are lost"]
    more = {max(path.name for path in (run / "checkpoints").iterdir())} if stopped else set()
    done = go_on(server, start, run)
    if not (done.code == 0 or (done.code == 2 and FINISHED in done.err)):
        return [f"it did not go on: {done}"]
    found = left(run)
    wrong = [f"{name} differs" for name in ("metrics", "newest") if getattr(found, name) != getattr(expected, name)]
    kept = sorted({*expected.kept, *more})
    best = f"step-{expected.newest['manifest.json']['best']:09d}"
    kept = sorted({best, *kept[-SMALL["keep"] :]}) if more else expected.kept
    if found.kept != kept and done.code == 0:
        wrong.append(f"{found.kept} are kept, not {kept}")
    return wrong + [f"{name} is left behind" for name in litter(run)]


def litter(run: Path) -> list[str]:
    """Return what a killed writer has left in the folder of a run."""
    return [path.name for path in run.rglob("*") if path.name.endswith(".partial")]


def lost(run: Path) -> int:
    """Return how many of the updates that were written down are behind the newest checkpoint."""
    steps = [int(path.name.removeprefix("step-")) for path in (run / "checkpoints").glob("step-*")]
    return (run / "metrics.jsonl").read_bytes().count(b"\n") - max(steps, default=0)


def complaints(outcome: Outcome, code: int, *culprits: str) -> list[str]:
    """Return what is wrong with an error: it must be one line on stderr that names what is to blame."""
    line = outcome.err.startswith("rnnkit: ") and outcome.err.count("\n") == 1
    if outcome.code == code and line and all(culprit in outcome.err for culprit in culprits):
        return []
    return [f"expected {code} and a line with {culprits}, got {outcome.code} and {outcome.err!r}"]
