"""The script: calls of a recording as a Python function, so that they can be made again without looking them up."""

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from rnnkit_compiler.trace.backward import all_reads, applied, inner_of, members, reads_of, without
from rnnkit_compiler.trace.exponential import exponential, matrix_exp
from rnnkit_compiler.trace.recording import Call, NotRecordable, Recording, Ref

REPLACED = {exponential: matrix_exp}
"""Operations whose gradient of all steps together would be rounded more than those of each step, and what is called."""

MatrixProduct = Callable[[Tensor, Tensor], Tensor]
"""Does a product of rows with an invariant matrix."""


class Script:
    """A function of tensors that makes the calls of a recording again.

    Args:
        calls: in order.
        recording: that they are of.
        inputs: the numbers of the tensors that it takes; a name for one that it does not use.
        outputs: the numbers of those that it gives.
        invariants: matrices whose products go through the function that a call is given.
    """

    def __init__(
        self,
        calls: Sequence[Call],
        recording: Recording,
        inputs: Sequence[int | str],
        outputs: Sequence[int],
        invariants: Collection[int] = (),
    ) -> None:
        self.calls = calls
        self._recording = recording
        self._invariants = set(invariants)
        # Literals that nobody hands in are the function's own.
        self._names: dict[str, Any] = {f"v{number}": tensor for number, tensor in recording.constants.items()}
        known = {*inputs, *recording.constants}
        self._members = members(calls)
        calls = without(calls, self._members)
        for call in calls:
            if not known.issuperset(self._reads(call)):
                raise NotRecordable(f"{call.name} reads what neither was handed in nor is made")
            known.update(number for number in call.outputs if number is not None)
        lines = [f"    {self._line(call)}" for call in calls]
        taken = "".join(f", {number if isinstance(number, str) else f'v{number}'}" for number in inputs)
        given = "".join(f"v{number}, " for number in outputs)
        self.text = "\n".join([f"def run(rows, multiply{taken}):", *lines, f"    return ({given})"])
        exec(compile(self.text, "<recorded step>", "exec"), self._names)
        self._run: Callable[..., tuple[Tensor, ...]] = self._names["run"]

    def __call__(self, rows: int, *tensors: Tensor, multiply: MatrixProduct = torch.mm) -> tuple[Tensor, ...]:
        """Make the calls on other tensors, with another number of rows in the batch."""
        return self._run(rows, multiply, *tensors)

    def _reads(self, call: Call) -> list[int]:
        own = self._members.get(call.output)
        return call.reads if own is None else all_reads(call, own)

    def _with_backward(self, call: Call) -> str | None:
        """Write a value whose gradient is made by calls of a script of their own."""
        own = self._members.get(call.output)
        if own is None:
            return None
        given, reads = call.arguments, reads_of(call, own)
        made = [ref.number for ref in given["gradients"]]
        script = Script(inner_of(call, own), self._recording, [*reads, given["gradient"].number], made)
        words = map(self._value, (given["value"], given["sources"], [Ref(number) for number in reads]))
        return f"{self._constant(partial(applied, call, script))}(rows, {', '.join(words)})"

    def _line(self, call: Call) -> str:
        targets = [f"v{number}" if number is not None else "_" for number in call.outputs]
        target = ", ".join(targets) + "," * call.several
        return f"{target} = {self._with_backward(call) or self._product(call) or self._sum(call) or self._plain(call)}"

    def _sum(self, call: Call) -> str | None:
        """Write a sum by Python's sign, which takes a third of the time of a call by the operation's name."""
        if call.name != "add.Tensor" or call.kwargs or not all(isinstance(argument, Ref) for argument in call.args):
            return None
        return " + ".join(map(self._value, call.args))

    def _product(self, call: Call) -> str | None:
        """Write a product with an invariant matrix, of which the gradient may be deferred."""
        name = call.name
        if name == "mm.default" and self._is_invariant(call.args[1]) and not self._is_invariant(call.args[0]):
            return f"multiply({self._value(call.args[0])}, {self._value(call.args[1])})"
        plain = name == "addmm.default" and not call.kwargs and len(call.args) == 3
        if plain and self._is_invariant(call.args[2]) and not self._is_invariant(call.args[1]):
            bias, rows, matrix = map(self._value, call.args)
            return f"multiply({rows}, {matrix}) + {bias}"
        return None

    def _is_invariant(self, argument: Any) -> bool:
        return isinstance(argument, Ref) and argument.number in self._invariants

    def _plain(self, call: Call) -> str:
        if call.name in ("view.default", "_unsafe_view.default"):  # the next tensor may have other strides
            return f"{self._value(call.args[0])}.reshape({self._value(call.args[1])})"
        words = [self._value(value) for value in call.args]
        words += [f"{name}={self._value(value)}" for name, value in call.kwargs.items()]
        return f"{self._constant(REPLACED.get(call.operator, call.operator))}({', '.join(words)})"

    def _value(self, value: Any) -> str:
        if isinstance(value, Ref):
            return f"v{value.number}"
        if isinstance(value, list | tuple):
            return f"[{', '.join(map(self._value, value))}]"
        if type(value) is int and value and value % self._recording.rows == 0:  # of the batch that it is called with
            times = value // self._recording.rows
            return "rows" if times == 1 else f"rows * {times}"
        if value is None or isinstance(value, bool | int):
            return repr(value)
        return self._constant(value)

    def _constant(self, value: Any) -> str:
        name = f"c{len(self._names)}"
        self._names[name] = value
        return name
