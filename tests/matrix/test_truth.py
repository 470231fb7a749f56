"""Central differences, of which each kind is right, batched or one by one."""

import pytest
import torch

from rnnkit.matrix.case import Case
from rnnkit.matrix.problem import Problem
from rnnkit.matrix.truth import Truth


@pytest.fixture
def truth():
    return Truth(Problem(Case("rnn", "loop", "lengths", "uni", "first")))


def close(found, expected, tolerance=1e-8):
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=tolerance, atol=tolerance)


def test_differences_by_each_element_are_derivatives(truth):
    close(truth.gradients, truth.gradients_at(truth.problem.tensors))


def test_one_by_one_they_are_the_same(truth, monkeypatch):
    batched = truth.gradients
    monkeypatch.setattr(Truth, "_batched", lambda self, points: None)
    close(Truth(truth.problem).gradients, batched)


def test_what_cannot_be_batched_is_taken_one_by_one(truth, monkeypatch):
    expected = truth.problem.expected

    def looking(tensors):
        assert float(tensors["input"].sum()) < 1e9  # vmap refuses to look at a value
        return expected(tensors)

    monkeypatch.setattr(truth.problem, "expected", looking)
    assert truth._batched(truth._point[None].repeat(2, 1)) is None


def test_a_batched_pass_that_gives_others_is_not_used(truth, monkeypatch):
    expected = truth.problem.expected

    def other(tensors):
        under_vmap = torch._C._functorch.is_batchedtensor(tensors["input"])
        return {name: tensor + under_vmap for name, tensor in expected(tensors).items()}

    monkeypatch.setattr(truth.problem, "expected", other)
    assert truth._batched(truth._point[None].repeat(2, 1)) is None


def test_slopes_and_curvatures_are_derivatives(truth):
    direction, tensors = truth.problem.direction(1), truth.problem.tensors
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in tensors.items()}
    scalar = truth.problem.scalar(truth.problem.expected(leaves))
    gradients = truth.problem.gradients(scalar, leaves, create_graph=True)
    along = sum((gradients[name] * part).sum() for name, part in direction.items())
    close(truth.curvatures(1), truth.problem.gradients(along, leaves))
    slope = truth.problem.scalar(truth.slopes(1))
    torch.testing.assert_close(slope, along.detach(), rtol=1e-9, atol=1e-9)


def test_one_rounding_moves_a_smooth_cell_by_a_few_last_places(truth):
    moved = truth.sensitivity
    assert {"output", "h", "the gradient of input", "the gradient of weight_hh_l0"} <= moved.keys()
    assert min(moved.values()) > 0.05
    assert max(moved.values()) < 8
