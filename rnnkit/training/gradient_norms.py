"""The size of every gradient of a model on one batch."""

import torch

from rnnkit.core.task import Batch, Task
from rnnkit.layers.model import Model, last_outputs


def gradient_norms(model: Model, task: Task, batch: Batch) -> dict[str, float]:
    """Return the Euclidean norm of the loss's gradient: "input", each initial state by name, each parameter.

    "input" is what the recurrent layer gets: embedded, if it is symbols. The `grad` of the model's parameters stays
    as it is.
    """
    features = model.embed(batch.xs)
    if not features.requires_grad:
        features = features.detach().requires_grad_()
    layout = model.layer.layout
    state = layout.flat(model.layer.initial_state(batch.xs.shape[1]))
    # A learnt initial state keeps its graph, so that what it is made of has its gradient too.
    state = [t if t.requires_grad else t.detach().requires_grad_(t.is_floating_point()) for t in state]
    ys, _ = model.layer(features, layout.unflat(state), lengths=batch.lengths)
    outputs = model.readout(ys)
    judged = outputs if task.every_step else last_outputs(outputs, batch.lengths)
    tensors = {"input": features}
    tensors |= {name: t for name, t in zip(layout.names("0"), state, strict=True) if t.requires_grad}
    tensors |= {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    gradients = torch.autograd.grad(task.loss(judged, batch.targets), list(tensors.values()), allow_unused=True)
    return {name: 0.0 if g is None else float(g.norm()) for name, g in zip(tensors, gradients, strict=True)}
