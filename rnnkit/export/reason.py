"""The reason why torch refuses a model, in one line."""

from rnnkit.errors import first_line


def reason(error: BaseException) -> str:
    """Return the cause of an error of torch's, with its second line where the first only announces."""
    while error.__cause__ is not None:
        error = error.__cause__
    told = first_line(error)
    if told.endswith(":"):
        told = " ".join([told, *[line.strip() for line in str(error).splitlines() if line.strip()][1:2]])
    return told
