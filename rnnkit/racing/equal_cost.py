"""Equal cost: the hidden size at which each cell has as many parameters, or as much work, as the first one.

Both are those of the whole model, that is embedding, recurrent layers and readout: what is trained, and what is paid
for. Work is what `torch.utils.flop_counter` counts of a further time step of one row, forward and backward: the
matrix products.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple, TypeAlias

import torch

from rnnkit.core.cell import building
from rnnkit.core.task import Task
from rnnkit.errors import UsageError
from rnnkit.layers.model import Model
from rnnkit.plugin.resolve import reference_unroller
from rnnkit.racing.defaults import TOLERANCE
from rnnkit.racing.settings import RaceSettings
from rnnkit.runs.settings import Settings
from rnnkit.support.flop_count import flops_of
from rnnkit.support.random_states import drawn_apart

LARGEST = 2**15
"""Hidden sizes above are not tried."""

NEXT = 64
"""A cell may refuse a size, as one does whose size must be even; so many further ones are tried."""


Cost: TypeAlias = Callable[[int], int]
"""From a hidden size to what is made equal."""


class Size(NamedTuple):
    """The size of a cell in a race, and what the whole model comes to."""

    cell: str
    """As the race calls it."""

    hidden: int
    parameters: int
    flops: int
    """Of the matrix products of one time step of one row, forward and backward."""

    off: float
    """How far what is made equal is from the first cell's, as a share of it."""


def equal_sizes(settings: RaceSettings, task: Task) -> list[Size]:
    """Return the size of each cell: the first one's is given, the others' are found.

    Raises:
        UsageError: a cell comes nowhere near, or cannot be built.
    """
    sizes: list[Size] = []
    costs = _costs(settings, task)
    goal = costs[0](settings.run.hidden)
    for number, (label, cost) in enumerate(zip(settings.labels, costs, strict=True)):
        run = settings.training(number, settings.run.hidden, settings.rates[0], settings.run.seed)
        hidden = _nearest_size(cost, goal, label) if sizes else run.hidden
        off = cost(hidden) / goal - 1
        if abs(off) > TOLERANCE:
            raise UsageError(
                f"cell {label!r} comes no nearer to the {goal:,} {settings.equal} of {settings.labels[0]!r} than "
                f"{cost(hidden):,}, at hidden size {hidden}; {_way_out(settings, costs)}"
            )
        sizes.append(Size(label, hidden, parameters(run, task, hidden), flops(run, task, hidden), off))
    return sizes


def _costs(settings: RaceSettings, task: Task) -> list[Cost]:
    """Return for each cell what is made equal, by its hidden size."""
    of = {"parameters": parameters, "flops": flops, "hidden": lambda run, task, hidden: hidden}
    runs = (settings.training(n, 1, settings.rates[0], settings.run.seed) for n in range(len(settings.labels)))
    return [partial(of[settings.equal], run, task) for run in runs]


def _way_out(settings: RaceSettings, costs: list[Cost]) -> str:
    """Say which size of the first cell the others come near to; that is looked for where it takes no time."""
    larger = range(settings.run.hidden + 1, settings.run.hidden + NEXT) if settings.equal == "parameters" else ()
    for hidden in larger:
        goal = costs[0](hidden)
        others = zip(settings.labels[1:], costs[1:], strict=True)
        nearest = (cost(_nearest_size(cost, goal, label)) for label, cost in others)
        if all(abs(one / goal - 1) <= TOLERANCE for one in nearest):
            return f"take hidden size {hidden} for the first, or make their hidden sizes equal (equal: hidden)"
    return "take a larger hidden size for the first, or make their hidden sizes equal (equal: hidden)"


def parameters(settings: Settings, task: Task, hidden: int) -> int:
    """Return how many numbers training sets; nothing is allocated."""
    with building("meta", None):
        model = _model(settings, task, hidden)
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def flops(settings: Settings, task: Task, hidden: int) -> int:
    """Return the work of one more time step of one row: three steps are counted, and two are taken off."""
    with building("cpu", None), drawn_apart():
        model = _model(settings, task, hidden)
        short, long = (_counted(model, task, steps) for steps in (2, 3))
    return long - short


def _counted(model: Model, task: Task, steps: int) -> int:
    xs = torch.zeros(steps, 1, dtype=torch.long) if task.symbols else torch.zeros(steps, 1, task.input_size)
    with torch.enable_grad():
        return flops_of(lambda: model(xs)[0].sum().backward())


def _model(settings: Settings, task: Task, hidden: int) -> Model:
    """Build a model through the plain loop, whose every operation can be counted."""
    return Model(
        task,
        settings.cell,
        hidden,
        num_layers=settings.layers,
        unroller=reference_unroller(),
        **settings.cell_options,
    )


def _nearest_size(cost: Cost, goal: int, label: str) -> int:
    """Return the hidden size whose cost, which grows with it, is the nearest to `goal`."""

    @cache
    def built(least: int) -> tuple[int, int]:
        """Return the first size from `least` on that the cell takes, and its cost."""
        refusal: UsageError | None = None
        for hidden in range(least, least + NEXT):
            try:
                return hidden, cost(hidden)
            except UsageError as error:
                refusal = refusal or error
        assert refusal is not None
        raise refusal

    low = high = 1
    while built(high)[1] < goal:
        low, high = high, 2 * high
        if high > LARGEST:
            raise UsageError(
                f"cell {label!r} has {built(low)[1]:,} at hidden size {low}, and does not come to {goal:,} at {LARGEST}"
            )
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if built(middle)[1] < goal else (low, middle)
    return min(built(low), built(high), key=lambda size: abs(size[1] - goal))[0]
