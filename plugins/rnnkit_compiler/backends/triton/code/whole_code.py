"""Code for what is computed from whole rows to whole rows, before the regions of a stage."""

from collections.abc import Iterator, Mapping, Sequence
from math import prod

from rnnkit_compiler.backends.base.places import number_of
from rnnkit_compiler.backends.triton.code.loops import indented, own_units
from rnnkit_compiler.backends.triton.code.names import Names
from rnnkit_compiler.backends.triton.code.region_code import RegionCode
from rnnkit_compiler.ir.contraction import equation_of
from rnnkit_compiler.ir.equation import Axes, Equation
from rnnkit_compiler.schedule.buffers import BufferKind
from rnnkit_compiler.schedule.stages import ColumnBlock, Product, Stage, WholeRows

FOLDS = {
    "einsum": ("0.0", "{} + {}"),
    "amax": ('-float("inf")', "larger({}, {})"),
    "amin": ('float("inf")', "smaller({}, {})"),
}
"""What a contraction starts from, and how each term joins those before."""


class WholeCode:
    """Writes contractions, windows, ranks, and products of pieces."""

    def __init__(self, names: Names, region_code: RegionCode) -> None:
        self.names, self._region_code = names, region_code

    def lines(self, stage: Stage) -> Iterator[str]:
        """Return the lines of a stage."""
        for whole in stage.whole:
            kinds = {"products": self._products, "window": self._window, "ranks": self._ranks}
            yield from kinds.get(whole.node.op, self._contraction)(whole)
            self.names.step.stored.add(whole.node)

    def _contraction(self, whole: WholeRows) -> Iterator[str]:
        """Go through what is summed over for all units of the result at once."""
        node, equation = whole.node, equation_of(whole.node)
        start, joined = FOLDS[node.op]
        result = _places("j", equation.result, equation)
        summed = _places("s", equation.summed, equation)
        count = equation.count(equation.summed)
        factors = [
            self._load(whole, k, _address({**result, **summed}, axes, equation))
            for k, axes in enumerate(equation.operands)
        ]
        name = self.names.step.variable(node)
        yield from own_units(node.width)
        inside = [f"{name} = tl.full((ROWS, UNITS), {start}, REAL)"]
        term = joined.format(name, " * ".join(factors))
        inside += [f"for s in range({count}):", f"    {name} = {term}  # {self.names.note(node)}"]
        inside.append(f"tl.store({self.names.at(whole.place, 'j')}, {name}, mask=here)")
        yield from indented(inside)

    def _load(self, whole: WholeRows, k: int, index: str, mask: str = "here") -> str:
        place = whole.operands[k]
        single = " + row * 0" if place.buffer.kind is BufferKind.VECTOR else ""
        return f"tl.load({self.names.at(place, index)}{single}, mask={mask}, other=0.0).to(REAL)"

    def _window(self, whole: WholeRows) -> Iterator[str]:
        """Look at each of the runs of numbers of a row through a window, with zeros where it reaches beyond."""
        _, size, inner, start, stop = whole.node.attr
        run, seen = size * inner, (stop - start) * inner
        yield from own_units(whole.node.width)
        inside = [f"place = j % {seen} + {start * inner}"]
        mask = f"here & (place >= 0) & (place < {run})"
        value = self._load(whole, 0, f"j // {seen} * {run} + place", mask)
        name = self.names.step.variable(whole.node)
        inside.append(f"{name} = {value}  # {self.names.note(whole.node)}")
        inside.append(f"tl.store({self.names.at(whole.place, 'j')}, {name}, mask=here)")
        yield from indented(inside)

    def _ranks(self, whole: WholeRows) -> Iterator[str]:
        """Count how many elements come before each: of two that are equal, the one whose turn is first."""
        _, falls, _, size, inner, _, turns = whole.node.attr
        name, table = self.names.step.variable(whole.node), self.names.units(turns)
        low = self.names.step.low
        compared = f".to({low}).to(REAL)" if low else ""  # as comparisons are
        own, other = (self._load(whole, 0, at) + compared for at in ("j", f"begin + s * {inner}"))
        sign, larger, smaller = (">", "other", "own") if falls else ("<", "own", "other")
        yield from own_units(whole.node.width)
        yield from indented(
            [
                f"begin, place = j // {size * inner} * {size * inner} + j % {inner}, j // {inner} % {size}",
                f"own, own_turn = {own}, tl.load({table} + place)",
                f"{name} = tl.full((ROWS, UNITS), 0.0, REAL)",
                f"for s in range({size}):  # {self.names.note(whole.node)}",
                f"    other = {other}",
                f"    before = (other {sign} own) | (({larger} != {larger}) & ({smaller} == {smaller}))",
                "    equal = (other == own) | ((other != other) & (own != own))",
                f"    {name} += tl.where(before | (equal & (tl.load({table} + s) < own_turn)), 1.0, 0.0).to(REAL)",
                f"tl.store({self.names.at(whole.place, 'j')}, {name}, mask=here)",
            ]
        )

    def _products(self, whole: WholeRows) -> Iterator[str]:
        """Multiply each piece of a row by the same matrix, or by one of its own."""
        numbers, transposed, count = whole.node.attr
        width, (place,) = whole.node.width // count, whole.operands
        first = numbers if isinstance(numbers, int) else numbers[0]
        product = Product(place, (ColumnBlock(whole.node, first, transposed, 0),))
        depth = product.depth
        body = [*own_units(width)]
        matrix = ""
        if not isinstance(numbers, int):
            table = self.names.parameter(f"matrices{number_of(self.names.step.tables.matrices, numbers)}")
            own, strides = f"{self.names.matrix(first, False)[0]} + tl.load({table} + 3 * piece)", ("1", "2")
            rows, columns = (f"tl.load({table} + 3 * piece + {k})" for k in (strides[::-1] if transposed else strides))
            body[:0] = [f"w, w_rows, w_columns = {own}, {rows}, {columns}"]
            matrix = "w, {}, w_rows, w_columns"
        lines = [*self._region_code.product(product, width, f" + piece * {depth}", matrix)]
        at = self.names.at(whole.place, f"piece * {width} + j")
        body += indented([*lines, f"tl.store({at}, {self.names.step.variable(whole.node)}, mask=here)"])
        yield f"for piece in range({count}):"
        yield from indented(body)


def _places(index: str, axes: Axes, equation: Equation) -> dict[int, str]:
    """Write the place along each of the axes that a number through all of them stands for."""
    places = {}
    for k, axis in enumerate(axes):
        behind = equation.count(axes[k + 1 :])
        place = index if behind == 1 else f"{index} // {behind}"
        places[axis] = place if k == 0 else f"{place} % {equation.sizes[axis]}"
    return places


def _address(places: Mapping[int, str], axes: Sequence[int], equation: Equation) -> str:
    """Write which element of an operand is at these places."""
    steps = [prod(equation.sizes[behind] for behind in axes[k + 1 :]) for k in range(len(axes))]
    terms = [f"({places[axis]})" + (f" * {step}" if step > 1 else "") for axis, step in zip(axes, steps, strict=True)]
    return " + ".join(terms) or "0"
