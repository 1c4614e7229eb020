"""The questions that every reader asks first."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corticode.data.readers import lookup
from corticode.errors import DataError, MissingDataError

NAMES = st.text("abcxyz_", min_size=1, max_size=6)


def test_check_file(tmp_path: Path) -> None:
    with pytest.raises(
        MissingDataError, match=r"gone\.npy does not exist; paths in a catalogue are"
    ):
        lookup.check_file(tmp_path / "gone.npy")
    with pytest.raises(DataError, match="is a folder, not a file"):
        lookup.check_file(tmp_path)
    (tmp_path / "empty.npy").touch()
    with pytest.raises(DataError, match=r"empty.npy is empty \(0 bytes\)"):
        lookup.check_file(tmp_path / "empty.npy")


def test_guess_ignores_case_and_may_be_silent() -> None:
    assert lookup.guess("RunRest", ["speed_rs", "runrest"]) == "; did you mean 'runrest'?"
    assert lookup.guess("zzz", ["speed_rs", "runrest"]) == ""


def test_find_name_says_what_there_is() -> None:
    shapes: dict[str, tuple[int, ...]] = {"dat_roi": (50, 18000), "speed": (18000,)}
    with pytest.raises(
        MissingDataError,
        match=r"no array 'dat_rio'; it holds dat_roi \(50 x 18000\), speed \(18000\); did you mean",
    ):
        lookup.find_name(Path("a.mat"), "dat_rio", shapes)
    with pytest.raises(DataError, match=r"holds dat_roi .* name one, as in a\.mat::name"):
        lookup.find_name(Path("a.mat"), None, shapes)
    with pytest.raises(DataError, match="holds no arrays"):
        lookup.find_name(Path("a.mat"), None, {})


def test_a_long_list_is_shortened() -> None:
    listed = lookup.describe_contents({f"a{k}": (1,) for k in range(25)})
    assert listed.endswith("a19 (1) and 5 more")


@given(st.lists(NAMES, min_size=1, unique=True))
def test_a_name_that_is_there_is_found(names: list[str]) -> None:
    shapes = dict.fromkeys(names, (1,))
    assert [lookup.find_name(Path("a.h5"), name, shapes) for name in names] == names
    assert lookup.find_name(Path("a.h5"), None, {names[0]: (1,)}) == names[0]


def test_unreadable_words_an_error_without_text() -> None:
    assert "as NPY: EOFError; copy" in str(lookup.unreadable(Path("a"), "NPY", EOFError()))
