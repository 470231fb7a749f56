"""Models to be exported, and exported files read as whoever deploys them reads them."""

import onnxruntime
import torch

from rnnkit.export.interface import Interface
from rnnkit.export.verification import tolerance_of

# What was traced and verified at is nothing to these.
SIZES = [(1, 1), (2, 5), (17, 4)]


def build(kind, *arguments, dtype=torch.float32, **options):
    """Build a model or layer of random weights, biases and gains, in evaluation mode."""
    torch.manual_seed(0)
    model = kind(*arguments, **options).to(dtype).eval()
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model


def load(path):
    """Read a file of torch's."""
    return torch.export.load(path).module()


class Session:
    """A file of ONNX, in onnxruntime, called as one of torch's is."""

    def __init__(self, path):
        self.session = onnxruntime.InferenceSession(path)
        self.names = [value.name for value in self.session.get_outputs()]

    def __call__(self, xs, state=None):
        fed = {name: tensor.detach().numpy() for name, tensor in {"input": xs, **(state or {})}.items()}
        outputs = dict(zip(self.names, map(torch.from_numpy, self.session.run(self.names, fed)), strict=True))
        return outputs.pop("output"), {name.removeprefix("next_"): tensor for name, tensor in outputs.items()}


READERS = {"pt2": load, "onnx": Session}


def check(run, model, sizes=SIZES, state=False):
    """Compare a file of whole sequences with its model."""
    eager = Interface(model)
    for time, batch in sizes:
        xs, start = eager.example(time, batch)
        arguments = (xs, start) if state else (xs,)
        with torch.no_grad():
            wanted = eager(*arguments)
            near = tolerance_of(wanted[0].dtype)
            torch.testing.assert_close(
                run(*arguments), wanted, rtol=near, atol=near, msg=f"at {time, batch}: {{}}".format
            )


def check_steps(run, model, steps=9, batch=3):
    """Compare as many single steps with the whole."""
    eager = Interface(model)
    xs, start = eager.example(steps, batch)
    state, ys = start, []
    with torch.no_grad():
        for x in xs:
            y, state = run(x, state)
            ys.append(y)
        near = tolerance_of(y.dtype)
        torch.testing.assert_close((torch.stack(ys), state), eager(xs, start), rtol=near, atol=near)
