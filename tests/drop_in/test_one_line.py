"""Somebody's model with `nn.LSTM` in it, and the same model with that one line changed."""

import pytest
import torch
from torch import nn

import rnnkit

MODEL = """
class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 6, padding_idx=0)
        self.encoder = nn.LSTM(6, 5, num_layers=2, batch_first=True, bidirectional=True, proj_size=3)
        self.head = nn.Linear(2 * 3, 4)
        nn.init.orthogonal_(self.encoder.weight_hh_l0)
        self.encoder.flatten_parameters()

    def forward(self, words, lengths):
        packed = pack_padded_sequence(self.embedding(words), lengths, batch_first=True, enforce_sorted=False)
        hidden, (h, c) = self.encoder(packed)
        tags, _ = pad_packed_sequence(hidden, batch_first=True)
        return self.head(tags), h[-1], c[-1]
"""
CHANGE = ("nn.LSTM(6,", 'rnnkit.RNN("lstm", 6,')
LENGTHS = torch.tensor([4, 7, 1])

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")  # torch's choice


def build(source):
    """Build the model that the source defines, in float64."""
    names = {"nn": nn, "rnnkit": rnnkit}
    names |= {name: getattr(nn.utils.rnn, name) for name in ("pack_padded_sequence", "pad_packed_sequence")}
    exec(source, names)
    torch.manual_seed(0)
    return names["Tagger"]().double()


def words():
    found = torch.randint(1, 11, (3, 7))
    return found.masked_fill(torch.arange(7) >= LENGTHS.unsqueeze(1), 0)


def losses(model, batch):
    """Train a little; returns the loss at each step."""
    optimiser = torch.optim.Adam(model.parameters(), lr=0.1)
    found = []
    for _ in range(5):
        tags, h, c = model(batch, LENGTHS)
        loss = tags.logsumexp(-1).mean() + h.square().mean() + c.square().mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        found.append(loss.item())
    return found


@pytest.fixture
def changed():
    """Return the source with the one line changed."""
    source = MODEL.replace(*CHANGE)
    differing = [new for old, new in zip(MODEL.splitlines(), source.splitlines(), strict=True) if old != new]
    assert len(differing) == 1
    return source


def test_the_same_seed_gives_the_same_model(changed):
    before, after = build(MODEL), build(changed)
    assert isinstance(after.encoder, rnnkit.RNN)
    assert list(after.state_dict()) == list(before.state_dict())
    assert all(map(torch.equal, after.state_dict().values(), before.state_dict().values()))


def test_an_old_checkpoint_is_loaded_and_trained_on(changed):
    before, after = build(MODEL), build(changed)
    batch = words()
    first = losses(before, batch)
    assert first[-1] < first[0]
    after.load_state_dict(before.state_dict())
    torch.testing.assert_close(after(batch, LENGTHS), before(batch, LENGTHS), rtol=0, atol=1e-12)
    torch.testing.assert_close(losses(after, batch), losses(before, batch), rtol=0, atol=1e-9)
    for key, tensor in before.state_dict().items():
        torch.testing.assert_close(after.state_dict()[key], tensor, rtol=0, atol=1e-9, msg=key)
