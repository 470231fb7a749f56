"""The vectors and elementary functions of generated code: every instruction set, both types, all special values."""

import platform
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import rnnkit_compiler

from ....slow_cases import slow_but

HEADERS = Path(rnnkit_compiler.__file__).parent / "backends" / "cpp" / "headers"
PROBE = Path(__file__).with_name("elementary_probe.cpp")
COMPILER = shutil.which("g++") or shutil.which("clang++") or shutil.which("c++")
FLAGS = ["-O2", "-std=c++17", "-fno-math-errno", "-pthread", "-Wall", "-Wextra", "-Werror", "-Wno-psabi"]
TARGETS = {"native": ["-march=native"], "avx2": ["-mavx2", "-mfma"], "baseline": []}
every_target = slow_but(["native"], TARGETS)

VECTORISED = {"exp": 1.1, "tanh": 3, "sigmoid": 3, "expm1": 2.5, "log": 1, "log1p": 1}
"""The largest errors allowed, in units in the last place of the true result; 0 is the number nearest to it."""

EXACT = {"abs": 0, "floor": 0, "ceil": 0, "trunc": 0, "round": 0, "sqrt": 0.5}  # a tie of the wider truth is half off
BY_LANE = ["erf", "exp2", "log2", "log10", "sin", "cos", "tan", "asin", "acos", "atan"]
BY_LANE += ["sinh", "cosh", "asinh", "acosh", "atanh"]
ALLOWED = {**VECTORISED, **EXACT, **dict.fromkeys(BY_LANE, 4)}  # by lane: what a C library is trusted with

FOUND = re.compile(
    r"count (?P<count>\d+) error (?P<error>\S+) at (?P<at>\S+) wrong (?P<wrong>\d+) first (?P<first>\S+)"
)

pytestmark = pytest.mark.skipif(COMPILER is None, reason="there is no C++ compiler")


class Probe:
    """The probe, built for one instruction set and one type."""

    def __init__(self, path):
        self.path = path

    def run(self, *arguments, timeout=100):
        command = [str(self.path), *map(str, arguments)]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=timeout).stdout

    def judge(self, mode, function, number, **options):
        """Hold a function to its bound, and give the count of values that were tried."""
        output = self.run(mode, function, number, **options)
        print(function, output)
        found = FOUND.match(output)
        assert found["wrong"] == "0", f"{function} is wrong {found['wrong']} times, first at {found['first']}"
        assert float(found["error"]) <= ALLOWED[function], f"{function} is off by {found['error']} at {found['at']}"
        return int(found["count"])


def build(target, real, folder):
    if target == "avx2" and not has_avx2():
        pytest.skip("this processor has no AVX2")
    path = folder / "probe"
    command = [COMPILER, *FLAGS, *TARGETS[target], f"-DREAL={real}", f"-I{HEADERS}", str(PROBE), "-o", str(path)]
    subprocess.run(command, check=True)
    return Probe(path)


def has_avx2():
    cpuinfo = Path("/proc/cpuinfo")
    return platform.machine() == "x86_64" and cpuinfo.exists() and " avx2 " in cpuinfo.read_text()


@pytest.fixture(scope="module", params=every_target)
def single(request, tmp_path_factory):
    return build(request.param, "float", tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module", params=every_target)
def double(request, tmp_path_factory):
    return build(request.param, "double", tmp_path_factory.mktemp(request.param))


def test_vectors_of_floats_load_store_select_and_reduce(single):
    assert single.run("lanes") == "faults 0\n"


def test_vectors_of_doubles_load_store_select_and_reduce(double):
    assert double.run("lanes") == "faults 0\n"


@pytest.mark.parametrize("function", VECTORISED)
def test_a_sample_of_all_floats_is_within_bounds(single, function):
    assert single.judge("patterns", function, 1999) > 2_000_000


@pytest.mark.parametrize("function", ALLOWED)
def test_special_and_random_floats_are_within_bounds(single, function):
    assert single.judge("points", function, 100_000) > 500_000


@pytest.mark.parametrize("function", ALLOWED)
def test_special_and_random_doubles_are_within_bounds(double, function):
    assert double.judge("points", function, 100_000) > 500_000


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("function", ["exp", "tanh", "sigmoid"])
def test_every_float_is_within_bounds(function, tmp_path):
    assert build("native", "float", tmp_path).judge("patterns", function, 1, timeout=900) == 2**32


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("function", VECTORISED)
def test_millions_of_floats_are_within_bounds(single, function):
    assert single.judge("patterns", function, 61, timeout=900) > 70_000_000


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("function", VECTORISED)
def test_millions_of_doubles_are_within_bounds(double, function):
    assert double.judge("points", function, 5_000_000, timeout=900) > 5_000_000
