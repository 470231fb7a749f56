"""What others have compiled within a step runs as it was written while the step is recorded: its operations show."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import get_ident
from typing import Any

import torch

from rnnkit_compiler._forks import fork_safe_lock

_without_scripts = fork_safe_lock()


@contextmanager
def without_dynamo() -> Iterator[None]:
    """Have functions and modules of `torch.compile` run eagerly: it would compile the recorder with them."""
    if "torch._dynamo" not in sys.modules or torch.compiler.is_compiling():  # an import of a second; nothing needs it
        yield
        return
    _eager.enter()
    try:
        yield
    finally:
        _eager.leave()


class _Eager:
    """A stance of torch's compiler, which all threads share: the first that records sets it, the last puts it back."""

    def __init__(self) -> None:
        self._lock = fork_safe_lock()
        self._count = 0
        self._stance: AbstractContextManager[Any] = nullcontext()

    def enter(self) -> None:
        with self._lock:
            if not self._count:
                self._stance = torch.compiler.set_stance("force_eager")  # it counts from here on
            self._count += 1

    def leave(self) -> None:
        with self._lock:
            self._count -= 1
            if not self._count:
                self._stance.__exit__(None, None, None)


_eager = _Eager()


def are_scripted(values: Iterable[Any]) -> bool:
    """Tell whether there is a function of `torch.jit.script` among some values."""
    return any(isinstance(value, torch.jit.ScriptFunction) for value in values)


@contextmanager
def without_scripts() -> Iterator[None]:
    """Have functions of `torch.jit.script` run as the Python they were made of.

    From its second call on, such a function is one node of autograd's, below which no operation has a gradient. The
    method that is called is that of all threads; others' calls go on to it.
    """
    kind: Any = torch.jit.ScriptFunction
    with _without_scripts:
        called, own = kind.__call__, get_ident()
        kind.__call__ = _calling(called, own)
        try:
            yield
        finally:
            kind.__call__ = called


def _calling(called: Callable[..., Any], thread: int) -> Callable[..., Any]:
    def call(function: Any, /, *args: Any, **kwargs: Any) -> Any:
        written = getattr(function, "_torchdynamo_inline", None) if get_ident() == thread else None
        return called(function, *args, **kwargs) if written is None else written(*args, **kwargs)

    return call
