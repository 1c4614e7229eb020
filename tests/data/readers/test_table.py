"""Tables of text."""

import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corticode.data.readers import table
from corticode.errors import DataError, MissingDataError

SHARED = Path(__file__).parents[4] / "shared" / "data" / "s1_movie" / "behavior.csv"


def _write(folder: Path, text: str, name: str = "b.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_numbers_and_text(tmp_path: Path) -> None:
    path = _write(
        tmp_path,
        "\ufeffframe,speed,state,is_lit\n0,0.5,run,True\n"
        '1,NA,"a, b",False\n2,,,True\n3,2,None,True\n\n',
    )
    assert table.list_arrays(path) == dict.fromkeys(["frame", "speed", "state", "is_lit"], (4,))
    frame = table.read_array(path, "frame")
    assert (frame.dtype, frame.tolist()) == (np.int64, [0, 1, 2, 3])
    np.testing.assert_array_equal(table.read_array(path, "speed"), [0.5, np.nan, np.nan, 2])
    state = table.read_array(path, "state")
    assert (state.dtype.kind, state.tolist()) == ("U", ["run", "a, b", "", "None"])
    assert table.read_array(path, "is_lit").tolist() == [True, False, True, True]


def test_tabs(tmp_path: Path) -> None:
    path = _write(tmp_path, "a\tb,c\n1\t2\n", "b.tsv")
    assert table.read_array(path, "b,c").tolist() == [2]


def test_blank_lines_shift_nothing(tmp_path: Path) -> None:
    path = _write(tmp_path, "speed\n1\n\n3\n\n\n")
    np.testing.assert_array_equal(table.read_array(path, None), [1, np.nan, 3])


def test_no_rows(tmp_path: Path) -> None:
    assert table.list_arrays(_write(tmp_path, "a,b\n")) == {"a": (0,), "b": (0,)}
    assert table.read_array(tmp_path / "b.csv", "a").shape == (0,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b,a\n1,2,3\n", "more than one column 'a'; rename all but one"),
        ("a,,c\n1,2,3\n", "no name for column 2; name or delete it"),
        ("\n\n", "has no header"),
        ("a,b\n1,2\n1,2,3\n", "has 3 values in row 3 for 2 columns"),
        ("a,b\n1,2\n1\n", "has 1 values in row 3 for 2 columns"),
        ('a,b\n1,"2\n', "cannot be read as a table of UTF-8 text"),
    ],
)
def test_faults(tmp_path: Path, text: str, message: str) -> None:
    path = _write(tmp_path, text)
    with pytest.raises(DataError, match=f"b.csv .*{message}"):
        table.list_arrays(path)
    with pytest.raises(DataError, match=message):
        table.read_array(path, "a")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("b.csv", "a;b\n0,5;1\n", "separated by semicolons; a .csv table needs commas .*0.5"),
        ("b.csv", "a\tb\n1\t2\n", "separated by tabs; a .csv .*or name the file .tsv$"),
        ("b.tsv", "a;b\n1;2\n", "separated by semicolons; a .tsv table needs tabs"),
        ("b.tsv", "a,b\n1,2\n", "separated by commas; a .tsv table needs tabs"),
    ],
)
def test_another_separator(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = _write(tmp_path, text, name)
    with pytest.raises(DataError, match=message):
        table.list_arrays(path)
    with pytest.raises(DataError, match=message):
        table.read_array(path, "a")


def test_decimal_commas(tmp_path: Path) -> None:
    path = _write(tmp_path, 'a,b,c\n"0,5","1,2 m",7\n-3,x,\n,,"1,5e-3"\n')
    message = "b.csv, column 'a' has decimal commas .0,5.; write decimals with a point, as in 0.5"
    with pytest.raises(DataError, match=message):
        table.read_array(path, "a")
    with pytest.raises(DataError, match=r"column 'c' has decimal commas .1,5e-3."):
        table.read_array(path, "c")
    assert table.read_array(path, "b").tolist() == ["1,2 m", "x", ""]
    with pytest.raises(DataError, match=r"3 values in row 2 for 2 columns; .*with a point"):
        table.list_arrays(_write(tmp_path, "a,b\n0,5,run\n"))


def test_latin_letters(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_bytes("état\n1\n".encode("latin-1"))
    with pytest.raises(DataError, match="cannot be read as a table of UTF-8 text"):
        table.read_array(tmp_path / "b.csv", None)


def test_missing_column(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"no array 'Speed'; it holds speed \(1\); did you"):
        table.read_array(_write(tmp_path, "speed\n1\n"), "Speed")


@given(
    st.lists(
        st.tuples(
            st.floats(allow_infinity=False, width=32),
            st.text('ab ,"\n', max_size=4).map(lambda text: f"x{text}"),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[float, str]]
) -> None:
    path = tmp_path_factory.mktemp("tables") / "b.csv"
    pd.DataFrame(rows, columns=["number", "text"]).to_csv(path, index=False)
    numbers = [number for number, _ in rows]
    np.testing.assert_allclose(table.read_array(path, "number"), numbers, rtol=1e-12)
    assert table.read_array(path, "text").tolist() == [text for _, text in rows]


@pytest.mark.skipif(not SHARED.exists(), reason="no ../shared")
def test_a_real_table() -> None:
    speed = table.read_array(SHARED, "runningSpeed")
    assert (speed.shape, speed[0], speed.max()) == ((500,), 18.2, 30.11)


def test_a_wide_table_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    names = [f"c{k}" for k in range(20_000)]
    path.write_text(f"{','.join(names)}\n{','.join(['1'] * len(names))}\n")
    began = time.process_time()
    assert len(table.list_arrays(path)) == 20_000
    assert [table.read_array(path, name).tolist() for name in names[::1000]] == [[1]] * 20
    assert time.process_time() - began < 10


def test_each_signal_is_parsed_with_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[object] = []
    whole = pd.read_csv
    monkeypatch.setattr(pd, "read_csv", lambda *a, **o: (parsed.append(a), whole(*a, **o))[1])
    path = tmp_path / "a.csv"
    path.write_text("run,state,side\n0,run,NA\n1,None,left\n")
    read = {name: table.read_array(path, name).tolist() for name in ("run", "state", "side")}
    assert read == {"run": [0, 1], "state": ["run", "None"], "side": ["NA", "left"]}
    assert len(parsed) == 2  # as numbers, and once more as text
    path.write_text("run,state,side\n5,run,NA\n1,None,left\n")
    assert table.read_array(path, "run").tolist() == [5, 1]


def test_a_large_table_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "_KEPT_BYTES", 4)
    path = tmp_path / "a.csv"
    path.write_text("run,state\n0,run\n1,rest\n")
    assert table.read_array(path, "run").tolist() == [0, 1]
    assert table.read_array(path, "state").tolist() == ["run", "rest"]


def test_what_is_handed_out_is_a_copy(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("run\n0\n1\n")
    table.read_array(path, "run")[:] = 7
    assert table.read_array(path, "run").tolist() == [0, 1]
