"""Made messages in lower case about people, places and days, whose names are those of each other."""

import numpy as np

from rnnkit_tasks.labelled.example import Example, Examples

MESSAGES = 600

BOTH = """
paris jordan austin chelsea sofia florence victoria virginia sydney georgia may april june dawn
""".split()  # noqa: SIM905
"""Names of persons, and of places or days."""

PEOPLE = [*BOTH, "will", "grace", "omar", "ines", "hugo", "mia", "noor", "emil"]
SURNAMES = ["york", "santos", "lima", "may", "friday", "bell", "ito"]
PLACES = [*BOTH[:10], "lima", "oslo", "cairo", "turin", "new york", "port said", "santa fe", "san jose", "new delhi"]
DAYS = ["monday", "friday", "sunday", "may the third", "april the first", "the next day", *BOTH[10:]]

FORMS = """
PER flies from LOC to LOC on DAY
PER flies from LOC to LOC with PER
a letter from PER reached LOC before DAY
a letter from PER reached PER in LOC
will PER be in LOC by DAY ?
may PER come to LOC with PER ?
on DAY PER meets PER in LOC
since DAY PER lives in LOC
by DAY LOC was behind PER
PER and PER leave LOC for LOC
PER , back from LOC , writes to PER on DAY
from DAY on PER works for PER
from LOC on PER was alone
news from LOC : PER will marry PER in DAY
news from PER : LOC is cold until DAY
LOC may wait for PER until DAY
""".strip().splitlines()


def messages() -> Examples:
    """Return 600 messages, a token a step, with labels that mark names of persons, places and days."""
    draw = np.random.default_rng(0)
    notes = [f"{MESSAGES} made messages"]
    return Examples("the default messages", [_message(draw) for _ in range(MESSAGES)], [], {}, notes)


def _message(draw: np.random.Generator) -> Example:
    tokens: list[str] = []
    labels: list[str] = []
    for word in FORMS[int(draw.integers(len(FORMS)))].split():
        if not word.isupper():
            tokens.append(word)
            labels.append("O")
            continue
        names = {"PER": PEOPLE, "LOC": PLACES, "DAY": DAYS}[word]
        parts = names[int(draw.integers(len(names)))].split()
        if word == "PER" and draw.uniform() < 0.3:
            parts.append(SURNAMES[int(draw.integers(len(SURNAMES)))])
        tokens += parts
        labels += [f"B-{word}", *[f"I-{word}"] * (len(parts) - 1)]
    return Example(tokens, labels, "")
