"""What may be written over: memory that nobody reads any more, so that a step needs less of it, and less of the caches.

Two buffers of one width may share memory if each element that is written to the one has been read from the other
before, by the same thread: in a region that means by the same unit.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.schedule.buffers import Buffer, Place, place_of
from rnnkit_compiler.schedule.stages import Region, Stage, Stages

ROWS = -1
"""In place of the number of a region: what goes by the row, before the regions of a stage."""


class Access(NamedTuple):
    """Elements of a buffer's rows that are read or written at one place of the stages."""

    stage: int
    region: int
    place: Place
    width: int
    whole: bool
    """Whether each unit reads all of them, as products do."""

    def overlaps(self, offset: int, width: int) -> bool:
        """Tell whether it touches [offset, offset + width)."""
        return self.place.offset < offset + width and offset < self.place.offset + self.width


class Overlay(NamedTuple):
    """A buffer that may lie where another one does."""

    over: Buffer
    alone: bool
    """Whether each thread must have whole rows for that: a loop over the row reads what its regions write over."""


class KeptNodes(NamedTuple):
    """Nodes that are stored in the form of a buffer, so that they may be written over it."""

    places: dict[Node, Place]
    """In the buffer."""

    alone: bool
    """As in `Overlay`."""


@dataclass
class Accesses:
    """All reads and writes of the stages of a step."""

    reads: list[Access]
    writes: list[Access]

    def __init__(self, stages: Stages) -> None:
        self.reads, self.writes = [], []
        known: set[Node] = set()
        for number, stage in enumerate(stages.stages):
            self.reads += _reads_of_rows(stages, stage, number, known)
            self.writes += [Access(number, ROWS, s.place, s.node.width, False) for s in stage.row_stores]
            for whole in stage.whole:
                self.writes.append(Access(number, ROWS, whole.place, whole.node.width, False))
                for operand, place in zip(whole.node.inputs, whole.operands, strict=True):
                    self.reads.append(Access(number, ROWS, place, operand.width, True))
            for k, region in enumerate(stage.regions):
                self.reads += _reads_of_region(stages, region, number, k)
                self.writes += [Access(number, k, s.place, s.node.width, False) for s in region.stores]
            known |= {store.node for region in stage.regions for store in region.stores}
            known |= {node for group in stage.reductions for node in group} | {whole.node for whole in stage.whole}

    def fits(self, write: Access, buffer: Buffer, offset: int) -> Overlay | None:
        """Tell how what `write` writes may instead go to `offset` in rows of `buffer`, if it may."""
        alone = False
        for read in self.reads:
            if read.place.buffer != buffer or not read.overlaps(offset, write.width):
                continue
            if read.stage > write.stage or (read.stage == write.stage and not _comes_before(read, write, offset)):
                return None
            alone |= read.stage == write.stage and read.region == ROWS
        return Overlay(buffer, alone)

    def overlay(self, buffer: Buffer, over: Buffer) -> Overlay | None:
        """Tell how all of a buffer may be written over another, if it may."""
        overlays = [self.fits(write, over, write.place.offset) for write in self.writes if write.place.buffer == buffer]
        if None in overlays:
            return None
        return Overlay(over, any(one.alone for one in overlays if one))


def fit_into(accesses: Accesses, buffer: Place, nodes: Mapping[Buffer, Node]) -> KeptNodes:
    """Find places in the rows of a buffer for nodes that are stored elsewhere, where they may be written over it.

    Args:
        accesses: of stages that store the nodes in buffers of their own.
        buffer: whose rows they go to.
        nodes: by their own buffers.
    """
    places: dict[Node, Place] = {}
    alone, end = False, 0
    for offset, width in sorted({(r.place.offset, r.width) for r in accesses.reads if r.place.buffer == buffer.buffer}):
        for write in accesses.writes if offset >= end else ():
            node = nodes.get(write.place.buffer)
            if node is None or node in places or not width == node.width == write.width:
                continue
            overlay = accesses.fits(write, buffer.buffer, offset)
            if overlay is not None:
                places[node] = buffer._replace(offset=offset)
                alone, end = alone or overlay.alone, offset + width
                break
    return KeptNodes(places, alone)


def _comes_before(read: Access, write: Access, offset: int) -> bool:
    """Whether in one stage, each element is read before it is written over at `offset`."""
    if read.region == ROWS:
        return write.region != ROWS
    same = read.region == write.region and read.place.offset == offset and read.width == write.width
    return same and not read.whole


def _reads_of_region(stages: Stages, region: Region, stage: int, number: int) -> Iterator[Access]:
    for product in region.products:
        for block in product.blocks:
            operand = block.node.inputs[0] if block.node.op == "product" else block.node.inputs[0].inputs[0]
            yield Access(stage, number, product.operand, operand.width, True)
    operands = [operand for node in region.nodes for operand in node.inputs]
    moved = {node.inputs[0] for node in region.nodes if node.op == "gather"}
    for node in dict.fromkeys([*operands, *(store.node for store in region.stores)]):
        place = place_of(node, stages.sources)
        if place is not None:
            yield Access(stage, number, place, node.width, node.width == 1 or node in moved)


def _reads_of_rows(stages: Stages, stage: Stage, number: int, known: set[Node]) -> Iterator[Access]:
    """Return what the numbers of a row are computed from; what no earlier stage has made known is computed again."""
    wanted = [store.node for store in stage.row_stores]
    wanted += [operand for group in stage.reductions for node in group for operand in node.inputs]
    for node in _reached(wanted, {*known, *stages.given}):
        place = place_of(node, stages.sources)
        if place is not None:
            yield Access(number, ROWS, place, node.width, False)


def _reached(nodes: Iterable[Node], known: set[Node]) -> list[Node]:
    """Return the nodes, and those below them down to what is known."""
    reached: dict[Node, None] = {}
    stack = list(nodes)
    while stack:
        node = stack.pop()
        if node not in reached:
            reached[node] = None
            stack += () if node in known or (node.op == "slice" and node.inputs[0] in known) else node.inputs
    return list(reached)
