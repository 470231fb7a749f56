"""Code for one kernel: a class with the functions that the loop over time calls; see headers/kernel.h."""

import re
from collections.abc import Iterator
from itertools import groupby

from rnnkit_compiler.backends.cpp.code.names import Names, Tables
from rnnkit_compiler.backends.cpp.code.region_code import RegionCode
from rnnkit_compiler.backends.cpp.code.row_code import RowCode
from rnnkit_compiler.backends.cpp.code.whole_code import WholeCode
from rnnkit_compiler.schedule.buffers import Buffer, BufferKind
from rnnkit_compiler.schedule.plan import KernelPlan
from rnnkit_compiler.schedule.stages import Stage, Stages


class KernelCode:
    """Writes one kernel."""

    def __init__(self, name: str, plan: KernelPlan, stages: Stages, tables: Tables, forward: bool) -> None:
        self.name, self.plan, self.stages, self.forward = name, plan, stages, forward
        self.names = Names(stages, tables, plan.step.given_parts if plan.step.hoisted else 0)
        self.row_code = RowCode(self.names)
        self.region_code = RegionCode(self.names, {} if forward else plan.written_over)
        self.whole_code = WholeCode(self.names, self.region_code)
        self.methods: list[str] = []

    def compose(self) -> None:
        """Write the methods, which number all that they use."""
        stages = list(self._stages())
        methods = (self._pack(), self._step(stages), self._begin(), self._ended(), self._restart())
        self.methods = [line for method in methods for line in method]

    def lines(self) -> Iterator[str]:
        """Return the lines of the class."""
        yield f"struct {self.name} {{"
        yield "    const Call& call;"
        for k in range(len(self.names.tables.sizes)):
            yield f"    const int d{k};"
        for k in range(len(self.names.tables.units)):
            yield f"    const std::int32_t* const i{k};"
        for name in sorted(set(self.names.literals.values()), key=lambda name: int(name[1:])):
            yield f"    const vec {name};"
        yield "    std::int64_t packed_values = 0;"
        yield "    std::ptrdiff_t scratch_bytes = 0;"
        yield from (f"    int v{k};" for k in range(len(self.region_code.vectors)))
        yield from (f"    real* w{k};" for k in range(len(self.region_code.products)))
        yield from (f"    std::ptrdiff_t c{k}, l{k};" for k in range(len(self.region_code.products)))
        yield "    std::ptrdiff_t rows_at;"
        yield from (f"    std::ptrdiff_t m{k};" for k in self.names.remembered.values())
        yield ""
        yield from self._constructor()
        yield from self.methods
        yield "};"

    def _constructor(self) -> Iterator[str]:
        yield f"    explicit {self.name}(const Call& call_)"
        yield "        : call(call_)"
        for k in range(len(self.names.tables.sizes)):
            yield f"        , d{k}(int(call.sizes[{k}]))"
        for k in range(len(self.names.tables.units)):
            yield f"        , i{k}(call.units[{k}])"
        for expression, name in sorted(self.names.literals.items(), key=lambda item: int(item[1][1:])):
            yield f"        , {name}(broadcast(real({expression})))"
        yield "    {"
        yield "        const std::ptrdiff_t rows = call.batch;"
        for k, (blocks, units) in enumerate(self.region_code.vectors):
            size = self.names.size(units)
            yield f"        v{k} = panel_vectors(call, {max(blocks, 1)}, {size});"
        for k, (region, product, _, matrices) in enumerate(self.region_code.products):
            width = self.names.size(self.region_code.vectors[region][1])
            count = len(product.blocks)
            yield f"        w{k} = call.packed + packed_values;"
            depth = self.region_code.depth(product)
            times = "" if matrices == 1 else f"{self.names.size(matrices)} * "
            yield f"        packed_values += {times}packed_size({depth}, {count}, {width}, v{region});"
        for region in range(len(self.region_code.vectors)):
            yield "        {"
            yield "            std::ptrdiff_t bytes = 0;"
            for k, (own, product, count, _) in enumerate(self.region_code.products):
                if own == region:
                    at_once = "rows" if count == 1 else "PIECES_AT_ONCE"
                    pieces = "rows" if count == 1 else f"rows * {self.names.size(count)}"
                    yield f"            c{k} = bytes;"
                    yield f"            bytes += aligned({at_once} * {len(product.blocks)} * v{region} * VECTOR_BYTES);"
                    yield f"            l{k} = bytes;"
                    yield f"            bytes += aligned({pieces} * sizeof(real*));"
            yield "            if (bytes > scratch_bytes) scratch_bytes = bytes;"
            yield "        }"
        for count in sorted(self.names.ordered):
            size = self.names.size(count)
            yield f"        scratch_bytes = std::max(scratch_bytes, aligned({size} * sizeof(Ranked)));"
        yield "        rows_at = scratch_bytes;"
        yield f"        scratch_bytes += aligned({max(1, len(self.names.rows))} * rows * sizeof(real));"
        for node, k in self.names.remembered.items():
            yield f"        m{k} = scratch_bytes;"
            yield f"        scratch_bytes += aligned(rows * {self.names.size(node.width)} * sizeof(real));"
        yield "    }"
        yield ""

    def _pack(self) -> Iterator[str]:
        yield "    void pack(int share, int shares) const {"
        start = 0
        for k, (region, product, _, matrices) in enumerate(self.region_code.products):
            width = self.names.size(self.region_code.vectors[region][1])
            count = len(product.blocks)
            shape = f"{self.region_code.depth(product)}, {count}, {width}, v{region}"
            if matrices == 1:
                yield f"        call.functions->pack(w{k}, call.gates + {start}, {shape}, share, shares);"
            else:
                yield f"        for (int k = 0; k < {self.names.size(matrices)}; ++k)"
                yield f"            call.functions->pack(w{k} + k * packed_size({shape}), call.gates + {start} + k,"
                yield f"                                 {shape}, share, shares);"
            start += count * matrices
        if not self.region_code.products:
            yield "        (void)share, (void)shares;"
        yield "    }"
        yield ""

    def _step(self, stages: list[str]) -> Iterator[str]:
        yield "    void step(const Share& s, std::int64_t t) const {"
        yield "        const std::ptrdiff_t batch = call.batch;"
        yield "        real* const numbers = reinterpret_cast<real*>(s.scratch + rows_at);"
        yield "        (void)numbers, (void)t, (void)batch;"
        addresses = {buffer: self.names.address(buffer, width) for buffer, width in self.names.buffers.items()}
        yield from self._locals([*addresses.values(), *stages])
        for buffer, address in addresses.items():
            yield f"        real* const {buffer} = {address};"
        for k in self.names.remembered.values():
            yield f"        real* const m{k}_ = reinterpret_cast<real*>(s.scratch + m{k});"
        yield from stages
        yield "    }"
        yield ""

    def _locals(self, lines: list[str]) -> Iterator[str]:
        """Have sizes and literals by the names of the members: a store of a vector might be to a member, and all of
        them would be read again behind it, but what nobody else knows is in registers.
        """
        read = set(re.findall(r"[dq](?<!\w.)\d+\b", "\n".join(lines)))  # first letter first: thrice as fast
        members = [("int", f"d{k}") for k in range(len(self.names.tables.sizes))]
        members += [("vec", f"q{k}") for k in range(len(self.names.literals))]
        for kind, name in members:
            if name in read:
                yield f"        const {kind} {name} = this->{name};"

    def _stages(self) -> Iterator[str]:
        """Write all stages; neighbours that multiply by no weights go through some rows at a time, one after the other.

        What one of them leaves to the next is still in a cache then, however many rows there are.
        """
        numbered = list(enumerate(self.stages.stages))
        for multiplies, group in groupby(numbered, lambda pair: pair[1].multiplies):
            stages = list(group)
            lines = [line for number, stage in stages for line in self._stage(number, stage)]
            if multiplies or len(stages) == 1:
                yield from lines
                continue
            widths = [self.names.size(place.width) for _, stage in stages for place in stage.written]
            yield f"        const std::ptrdiff_t numbers{stages[0][0]} = {' + '.join(widths) or '0'};"
            at_once = f"s.in_blocks(numbers{stages[0][0]} * sizeof(real), [&](const Share& s)"
            yield f"        {at_once} __attribute__((always_inline)) {{"
            yield from lines
            yield "        });"

    def _stage(self, number: int, stage: Stage) -> Iterator[str]:
        yield f"        // stage {number}"
        yield from self.row_code.lines(stage)
        yield from self.whole_code.lines(stage)
        for region in stage.regions:
            yield from self.region_code.lines(region)
        yield "        s.wait();"

    def _begin(self) -> Iterator[str]:
        """Before the first step the carried values come in, behind the last they go out; sums begin at zero."""
        widths = list(enumerate(self.plan.step.state_widths))
        carried = BufferKind.STATE if self.forward else BufferKind.GRAD_STATE
        start = "0" if self.forward else "call.steps % 2"
        stop = "call.steps % call.slots" if self.forward else "0"
        yield "    void begin(const Share& s) const {"
        yield "        (void)s;"
        for buffer, width in self.names.buffers.items():
            if buffer.kind is BufferKind.GRAD_VECTOR:
                at = self.names.address(buffer, width)
                yield f"        std::memset({at}, 0, {self.names.size(width)} * sizeof(real));"
        for k, width in widths:
            at, size = self.names.slot(Buffer(carried, k), start, width), self.names.size(width)
            yield f"        enter_rows(s, {at}, {self.names.base(Buffer(BufferKind.FIRST, k))}, {size});"
        yield "    }"
        yield ""
        yield "    void end(const Share& s) const {"
        for k, width in widths:
            at, size = self.names.slot(Buffer(carried, k), stop, width), self.names.size(width)
            yield f"        copy_rows(s, 0, {self.names.base(Buffer(BufferKind.LAST, k))}, {at}, {size});"
        yield "    }"
        yield ""

    def _ended(self) -> Iterator[str]:
        yield "    void ended(const Share& s, std::int64_t t) const {"
        yield "        const std::ptrdiff_t batch = call.batch;"
        step = self.plan.step
        to, from_ = BufferKind.GRAD_BEFORE, BufferKind.GRAD_STATE
        if self.forward:
            to, from_ = BufferKind.NEXT_STATE, BufferKind.STATE
        for k, width in enumerate(step.state_widths):
            size = self.names.size(width)
            there, here = self.names.address(Buffer(to, k), width), self.names.address(Buffer(from_, k), width)
            yield f"        copy_rows(s, s.live, {there}, {here}, {size});"
        for buffer, width in self._factors().items():
            yield f"        clear_rows(s, s.live, {self.names.address(buffer, width)}, {self.names.size(width)});"
        yield "        (void)batch, (void)t;"
        yield "    }"
        yield ""

    def _factors(self) -> dict[Buffer, int]:
        """Return what must be zero in rows that have ended: the output, and the factors of the weights' gradients."""
        kinds = (BufferKind.GRAD_PART, BufferKind.GRAD_PRODUCT)
        if self.forward:
            kinds = (BufferKind.Y, BufferKind.OPERAND)
        return {buffer: width for buffer, width in self.names.buffers.items() if buffer.kind in kinds}

    def _restart(self) -> Iterator[str]:
        yield "    void restart(const Share& s, std::int64_t t) const {"
        yield "        const std::ptrdiff_t batch = call.batch;"
        yield "        for (int i = 0; i < s.live; ++i) {  // one that has ended stays as it is"
        yield "            const std::ptrdiff_t r = s.rows[i];"
        yield "            if (!restarts(call, t, int(r))) continue;"
        for k, width in enumerate(self.plan.step.state_widths):
            size = self.names.size(width)
            initial = f"{self.names.base(Buffer(BufferKind.INITIAL, k))} + r * {size}"
            if self.forward:
                state = self.names.address(Buffer(BufferKind.STATE, k), width)
                yield f"            std::memcpy({state} + r * {size}, {initial}, {size} * sizeof(real));"
            else:
                state = self.names.address(Buffer(BufferKind.GRAD_BEFORE, k), width)
                yield f"            for (int j = 0; j < {size}; ++j) ({initial})[j] += ({state} + r * {size})[j];"
                yield f"            std::memset({state} + r * {size}, 0, {size} * sizeof(real));"
        yield "        }"
        yield "        (void)batch, (void)t;"
        yield "    }"
