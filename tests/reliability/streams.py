"""Streams of many steps, in server.py's forks, where their memory is counted."""

PIECE = 1000


def inference(steps, unroller):
    """Carry the state of a model in evaluation over that many time steps, a piece at a time."""
    import torch

    import rnnkit

    torch.manual_seed(0)
    layer = rnnkit.RNN("rnn", 1, 2, unroller=unroller).eval()
    xs, state = torch.randn(PIECE, 1, 1), None
    with torch.no_grad():
        for _ in range(steps // PIECE):
            _, state = layer(xs, state)


def sampling(steps, text):
    """Draw that many symbols, a call of the model for each."""
    from itertools import islice

    import rnnkit
    from rnnkit.training.sampling import generate_stream

    task = rnnkit.tasks["chars"](text=text)
    model = rnnkit.Model(task, "rnn", 2, unroller="loop")
    for _ in islice(generate_stream(model, task.prompt()), steps):
        pass
