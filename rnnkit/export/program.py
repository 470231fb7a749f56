"""The exported program: a model traced by torch into one graph, for any number of steps and rows."""

from typing import Any

import torch
from torch import nn
from torch.export import Dim, ExportedProgram

from rnnkit.export.interface import Interface

TRACED = (5, 2)  # steps and rows of the example; they leave no trace in the graph


def trace(interface: Interface, *, state: bool) -> ExportedProgram:
    """Trace a model in evaluation mode.

    Args:
        interface: the model, with an unroller that a graph can hold.
        state: the state before the first step is an input.

    Raises:
        UsageError: torch cannot write a cell down as a graph; the sentence gives its reason.
    """
    xs, table = interface.example(*TRACED)
    free = {"time": Dim("time", min=1), "batch": Dim("batch", min=1)}
    dims: dict[str, Any] = {"input": {k: free[name] for k, name in interface.dims().items()}}
    if state:
        dims["state"] = {name: {0: free["batch"]} for name in table}
    arguments = (xs, table) if state else (xs,)
    try:
        program = torch.export.export(interface, arguments, dynamic_shapes=dims)
    except Exception:
        # Perhaps by this model's fault; but torch also takes up a `scan` that an earlier one has left, sizes and all.
        torch.compiler.reset()
        program = torch.export.export(interface, arguments, dynamic_shapes=dims)
    _freeze(program)
    _forget_source(program)
    return program


def _freeze(program: ExportedProgram) -> None:
    """Let the weights ask for no gradient: each call would trace the backward pass of every `scan`."""
    for name, tensor in program.state_dict.items():
        if isinstance(tensor, nn.Parameter):
            program.state_dict[name] = nn.Parameter(tensor.detach(), requires_grad=False)


def _forget_source(program: ExportedProgram) -> None:
    """Take out where each operation stood in the source: paths of the machine it was traced on."""
    for module in program.graph_module.modules():
        if isinstance(module, torch.fx.GraphModule):
            for node in module.graph.nodes:
                node.meta.pop("stack_trace", None)
