"""The attributes of an object by name, in its dictionary or in slots."""

from collections.abc import Iterator, Mapping
from typing import Any


class Attributes(Mapping[str, Any]):
    """Looks up what an object holds, and runs no code of it."""

    def __init__(self, held: object) -> None:
        self._held = held
        slots = (vars(base).get("__slots__", ()) for base in type(held).__mro__)
        self._slots = frozenset(n for some in slots for n in ((some,) if isinstance(some, str) else some))
        self._own: Mapping[str, Any] = object.__getattribute__(held, "__dict__") if type(held).__dictoffset__ else {}

    def __getitem__(self, name: str) -> Any:
        if name in self._slots:
            return getattr(self._held, name, None)
        return self._own[name]

    def __iter__(self) -> Iterator[str]:
        return iter((*self._slots, *self._own))

    def __len__(self) -> int:
        return len(self._slots) + len(self._own)
