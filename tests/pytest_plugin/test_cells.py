"""`pytest --rnnkit-cells`: a test for each promise of each cell of a package, and nothing where it is not asked for."""

import pytest

PROJECT = """
[project]
name = "rnnkit-fake"
version = "1.0"

[project.entry-points.rnnkit]
{entries}

[tool.pytest.ini_options]
pythonpath = ["."]
filterwarnings = ["error"]
"""
IN_PLACE = """
class InPlace(Fake):
    name = "in_place"

    def step(self, p, state):
        h = state[0].mul_(0.5) + p @ self.weight.t()
        return h, (h,)


@rnnkit.hookimpl
def rnnkit_cells():
    return [Fake, InPlace]
"""
SECONDS_OF_TORCH = """
import sys


def pytest_sessionfinish():
    print("\\nimported:", sorted({"torch", "numpy", "click"} & set(sys.modules)))
"""


@pytest.fixture
def package(pytester, cell_source):
    """Write a package with two cells, of which one writes in place."""
    pytester.makefile(".toml", pyproject=PROJECT.format(entries='fake = "rnnkit_fake"'))
    pytester.makepyfile(rnnkit_fake=cell_source(hook=IN_PLACE))
    return pytester


def line_of(package, text):
    """Return the number of the line of the module that holds a text."""
    lines = (package.path / "rnnkit_fake.py").read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def test_each_promise_of_each_cell_is_a_test(package):
    result = package.runpytest_subprocess("--rnnkit-cells", "-v", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=13, failed=1, skipped=10)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "fake::shapes and state PASSED*",
            "fake::every unroller's law PASSED*",
            "in_place::shapes and state PASSED*",
            "in_place::purity FAILED*",
            "in_place::gradients SKIPPED*",
            "cell 'in_place': step() writes in place on its state 'h'; compute a new tensor instead "
            f"(rnnkit_fake.py:{line_of(package, 'mul_')})",
            "cell *first order *second order *cases",
            "fake *e-* *e-* *",
        ]
    )
    assert "Traceback" not in result.stdout.str()
    assert "conformance.py" not in result.stdout.str()


def test_it_costs_nothing_where_it_is_not_asked_for(pytester):
    pytester.makeconftest(SECONDS_OF_TORCH)
    result = pytester.runpytest_subprocess("--co", "-p", "no:cacheprovider")
    result.stdout.fnmatch_lines(["imported: []"])
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED


@pytest.mark.slow
def test_what_is_named_and_chosen_is_tested_and_what_names_no_cell_is_refused(package):
    result = package.runpytest_subprocess("--rnnkit-cells=rnn,rnnkit_fake:InPlace", "-k", "purity")
    result.assert_outcomes(passed=1, failed=1, deselected=22)
    result = package.runpytest_subprocess("--rnnkit-cells=lsmt")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: rnnkit: unknown cell 'lsmt' (did you mean 'lstm'?)*"])


@pytest.mark.slow
def test_workers_share_the_tests_and_the_summary_is_whole(package):
    result = package.runpytest_subprocess("--rnnkit-cells", "-n", "2")
    result.assert_outcomes(passed=13, failed=1, skipped=10)
    result.stdout.fnmatch_lines(["cell *first order *second order *cases", "fake *e-* *e-* *"])


@pytest.mark.slow
def test_a_line_of_the_configuration_asks_for_it(package):
    package.makefile(".toml", pyproject=PROJECT.format(entries='fake = "rnnkit_fake"') + "rnnkit_cells = true\n")
    package.runpytest_subprocess("-k", "dtype").assert_outcomes(passed=1, skipped=1, deselected=22)
