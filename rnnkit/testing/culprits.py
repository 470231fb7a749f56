"""Which call of torch in an author's code is to blame: the first one after which something is wrong."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor

from rnnkit.testing.author import Author, Place
from rnnkit.testing.call_watch import Call, CallWatch

Run = Callable[[], Any]
"""What is run under watch; what it raises is not the question."""

FORGETFUL = ("zeros_like", "ones_like", "empty_like", "full_like", "rand_like", "randn_like", "randint_like")
NOT_FORGETFUL = ("item", "tolist", "numpy", "__float__", "__array__")
"""Calls whose result is no function of what they are given; and those that take numbers out of autograd's sight."""


def first_call(author: Author, run: Run, look: Callable[[Call], bool]) -> Place | None:
    """Return the line of the first call that satisfies `look`."""
    watch = CallWatch(author, look)
    with suppress(Exception), watch:
        run()
    return watch.place


def writing(author: Author, run: Run, tensor: Tensor) -> Place | None:
    """Return the line that overwrites a tensor."""
    before = tensor.detach().clone(), tensor._version
    return first_call(author, run, lambda call: is_written(tensor, *before))


def is_written(tensor: Tensor, before: Tensor, version: int) -> bool:
    """Tell whether a tensor was written since it was `before`: with other numbers, or with the same, as a clamp may."""
    return tensor._version != version or not torch.equal(tensor.detach(), before)


def drawing(author: Author, run: Run) -> Place | None:
    """Return the line that draws a random number."""
    before = torch.get_rng_state()
    return first_call(author, run, lambda call: not torch.equal(torch.get_rng_state(), before))


def making(author: Author, run: Run, wrong: Callable[[Tensor], bool]) -> Place | None:
    """Return the line of the first call with a result that is wrong, of things given that are not."""
    return first_call(author, run, lambda call: any(map(wrong, call.results)) and not any(map(wrong, call.given)))


def cutting(author: Author, run: Run) -> Place | None:
    """Return the line behind which autograd no longer sees what a number depends on."""

    def cuts(call: Call) -> bool:
        if call.in_function or not any(tensor.requires_grad and tensor.is_floating_point() for tensor in call.given):
            return False
        if call.name in NOT_FORGETFUL:
            return True
        numbers = [tensor for tensor in call.results if tensor.is_floating_point()]
        made_anew = call.name in FORGETFUL or call.name.startswith("new_")
        return not made_anew and any(not tensor.requires_grad for tensor in numbers)

    with torch.enable_grad():
        return first_call(author, run, cuts)


def differing(author: Author, first: Run, second: Run) -> Place | None:
    """Return the line of the first call that gives something else in a second run."""
    return _first_apart(author, first, second, lambda was, now: not _same(was, now))


def mixing(author: Author, first: Run, second: Run, rows: int) -> Place | None:
    """Return the line of the first call of which more changes than one of the rows that differs between two runs."""

    def spread(was: Tensor, now: Tensor) -> bool:
        changed = (was != now) & ~((was != was) & (now != now))
        return int(changed.sum()) * rows > changed.numel()

    return _first_apart(author, first, second, lambda was, now: was.shape != now.shape or spread(was, now))


def _first_apart(author: Author, first: Run, second: Run, apart: Callable[[Tensor, Tensor], bool]) -> Place | None:
    for (place, was), (_, now) in zip_longest(
        _recorded(author, first), _recorded(author, second), fillvalue=(None, [])
    ):
        if any(a is None or b is None or apart(a, b) for a, b in zip_longest(was, now)):
            return place
    return None


def _recorded(author: Author, run: Run) -> list[tuple[Place | None, list[Tensor]]]:
    """Return what each call returned, as it was then."""
    record: list[tuple[Place | None, list[Tensor]]] = []

    def note(call: Call) -> bool:
        record.append((call.place, [tensor.detach().clone() for tensor in call.results]))
        return False

    first_call(author, run, note)
    return record


def _same(was: Tensor, now: Tensor) -> bool:
    return was.shape == now.shape and torch.equal(torch.nan_to_num(was.double()), torch.nan_to_num(now.double()))


def backward_of(outputs: Iterable[Tensor]) -> Place | None:
    """Return the line of the `backward` of an autograd function of somebody's own that outputs came through."""
    todo, seen = [tensor.grad_fn for tensor in outputs], set()
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if (function := getattr(type(node), "_forward_cls", None)) is not None:
            place = Author([function]).definition("backward")
            if place is not None:
                return place
        todo += [parent for parent, _ in node.next_functions]
    return None
