"""Import and export of weights: the gate orders and layouts of other frameworks, as pure tensor functions.

One cell: `to_keras(cell, weights)` and `from_keras(cell, arrays)`, and the like for torch, Flax (linen and nnx), Haiku
and ONNX. A whole layer: `export_weights` and `import_weights`. No other framework is imported.
"""

from rnnkit.interop.flax import from_flax, to_flax
from rnnkit.interop.gates import reorder
from rnnkit.interop.haiku import from_haiku, to_haiku
from rnnkit.interop.keras import from_keras, to_keras
from rnnkit.interop.layers import export_weights, import_weights
from rnnkit.interop.nnx import from_nnx, to_nnx
from rnnkit.interop.onnx import from_onnx, to_onnx
from rnnkit.interop.torch_cells import from_torch, to_torch
from rnnkit.interop.weights import Weights

__all__ = [
    "Weights",
    "export_weights",
    "from_flax",
    "from_haiku",
    "from_keras",
    "from_nnx",
    "from_onnx",
    "from_torch",
    "import_weights",
    "reorder",
    "to_flax",
    "to_haiku",
    "to_keras",
    "to_nnx",
    "to_onnx",
    "to_torch",
]
