"""Python's search for garbage, put off while much is made that stays."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collection_put_off(for_good: bool = False) -> Iterator[None]:
    """Put off the search: beside torch it goes through a million objects, for a tenth of a second each time.

    Args:
        for_good: never look through what is there at the end; of a process that needs it to its own end.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if for_good:
            gc.freeze()
        if was_on:
            gc.enable()
