"""JSON lines: an object a line with a text or a sequence of numbers, and a label."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rnnkit.errors import DataError, UsageError, nearest
from rnnkit_tasks.labelled.columns import LABELS, TEXTS, by_name, left_out
from rnnkit_tasks.labelled.example import NO_LABEL, Content, Example, Examples, Numbers
from rnnkit_tasks.text.text_file import TextFile

FORM = '{"text": "...", "label": "..."} or {"sequence": [[1.5, 2.0], ...], "label": "..."}'
SEQUENCE = "sequence"
SHOWN = 40  # characters of a value in a message


def read_json_lines(path: Path, reading: dict[str, Any], kept: bool) -> Examples:
    """Read texts or sequences of numbers.

    Args:
        path: of a file with an object a line, in UTF-8.
        reading: "text" and "label", keys of the objects; None where they are to be found.
        kept: whether `reading` is that of a finished run, so that labels may lack.

    Raises:
        DataError: the file is unfit. UsageError: it lacks a key that was asked for.
    """
    objects = list(_objects(path))
    if not objects:
        raise DataError(f"{path} has nothing but blank lines; give an object a line: {FORM}")
    text, label = _keys(path, *objects[0], reading, kept)
    items: list[Example] = []
    for line, record in objects:
        place = f"{path}, line {line}"
        if text not in record:
            raise DataError(f"{place}: there is no key {text!r}; give all objects the same keys")
        content = _content(place, text, record[text])
        if items and isinstance(content, str) != isinstance(items[0].content, str):
            raise DataError(
                f"{place}: {text!r} holds {_kind(content)}, and {_kind(items[0].content)} before; give one kind"
            )
        items.append(Example(content, [_label(place, str(label), record, kept)], str(path), [line]))
    kind = "texts" if isinstance(items[0].content, str) else "sequences"
    notes = [f"{kind}: key {text}", f"labels: key {label}"]
    if not kept:
        keys = dict.fromkeys(key for _, record in objects for key in record)  # in the order in which they appear
        notes += left_out([key for key in keys if key not in (text, label)])
    return Examples(str(path), items, _names(items), {"text": text, "label": label}, notes)


def _keys(path: Path, line: int, first: dict[str, Any], reading: dict[str, Any], kept: bool) -> tuple[str, str | None]:
    """Return the keys of the contents and of the labels, as the first object, in line `line`, has them."""
    text, label = reading.get("text"), reading.get("label")
    for key in [key for key in (text, label) if key and key not in first and not kept]:
        raise UsageError(
            f"{path} has no key {key!r}{nearest(key, first)} in its first object; it has {', '.join(first)}"
        )
    text = text or (SEQUENCE if SEQUENCE in first else by_name([*first], TEXTS))
    label = label or by_name([key for key in first if key != text], LABELS)
    if text is None:
        objects = [key for key, value in first.items() if isinstance(value, dict)]
        nested = f" ({objects[0]!r} holds an object, which is not looked into)" if objects else ""
        raise DataError(
            f"{path}, line {line}: no key that holds a text or a sequence{nested}; name it with text=, or write {FORM}"
        )
    if label is None and not kept:
        raise DataError(f"{path}, line {line}: no key that holds a label; name it with label=, or write {FORM}")
    return text, label


def _objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the objects, each with the number of its line."""
    number = 0
    for block in TextFile(path).blocks():
        for line in block:
            number += 1
            if line.isspace():
                continue
            try:
                value = json.loads(line, parse_constant=_refused, object_pairs_hook=_without_doubles)
            except json.JSONDecodeError as error:
                raise DataError(
                    f"{path}, line {number} is not JSON ({error.msg}, character {error.pos + 1}); "
                    f"write an object a line: {FORM}"
                ) from None
            except (ValueError, RecursionError) as error:
                raise DataError(f"{path}, line {number}: {error}; correct it, or leave the line out") from None
            if not isinstance(value, dict):
                raise DataError(f"{path}, line {number} holds no object; write one a line: {FORM}")
            yield number, value


def _refused(word: str) -> None:
    raise ValueError(f"{word} is not a finite number")


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; ValueError if a key stands in it twice, of which json would keep the last value alone."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice[:40]!r} stands in one object {keys.count(twice)} times")
    return found


def _content(place: str, key: str, value: Any) -> Content:
    if isinstance(value, str):
        return _whole(place, key, value)
    if not isinstance(value, list):
        raise DataError(f"{place}: {key!r} holds {_kind(value)}; give a text, or a list with an item a step")
    if not value:
        raise DataError(f"{place}: the sequence is empty; give at least one step, or leave the line out")
    rows = [step if isinstance(step, list) else [step] for step in value]
    for step, row in enumerate(rows, start=1):
        if len(row) != len(rows[0]) or not row:
            raise DataError(
                f"{place}, step {step}: {len(row)} number(s), {len(rows[0])} in step 1; give all steps as many"
            )
        for number in row:
            if isinstance(number, bool) or not isinstance(number, int | float) or not _is_finite(number):
                raise DataError(f"{place}, step {step}: {_shown(number)} is not a finite number; correct it")
    numbers: Numbers = np.array(rows, dtype=np.float64)
    return numbers


def _shown(value: object) -> str:
    """Write a value as the file has it."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # a whole number beyond 1.8e308
        return False


def _kind(value: object) -> str:
    kinds = {str: "a text", list: "a list", np.ndarray: "a sequence", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "an object" if isinstance(value, dict) else "a number")


def _label(place: str, key: str, record: dict[str, Any], kept: bool) -> str:
    value = record.get(key)
    if value is None:
        if kept or key in record:
            return NO_LABEL
        raise DataError(f"{place}: there is no key {key!r}; give all objects a label")
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int):
        remedy = "write it in quotes" if isinstance(value, float) else "give one of these, under a key of its own"
        raise DataError(f"{place}: the label {_shown(value)} is no text or whole number; {remedy}")
    return _whole(place, key, str(value).strip())


def _whole(place: str, key: str, text: str) -> str:
    """Return a text that can be written down: JSON may hold halves of characters."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = ascii(text[error.start])
        raise DataError(f"{place}: {key!r} has half of a character, {half}; write the whole one, or none") from None
    return text


def _names(items: list[Example]) -> list[str]:
    """Return names of the features; none for texts.

    Raises:
        DataError: a sequence has more or less of them than the first.
    """
    first = items[0].content
    if isinstance(first, str):
        return []
    for item in items:
        if item.content.shape[1] != first.shape[1]:  # type: ignore[union-attr]
            raise DataError(
                f"{item.place}: {item.content.shape[1]} feature(s) a step, "  # type: ignore[union-attr]
                f"{first.shape[1]} in line {items[0].lines[0]}; give all sequences as many"  # type: ignore[union-attr]
            )
    return [str(feature + 1) for feature in range(first.shape[1])]  # type: ignore[union-attr]
