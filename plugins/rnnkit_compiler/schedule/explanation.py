"""What a kernel makes of a step, in words and numbers: fused, kept, deferred, and what it costs."""

from collections import Counter
from collections.abc import Iterator

from rnnkit_compiler.ir.contraction import equation_of
from rnnkit_compiler.ir.graph import Node, needed, text
from rnnkit_compiler.ir.kinds import CONTRACTIONS, REDUCTIONS
from rnnkit_compiler.ir.operations import OPERATIONS
from rnnkit_compiler.schedule.plan import KernelPlan
from rnnkit_compiler.schedule.stages import Stages


def explain(plan: KernelPlan) -> Iterator[str]:
    """Explain the kernels of a plan: some lines, and the step in the intermediate form."""
    step = plan.step
    yield f"dtype: {str(step.dtype).removeprefix('torch.')}"
    for hoisted in step.hoisted:
        rows, columns = step.matrices[hoisted.matrix].shape
        bias = "" if hoisted.bias is None else f", plus vector {hoisted.bias}"
        matrix = f"matrix {hoisted.matrix} ({rows}, {columns})"
        yield f"once a sequence: {rows} columns of part {hoisted.part} times {matrix}{bias}"
    for name, stages in (("forward", plan.forward), ("backward", plan.backward)):
        yield f"{name}: {_stages(stages)}"
    saved = sum(node.width for node in plan.saved) + sum(node.width for node in plan.operands)
    states = sum(step.state_widths)
    yield f"kept for the backward pass, for each row and step: {saved:,} numbers beside the states' {states:,}"
    for k in plan.kept:
        if k >= step.given_parts:
            yield f"written over part {k}, a product of the input: what is kept"
    for buffer, overlay in plan.written_over.items():
        yield f"written over {overlay.over}: {buffer}"
    for deferred in plan.derivative.deferred:
        rows, columns = step.matrices[deferred.matrix].shape
        yield f"deferred to one product over all steps: the gradient of matrix {deferred.matrix} ({rows}, {columns})"
    forward, back = _flops(plan)
    yield f"flops for each row and step: {forward:,} forward, {back:,} back, {_deferred_flops(plan):,} deferred"
    yield f"bytes for each row and step: {_bytes(plan):,} written for the backward pass or as gradients"
    yield f"weights read at every step, each way: {_weight_bytes(plan):,} bytes"
    results = [step.output, *step.next_states]
    names = {node: f"next state {k}" for k, node in enumerate(step.next_states)}
    names[step.output] = ", ".join(filter(None, [names.get(step.output), "output"]))
    yield "the step:"
    yield text(needed(results), names)


def _stages(stages: Stages) -> str:
    """Count what each stage of a step does."""
    described = []
    for stage in stages.stages:
        sums = sum(node.op in REDUCTIONS for group in stage.reductions for node in group)
        whole = Counter(one.node.op for one in stage.whole)
        contractions = sum(whole[op] for op in CONTRACTIONS)
        products = whole["products"] + sum(len(region.products) for region in stage.regions)
        nodes = sum(len(region.nodes) for region in stage.regions)
        named = (
            *((sums, "reduction"), (contractions, "contraction"), (whole["window"], "window")),
            *((whole["ranks"], "order"), (products, "product"), (nodes, "pointwise operation")),
        )
        counts = [f"{count} {noun}{'s' * (count != 1)}" for count, noun in named if count]
        described.append(" and ".join(counts) or "stores")
    return f"{len(described)} stage{'s' * (len(described) != 1)} a step ({'; '.join(described)})"


def _flops(plan: KernelPlan) -> tuple[int, int]:
    forward = set(needed([plan.step.output, *plan.step.next_states]))
    back = [node for node in needed(plan.gradients, plan.saved) if node not in plan.saved and not node.is_leaf]
    return sum(map(_cost, forward)), sum(map(_cost, back))


def _cost(node: Node) -> int:
    if node.op in ("product", "products"):
        return 2 * node.width * node.inputs[0].width // _pieces(node)
    if node.op in CONTRACTIONS:
        equation = equation_of(node)
        return (2 if equation.summed and len(node.inputs) > 1 else 1) * equation.count(equation.sizes)
    if node.op in REDUCTIONS:
        return node.inputs[0].width
    return node.width if node.op in OPERATIONS else 0


def _deferred_flops(plan: KernelPlan) -> int:
    return sum(
        2 * d.operand.width * d.gradient.width // (d.pieces if d.piece is None else d.pieces**2)
        for d in plan.derivative.deferred
    )


def _bytes(plan: KernelPlan) -> int:
    widths = sum(node.width for node in (*plan.saved, *plan.operands))
    widths += sum(plan.step.state_widths) + sum(plan.gradient_widths.values())
    return widths * plan.step.dtype.itemsize


def _weight_bytes(plan: KernelPlan) -> int:
    numbers = 0
    for node in needed([plan.step.output, *plan.step.next_states]):
        if node.op in ("product", "products"):
            pieces = _pieces(node)
            matrices = 1 if isinstance(node.attr[0], int) else len(node.attr[0])
            numbers += matrices * (node.width // pieces) * (node.inputs[0].width // pieces)
    return numbers * plan.step.dtype.itemsize


def _pieces(node: Node) -> int:
    """Return how many pieces of a row a product goes through with the same matrix."""
    return int(node.attr[2]) if node.op == "products" else 1
