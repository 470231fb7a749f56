"""The plan in CUDA graphs: a chunk of steps with torch's operations, recorded once forward and once back.

Forward, a chunk keeps the states before it and nothing else; its graph of the way back runs the steps again and then
takes them back, so that one pair of graphs serves all chunks of a call. What is recorded is compared with what was
launched one by one, on the numbers of the first call.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

import rnnkit
from rnnkit.errors import first_line
from rnnkit_compiler import _devices
from rnnkit_compiler.backends.base.again import again, flat, grouped
from rnnkit_compiler.backends.base.backend import Results, Tensors, Timeline
from rnnkit_compiler.backends.base.comparison import differ
from rnnkit_compiler.backends.base.forms import Steps
from rnnkit_compiler.backends.base.graphs import Recorded, current_stream, may_be_recorded, record

Gradients = list[Tensor | None]


class Graph:
    """What a function computes of rooms, recorded.

    Args:
        body: the function; what it launches depends on nothing but the rooms.

    Raises:
        RuntimeError: its operations cannot be recorded, or the graph computes something else.
    """

    def __init__(self, body: Callable[[], list[Tensor]]) -> None:
        expected = body()  # which also makes what libraries make at their first call, and may not while one records
        self._results: list[Tensor] = []
        self._replay = record(lambda: self._results.extend(body()))
        if any(map(differ, self(), expected)):
            raise RuntimeError("its numbers are not those of the operations")

    def __call__(self) -> list[Tensor]:
        """Replay; return the results, which the next replay writes over."""
        self._replay()
        return self._results


class Chunk:
    """A chunk of steps in rooms of its own.

    Args:
        steps: runs some.
        tensors: of a call that it is made for.
        timeline: of this call.
        size: how many steps.
        needs: which of the tensors need gradients.
    """

    def __init__(self, steps: Steps, tensors: Tensors, timeline: Timeline, size: int, needs: Sequence[bool]) -> None:
        self._steps, self._needs = steps, _within(needs, tensors)
        rooms = [part.new_empty(size, *part.shape[1:]) for part in tensors.parts]
        self._rooms = Tensors(rooms, *([torch.empty_like(tensor) for tensor in group] for group in tensors[1:]))
        _, batch, lengths, _, reset = timeline
        lengths = None if lengths is None else torch.empty_like(lengths)
        self._timeline = Timeline(size, batch, lengths, None, None if reset is None else torch.empty_like(reset[:size]))
        self.begin(tensors)
        self._load(tensors.parts, tensors.states, timeline, 0)
        self._forward = Graph(self._stepped)
        self._backward: Graph | None = None
        if any(needs):
            results = self._recorded_by_autograd()
            self._are_differentiable = [result.requires_grad for result in results]
            self._incoming = [_drawn(result) for result in results if result.requires_grad]
            self._present = [grad is not None for grad in self._taken_back()]
            if any(self._present):
                self._backward = Graph(lambda: [grad for grad in self._taken_back() if grad is not None])

    def begin(self, tensors: Tensors) -> None:
        """Take what is the same at all steps of a call."""
        for rooms, group in zip(self._rooms[2:], tensors[2:], strict=True):
            _copy(rooms, group)

    def forward(self, parts: Sequence[Tensor], states: Sequence[Tensor], timeline: Timeline, t: int) -> list[Tensor]:
        """Run the steps of a call from t on; return outputs and states, which the next chunk writes over."""
        self._load(parts, states, timeline, t)
        return self._forward()

    def backward(
        self, parts: Sequence[Tensor], states: Sequence[Tensor], timeline: Timeline, t: int, grads: Gradients
    ) -> Gradients:
        """Take the steps from t on back; return the gradients of all tensors, which the next chunk writes over.

        Args:
            parts: of the call.
            states: before step t.
            timeline: of the call.
            t: the first step.
            grads: of outputs and states of the chunk.
        """
        self._load(parts, states, timeline, t)
        given = [grad for grad, differentiable in zip(grads, self._are_differentiable, strict=True) if differentiable]
        for room, grad in zip(self._incoming, given, strict=True):
            room.zero_() if grad is None else room.copy_(grad)
        found = iter(() if self._backward is None else self._backward())
        return [next(found) if present else None for present in self._present]

    def _load(self, parts: Sequence[Tensor], states: Sequence[Tensor], timeline: Timeline, t: int) -> None:
        own = self._timeline
        _copy(self._rooms.parts, [part[t : t + own.steps] for part in parts])
        _copy(self._rooms.states, states)
        if own.lengths is not None and timeline.lengths is not None:
            own.lengths.copy_(timeline.lengths - t)
        if own.reset is not None and timeline.reset is not None:
            own.reset.copy_(timeline.reset[t : t + own.steps])

    def _stepped(self) -> list[Tensor]:
        ys, last = self._steps.run(self._rooms, self._timeline)
        return [ys, *last]

    def _leaves(self) -> list[Tensor]:
        return [room.detach().requires_grad_(need) for room, need in zip(flat(self._rooms), self._needs, strict=True)]

    @torch.enable_grad()
    def _recorded_by_autograd(self) -> list[Tensor]:
        ys, last = self._steps.run(grouped(self._leaves(), self._rooms), self._timeline)
        return [ys, *last]

    @torch.enable_grad()
    def _taken_back(self) -> Gradients:
        """Run the steps again, and return the gradients of all tensors."""
        leaves = self._leaves()
        ys, last = self._steps.run(grouped(leaves, self._rooms), self._timeline)
        results = [result for result in (ys, *last) if result.requires_grad]
        wanted = [leaf for leaf in leaves if leaf.requires_grad]
        if not results:
            return [None] * len(leaves)
        found = iter(torch.autograd.grad(results, wanted, self._incoming, allow_unused=True))
        return [next(found) if leaf.requires_grad else None for leaf in leaves]


class PlanChunks(Recorded[Chunk]):
    """The chunks of a plan.

    Args:
        steps: runs some, one operation after the other.
    """

    def __init__(self, steps: Steps) -> None:
        super().__init__()
        self.steps = steps
        self._obstacle = ""
        """Why nothing is recorded; empty: it is, or nothing has been tried."""

    def pay(self, steps: int, device: torch.device) -> bool:
        """Tell whether steps run in graphs."""
        return not self._obstacle and may_be_recorded(self.whole(steps), device)

    def explain(self) -> str:
        """Say whether they do."""
        if self._obstacle:
            return f"not in CUDA graphs: {self._obstacle}"
        return f"in CUDA graphs: chunks of {self.size} steps; backward runs each again"

    def run(self, tensors: Tensors, timeline: Timeline) -> Results | None:
        """Run all steps of a call, whole chunks of them by graphs; None: they cannot be recorded."""
        everything = flat(tensors)
        devices = {tensor.device for tensor in everything}
        if len(devices) != 1 or not self.pay(timeline.steps, device := devices.pop()):
            return None
        differentiated = torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
        needs = tuple(differentiated and tensor.requires_grad for tensor in everything)
        chunk = self._chunk(tensors, timeline, needs, device)
        if chunk is None:
            return None
        whole = self.whole(timeline.steps)
        call = Call(self, chunk, timeline.between(0, whole), tensors)
        parts = [part[:whole] for part in tensors.parts]
        ys, *states = InChunks.apply(call, *parts, *everything[len(parts) :])  # type: ignore[no-untyped-call]
        if whole == timeline.steps:
            return ys, tuple(states)
        rest = tensors._replace(parts=[part[whole:] for part in tensors.parts], states=states)
        more, last = self.steps.run(rest, timeline.between(whole, timeline.steps))
        return torch.cat([ys, more]), last

    def _chunk(self, tensors: Tensors, timeline: Timeline, needs: Sequence[bool], device: torch.device) -> Chunk | None:
        forms = timeline.batch, timeline.lengths is None, timeline.reset is None
        precision = torch.backends.cuda.matmul.fp32_precision  # a graph keeps the one that it was recorded in
        try:
            with self.lock, torch.inference_mode(False), torch.no_grad():
                make = lambda: Chunk(self.steps, tensors, timeline, self.size, needs)  # noqa: E731
                return self.kept.get((needs, *forms, precision, current_stream()), make)
        except Exception as error:  # of an operation that waits for the device, of memory: whatever it is
            self._obstacle = first_line(error)
            what = "the plan cannot be recorded in CUDA graphs"
            _devices.say_once(device, self._obstacle, what, "its operations are launched one by one")
            return None


class Call(NamedTuple):
    """A call whose steps are in whole chunks."""

    chunks: PlanChunks
    chunk: Chunk
    timeline: Timeline
    like: Tensors

    def starts(self) -> Iterator[int]:
        """Return the first step of each chunk."""
        yield from range(0, self.timeline.steps, self.chunks.size)


class InChunks(torch.autograd.Function):
    """Outputs and last states of chunks; twice differentiated, or looked at, the steps run one operation at a time."""

    @staticmethod
    def forward(ctx: Any, call: Call, *everything: Tensor) -> tuple[Tensor, ...]:
        """Replay chunk by chunk, keeping the states before each."""
        tensors = grouped(everything, call.like)
        states, befores, outputs = [*tensors.states], [], []
        with call.chunks.lock:
            call.chunk.begin(tensors)
            for t in call.starts():
                befores += states
                results = call.chunk.forward(tensors.parts, states, call.timeline, t)
                ys, *states = (result.clone() for result in results)
                outputs.append(ys)
        ctx.call, ctx.count = call, len(everything)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*everything, *befores)
        ctx.snapshot = rnnkit.Snapshot(everything)
        return (torch.cat(outputs), *states)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        """Replay the chunks back, or run all steps again."""
        call, saved = ctx.call, ctx.saved_tensors
        tensors = grouped(ctx.snapshot.of(saved[: ctx.count]), call.like)
        needs = ctx.needs_input_grad[1:]
        if not torch.is_grad_enabled() and not rnnkit.watched_by(*grads):
            return None, *_back(call, tensors, saved[ctx.count :], grads)
        device = saved[0].device
        with torch.autocast(device.type, enabled=False):
            return None, *again(call.chunks.steps, tensors, call.timeline, needs, grads)


def _back(call: Call, tensors: Tensors, befores: Sequence[Tensor], grads: Sequence[Tensor | None]) -> Gradients:
    """Return the gradients of all tensors of a call."""
    size, count = call.chunks.size, len(tensors.states)
    gradient_of_ys, *of_states = grads
    of_parts: list[Gradients] = []
    constant: Gradients = [None] * (len(tensors.initial) + len(tensors.invariants))
    with call.chunks.lock:
        call.chunk.begin(tensors)
        for k, t in reversed([*enumerate(call.starts())]):
            of_ys = None if gradient_of_ys is None else gradient_of_ys[t : t + size]
            before = befores[k * count : (k + 1) * count]
            found = call.chunk.backward(tensors.parts, before, call.timeline, t, [of_ys, *of_states])
            kept = [None if grad is None else grad.clone() for grad in found]
            parts, rest = kept[: len(tensors.parts)], kept[len(tensors.parts) :]
            of_parts.append(parts)
            of_states, constant = rest[:count], [*map(_sum, constant, rest[count:])]
    return [*map(_joined, zip(*reversed(of_parts), strict=True)), *of_states, *constant]


def _joined(chunks: Sequence[Tensor | None]) -> Tensor | None:
    """Return the gradient of a part over all chunks; all of them have one, or none has."""
    there = [chunk for chunk in chunks if chunk is not None]
    return torch.cat(there) if there else None


def _within(needs: Sequence[bool], tensors: Tensors) -> list[bool]:
    """Return which tensors of a chunk need gradients: the states too, which come from the chunk before."""
    parts, states = len(tensors.parts), len(tensors.states)
    carried = [any(needs) and (state.is_floating_point() or state.is_complex()) for state in tensors.states]
    return [*needs[:parts], *carried, *needs[parts + states :]]


def _sum(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    return other if one is None else one if other is None else one.add_(other)


def _drawn(like: Tensor) -> Tensor:
    """Return numbers to try the way back on; no generator of the user's draws them, for a seed is to mean the same."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(like.shape, generator=generator, dtype=like.dtype, device="cpu").to(like.device)


def _copy(rooms: Sequence[Tensor], tensors: Sequence[Tensor]) -> None:
    for room, tensor in zip(rooms, tensors, strict=True):
        room.copy_(tensor)
