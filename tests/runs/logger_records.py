"""What the tests of loggers log."""

from rnnkit.runs.settings import Settings
from rnnkit.training.record import Record

SETTINGS = Settings(task="adding", hidden=7, cell_options={"bias": False})


def record(step, validation=None):
    return Record(step, step / 2, step / 4, step / 8, 100 * step, step / 16, 0.001, validation)
