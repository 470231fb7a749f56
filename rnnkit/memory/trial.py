"""Trials: what a few steps of a few rows take, as an update runs them and as validation does.

Nothing of them stays: the weights are views and the buffers copies, so that gradients and statistics go nowhere; random
states and modes are as before.
"""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import BackwardCFunction
from torch.func import functional_call
from torch.overrides import TorchFunctionMode

from rnnkit.core.task import Batch, Task
from rnnkit.layers.model import last_outputs
from rnnkit.memory.gauge import Gauge
from rnnkit.memory.replaying import layers_of


class Peak(TorchFunctionMode):
    """The most in use at any look: before and after each of torch's functions, and each node on a backward pass."""

    def __init__(self, gauge: Gauge) -> None:
        super().__init__()
        self.gauge = gauge
        self.most: int = gauge()
        self.nodes = 0
        """Of the graphs that were gone back through."""
        self._own = 0

    def look(self, *_: object) -> None:
        """Look at the gauge; what the looking itself keeps does not count."""
        self.most = max(self.most, self.gauge() - self._own)

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.look()
        if function is torch.autograd.grad:
            outputs = args[0] if args else kwargs["outputs"]
            self.follow((outputs,) if isinstance(outputs, Tensor) else outputs)
        result = function(*args, **(kwargs or {}))
        self.look()
        return result

    def follow(self, results: Sequence[Tensor]) -> None:
        """Look after each node of a graph when it is gone back through, and all through those written in Python."""
        before = self.gauge()
        seen = {result.grad_fn for result in results} - {None}
        todo: list[Any] = list(seen)
        while todo:
            node = todo.pop()
            if isinstance(node, BackwardCFunction):
                node.register_prehook(self._enter)
                node.register_hook(self._leave)
            node.register_hook(self.look)
            others = {other for other, _ in node.next_functions} - seen - {None}
            seen |= others
            todo += others
        self.nodes += len(seen)
        del seen, todo
        self._own += self.gauge() - before

    def _enter(self, *_: object) -> None:
        self.__enter__()  # type: ignore[no-untyped-call]  # anew: it is left while one of torch's functions runs

    def _leave(self, *_: object) -> None:
        self.__exit__(None, None, None)  # type: ignore[no-untyped-call]


class Trials:
    """Runs a model on small cuts of a task's batch.

    Args:
        model: as in `rnnkit.train`.
        task: gives the loss.
        row: a batch of one row (T, 1, ...), which cuts repeat as need be.
        gauge: of the model's device.
    """

    def __init__(self, model: nn.Module, task: Task, row: Batch, gauge: Gauge) -> None:
        self.model, self.task, self.row, self.gauge = model, task, row, gauge
        self.device = next(model.parameters()).device
        self.nodes = 0
        """Of the graph of the latest update."""

    def update(self, rows: int, steps: int, judged: int) -> int:
        """Measure the peak of one update without the optimiser: bytes above what stood before, gradients included.

        Args:
            rows: B.
            steps: T of the window.
            judged: how many of its steps have a loss that counts, the last ones.
        """
        batch, weights = self._cut(rows, steps), self._weights()
        with self._apart(training=True), torch.enable_grad():
            before = self._level()
            peak = Peak(self.gauge)
            with peak:
                _, loss = self._forward(batch, judged, weights)
                peak.follow([loss])
                loss.backward()  # type: ignore[no-untyped-call]
            self.nodes = peak.nodes
            return peak.most - before

    def still(self, rows: int, steps: int) -> int:
        """Measure the peak of a pass without gradients, loss and metric: bytes above what stood before."""
        batch = self._cut(rows, steps)
        with self._apart(training=False), torch.no_grad():
            weights = self._weights()
            before = self._level()
            peak = Peak(self.gauge)
            with peak:
                judged, _ = self._forward(batch, steps, weights)
                self.task.metric(judged, batch.targets)
            return peak.most - before

    def _forward(self, batch: Batch, judged: int, weights: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        outputs, _ = functional_call(self.model, weights, (batch.xs, None), {"lengths": batch.lengths})
        if not self.task.every_step:
            outputs = last_outputs(outputs, batch.lengths)
            return outputs, self.task.loss(outputs, batch.targets)
        outputs = outputs[-judged:]
        return outputs, self.task.loss(outputs, batch.targets[-judged:])

    def _cut(self, rows: int, steps: int) -> Batch:
        xs, targets, lengths, _ = self.row
        when, which = torch.arange(steps) % len(xs), torch.zeros(rows, dtype=torch.long)
        targets = targets[when][:, which] if self.task.every_step else targets[which]
        if lengths is not None:
            lengths = lengths[which].clamp(max=steps).to(self.device)
        return Batch(xs[when][:, which].to(self.device), targets.to(self.device), lengths)

    def _weights(self) -> dict[str, Tensor]:
        """Return the parameters as new leaves on the same memory, and copies of the buffers."""
        parameters = {k: p.detach().requires_grad_(p.requires_grad) for k, p in self.model.named_parameters()}
        return parameters | {k: buffer.clone() for k, buffer in self.model.named_buffers()}

    def _level(self) -> int:
        """Return what is in use, unrollers' memory for their next call given back, so that it is counted if taken."""
        self._release()
        return self.gauge()

    def _release(self) -> None:
        for layer in layers_of(self.model):
            layer.unroller.release_memory()

    @contextmanager
    def _apart(self, training: bool) -> Iterator[None]:
        """Leave modes, random states and the garbage collector as they were."""
        modes = {module: module.training for module in self.model.modules()}
        others = [] if self.device.type == "cpu" else [self.device]
        collects = gc.isenabled()
        gc.disable()  # what it frees of others' would be missing here
        try:
            self.model.train(training)
            with torch.random.fork_rng(others, device_type=self.device.type if others else "cuda"):
                yield
        finally:
            for module, mode in modes.items():
                module.training = mode
            if collects:
                gc.enable()
            self._release()
