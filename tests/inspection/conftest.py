"""Every kind of subject that is inspected."""

import pytest
import torch

import rnnkit
from rnnkit.core.cell import building

from ..core_cells import CORE_CELLS
from .odd_cells import Mixed, Numbers

EXPRESSIONS = ["zoneout(gru)", "variational(residual(lstm))"]


def built(name, seed=0, input_size=3, hidden_size=4):
    """Return a subject: a registered cell or expression, a layer, a model, an odd cell."""
    torch.manual_seed(seed)
    with building(None, torch.float64):
        match name:
            case "layer":
                return rnnkit.RNN("lstm", input_size, hidden_size, 2, bidirectional=True, residual=True)
            case "mixed layers":
                return rnnkit.RNN(["gru", "zoneout(peephole)"], input_size, [hidden_size, 5], batch_first=True)
            case "model of numbers":
                return rnnkit.Model(Numbers(), "gru", hidden_size).double()
            case "model of symbols":
                return rnnkit.Model(rnnkit.tasks["copy"](seq_len=3), "lstm", hidden_size, embedding_size=3).double()
            case "odd cell":
                return Mixed(input_size, hidden_size)
            case _:
                return name


SUBJECTS = [
    *CORE_CELLS,
    *EXPRESSIONS,
    "layer",
    "mixed layers",
    "model of numbers",
    "model of symbols",
    "odd cell",
]
SMALL = {"steps": 6, "batch_size": 2}


@pytest.fixture(params=SUBJECTS)
def every_subject(request):
    """Yield each subject with keywords that keep it small."""
    subject = built(request.param)
    sizes = {"input_size": 3, "hidden_size": 4} if isinstance(subject, str) else {}
    return subject, {**SMALL, **sizes}
