"""Whether a step looks at the numbers of its tensors where torch does not see it."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode

from rnnkit_compiler.trace.naming import author_line
from rnnkit_compiler.trace.recording import NotRecordable
from rnnkit_compiler.trace.special_names import GIVING

READING = {getattr(Tensor, name): name for name in GIVING}


class Watching(TorchFunctionMode):
    """Raises NotRecordable where numbers leave torch, as for NumPy: what they decide would be decided for ever."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func in READING:
            reason = NotRecordable(f"step() reads the values of a tensor, by {READING[func]}()")
            raise reason.placed(author_line())
        return func(*args, **(kwargs or {}))
