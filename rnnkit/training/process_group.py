"""Processes that train one model together: what each takes of a batch, and what they tell each other.

Each draws the same batches and learns from its own rows; gradients are averaged in the backward pass, by
`torch.nn.parallel.DistributedDataParallel`, so that all take the same update and it is that of the whole batch.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from rnnkit.core.task import Batch
from rnnkit.errors import LostError, ResourceError, UsageError
from rnnkit.training.evaluation import Carried, detached, mapped

GLOO = "gloo"
PATIENCE, ON_DEVICES = timedelta(seconds=20), timedelta(minutes=10)
"""How long a process waits for what another one has to tell: on the CPU, and where the first steps compile kernels."""


class Processes:
    """One process, alone: its share is all."""

    rank = 0
    """Which this one is."""

    size = 1
    """How many there are."""

    @property
    def is_main(self) -> bool:
        """Whether this is the one that writes, prints and decides."""
        return self.rank == 0

    def parallel(self, model: nn.Module) -> nn.Module:
        """Return what is called in place of the model to learn."""
        return model

    def no_sync(self, parallel: nn.Module) -> AbstractContextManager[None]:
        """Keep gradients to oneself for a while, as they add up."""
        return nullcontext()

    def share(self, batch: Batch, every_step: bool) -> Batch:
        """Return the rows of a batch that are this one's."""
        return batch

    def share_state(self, state: Carried) -> Carried:
        """Return the rows of a carried state that are this one's."""
        return state

    def whole_state(self, state: Carried) -> Carried:
        """Put a carried state together from everyone's rows."""
        return state

    def all_gather(self, tensor: Tensor) -> list[Tensor]:
        """Return everyone's tensor, by rank; all have one shape and dtype."""
        return [tensor]

    def mean(self, *values: float) -> tuple[float, ...]:
        """Average over all."""
        return values

    def highest(self, value: int) -> int:
        """Return the highest of all."""
        return value

    def broadcast(self, *values: float) -> tuple[float, ...]:
        """Return the values that the first one has."""
        return values


class Group(Processes):
    """The processes of `torch.distributed`'s group, each with as many rows of a batch as any other.

    A carried state has its rows in dimension 1, as those of `rnnkit.Model` have.
    """

    def __init__(self) -> None:
        self.rank, self.size = distributed.get_rank(), distributed.get_world_size()
        self._parallel: list[nn.Module] = []
        on_cpu = distributed.get_backend() == GLOO
        self._device = torch.device("cpu") if on_cpu else torch.accelerator.current_accelerator()

    def parallel(self, model: nn.Module) -> nn.Module:
        """Wrap the model, so that gradients are averaged in the backward pass; all get the first one's weights."""
        # A weight may have no part in some windows, as a learnt initial state has none where a state is carried on.
        self._parallel.append(DistributedDataParallel(_Window(model), find_unused_parameters=True))
        return self._parallel[-1]

    def no_sync(self, parallel: nn.Module) -> AbstractContextManager[None]:
        """Keep gradients to oneself for a while, as they add up."""
        assert isinstance(parallel, DistributedDataParallel)
        return parallel.no_sync()

    def share(self, batch: Batch, every_step: bool) -> Batch:
        """Return the rows of a batch that are this one's.

        Raises:
            UsageError: they cannot be shared so that the mean of everyone's loss is the loss of the whole batch.
        """
        check_shares(batch.xs.shape[1], self.size)
        if batch.lengths is not None and every_step:
            raise UsageError(
                "rows of different lengths, with a target at every step, do not share their mean loss evenly among "
                "processes; train them in one"
            )
        return batch._replace(
            xs=self._mine(batch.xs, 1),
            targets=self._mine(batch.targets, 1 if every_step else 0),
            lengths=None if batch.lengths is None else self._mine(batch.lengths, 0),
        )

    def share_state(self, state: Carried) -> Carried:
        """Return the rows of a carried state that are this one's."""
        return mapped(lambda tensor: self._mine(tensor, 1), state)

    def whole_state(self, state: Carried) -> Carried:
        """Put a carried state together from everyone's rows; all must call it."""
        return mapped(lambda tensor: torch.cat(self.all_gather(tensor), 1), state)

    def all_gather(self, tensor: Tensor) -> list[Tensor]:
        """Return everyone's tensor, by rank, on the CPU; all have one shape and dtype, and all must call it."""
        sent = tensor.detach().cpu().contiguous()
        # As bytes: not every backend takes every dtype.
        data = sent.flatten().view(torch.uint8).to(self._device)
        received = [torch.empty_like(data) for _ in range(self.size)]
        distributed.all_gather(received, data)
        return [one.cpu().view(sent.dtype).view(sent.shape) for one in received]

    def mean(self, *values: float) -> tuple[float, ...]:
        """Average over all; all must call it."""
        return tuple(value / self.size for value in self._reduced(values, distributed.ReduceOp.SUM))

    def highest(self, value: int) -> int:
        """Return the highest of all; all must call it."""
        return int(self._reduced((value,), distributed.ReduceOp.MAX)[0])

    def broadcast(self, *values: float) -> tuple[float, ...]:
        """Return the values that the first one has; all must call it."""
        tensor = torch.tensor(values, dtype=torch.float64, device=self._device)
        distributed.broadcast(tensor, 0)
        return tuple(tensor.tolist())

    def close(self) -> None:
        """Leave the group, and end its threads: what they hold must be gone before Python is."""
        for parallel in self._parallel:
            vars(parallel).clear()  # it holds the group
        distributed.destroy_process_group()

    def _reduced(self, values: tuple[float, ...], how: "distributed.ReduceOp.RedOpType") -> list[float]:
        tensor = torch.tensor(values, dtype=torch.float64, device=self._device)
        distributed.all_reduce(tensor, how)
        reduced: list[float] = tensor.tolist()
        return reduced

    def _mine(self, tensor: Tensor, dimension: int) -> Tensor:
        return tensor.chunk(self.size, dimension)[self.rank].contiguous()


class _Window(nn.Module):
    """A model whose state after a window is cut off: the backward pass does not begin there."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, xs: Tensor, state: Carried, *, lengths: Tensor | None) -> tuple[Tensor, Carried]:
        outputs, after = self.model(xs, state, lengths=lengths)
        return outputs, detached(after)


@contextmanager
def process_group(device: str) -> Iterator[Processes]:
    """Be one of the processes that `torchrun`, or `rnnkit run --nproc`, has started; else be alone.

    On a kind of device, such as "cuda", each has a device of its own and they talk through that kind's own backend; on
    the CPU, or one device by number, through gloo.

    Raises:
        ResourceError: there are more processes than devices, or one has not answered for long.
        LostError: one has ended.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or "RANK" not in os.environ:
        yield Processes()
        return
    backend = _backend(device)
    patience = PATIENCE if backend == GLOO else ON_DEVICES
    try:
        distributed.init_process_group(backend, timeout=patience)
        group = Group()
        yield group
    except RuntimeError as error:
        reason = lost(error, patience)
        if reason is None:
            raise
        raise reason from None
    group.close()


def lost(error: RuntimeError, patience: timedelta = PATIENCE) -> ResourceError | None:
    """Say what an error of torch's has to do with the other processes, which were waited for; None: nothing."""
    about = str(error)
    if not (isinstance(error, distributed.DistError) or "gloo" in about or "pair closure" in about):
        return None
    if "imed out" in about or "imeout" in about:
        waited = f"{patience.total_seconds():.0f} s"
        return ResourceError(f"another process of this run has not answered for {waited}; go on with --resume")
    return LostError("another process of this run has ended; go on with --resume")


def check_shares(rows: int, size: int) -> None:
    """Raise UsageError unless `size` processes can have as many of the rows each."""
    if rows % size:
        raise UsageError(f"a batch of {rows} rows does not divide among {size} processes; give a multiple of {size}")


def _backend(device: str) -> str:
    """Return the backend to talk through; where each process has a device of its own, make that the current one."""
    kind, _, number = device.partition(":")
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if number or accelerator is None or kind != accelerator.type:
        return GLOO
    own, count = int(os.environ.get("LOCAL_RANK", "0")), torch.accelerator.device_count()
    if own >= count:
        raise ResourceError(
            f"device {device!r}: there are {count}, fewer than processes; start fewer, or share one: {device}:0"
        )
    torch.accelerator.set_device_index(own)
    return distributed.get_default_backend_for_device(accelerator)
