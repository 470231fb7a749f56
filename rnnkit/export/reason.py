"""The reason why torch refuses a model, in one line."""

from rnnkit.errors import first_line


def reason(error: BaseException) -> str:
    """Give what lies at the root of an error of torch's, and where its first line only announces, the next one too."""
    while error.__cause__ is not None:
        error = error.__cause__
    told = first_line(error)
    if told.endswith(":"):
        told = " ".join([told, *[line.strip() for line in str(error).splitlines() if line.strip()][1:2]])
    return told
