"""Random states of a training on a GPU: of that device, saved and taken up again; a stand-in keeps the states."""

import pytest
import torch

import rnnkit
from rnnkit.training.process_group import Processes
from rnnkit.training.process_random import random_states, set_random_states
from rnnkit.training.training import Training

GPU, OTHER = torch.device("cuda", 0), torch.device("cuda", 1)


def state(number):
    return torch.full((16,), number, dtype=torch.uint8)


@pytest.fixture
def gpus(monkeypatch):
    """Let there be two GPUs, with a random state each."""
    now = {GPU: state(1), OTHER: state(2)}
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: now[device].clone())
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda new, device: now.__setitem__(device, new))
    return now


def test_the_state_of_the_training_s_device_comes_back(gpus):
    saved = random_states(Processes(), OTHER)
    assert [*saved] == ["cpu", "cuda"]
    drawn = torch.rand(3)
    gpus[OTHER] = state(77)
    gpus[GPU] = state(78)
    set_random_states(saved, Processes(), OTHER, seed=0)
    assert torch.equal(torch.rand(3), drawn)
    assert torch.equal(gpus[OTHER], state(2))
    assert torch.equal(gpus[GPU], state(78))  # nobody's but the user's


def test_on_the_cpu_there_is_one_state(gpus):
    assert [*random_states(Processes(), torch.device("cpu"))] == ["cpu"]
    before = dict(gpus)
    set_random_states(random_states(Processes(), torch.device("cpu")), Processes(), GPU, seed=0)
    assert gpus == before


def test_each_process_has_its_own_and_a_new_one_begins_with_the_seed(gpus):
    class Second(Processes):
        rank, size = 1, 2

    saved = {name: [states[0], states[0] + 1] for name, states in random_states(Processes(), GPU).items()}
    saved["cpu"][1] = saved["cpu"][0]
    set_random_states(saved, Second(), GPU, seed=0)
    assert torch.equal(gpus[GPU], state(2))
    alone = {name: states[:1] for name, states in saved.items()}
    set_random_states(alone, Second(), GPU, seed=5)
    found = torch.rand(3)
    torch.manual_seed(6)
    assert torch.equal(found, torch.rand(3))


def test_a_training_saves_the_state_of_its_gpu_and_takes_it_up(gpus, monkeypatch, tmp_path):
    def build():
        task = rnnkit.tasks["adding"](seq_len=4)
        return Training(rnnkit.Model(task, "gru", 3, unroller="loop"), task, steps=3, batch_size=2)

    monkeypatch.setattr(Training, "_device", GPU)  # says where the model is, which it is not
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda seed: None)
    training = build()
    records = training.records()
    next(records)
    gpus[GPU] = state(9)  # as an update there would leave it
    training.save(tmp_path / "run")
    gpus[GPU] = state(77)
    again = build()
    assert again.resume(tmp_path / "run") == 1
    assert torch.equal(gpus[GPU], state(9))
    gpus[GPU] = state(78)  # whoever draws before it goes on
    next(again.records())
    assert torch.equal(gpus[GPU], state(9))
    assert torch.equal(gpus[OTHER], state(2))
