"""The questions that every reader asks first."""

import os
import struct
import zipfile
import zlib
from lzma import LZMAError
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


def test_paths_at_which_no_file_can_be(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has 5,\d+ characters, its longest name 5,000"):
        lookup.check_file(tmp_path / ("x" * 5000))
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(DataError, match="is a link that leads back to itself; name the file"):
        lookup.check_file(tmp_path / "a")
    with pytest.raises(DataError, match="cannot be opened: embedded null byte; correct the path"):
        lookup.check_file(tmp_path / "a\0b")
    os.mkfifo(tmp_path / "pipe.npy")
    with pytest.raises(DataError, match=r"is no ordinary file \(a device, or a pipe\)"):
        lookup.check_file(tmp_path / "pipe.npy")
    for name in ("x" * 5000, "a", "a\0b", "pipe.npy"):
        assert not lookup.is_file(tmp_path / name)
        assert not lookup.is_folder(tmp_path / name)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "there is not enough memory for what it claims to hold"),
        (RecursionError("maximum depth"), "what it holds is nested without end; copy or"),
        (OverflowError("too large\x1b[31m\n"), "as MAT: too large \\[31m; copy or export"),
        (zlib.error("Error -3"), "as MAT: Error -3; copy"),
        (LZMAError("corrupt"), "as MAT: corrupt; copy"),
        (struct.error("unpack"), "as MAT: unpack; copy"),
        (zipfile.BadZipFile(), "as MAT: BadZipFile; copy"),
        (PermissionError(13, "denied"), "may not be read by you; ask for the permission"),
    ],
)
def test_what_libraries_raise_becomes_one_error(error: BaseException, words: str) -> None:
    with pytest.raises(DataError, match=words), lookup.reading(Path("a.mat"), "MAT"):
        raise error


def test_errors_of_ours_pass_as_they_are() -> None:
    ours = MissingDataError("no array 'x'")
    with pytest.raises(MissingDataError) as found, lookup.reading(Path("a.mat"), "MAT"):
        raise ours
    assert found.value is ours


def test_claims_are_held_to_the_file_and_to_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path("a.h5")
    lookup.check_claim(path, "'x'", 2_000_000, 2_000)
    with pytest.raises(DataError, match="2,500,000 bytes, and 2,000 bytes of the file cannot be"):
        lookup.check_claim(path, "'x'", 2_500_000, 2_000)
    with pytest.raises(DataError, match="claims 2,001 bytes, and 2,000 bytes of the file are th"):
        lookup.check_claim(path, "'x'", 2_001, 2_000, packed=False)
    monkeypatch.setattr(lookup, "free_memory", lambda: 3_000_000_000)
    with pytest.raises(DataError, match=r"'x' takes 4.0 GB of memory, and 3.0 GB are free; close"):
        lookup.check_claim(path, "'x'", 4_000_000_000, 2_000_000_000)
    lookup.check_claim(path, "'x'", 4_000_000_000, 4_000_000_000, packed=False, held=False)


def test_the_memory_that_is_free_is_known() -> None:
    free = lookup.free_memory()
    assert free is None or 0 < free < 2**50
