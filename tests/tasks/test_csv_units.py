"""The units of a table in torch's operations are those by which the run reads and forecasts it."""

import numpy as np
import pytest
import torch

import rnnkit
from rnnkit_tasks.forecast.scaling import Scale
from rnnkit_tasks.forecast.units import units_of

from .tables import table

PRICE, YEAR = 1_000_000.0, 1900
"""A column far from zero and one that counts: in float32 they have digits to lose."""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "prices.csv"
    path.write_text(table("price,year,level", lambda row, x: f"{PRICE + float(x) / 100},{YEAR + row},{x}"))
    return path


def test_what_goes_in_is_scaled_as_the_run_scales_it(file):
    task = rnnkit.tasks["csv"](file=str(file), window=4, target="level,price")
    units = task.units()
    assert (units.columns, units.targets) == (("price", "year", "level"), ("level", "price"))
    rows = np.genfromtxt(file, delimiter=",", names=True)
    numbers = torch.from_numpy(np.stack([rows[name] for name in units.columns], axis=1))
    torch.testing.assert_close(units.inputs(numbers).float(), task.series, rtol=1e-6, atol=0)
    outputs = units.outputs(task.values).numpy()
    np.testing.assert_allclose(outputs[:, 0], rows["level"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(outputs[:, 1], rows["price"], rtol=0, atol=1e-7)  # 1 / 100,000 of its deviation


def test_digits_are_lost_neither_on_the_way_in_nor_out():
    scale = Scale(np.array([PRICE]), np.array([0.01]))
    units = units_of(["price"], scale, ["price"], scale)
    numbers = torch.tensor([[PRICE + 0.003]], dtype=torch.float64)
    assert float(units.inputs(numbers)) == pytest.approx(0.3, abs=1e-7)
    assert float(units.inputs(numbers.float())) == 0.0  # a float32 has lost them before
    assert float(units.outputs(torch.tensor([[0.3]]))) == pytest.approx(PRICE + 0.003, abs=1e-8)


def test_a_file_is_verified_between_ordinary_numbers(file):
    task = rnnkit.tasks["csv"](file=str(file), window=4)
    units = task.units()
    assert units.span.shape == (2, 3)
    torch.testing.assert_close(units.inputs(units.span), torch.tensor([[-1.0], [1.0]]).expand(2, 3).double())


def test_a_run_s_units_are_known_when_its_table_is_gone(file):
    task = rnnkit.tasks["csv"](file=str(file), window=4)
    file.unlink()
    again = type(task).from_data_state(task.data_state(), file=str(file), window=4)
    for name in ("inputs", "outputs"):
        kept, known = (getattr(one.units(), name).state_dict() for one in (again, task))
        assert {key: tensor.tolist() for key, tensor in kept.items()} == {
            key: tensor.tolist() for key, tensor in known.items()
        }
