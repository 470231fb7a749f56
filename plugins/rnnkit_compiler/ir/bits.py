"""Operations on the bits of integers: which name means what."""

LEFT, RIGHT, AND, OR, XOR = "left", "right", "and", "or", "xor"

BITS = {
    **dict.fromkeys(("__lshift__", "bitwise_left_shift"), LEFT),
    **dict.fromkeys(("__rshift__", "bitwise_right_shift"), RIGHT),
    "bitwise_and": AND,
    "bitwise_or": OR,
    "bitwise_xor": XOR,
}
"""By the name of the operation."""
