"""A pass is a function of its seed, whatever its loader draws from; a training goes on to the same bits."""

import random
from itertools import islice

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, RandomSampler, TensorDataset

import rnnkit
from rnnkit.loaders.passes import SeededPass
from rnnkit.support.random_states import RandomStates

from ..runs.test_resume import plain, same_bits

N = 10


class Noisy(Dataset):
    """Draws from all three."""

    def __len__(self):
        return N

    def __getitem__(self, number):
        noise = torch.rand(4, 2) + float(np.random.rand()) + random.random()
        return noise, torch.tensor(float(number))


def loaders():
    generator = torch.Generator().manual_seed(3)
    dataset = Noisy()
    sampler = RandomSampler(dataset, generator=torch.Generator().manual_seed(4))
    return {
        "shuffled": DataLoader(dataset, batch_size=3, shuffle=True),
        "a generator of its own": DataLoader(dataset, batch_size=3, shuffle=True, generator=generator),
        "a sampler with one": DataLoader(dataset, batch_size=3, sampler=sampler),
        "in order": DataLoader(dataset, batch_size=3),
        "workers": DataLoader(dataset, batch_size=3, shuffle=True, num_workers=2),
        "a data set": dataset,
    }


KINDS = list(loaders())


def draws():
    """Return what all would draw next, and leave them as they are."""
    states = RandomStates.now()
    drawn = torch.rand(2).tolist(), np.random.rand(2).tolist(), random.random()
    states.put()
    return drawn


def flat(batches):
    return [tensor for batch in batches for tensor in batch[:2]]


def equal(first, second):
    return len(first) == len(second) and all(map(torch.equal, first, second))


@pytest.mark.parametrize("kind", KINDS[:-1])
def test_a_pass_depends_on_its_seed_alone_and_changes_nothing_outside(kind):
    loader = loaders()[kind]
    outside, own = draws(), loader.generator and loader.generator.get_state()
    first = flat(SeededPass(loader, 5))
    assert draws() == outside
    if own is not None:
        assert torch.equal(loader.generator.get_state(), own)
    np.random.seed(1)
    torch.rand(3)
    assert equal(flat(SeededPass(loader, 5)), first)
    assert not equal(flat(SeededPass(loader, 6)), first)


def test_two_passes_over_one_loader_at_once():
    loader = loaders()["a generator of its own"]
    alone = flat(SeededPass(loader, 5))
    one, other = SeededPass(loader, 5), SeededPass(loader, 6)
    woven = [batch for pair in zip(one, other, strict=True) for batch in pair]
    assert equal(flat(woven[::2]), alone)


def test_a_loader_that_raises_leaves_the_states_alone():
    class Broken(Noisy):
        def __getitem__(self, number):
            torch.rand(1)
            raise RuntimeError("no such file")

    outside = draws()
    with pytest.raises(RuntimeError, match="no such file"):
        next(SeededPass(DataLoader(Broken()), 0))
    assert draws() == outside


def make(kind):
    loader = loaders()[kind]
    task = rnnkit.tasks.from_loader(loader, batch_first=True, every_step=False, validation=loader)
    torch.manual_seed(0)
    model = rnnkit.Model(task, "gru", 3, num_layers=2, dropout=0.3, unroller="loop")
    options = {} if task.fixed_batch_size else {"batch_size": 3}
    return rnnkit.Training(model, task, steps=9, lr=0.05, seed=2, validate_every=3, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_it_goes_on_to_the_same_bits_wherever_it_stopped(kind, tmp_path):
    """In any batch of a pass, the short last one too, and in any pass."""
    whole = make(kind)
    expected = plain(whole.records())
    assert [record["tokens"] for record in expected[:4]] == [12, 24, 36, 40]
    for stop in (4,) if kind == "workers" else (0, 1, 3, 4, 5, 8):
        first, path = make(kind), tmp_path / f"{stop}"
        before = plain(islice(first.records(), stop))
        first.save(path)
        second = make(kind)
        torch.rand(7)
        assert second.resume(path) == stop
        assert before + plain(second.records()) == expected, stop
        assert same_bits(second, whole)


def test_a_resumed_run_reads_no_more_than_its_pass_again(tmp_path):
    reads = []

    class Counted(TensorDataset):
        def __getitem__(self, number):
            reads.append(number)
            return super().__getitem__(number)

    def build():
        data = Counted(torch.zeros(N, 2, 1), torch.zeros(N))
        task = rnnkit.tasks.from_loader(DataLoader(data, batch_size=3, shuffle=True), batch_first=True, validation=[()])
        return rnnkit.Training(rnnkit.Model(task, "rnn", 2, unroller="loop"), task, steps=100)

    training = build()
    for record in training.records():
        if record.step == 30:  # in the eighth pass
            break
    training.save(tmp_path / "run")
    again = build()
    reads.clear()
    again.resume(tmp_path / "run")
    assert len(reads) <= N + 6  # and the first batch twice, to see whether the data are the same


def test_another_seed_is_another_order():
    task = rnnkit.tasks.from_loader(loaders()["in order"], batch_first=True)
    assert task.random  # by its noise
    still = rnnkit.tasks.from_loader(DataLoader(TensorDataset(torch.zeros(4, 2, 1), torch.zeros(4))), batch_first=True)
    assert not still.random


def test_the_data_have_changed(tmp_path):
    def build(shift):
        data = TensorDataset(torch.ones(N, 2, 1) * shift, torch.zeros(N))
        task = rnnkit.tasks.from_loader(DataLoader(data, batch_size=5), batch_first=True, name="own")
        return rnnkit.Training(rnnkit.Model(task, "rnn", 2, unroller="loop"), task, steps=4)

    training = build(1)
    next(training.records())
    training.save(tmp_path / "run")
    assert build(1).resume(tmp_path / "run") == 1
    with pytest.raises(rnnkit.errors.DataError, match=r"^the data of task 'own' have changed since .*step-000000001"):
        build(2).resume(tmp_path / "run")


def test_data_that_are_never_the_same_are_known_by_their_sizes():
    class Restless(Noisy):
        generator = torch.Generator().manual_seed(0)  # of its own, which no pass seeds

        def __getitem__(self, number):
            return torch.rand(4, 2, generator=Restless.generator), torch.tensor(0.0)

    one, other = (rnnkit.tasks.from_loader(DataLoader(Restless()), batch_first=True).fingerprint() for _ in range(2))
    assert one == other
