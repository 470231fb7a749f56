"""Parquet, a table like another."""

from datetime import timedelta

import pytest

from rnnkit.errors import DataError

from .shops import BEGIN, Csv, predictor_of


def test_parquet_is_a_table_like_another(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    times = [BEGIN + timedelta(hours=at) for at in range(200)]
    columns = {"time": times, "a": [at % 7 + 0.5 for at in range(200)], "on": [at % 3 == 0 for at in range(200)]}
    pyarrow.parquet.write_table(arrow.table(columns), tmp_path / "t.parquet")
    text = tmp_path / "t.csv"
    text.write_text(
        "\n".join(
            ["time,a,on", *(f"{t},{a},{'yes' if on else 'no'}" for t, a, on in zip(*columns.values(), strict=True))]
        )
    )
    first, second = (Csv(file=str(file), window=5) for file in (tmp_path / "t.parquet", text))
    assert first.fingerprint() == second.fingerprint()
    assert "a Parquet file" in first.data_summary()
    assert predictor_of(first).predict().to_csv() == predictor_of(second).predict().to_csv()
    (tmp_path / "bad.parquet").write_bytes(b"PAR1" + b"x" * 100)
    with pytest.raises(DataError, match="is a Parquet file that cannot be read"):
        Csv(file=str(tmp_path / "bad.parquet"))


def test_parquet_without_pyarrow_says_what_brings_it(tmp_path, monkeypatch):
    monkeypatch.setattr("rnnkit_tasks.table.parquet.find_spec", lambda name: None)
    (tmp_path / "t.parquet").write_bytes(b"PAR1" + b"x" * 100)
    with pytest.raises(DataError, match=r"needs pyarrow; pip install 'rnnkit\[parquet\]'"):
        Csv(file=str(tmp_path / "t.parquet"))
