"""`--device` of every command that computes: what there is not is one line, and what there is, is where it computes."""

import pytest
import torch

import rnnkit
from rnnkit.core.cell import building
from rnnkit.layers import first_use

ABSENT = {
    "run": ("run", "--task", "adding", "--steps", 1, "--quiet"),
    "gradcheck": ("gradcheck",),
    "bench": ("bench", "--sizes", "1x1x1x1"),
    "inspect": ("inspect", "--cell", "gru"),
    "doctor": ("doctor", "--compile", "gru"),
}
OF_A_RUN = {
    "sample": ("sample",),
    "eval": ("eval",),
    "inspect": ("inspect",),
    "predict": ("predict",),
    "export": ("export",),
}


@pytest.mark.parametrize(("device", "code"), [("cuda:99", 8), ("meta", 8), ("gpu", 2)])
@pytest.mark.parametrize("command", ABSENT)
def test_a_device_that_there_is_not_is_one_line(command, device, code, cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = cli(*ABSENT[command], "--device", device)
    assert (done.exit_code, done.stdout) == (code, "")
    assert done.stderr.startswith(f"rnnkit: device {device!r} is not ")
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", OF_A_RUN)
def test_so_is_one_for_what_was_trained(command, cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trained = cli(
        "run", "--task", "adding", "--steps", 1, "--hidden", 4, "--quiet", "--unroller", "loop", "--out", "run"
    )
    assert trained.exit_code == 0, trained.output
    own = ("--out", "out") if command in ("inspect", "export") else ()
    done = cli(*OF_A_RUN[command], "run", "--device", "cuda:99", *own)
    assert done.exit_code == 8, done.output
    assert "device 'cuda:99' is not usable here" in done.stderr


@pytest.fixture
def built(monkeypatch):
    """Return the devices on which something is built in float64, one by one."""
    places = []

    def noting(device, dtype):
        places.append((device, dtype))
        return building(device, dtype)

    for module in ("rnnkit.testing.gradcheck", "rnnkit.inspection.subject"):
        monkeypatch.setattr(f"{module}.building", noting)
    return places


def test_gradients_are_checked_where_it_says(cli, built):
    done = cli("gradcheck", "--cell", "gru", "--device", "cpu:0", "--steps", 2)
    assert done.exit_code == 0, done.output
    assert built == [(torch.device("cpu:0"), torch.float64)]


def test_a_cell_that_is_built_is_checked_where_it_says():
    cell = rnnkit.cells["gru"](2, 3)
    assert rnnkit.gradcheck(cell, steps=2, device="cpu").ok
    assert next(cell.parameters()).dtype == torch.float32


@pytest.mark.slow
def test_a_new_cell_is_looked_at_where_it_says(cli, built, tmp_path):
    words = ("inspect", "--cell", "gru", "--steps", 4, "--hidden", 3, "--only", "flow", "--quiet")
    told = [cli(*words, *where, "--out", tmp_path / name) for name, where in (("a", ()), ("b", ("--device", "cpu:0")))]
    assert [one.exit_code for one in told] == [0, 0], told
    assert [device for device, _ in built] == [None, torch.device("cpu:0")]
    assert len({(tmp_path / name / "inspection.json").read_bytes() for name in "ab"}) == 1


def test_a_first_use_is_where_it_says(monkeypatch, cli):
    layers = []

    class Noting(rnnkit.RNN):
        def __init__(self, *given, **options):
            super().__init__(*given, **options)
            layers.append(options["device"])

    monkeypatch.setattr(first_use, "RNN", Noting)
    assert cli("doctor", "--compile", "gru", "--device", "cpu:0").exit_code == 0
    assert layers == [torch.device("cpu:0")]


def test_draws_of_a_check_leave_the_random_states_of_gpus_in_use(monkeypatch):
    gpus = {0: torch.tensor([1], dtype=torch.uint8), 1: torch.tensor([2], dtype=torch.uint8)}
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: gpus[device].clone())
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, device: gpus.__setitem__(device, state))
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda seed: gpus.update({0: None, 1: None}))
    before = torch.get_rng_state()
    assert rnnkit.gradcheck("gru", steps=2).ok
    assert {index: state.tolist() for index, state in gpus.items()} == {0: [1], 1: [2]}
    assert torch.equal(torch.get_rng_state(), before)


def test_complex_parameters_stay_complex_on_a_device():
    class Turning(rnnkit.Cell):
        def __init__(self, input_size, hidden_size):
            super().__init__(input_size, hidden_size)
            self.read = torch.nn.Parameter(torch.randn(input_size, hidden_size))
            self.turn = torch.nn.Parameter(torch.randn(hidden_size, dtype=torch.complex128))

        def step(self, x, state):
            h = torch.tanh((self.turn * (state[0] + x @ self.read)).abs())
            return h, (h,)

    report = rnnkit.gradcheck(Turning(2, 3).double(), steps=2, device="cpu")
    assert report.ok, report.failures
