"""`rnnkit sample`: let a trained model write."""

import math
from itertools import chain
from pathlib import Path

import click

from rnnkit.cli.options import trained
from rnnkit.cli.output import json_option, print_json
from rnnkit.cli.signals import patience
from rnnkit.cli.streams import echo


@click.command(short_help="Let a run's model write text.")
@trained
@click.option("--length", type=click.IntRange(min=1), default=500, show_default=True, help="Symbols to write.")
@click.option(
    "--temperature",
    type=click.FloatRange(min=0, max=math.inf),
    default=0.7,
    show_default=True,
    help="Below 1: more careful; 0: always the likeliest.",
)
@click.option("--prompt", default="", help="Text to begin with. [default: the end of a paragraph]")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="Of the draws.")
@json_option
def sample(
    folder: Path,
    best: bool,
    device: str | None,
    length: int,
    temperature: float,
    prompt: str,
    seed: int,
    as_json: bool,
) -> None:
    """Let the model of the run in folder RUN write text, shown as it is drawn: characters, bytes or words."""
    from rnnkit.errors import UsageError
    from rnnkit.runs.folder import open_run
    from rnnkit.training.sampling import generate_stream

    settings, task, model = open_run(folder, best=best, device=device)
    start = task.prompt(prompt)
    if start is None:
        raise UsageError(f"{folder} is a run of task {settings.task!r}, which has no text; sample a run of chars")
    prompt = _as_read(prompt, task.sample(start))
    symbols = generate_stream(model, start, temperature=temperature, seed=seed)
    pieces = task.sample_stream(symbol for _, symbol in zip(range(length), symbols, strict=False))
    if as_json:
        print_json({"prompt": prompt, "text": "".join(pieces), "temperature": temperature, "seed": seed})
        return
    with patience() as ending:
        for text in chain([prompt], pieces, ["\n"]):  # echo flushes; nothing is kept
            echo(text, end="")
            if ending:
                raise ending[0]


def _as_read(prompt: str, read: str) -> str:
    """Return a prompt with as many blanks at its end as were read: of words, the last one is that of the word to come.

    Args:
        prompt: as it was given.
        read: the text of its symbols.
    """
    return prompt.rstrip(" ") + " " * (len(read) - len(read.rstrip(" "))) if prompt.endswith(" ") else prompt
