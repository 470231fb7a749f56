"""ONNX: one file, weights included."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from rnnkit.errors import UsageError
from rnnkit.export.format import Format, Runner
from rnnkit.export.interface import Table, TensorInfo
from rnnkit.support.paths import AnyPath, as_path

LARGEST = 2**31 - 1  # bytes of a protocol buffer
ABOUT = "rnnkit"


class Onnx(Format):
    """A file for onnxruntime and others; a sequence is one Scan node."""

    name = "onnx"
    packages = ("onnx", "onnxscript", "onnxruntime")

    def encode(
        self, program: ExportedProgram, inputs: Sequence[TensorInfo], outputs: Sequence[TensorInfo], about: str
    ) -> bytes:
        """Return the bytes of the file.

        Raises:
            UsageError: the weights are too large for one.
        """
        size = sum(tensor.nbytes for tensor in program.state_dict.values())
        if size >= LARGEST:
            raise UsageError(f"the weights are {size / 2**30:.1f} GiB, too large for one file of ONNX; export to pt2")
        converted = torch.onnx.export(
            program,
            dynamo=True,
            verbose=False,
            input_names=[info.name for info in inputs],
            output_names=[info.name for info in outputs],
            custom_translation_table={torch.ops.aten.scalar_tensor.default: _scalar},
        )
        assert converted is not None
        model = converted.model
        _name_dims(model.graph, inputs)
        for node in model.graph.all_nodes():
            node.metadata_props.clear()  # names of classes and of torch's own nodes
        model.metadata_props[ABOUT] = about
        data: bytes = converted.model_proto.SerializeToString()
        return data

    def load(self, path: AnyPath) -> Runner:
        """Read a file, with onnxruntime."""
        path = as_path(path)
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # what fails is raised as well
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        names = [value.name for value in session.get_outputs()]

        def run(xs: Tensor, state: Table | None = None) -> tuple[Tensor, Table]:
            arguments = {"input": xs, **(state or {})}
            arrays = session.run(names, {name: tensor.detach().numpy() for name, tensor in arguments.items()})
            output, *states = map(torch.from_numpy, arrays)
            return output, {name.removeprefix("next_"): t for name, t in zip(names[1:], states, strict=True)}

        return run

    def read_about(self, path: AnyPath) -> str:
        """Return the text in a file."""
        path = as_path(path)
        import onnx

        entries = onnx.load(path, load_external_data=False).metadata_props
        texts: dict[str, str] = {entry.key: entry.value for entry in entries}
        return texts[ABOUT]


def _scalar(s: float, dtype: int = 1, layout: str = "", device: str = "", pin_memory: bool = False) -> Any:
    """Write a number of the source in its dtype: torch's own way is by float32, which costs float64 its digits."""
    from onnx.helper import make_tensor
    from onnxscript import opset18

    return opset18.Constant(value=make_tensor("scalar", max(dtype, 1), (), [s]))


def _name_dims(graph: Any, inputs: Sequence[TensorInfo]) -> None:
    """Call the free sizes of a graph as the inputs do, everywhere: "s31 * s38" -> "time * batch"."""
    names = {
        dim.value: name
        for value, info in zip(graph.inputs, inputs, strict=True)
        for dim, name in zip(value.shape, info.shape, strict=True)
        if isinstance(name, str)
    }
    for value in _values(graph):
        if value.shape is not None:
            value.shape = type(value.shape)(_named(dim, names) for dim in value.shape)


def _named(dim: Any, names: dict[str, str]) -> int | str | None:
    """Return a size by its name; one that is not known stays so, for sizes of one name are taken to be equal."""
    if isinstance(dim, int):
        return dim
    return dim.value and re.sub(r"\w+", lambda word: names.get(word[0], word[0]), dim.value)


def _values(graph: Any) -> Iterator[Any]:
    """Go through the values of a graph and of those inside of it."""
    yield from graph.inputs
    for node in graph:
        yield from node.outputs
        for attribute in node.attributes.values():
            if attribute.type.name == "GRAPH":
                yield from _values(attribute.as_graph())
