"""torch's own weight and spectral norm on a layer's weights, for every cell."""

import pytest
import torch
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

import rnnkit

from ..core_cells import CORE_CELLS
from ..slow_cases import slow_but

CELLS = [name for name in CORE_CELLS if "weight_hh" in str([n for n, _ in rnnkit.cells[name](2, 2).named_parameters()])]
NORMS = {"weight norm": weight_norm, "spectral norm": spectral_norm}
every_cell = pytest.mark.parametrize("cell", CELLS)
every_norm = pytest.mark.parametrize("norm", NORMS)
NAMES = ["weight_hh_l0", "weight_hh_l1_reverse"]


def build(cell, unroller="loop"):
    torch.manual_seed(0)
    return rnnkit.RNN(cell, 3, 6, 2, bidirectional=True, dtype=torch.float64, unroller=unroller).eval()


def normed(cell, norm, unroller="loop"):
    layer = build(cell, unroller)
    for name in NAMES:
        NORMS[norm](layer, name)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.mul_(1.5).add_(0.1)  # weights that are not what they were before
    return layer


def by_hand(layer, norm, name):
    """Compute the weight from what the norm keeps."""
    kept = layer.parametrizations[name]
    if norm == "weight norm":
        scale, direction = kept.original0, kept.original1
        return scale * direction / (direction**2).sum(1, keepdim=True).sqrt()
    weight, u, v = kept.original, kept[0]._u, kept[0]._v
    return weight / (u @ weight @ v)


def gradients(layer, xs):
    torch.manual_seed(1)
    return torch.autograd.grad(layer(xs)[0].sin().sum(), list(layer.parameters()))


@every_norm
@every_cell
def test_equals_a_layer_with_the_weights_computed_by_hand(cell, norm):
    layer, plain = normed(cell, norm), build(cell)
    weights = {name: getattr(layer, name) for name, _ in plain.named_parameters()}
    plain.load_state_dict(weights | {name: by_hand(layer, norm, name) for name in NAMES})
    xs = torch.randn(9, 2, 3, dtype=torch.float64)
    torch.testing.assert_close(layer(xs), plain(xs), rtol=0, atol=1e-13)
    assert not torch.allclose(layer(xs)[0], build(cell)(xs)[0])


@pytest.mark.parametrize("unroller", ["loop", "checkpoint"])
@every_norm
@every_cell
def test_is_computed_once_a_call(cell, norm, unroller):
    layer, computed = normed(cell, norm, unroller).train(), []
    for name in NAMES:
        layer.parametrizations[name][0].register_forward_hook(lambda *_, name=name: computed.append(name))
    layer(torch.randn(9, 2, 3, dtype=torch.float64))[0].sum().backward()
    assert computed == NAMES


@every_norm
@every_cell
def test_every_unroller_gives_the_same_gradients(cell, norm):
    xs = torch.randn(9, 2, 3, dtype=torch.float64)
    found = [gradients(normed(cell, norm, unroller).train(), xs) for unroller in ("loop", "checkpoint")]
    assert len(found[0]) > len(NAMES)
    assert all(map(torch.equal, *found))


@pytest.mark.parametrize("cell", slow_but(["lstm"], CELLS))
def test_the_spectral_norm_goes_to_one(cell):
    layer = normed(cell, "spectral norm").train()
    xs = torch.randn(1, 1, 3, dtype=torch.float64)
    before = [torch.linalg.matrix_norm(getattr(layer.eval(), name), 2).item() for name in NAMES]
    for _ in range(300):
        layer.train()(xs)
    after = [torch.linalg.matrix_norm(getattr(layer.eval(), name), 2).item() for name in NAMES]
    assert after == pytest.approx([1.0, 1.0], abs=1e-6)
    assert before != pytest.approx([1.0, 1.0], abs=1e-6)


@every_norm
@every_cell
def test_a_few_steps_of_training_lower_the_loss(cell, norm):
    layer = normed(cell, norm).train()
    xs, targets = torch.randn(6, 8, 3, dtype=torch.float64), torch.rand(6, 8, 12, dtype=torch.float64) - 0.5
    before = [p.detach().clone() for p in layer.parameters()]
    optimizer, losses = torch.optim.Adam(layer.parameters(), 0.02), []
    for _ in range(10):
        loss = (layer(xs)[0] - targets).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert not any(map(torch.equal, before, layer.parameters()))


@every_norm
@every_cell
def test_state_dicts_go_round(cell, norm):
    layer, other = normed(cell, norm), normed(cell, norm)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.normal_()
    other.load_state_dict(layer.state_dict())
    xs = torch.randn(9, 2, 3, dtype=torch.float64)
    assert torch.equal(other(xs)[0], layer(xs)[0])
