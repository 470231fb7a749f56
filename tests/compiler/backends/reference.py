"""A third backend, which takes a plan at its word: it goes through the stages with torch's operations, step by step.

It stands on what the compiler offers to every backend and on nothing of the C++ one, so that it shows both what a
backend has to bring and that the plan says all that it has to know. Its locations are tensors and offsets.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from rnnkit_compiler.backends.base import autograd
from rnnkit_compiler.backends.base.backend import Backend, Refusal
from rnnkit_compiler.backends.base.calls import Calls
from rnnkit_compiler.backends.base.forms import Forms
from rnnkit_compiler.backends.base.recurrence import Recurrence
from rnnkit_compiler.backends.base.runtime import LaunchingRuntime
from rnnkit_compiler.backends.torch.backend import TorchOperations
from rnnkit_compiler.ir.contraction import equation_of
from rnnkit_compiler.schedule.buffers import STATE_SLOTS, WITHOUT_SLOTS, Buffer, BufferKind, place_of
from rnnkit_compiler.schedule.plan import KernelPlan
from rnnkit_compiler.schedule.sharing import Shares

NAMED_OTHERWISE = {"where": lambda a, b, c: torch.where(a != 0, b, c), "relu": lambda a: torch.where(a <= 0, 0, a)}
NAMED_OTHERWISE |= {"floordiv": torch.floor_divide, "polygamma": lambda n, a: torch.polygamma(int(n.mean()), a)}
TRUTHS = ("eq", "ne", "lt", "le", "gt", "ge")
REDUCTIONS = {"sum": torch.sum, "max": torch.amax, "min": torch.amin}


FOLDS = {"einsum": torch.sum, "amax": torch.amax, "amin": torch.amin}


def contracted(node, operands):
    """Return a contraction (B, width) of operands (B, width): all axes side by side, then the fold."""
    equation = equation_of(node)
    axes = [*equation.result, *equation.summed]
    total = 1
    for numbers, own in zip(operands, equation.operands, strict=True):
        tensor = numbers.reshape(len(numbers), *(equation.sizes[axis] for axis in own))
        tensor = tensor.permute(0, *(1 + own.index(axis) for axis in axes if axis in own))
        missing = [1 + k for k, axis in enumerate(axes) if axis not in own]
        for dim in missing:
            tensor = tensor.unsqueeze(dim)
        total = total * tensor
    total = total.expand(-1, *(equation.sizes[axis] for axis in axes))
    summed = range(1 + len(equation.result), 1 + len(axes))
    total = FOLDS[node.op](total, tuple(summed)) if summed else total
    return total.reshape(len(operands[0]), node.width)


def ranked(node, rows):
    """Return the ranks of elements (B, width); equal ones come by their places."""
    _, falls, outer, size, inner, *_ = node.attr
    order = rows.reshape(len(rows), outer, size, inner).sort(dim=2, descending=falls, stable=True).indices
    return order.argsort(dim=2).flatten(1).to(rows.dtype)


def seen_through(node, rows):
    """Return a window of rows (B, width)."""
    outer, size, inner, start, stop = node.attr
    runs = rows.reshape(len(rows), outer, size * inner)
    return torch.nn.functional.pad(runs, (-start * inner, (stop - size) * inner)).flatten(1)


class At(NamedTuple):
    """Element `offset` of a tensor's memory."""

    tensor: Tensor
    offset: int = 0

    def as_matrix(self, rows, columns, row_stride, column_stride):
        start = self.tensor.storage_offset() + self.offset
        return self.tensor.as_strided((rows, columns), (row_stride, column_stride), start)


class ReferenceRuntime(LaunchingRuntime):
    def __init__(self, plan):
        self.device, self.dtype, self._plan = torch.device("cpu"), plan.step.dtype, plan

    def allocate(self, shape, dtype, exact=False):
        numbers = torch.empty(shape, dtype=dtype)
        return numbers.fill_(math.nan) if dtype.is_floating_point else numbers.fill_(255)  # 255 by 255 is a NaN as well

    def location_of(self, tensor):
        return At(tensor.detach())

    location_of_own = location_of

    def shifted(self, location, elements):
        return At(location.tensor, location.offset + elements)

    def shares(self, steps, batch, work):
        return Shares(1, 1)

    def multiply(self, result, a, b, bias, row_sums):
        def product():
            left, right = (matrix.location.as_matrix(*matrix[1:]) for matrix in (a, b))
            total = left @ right
            if bias is not None:
                total = total + bias.as_matrix(1, b.columns, b.columns, 1)
            result.view(a.rows, b.columns).copy_(total)
            if row_sums is not None:
                row_sums.as_matrix(1, a.rows, a.rows, 1).copy_(left.sum(1))

        return product

    def launch(self, launch):
        products = [*launch.products]
        if launch.kernel != "Backward":
            while products:
                products.pop(0)()
        Loop(self._plan, launch).run()
        for product in products:
            product()


class Loop:
    """The loop over time of one launch."""

    def __init__(self, plan, launch):
        self.launch, self.backward = launch, launch.kernel == "Backward"
        self.stages = getattr(plan, launch.kernel.lower())
        self.widths = plan.step.state_widths
        self.steps, self.batch = launch.timeline.steps, launch.timeline.batch
        self.rows = {}

    def run(self):
        carried = BufferKind.GRAD_STATE if self.backward else BufferKind.STATE
        first, last = (self.steps % 2, 0) if self.backward else (0, self.steps % self.launch.slots)
        for buffer, location in self.launch.locations.items():
            if buffer.kind is BufferKind.GRAD_VECTOR:
                location.tensor.zero_()
        for k, width in enumerate(self.widths):
            comes = Buffer(BufferKind.FIRST, k)
            given = self.whole(comes, width) if comes in self.launch.locations else 0
            self.whole(Buffer(carried, k), width, first)[:] = given
        for t in reversed(range(self.steps)) if self.backward else range(self.steps):
            self.step(t)
        for k, width in enumerate(self.widths):
            goes = Buffer(BufferKind.LAST, k)
            if goes in self.launch.locations:
                self.whole(goes, width)[:] = self.whole(Buffer(carried, k), width, last)

    def whole(self, buffer, width, slot=0, rows=None):
        """Return all rows of a slot."""
        rows = self.batch if rows is None else rows
        location = self.launch.locations[buffer.home]
        return At(location.tensor, location.offset + slot * rows * width).as_matrix(rows, width, width, 1)

    def at(self, place, width, t):
        """Return the numbers of a place at step t: (B, width), or one row where there is one for all."""
        kind = place.buffer.kind
        slot = 0 if kind in WITHOUT_SLOTS else t
        if kind in STATE_SLOTS:
            after, alternating = STATE_SLOTS[kind]
            slot = (t + after) % (alternating or self.launch.slots)
        single = kind in (BufferKind.VECTOR, BufferKind.GRAD_VECTOR)
        numbers = self.whole(place.buffer, place.width, slot, 1 if single else None)
        return numbers[:, place.offset : place.offset + width]

    def step(self, t):
        known = {}  # whole rows that were computed in this step: sums, and what follows from them
        stored = set(self.stages.given)
        for stage in self.stages.stages:
            for group in stage.reductions:
                for node in group:
                    known[node] = self.value(node, known, stored, t).clone()
            self.store(stage.row_stores, known, stored, t)
            for whole in stage.whole:
                self.at(whole.place, whole.node.width, t)[:] = self.whole_rows(whole, t)
            for region in stage.regions:
                values = dict(known)
                for product in region.products:
                    for block in product.blocks:
                        values[block.node] = self.product(product, block, t)
                self.store(region.stores, values, stored, t)
            stored |= {store.node for region in stage.regions for store in region.stores}
            stored |= {whole.node for whole in stage.whole}

    def whole_rows(self, whole, t):
        """Return the numbers of a contraction, or of products of pieces of the row: (B, width)."""
        node = whole.node
        operands = [self.at(place, x.width, t) for place, x in zip(whole.operands, node.inputs, strict=True)]
        if node.op == "products":
            numbers, transposed, count = node.attr
            numbers = [numbers] * count if isinstance(numbers, int) else numbers
            matrices = [self.launch.matrices[k].transposed if transposed else self.launch.matrices[k] for k in numbers]
            pieces = operands[0].expand(self.batch, -1).chunk(count, 1)
            pairs = zip(pieces, matrices, strict=True)
            return torch.cat([piece @ matrix.location.as_matrix(*matrix[1:]) for piece, matrix in pairs], 1)
        if node.op == "window":
            return seen_through(node, operands[0].expand(self.batch, -1))
        if node.op == "ranks":
            return ranked(node, operands[0].expand(self.batch, -1))
        return contracted(node, [numbers.expand(self.batch, -1) for numbers in operands])

    def product(self, product, block, t):
        matrix = self.launch.matrices[block.matrix]
        matrix = matrix.transposed if block.transposed else matrix
        columns = matrix.location.as_matrix(*matrix[1:])[:, block.offset : block.offset + block.node.width]
        return self.at(product.operand, matrix.rows, t) @ columns

    def store(self, stores, known, stored, t):
        values = [self.value(store.node, known, stored, t).clone() for store in stores]
        for (node, place), value in zip(stores, values, strict=True):
            if place.buffer.kind is BufferKind.Y and not self.launch.writes_y:
                continue
            target = self.at(place, node.width, t)
            if place.buffer.kind is BufferKind.GRAD_VECTOR:
                target += value.expand(self.batch, node.width).sum(0, keepdim=True)
            else:
                target[:] = value

    def value(self, node, known, stored, t):
        """Return the numbers of a node: (B, width), or fewer that are the same for all."""
        if node in known:
            return known[node]
        if node.op == "number":
            number = node.attr[0]
            number = number[1] + number[2] if isinstance(number, tuple) else number
            return known.setdefault(node, torch.full((1, 1), number, dtype=self.dtype()))
        whole = node.inputs[0] if node.op == "slice" and node not in stored else node
        if whole in stored:
            return self.at(place_of(node, self.stages.sources), node.width, t)
        return known.setdefault(node, self.computed(node, known, stored, t))

    def computed(self, node, known, stored, t):
        operands = [self.value(operand, known, stored, t) for operand in node.inputs]
        if node.op in REDUCTIONS:
            return REDUCTIONS[node.op](operands[0].expand(-1, node.inputs[0].width), 1, keepdim=True)
        if node.op == "gather":
            units = torch.tensor(node.attr[0])
            return torch.where(units < 0, 0, operands[0].expand(-1, node.inputs[0].width)[:, units])
        if node.op == "peak":
            return operands[0].cummax(1).values
        if node.op == "scan":
            return self.scanned(node, *(operand.expand(self.batch, node.width) for operand in operands))
        if node.op == "expand":
            return operands[0].expand(-1, node.width)
        if node.op in TRUTHS:
            return getattr(torch, node.op)(*operands).to(self.dtype())
        return (NAMED_OTHERWISE.get(node.op) or getattr(torch, node.op, None) or getattr(torch.special, node.op))(
            *operands
        )

    def scanned(self, node, factors, terms):
        reverse, start = node.attr
        value, values = torch.full((self.batch,), start, dtype=self.dtype()), [None] * node.width
        for unit in reversed(range(node.width)) if reverse else range(node.width):
            value = values[unit] = factors[:, unit] * value + terms[:, unit]
        return torch.stack(values, 1)

    def dtype(self):
        return next(iter(self.launch.locations.values())).tensor.dtype


class Reference(Backend):
    name = "reference"

    def __init__(self, step):
        self.invariants = step.lowered.invariants
        self._fallback = TorchOperations(step, self.invariants, defer=False)
        plan = KernelPlan(step.lowered)
        self._calls = Calls(Recurrence(plan, ReferenceRuntime(plan), self._fallback, Forms(step)))

    @classmethod
    def supports(cls, step, device, dtype):
        if device.type != "cpu":
            return f"the reference runs on the CPU, and there is a tensor on {device}"
        return step.lowered.reason if step is not None and isinstance(step.lowered, Refusal) else ""

    @classmethod
    def make(cls, step):
        return cls(step)

    def run(self, tensors, timeline):
        if timeline.lengths is not None or timeline.reset is not None:
            return self._fallback.run(tensors, timeline)
        return autograd.apply(self._calls, tensors, timeline)

    def explain(self):
        yield "the reference"

    def is_worth_it(self, steps, batch):
        return True
