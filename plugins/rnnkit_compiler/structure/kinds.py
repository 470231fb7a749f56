"""Kinds of operations: by which elements of its operands an element of a result is made."""

from enum import Enum, auto

import torch

from rnnkit_compiler.trace.recording import Call

FRESH = frozenset(
    (
        *("zeros", "ones", "full", "empty", "arange", "linspace", "eye", "scalar_tensor"),
        *(f"new_{kind}" for kind in ("zeros", "ones", "full", "empty")),
        *(f"{kind}_like" for kind in ("zeros", "ones", "full", "empty")),
    )
)
"""What is made of no element of any operand, though it may take shape or type from one."""

MOVES = frozenset(
    (
        *("alias", "clone", "detach", "_to_copy", "contiguous", "view", "_unsafe_view", "_reshape_alias", "reshape"),
        *(
            "expand",
            "repeat",
            "unsqueeze",
            "squeeze",
            "t",
            "transpose",
            "permute",
            "flip",
            "roll",
            "diagonal",
            "unfold",
        ),
        *("split", "split_with_sizes", "slice", "select", "unbind", "cat", "stack", "narrow", "constant_pad_nd"),
    )
)
"""What gives elements as they are, in other places."""

PRODUCTS = {
    "mm": (None, "self", "mat2"),
    "bmm": (None, "self", "mat2"),
    "mv": (None, "self", "vec"),
    "addmm": ("self", "mat1", "mat2"),
    "baddbmm": ("self", "batch1", "batch2"),
    "dot": (None, "self", "tensor"),
}
"""Matrix products: the arguments that are added to one (None: nothing is), and its two factors."""

REDUCES = frozenset(
    (
        *("sum", "mean", "prod", "amax", "amin", "max", "min", "argmax", "argmin", "logsumexp", "any", "all"),
        *("std", "var", "std_mean", "var_mean", "linalg_vector_norm", "norm"),
    )
)
"""What makes one element of all along some dimensions."""

ALONG = frozenset(("_softmax", "_log_softmax", "cumsum", "cumprod", "logcumsumexp", "native_layer_norm"))
"""What makes each element of all along some dimensions."""

ELEMENTWISE = frozenset(
    (
        *("log_sigmoid_forward", "_prelu_kernel", "mse_loss_backward", "smooth_l1_loss_backward"),
        "huber_loss_backward",
    )
)
"""What goes element by element, and is not tagged so by torch."""


class Kind(Enum):
    """By which elements an element of a result is made."""

    FRESH = auto()
    MOVE = auto()
    POINTWISE = auto()
    PRODUCT = auto()
    REDUCTION = auto()
    ALONG = auto()
    UNKNOWN = auto()
    """Taken to be made of all."""


def kind_of(call: Call) -> Kind:
    """Return the kind of an operation; one that is not listed is unknown."""
    name = call.base_name
    for kind, names in ((Kind.FRESH, FRESH), (Kind.MOVE, MOVES), (Kind.PRODUCT, PRODUCTS), (Kind.REDUCTION, REDUCES)):
        if name in names and not (name in ("max", "min") and "other" in call.arguments):
            return kind
    if name in ALONG:
        return Kind.ALONG
    pointwise = torch.Tag.pointwise in call.operator.tags or name in ELEMENTWISE
    return Kind.POINTWISE if pointwise else Kind.UNKNOWN
