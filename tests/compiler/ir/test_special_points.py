"""Gradients where an operation is defined by cases: one side's slope is infinite there, and is not multiplied by 0."""

import pytest
import torch

import rnnkit

POINTS = {
    "logit": (lambda z, y: torch.logit(z, eps=0.1), (0, 1, 0.1, 0.9, 0.5, -2), (1,) * 6),
    "xlogy": (torch.xlogy, (0, 0, 0, 2, 2), (0, -1, 3, 1, 0.5)),
    "xlog1py": (torch.special.xlog1py, (0, 0, 0, 2), (-1, -2, 3, 1)),
}


class At(rnnkit.Cell):
    """Gives a function of the state and a constant; the state stays."""

    def __init__(self, name):
        function, at, others = POINTS[name]
        super().__init__(1, len(at))
        self.function = function
        self.register_buffer("others", torch.tensor(others, dtype=torch.float64))
        self.weight = torch.nn.Parameter(torch.ones((), dtype=torch.float64))

    def step(self, x, state):
        (h,) = state
        return self.function(h, self.others + x) * self.weight, (h,)


@pytest.mark.parametrize("name", POINTS)
def test_the_gradient_is_the_loops_where_cases_meet(name):
    cell, at = At(name), POINTS[name][1]
    found = {}
    for unroller in ("loop", "compiled"):
        h = torch.tensor([at] * 2, dtype=torch.float64, requires_grad=True)
        ys, _ = rnnkit.unrollers[unroller]()(cell, torch.zeros(2, 2, 1, dtype=torch.float64), (h,))
        found[unroller] = torch.autograd.grad(ys.nan_to_num(posinf=0, neginf=0).sum(), h)[0]
    assert rnnkit.unrollers["compiled"]().backend_of(cell) == "cpp"
    torch.testing.assert_close(found["compiled"], found["loop"], equal_nan=True)
    assert found["loop"][:, :1].isfinite().all()


INF = float("inf")
BESIDE_INFINITIES = {
    "cummax": lambda z: torch.cummax(z, -1)[0],
    "cummin": lambda z: torch.cummin(z, -1)[0],
    "logcumsumexp": lambda z: torch.logcumsumexp(z, -1),
    "logaddexp": lambda z: torch.logaddexp(z, z.flip(-1)),
    "logaddexp2": lambda z: torch.logaddexp2(z, z.flip(-1)),
}
ROWS = [
    *((1, 2, INF, 3), (-INF, 1, 2, -INF), (-INF, -INF, 1, 2)),
    *((INF, 2, 1, -INF), (1, INF, float("nan"), 2), (3, 3, 1, 3)),
]


class Applied(rnnkit.Cell):
    """Gives a function of the state, which stays."""

    def __init__(self, function):
        super().__init__(1, len(ROWS[0]))
        self.function = function
        self.weight = torch.nn.Parameter(torch.ones((), dtype=torch.float64))

    def step(self, x, state):
        (h,) = state
        return self.function(h + x) * self.weight, (h,)


@pytest.mark.parametrize("name", BESIDE_INFINITIES)
def test_infinities_stay_where_they_are(name):
    cell, found = Applied(BESIDE_INFINITIES[name]), {}
    for unroller in ("loop", "compiled"):
        h = torch.tensor(ROWS, dtype=torch.float64, requires_grad=True)
        ys, _ = rnnkit.unrollers[unroller]()(cell, torch.zeros(2, len(ROWS), 1, dtype=torch.float64), (h,))
        weights = torch.arange(1, 5, dtype=torch.float64)
        found[unroller] = ys.detach(), torch.autograd.grad((ys * weights).sum(), h)[0]
    assert rnnkit.unrollers["compiled"]().backend_of(cell) == "cpp"
    torch.testing.assert_close(found["compiled"], found["loop"], equal_nan=True)
