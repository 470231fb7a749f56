"""The random states that code draws from which is handed no generator: torch's, NumPy's and Python's own."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor


class RandomStates(NamedTuple):
    """Where the three of them stand; `put` takes them there again."""

    cpu: Tensor
    cuda: list[Tensor]
    """Of each GPU, where one is in use."""
    numpy: tuple[Any, ...]
    python: tuple[Any, ...]

    @classmethod
    def now(cls, *, gpus: bool = True) -> "RandomStates":
        """Return the states as they are; those of GPUs take a wait for each."""
        cuda = torch.cuda.get_rng_state_all() if gpus and torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
        return cls(torch.get_rng_state(), cuda, np.random.get_state(), random.getstate())  # type: ignore[arg-type]

    def put(self) -> None:
        """Let all draws go on from here; GPUs that there are not any more are passed over."""
        torch.set_rng_state(self.cpu)
        for device, state in enumerate(self.cuda[: torch.cuda.device_count()]):
            torch.cuda.set_rng_state(state, device)
        np.random.set_state(self.numpy)
        random.setstate(self.python)

    def plain(self) -> dict[str, Any]:
        """Return the states as `rnnkit.support.nested_tensors` packs them."""
        kind, keys, *rest = self.numpy
        version, words, gauss = self.python
        return {
            "cpu": self.cpu,
            "cuda": self.cuda,
            "numpy": (kind, torch.from_numpy(keys.astype(np.int64)), *rest),
            "python": (version, torch.tensor(words), gauss),
        }

    @classmethod
    def of_plain(cls, plain: Any) -> "RandomStates":
        """Return what `plain` was made of.

        Raises:
            KeyError, ValueError, TypeError, AttributeError: it is something else.
        """
        kind, keys, *rest = plain["numpy"]
        version, words, gauss = plain["python"]
        numpy = (kind, keys.numpy().astype(np.uint32), *rest)
        return cls(plain["cpu"], plain["cuda"], numpy, (version, tuple(words.tolist()), gauss))


def gpus_in_use() -> list[int]:
    """Return the indices of the GPUs that this process may have drawn on."""
    return [*range(torch.cuda.device_count())] if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]


@contextmanager
def drawn_apart() -> Iterator[None]:
    """Let what is drawn in a while be missing from nobody's draws: torch's states are put back, of GPUs in use too."""
    with torch.random.fork_rng(gpus_in_use()):
        yield


def seed_all(seed: int) -> None:
    """Seed the three of them; GPUs are left alone."""
    torch.default_generator.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)
