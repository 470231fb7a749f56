"""The house: rooms on floors, and who imports whom, read from the source.

    python tools/house.py    ->  docs/assets/house.svg

A room is a folder of `rnnkit/`, or a module that stands there by itself. tests/test_floors.py holds the source to the
floors below; the picture shows them, and what each room imports directly.
"""

import ast
from collections.abc import Collection, Iterator
from html import escape
from pathlib import Path
from textwrap import wrap
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "assets" / "house.svg"

FLOORS = {
    "rnnkit": [
        ["errors"],
        ["support"],
        ["core", "checkpoints"],
        ["loaders"],
        ["plugin"],
        ["layers"],
        ["training"],
        ["testing", "init", "interop", "export", "memory", "inspection"],
        ["runs", "benchmark", "matrix", "pytest_plugin"],
        ["racing"],
        ["cli"],
        ["__main__"],
    ],
    "rnnkit_compiler": [
        ["_forks"],
        ["_cache", "_contents", "_devices"],
        ["trace"],
        ["ir", "structure", "_autocast", "_repetition", "_writing"],
        ["schedule", "_narrow"],
        ["backends"],
        ["_recorded"],
        ["_candidates"],
        ["_program"],
        ["_drawing", "_running", "_making"],
        ["_advancing", "_bound", "_annealing", "_rivals", "_symbols"],
        ["_programs"],
        ["compiled"],
    ],
}
"""By package, lowest first: a room imports from the floors below its own. What is not listed is one room."""

WORDS = {"errors": "One sentence each, one exit code a kind.", "init": "Initialisation, for every layer and direction."}
"""What is in a room that is a module; of the others, the first sentence of their `__init__` says it."""


def module_name(path: Path) -> str:
    """Return the dotted name of a source file."""
    parts = path.relative_to(ROOT / "plugins" if ROOT / "plugins" in path.parents else ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for base in ("rnnkit", "plugins") for path in sorted(ROOT.glob(f"{base}/**/*.py"))}
"""The source of every module, by its dotted name."""


def room_of(name: str) -> str:
    """Return the room of a module within its package; "" for the package itself."""
    return (*name.split("."), "")[1]


def runs(tree: ast.AST, deferred: bool) -> Iterator[ast.AST]:
    """Yield what runs at import; with `deferred`, in functions too. What is for type checkers never runs."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if not deferred and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        yield node
        yield from runs(node, deferred)


def imports(name: str, deferred: bool = True) -> set[str]:
    """Return the modules that a module imports: `from package import module` counts as the module."""
    imported = set()
    for node in runs(ast.parse(FILES[name].read_text(encoding="utf-8")), deferred):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively"
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            imported |= {path if path in FILES else str(node.module) for path in whole}
    return imported


def arrows(package: str) -> dict[str, set[str]]:
    """Return which other rooms of a package each of its rooms imports."""
    drawn: dict[str, set[str]] = {room: set() for floor in FLOORS[package] for room in floor}
    for name in FILES:
        if name.split(".")[0] == package and room_of(name):
            others = {room_of(other) for other in imports(name) if other.split(".")[0] == package}
            drawn.setdefault(room_of(name), set()).update(others - {room_of(name), ""})
    return drawn


def sentence(package: str, room: str) -> str:
    """Return what is in a room, in its own words."""
    if room in WORDS:
        return WORDS[room]
    docstring = ast.get_docstring(ast.parse(FILES[f"{package}.{room}"].read_text(encoding="utf-8"))) or ""
    return docstring.split("\n\n")[0].replace("\n", " ")


# The picture, in pixels.
WIDTH, LEFT, WIDEST, GAP = 880.0, 10.0, 620.0, 12.0
BETWEEN, HEAD, LINE = 26.0, 22.0, 14.0  # two floors; the name in a box; a line of text below it
LETTER = 5.9  # the width of one, on average


class Box(NamedTuple):
    """A room as it is drawn."""

    name: str
    lines: list[str]
    left: float
    top: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        return self.left + self.width / 2


def picture() -> str:
    """Draw the rooms of `rnnkit/`, the highest floor on top, and arrows to what each room imports."""
    boxes: dict[str, Box] = {}
    top = 4.0
    for floor in reversed(FLOORS["rnnkit"]):
        if floor != ["__main__"]:
            row = list(_row(floor, top))
            boxes |= {box.name: box for box in row}
            top += row[0].height + BETWEEN
    shapes = [_arrow(boxes[room], boxes[other]) for room, other in sorted(_direct(arrows("rnnkit"), boxes))]
    shapes += map(_drawn, boxes.values())
    view = f"0 0 {WIDTH:.0f} {top - BETWEEN + 4:.0f}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" class="house" viewBox="{view}" role="img">'
    title = "<title>The rooms of rnnkit on their floors; each imports from those below it.</title>"
    tip = (
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z"/></marker></defs>'
    )
    return "\n".join([head, title, tip, *shapes, "</svg>"]) + "\n"


def _row(floor: list[str], top: float) -> Iterator[Box]:
    """Yield the rooms of a floor side by side, all of one size."""
    width = min(WIDEST, (WIDTH - 2 * LEFT - GAP * (len(floor) - 1)) / len(floor))
    left = (WIDTH - width * len(floor) - GAP * (len(floor) - 1)) / 2
    texts = [wrap(sentence("rnnkit", room).replace("`", ""), int((width - 12) / LETTER)) for room in floor]
    height = HEAD + LINE * max(map(len, texts)) + 4
    for place, (room, lines) in enumerate(zip(floor, texts, strict=True)):
        yield Box(room, lines, left + place * (width + GAP), top, width, height)


def _direct(drawn: dict[str, set[str]], rooms: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield the arrows that no way over other rooms stands for."""

    def reached(room: str) -> set[str]:
        return drawn[room].union(*map(reached, drawn[room]))

    for room in rooms:
        for other in drawn[room]:
            if not any(other in reached(between) for between in drawn[room]):
                yield room, other


def _arrow(start: Box, end: Box) -> str:
    x, u = (start.middle, end.middle) if start.width == end.width else (_foot(start, end), _foot(end, start))
    y, v = start.top + start.height, end.top
    bend = BETWEEN * 0.7
    return (
        f'<path class="arrow" d="M{x:.0f} {y:.0f}C{x:.0f} {y + bend:.0f} {u:.0f} {v - bend:.0f} {u:.0f} {v - 1:.0f}"/>'
    )


def _foot(box: Box, other: Box) -> float:
    """Return where on a box an arrow begins or ends: as near to the middle of a narrower box as its own sides allow."""
    middle = other.middle if other.width < box.width else box.middle
    return min(max(middle, box.left + 12), box.left + box.width - 12)


def _drawn(box: Box) -> str:
    shapes = [
        f'<rect x="{box.left:.0f}" y="{box.top:.0f}" width="{box.width:.0f}" height="{box.height:.0f}" rx="4"/>',
        f'<text class="room" x="{box.middle:.0f}" y="{box.top + 17:.0f}">{box.name}</text>',
    ]
    for place, line in enumerate(box.lines):
        shapes.append(
            f'<text x="{box.middle:.0f}" y="{box.top + HEAD + LINE * (place + 0.75):.0f}">{escape(line)}</text>'
        )
    return "\n".join(shapes)


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
