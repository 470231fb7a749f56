"""The memory of training, before it begins: predicted, held against a limit, and what would fit."""

from rnnkit.memory.gauge import available_memory
from rnnkit.memory.limits import advice, check_memory, memory_warning, refusal
from rnnkit.memory.prediction import Prediction, Predictor, predict

__all__ = [
    "Prediction",
    "Predictor",
    "advice",
    "available_memory",
    "check_memory",
    "memory_warning",
    "predict",
    "refusal",
]
