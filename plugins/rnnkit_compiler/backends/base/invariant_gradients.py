"""The gradients of the invariants, from those of the matrices and vectors that the steps read of them."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from rnnkit_compiler.backends.base.recurrence import Recurrence
from rnnkit_compiler.backends.base.whole_gradients import of_unexpanded, with_matrix


class MatrixGradient(NamedTuple):
    """The gradient (N, K) of an invariant matrix (K, N)."""

    matrix: int
    """Its number in the step."""

    grad: int
    """The number of the tensor."""


class VectorGradient(NamedTuple):
    """Sums whose total is the gradient of an invariant vector."""

    vector: int
    """Its number in the step."""

    sums: int
    """The number of the tensor: (sums, width), or the total in the shape of the invariant."""

    is_total: bool


class InvariantGradients:
    """Makes gradients of invariants of those of their parts; what is so of all calls of a form is found out once.

    Args:
        recurrence: the step.
        shapes: of the invariants.
        needs: which of them are to have a gradient.
        matrices: gradients of matrices.
        vectors: gradients of vectors.
    """

    def __init__(
        self,
        recurrence: Recurrence,
        shapes: Sequence[torch.Size],
        needs: Sequence[bool],
        matrices: Iterable[MatrixGradient],
        vectors: Iterable[VectorGradient],
    ) -> None:
        step = recurrence.plan.step
        self._step, self._dtype = step, step.dtype
        of_matrix, of_vector = recurrence.of_matrix, recurrence.of_vector
        of_matrices = [(of_matrix[one.matrix], one) for one in matrices if needs[of_matrix[one.matrix]]]
        of_vectors = [(of_vector[one.vector], one) for one in vectors if needs[of_vector[one.vector]]]
        self._parts = [(place, one) for place, one in of_matrices if not self._is_whole(one, shapes[place])]
        self._sums = [(place, one) for place, one in of_vectors if not one.is_total]
        self._totals = [
            *((place, one.grad) for place, one in of_matrices if self._is_whole(one, shapes[place])),
            *((place, one.sums) for place, one in of_vectors if one.is_total),
        ]
        reached = {place for place, _ in (*of_matrices, *of_vectors)}
        self._zeros = [
            place
            for place, number in enumerate(step.invariants)
            if needs[place] and place not in reached and number in step.connected.invariants
        ]

    def _is_whole(self, one: MatrixGradient, shape: torch.Size) -> bool:
        """Tell whether the gradient of a matrix is that of an invariant, in its shape."""
        matrix = self._step.matrices[one.matrix]
        return matrix.transposed and shape == tuple(reversed(matrix.shape))

    def __call__(self, known: Sequence[Tensor], invariants: Sequence[int]) -> list[Tensor | None]:
        """Return the gradient of each invariant; None: none is needed, or nothing depends on it.

        Args:
            known: the tensors of a call.
            invariants: the numbers of the invariants among them, or of others like them.
        """
        grads: list[Tensor | None] = [None] * len(invariants)
        for place, (matrix, grad) in self._parts:
            tensor = known[invariants[place]]
            grads[place] = with_matrix(grads[place], known[grad], self._step.matrices[matrix], tensor)
        for place, (vector, sums, _) in self._sums:
            total = known[sums].sum(0).to(self._dtype)
            whole = of_unexpanded(total, self._step.vectors[vector], known[invariants[place]])
            grads[place] = _added(grads[place], whole)
        for place, number in self._totals:
            grads[place] = _added(grads[place], known[number])
        for place in self._zeros:
            grads[place] = torch.zeros_like(known[invariants[place]])
        return grads


def _added(before: Tensor | None, grad: Tensor) -> Tensor:
    return grad if before is None else before + grad
