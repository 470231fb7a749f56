"""Each cell of the catalogue computes what its paper says: a transcription in numpy, and another library's cell."""

import inspect
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

import rnnkit
from rnnkit.core.cell import building
from rnnkit.testing import check_cell

TABLES = [import_module(f".{path.stem}", __package__) for path in sorted(Path(__file__).parent.glob("equations_*.py"))]
EQUATIONS = {name: equation for table in TABLES for name, equation in table.EQUATIONS.items()}
PEERS = {name: peer for table in TABLES for name, peer in table.PEERS.items()}
CATALOGUE = [name for name in rnnkit.cells if rnnkit.cells[name].__module__.startswith("rnnkit_zoo.")]

T, B, D, H = 6, 3, 4, 8


def build(name, **options):
    torch.manual_seed(0)
    with building(None, torch.float64):
        cell = rnnkit.cells[name](D, H, **options)
    with torch.no_grad():
        for parameter in cell.parameters():  # away from zeros, ones and what else an initialisation may hide behind
            parameter.add_(0.3 * torch.randn_like(parameter))
    return cell.eval()


def drawn(cell):
    """Return an input and a state within the domains that the cell declares."""
    xs = torch.randn(T, B, cell.input_size, dtype=torch.float64)
    state = []
    for name, start in zip(cell.state_names, cell.initial_state(B), strict=True):
        domain, noise = cell.state_domains.get(name), torch.randn(start.shape, dtype=torch.float64)
        state.append({None: noise, "unit interval": noise.sigmoid()}.get(domain, noise.exp()))
    return xs, tuple(state)


def run(cell, xs, state):
    ys, p = [], cell.project(xs)
    for t in range(len(xs)):
        step = tuple(part[t] for part in p) if isinstance(p, tuple) else p[t]
        y, state = cell.step(step, state)
        ys.append(y)
    return torch.stack(ys), state


def test_every_cell_has_an_equation():
    assert set(CATALOGUE) == EQUATIONS.keys()
    assert set(CATALOGUE) >= PEERS.keys()


CASES = [(name, options) for name, equation in EQUATIONS.items() for options in equation.options]


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_a_cell_is_its_paper_s_equation(name, options):
    cell = build(name, **options)
    xs, state = drawn(cell)
    with torch.no_grad():
        ys, last = run(cell, xs, state)
    w = {key: tensor.detach().numpy() for key, tensor in cell.state_dict().items()}
    step = EQUATIONS[name].step
    known = inspect.signature(step).parameters
    given = {key: value for key, value in options.items() if key in known}
    for row in range(B):
        now = tuple(tensor[row].numpy() for tensor in state)
        for t in range(T):
            y, now = step(w, xs[t, row].numpy(), now, **given)
            np.testing.assert_allclose(ys[t, row].numpy(), y, rtol=1e-10, atol=1e-10)
        for tensor, expected in zip(last, now, strict=True):
            np.testing.assert_allclose(tensor[row].numpy(), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.one_in(11)  # each compiles a kernel
@pytest.mark.parametrize("name", CATALOGUE)
def test_a_cell_keeps_every_promise(name):
    check_cell(rnnkit.cells[name])


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_file_is_short_and_has_three_movements(name):
    path = Path(inspect.getfile(rnnkit.cells[name]))
    text = path.read_text(encoding="utf-8")
    code = text.split('"""', 2)[2]
    assert len(text.splitlines()) <= 60, path
    words = text.split('"""')[1]
    assert "Paper: " in words
    assert "What differs: " in words
    assert "When to use it: " in words
    assert "@rnnkit.hookimpl" in code


@pytest.mark.slow
@pytest.mark.parametrize("name", PEERS)
def test_another_library_s_cell_has_the_same_numbers_and_gradients(name):
    theirs = pytest.importorskip("torchrecurrent", reason="needs torchrecurrent, of the extra oracles")
    entry = PEERS[name]
    cell = build(name, **entry.options)
    peer = getattr(theirs, entry.name)(D, H, **entry.theirs).double()
    with torch.no_grad():
        entry.copy(peer, cell)
    xs, state = drawn(cell)
    results = []
    for subject in (cell, peer):
        leaves = [tensor.clone().requires_grad_() for tensor in (xs, *state)]
        now, total = tuple(leaves[1:]), 0.0
        for x in leaves[0]:
            if subject is cell:
                y, now = cell(x, now)
            else:
                y, now = stepped(peer, x, now, len(cell.state_names))
            total = total + y.sin().sum()
        results.append([total, *torch.autograd.grad(total, leaves, allow_unused=True)])
    same = all(
        torch.allclose(ours, other, rtol=1e-9, atol=1e-10)
        for ours, other in zip(*results, strict=True)
        if ours is not None and other is not None
    )
    assert same == (not entry.differs), entry.differs


def stepped(peer, x, state, count):
    """Step a cell of torchrecurrent, which returns (y, ...) in several forms: all end in tensors for the state."""
    try:
        result = peer(x, state if count > 1 else state[0])
    except (TypeError, ValueError, RuntimeError):  # theirs has a second state, which is the first again
        result = peer(x, (state[0], state[0]))
    flat = [result] if isinstance(result, torch.Tensor) else list(flattened(result))
    return flat[0], tuple(flat[:count]) if count == len(flat) else tuple(flat[-count:])


def flattened(value):
    for part in value:
        yield from [part] if isinstance(part, torch.Tensor) else flattened(part)
