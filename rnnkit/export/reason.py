"""The reason why torch refuses a model, in one line."""

from rnnkit.errors import first_line

HELD_BACK = "'immutable_list' object has no attribute 'meta'"
"""What torch's `scan` says of a step that it was handed whole."""


def reason(error: BaseException) -> str:
    """Return the cause of an error of torch's, with its second line where the first only announces."""
    while error.__cause__ is not None:
        error = error.__cause__
    told = first_line(error)
    if told.endswith(HELD_BACK):
        return "torch's compiler is kept from taking the step apart, as torch.compiler.set_stance('force_eager') does"
    if told.endswith(":"):
        told = " ".join([told, *[line.strip() for line in str(error).splitlines() if line.strip()][1:2]])
    return told
