"""Export: a trained model as one file, which runs where rnnkit is not installed."""

from rnnkit.export.file import Exported, export_model
from rnnkit.export.interface import TensorInfo
from rnnkit.export.reading import read_exported

__all__ = ["Exported", "TensorInfo", "export_model", "read_exported"]
