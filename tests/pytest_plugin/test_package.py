"""Which cells a package registers, by its own pyproject.toml, and what is said of one that registers none."""

import pytest

import rnnkit
from rnnkit.errors import PluginError, UsageError
from rnnkit.pytest_plugin.package import cells_named, cells_of_package


@pytest.fixture
def package(site, cell_source):
    """Return a function that writes a package: package(entries, SOURCE) -> its folder."""

    def write(entries, source=None):
        (site.path / "pyproject.toml").write_text(f"[project]\nname = 'x'\n{entries}")
        (site.path / "under_test.py").write_text(cell_source() if source is None else source)
        site.refresh()
        return site.path

    return write


TABLE = "[project.entry-points.rnnkit]\n"


def test_the_cells_of_a_package_that_is_not_installed(package):
    found = cells_of_package(package(TABLE + "fake = 'under_test'\n"))
    assert [str(choice) for choice in found.values()] == ["fake"]
    assert issubclass(found["fake"].kind, rnnkit.Cell)


@pytest.mark.parametrize(
    ("entries", "source", "kind", "sentence"),
    [
        ("", "", UsageError, "has no table [project.entry-points.rnnkit], so it registers no cell; name the cells"),
        ("[", "", UsageError, "is no TOML"),
        (TABLE + "a = 'under_test'\n", "", UsageError, "no hook rnnkit_cells() of "),
        (
            TABLE + "a = 'not_there'\n",
            "",
            PluginError,
            "No module named 'not_there'; install the package, or ",
        ),
        (TABLE + "a = 'under_test'\n", "1 / 0", PluginError, "entry point 'a': under_test fails: ZeroDivisionError"),
        (
            TABLE + "a = 'under_test'\n",
            "def rnnkit_cells():\n    return [dict]",
            PluginError,
            "entry point 'a': rnnkit_cells(): dict is not a Cell",
        ),
    ],
    ids=["no table", "no TOML", "no hook", "no module", "raises", "no cell"],
)
def test_a_package_without_cells_is_told_so(package, entries, source, kind, sentence):
    with pytest.raises(kind) as caught:
        cells_of_package(package(entries, source))
    assert sentence in str(caught.value)


def test_a_folder_without_a_project_is_told_so(tmp_path):
    with pytest.raises(UsageError, match=r"cannot be read .*so this package's cells are unknown; name the cells"):
        cells_of_package(tmp_path)


def test_names_with_commas_between():
    assert list(cells_named("gru, rnnkit_cells.lstm:LSTM,")) == ["gru", "rnnkit_cells.lstm:LSTM"]
    for name in ("tests/test_x.py", "/"):
        with pytest.raises(UsageError, match="write paths before it, or --rnnkit-cells=NAME"):
            cells_named(name)
