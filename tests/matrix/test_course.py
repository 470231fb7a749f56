"""A matrix is gone on with: what is recorded and still holds is not examined again; several processes find the same."""

import json

import pytest

from rnnkit.errors import CheckpointError, UnknownNameError, UsageError
from rnnkit.matrix import sources
from rnnkit.matrix.case import Case, product_of
from rnnkit.matrix.certificate import to_text
from rnnkit.matrix.course import Course, check_names
from rnnkit.matrix.examiners import records
from rnnkit.matrix.folder import RECORDS, MatrixFolder
from rnnkit.matrix.record import Record
from rnnkit.matrix.verdict import DECLARED, FAILED, PASSED, Verdict

CASES = [*product_of(["rnn", "gru"], ["loop"], ["first", "second"], ["unbatched"], ["uni"])]


def finished(path, cases=CASES, seed=0, jobs=0):
    with MatrixFolder(path) as folder:
        course = Course(cases, seed, folder)
        for _ in course.run(jobs):
            pass
    return course


@pytest.fixture
def fresh_sources():
    """Forget what was read of sources."""

    def forget():
        for known in (sources.digest, sources._own, sources._plugins, sources._of_cell):
            known.cache_clear()

    forget()
    yield forget
    forget()


def test_what_is_recorded_is_not_examined_again(tmp_path):
    first = finished(tmp_path / "m", CASES[:3])
    assert (first.taken_over, len(first.records)) == (0, 3)
    second = finished(tmp_path / "m")
    assert (second.taken_over, len(second.records)) == (3, len(CASES))
    assert [record.case for record in second.records] == CASES
    assert second.records[:3] == [Record.read(record.to_json()) for record in first.records]


def certified(course):
    """Return the cells of a certificate in their order, and how many cases it counts."""
    content = course.certificate()
    counted = sum(sum(found[name] for name in (PASSED, DECLARED, FAILED)) for found in content["counts"].values())
    return list(dict.fromkeys(row["cell"] for row in content["worst"])), counted


def test_a_certificate_has_what_was_recorded_of_other_cases_too(tmp_path):
    whole = finished(tmp_path / "m")
    part = finished(tmp_path / "m", CASES[:1])
    assert part.taken_over == len(part.records) == 1
    assert certified(part) == certified(whole) == (["gru", "rnn"], len(CASES))  # as they are registered
    assert part.certificate()["worst"] == whole.certificate()["worst"]
    assert part.summary()["counts"] == {"first": {PASSED: 1, "by the loop": 0, DECLARED: 0, FAILED: 0}}


def test_a_failure_beside_stays_in_the_certificate(tmp_path, own_cells):
    broken = Case(f"{own_cells}:Broken", "loop", "unbatched", "uni", "first")
    finished(tmp_path / "m", [broken])
    part = finished(tmp_path / "m", CASES[:1])
    assert part.failures == []
    assert [failure["case"] for failure in part.certificate()["failures"]] == [str(broken)]


def test_a_certificate_that_would_lose_cases_is_not_begun(tmp_path):
    finished(tmp_path / "m")
    before = (tmp_path / "m" / RECORDS).read_text()
    with pytest.raises(UsageError, match=r"that no longer hold \(3, such as rnn/loop/unbatched"):
        finished(tmp_path / "m", CASES[:1], seed=1)
    assert (tmp_path / "m" / RECORDS).read_text() == before
    assert finished(tmp_path / "m", seed=1).taken_over == 0


def test_a_cell_that_is_gone_is_named(tmp_path):
    finished(tmp_path / "m", CASES[:1])
    path = tmp_path / "m" / RECORDS
    path.write_text(path.read_text().replace("rnn/", "gone/"))
    with pytest.raises(UsageError, match="such as gone/loop"):
        finished(tmp_path / "m", CASES[1:])


def test_another_seed_is_examined_anew(tmp_path):
    finished(tmp_path / "m")
    assert finished(tmp_path / "m", seed=1).taken_over == 0


def test_a_record_holds_as_long_as_the_source_does(tmp_path, own_cells, fresh_sources):
    cases = [Case(f"{own_cells}:Right", "loop", "unbatched", "uni", "first"), CASES[0]]
    finished(tmp_path / "m", cases)
    fresh_sources()
    module = next((tmp_path / "site").glob("own_matrix_cells.py"))
    module.write_text(module.read_text() + "\n# another line\n")
    with MatrixFolder(tmp_path / "m") as folder:
        assert Course(cases, 0, folder).left == cases[:1]


def test_what_an_unroller_is_made_of_counts_too(monkeypatch, fresh_sources):
    case = CASES[0]
    before = sources.digest(case, 0)
    fresh_sources()
    monkeypatch.setitem(sources.versions(), "torch", "9.9")
    assert sources.digest(case, 0) != before
    assert sources.digest(case._replace(unroller="vendor"), 0) != sources.digest(case, 0)


def test_what_failed_is_examined_again(tmp_path, own_cells):
    case = Case(f"{own_cells}:Broken", "loop", "unbatched", "uni", "first")
    for _ in range(2):
        course = finished(tmp_path / "m", [case])
        assert (course.taken_over, len(course.failures)) == (0, 1)


def test_a_line_that_was_cut_off_costs_its_case_alone(tmp_path):
    finished(tmp_path / "m")
    path = tmp_path / "m" / RECORDS
    path.write_bytes(path.read_bytes()[:-40])
    second = finished(tmp_path / "m")
    assert second.taken_over == len(CASES) - 1
    lines = path.read_text().splitlines()
    assert [Record.read(line) is None for line in lines] == [False] * (len(CASES) - 1) + [True, False]


@pytest.mark.parametrize(
    "line", ["", "{}", "[]", "null", '{"case": "a"}', '{"case": "rnn/loop/packed/bi/first"}', "\0"]
)
def test_what_is_no_record_counts_as_none(line):
    assert Record.read(line) is None


@pytest.mark.parametrize("outcome", ["passed", "declared", "failed"])
@pytest.mark.parametrize("error", [1.25e-9, float("inf")])
def test_a_record_is_read_again(outcome, error):
    record = Record(CASES[0], Verdict(outcome, error, "output", "a reason", True), 0.25, "abc")
    assert Record.read(record.to_json()) == record
    assert Record.read(record.to_json().replace(outcome, "lost")) is None


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "letter.txt").write_text("dear")
    with pytest.raises(UsageError, match="holds something else"):
        MatrixFolder(tmp_path / "m")
    with pytest.raises(UsageError, match="is not a folder"):
        MatrixFolder(tmp_path / "m" / "letter.txt")
    assert [path.name for path in (tmp_path / "m").iterdir()] == ["letter.txt"]


def test_one_process_writes(tmp_path):
    with MatrixFolder(tmp_path / "m"), pytest.raises(CheckpointError, match="another process"):
        MatrixFolder(tmp_path / "m")
    MatrixFolder(tmp_path / "m").close()


def test_names_are_looked_up_before_anything_is_examined():
    with pytest.raises(UnknownNameError, match="lsmt"):
        check_names([*product_of(["lsmt"], ["loop"])])
    with pytest.raises(UnknownNameError, match="lop"):
        check_names([*product_of(["lstm"], ["lop"])])


def plain(record):
    return record.case, record.verdict, record.digest


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_processes_find_the_same(jobs):
    here = {plain(record) for record in records(CASES, 0, 0)}
    assert {plain(record) for record in records(CASES, 0, jobs) if record is not None} == here


@pytest.mark.slow  # three processes one after the other
def test_a_case_that_kills_its_process_is_wrong_and_the_rest_goes_on(own_cells):
    cases = [*product_of([f"{own_cells}:Doomed", "rnn"], ["loop"], ["first", "second"], ["unbatched"], ["uni"])]
    found = {record.case: record.verdict for record in records(cases, 0, 1) if record is not None}
    assert list(found) == cases
    assert [verdict.outcome for verdict in found.values()] == [FAILED, FAILED, PASSED, PASSED]
    assert found[cases[0]].reason == "its process was killed (signal 9)"


def test_the_certificate_counts(tmp_path, own_cells):
    cases = [
        *CASES,
        Case("peephole", "vendor", "unbatched", "bi", "first"),
        Case("rnn", "loop", "packed", "uni", "jvp"),
        Case(f"{own_cells}:Broken", "loop", "unbatched", "uni", "first"),
    ]
    content = finished(tmp_path / "m", cases).certificate()
    assert json.loads(to_text(content)) == content
    assert content["counts"]["first"] == {PASSED: 3, "by the loop": 1, DECLARED: 0, FAILED: 1}
    assert content["counts"]["jvp"] == {PASSED: 0, "by the loop": 0, DECLARED: 1, FAILED: 0}
    assert content["exceptions"] == [
        {
            "reason": "torch has no forward mode for packing sequences",
            "count": 1,
            "cells": ["rnn"],
            "unrollers": ["loop"],
            "checks": ["jvp"],
        }
    ]
    assert content["failures"] == [
        {"case": f"{own_cells}:Broken/loop/unbatched/uni/first", "reason": "RuntimeError: out of order"}
    ]
    (row,) = [row for row in content["worst"] if (row["cell"], row["check"]) == ("gru", "first")]
    errors = [r.verdict.error for r in finished(tmp_path / "m", cases).records if r.case[0::4] == ("gru", "first")]
    assert row["error"] == float(f"{max(errors):.2e}")
    assert row[PASSED] == 1
    assert content["versions"].keys() == {"rnnkit", "torch", "python", "compiler", "instruction set"}
    assert "/" not in content["versions"]["compiler"]
