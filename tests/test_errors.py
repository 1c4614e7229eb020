import pickle
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corticode import errors
from corticode.errors import (
    CorticodeError,
    CorticodeWarning,
    DataError,
    DecoderError,
    Finding,
    FoldError,
    MachineError,
    MissingDataError,
    RunError,
    StudyError,
    warn_about,
)


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (DataError, ValueError),
        (MissingDataError, FileNotFoundError),
        (StudyError, ValueError),
        (FoldError, StudyError),
        (DecoderError, ValueError),
        (RunError, RuntimeError),
        (MachineError, RunError),
    ],
)
def test_every_error_is_ours_and_a_builtin(error, builtin):
    assert issubclass(error, CorticodeError)
    assert issubclass(error, builtin)
    # What a worker raises reaches the parent in one piece.
    sent = pickle.loads(pickle.dumps(error("session 'a' has no frames")))
    assert (type(sent), str(sent)) == (error, "session 'a' has no frames")


def test_no_error_is_missing_from_the_table_above():
    found = {x for x in vars(errors).values() if isinstance(x, type) and issubclass(x, Exception)}
    assert len(found) == 9


def test_findings_say_where():
    assert str(Finding("frames", "3 dropped", "m1", "a")) == "animal 'm1', session 'a': 3 dropped"
    assert str(Finding("region", "is flat", item="7")) == "region '7': is flat"
    assert str(Finding("session", "is short")) == "is short"


@given(st.lists(st.text(min_size=1), max_size=4))
def test_each_finding_is_one_warning(reasons):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_about(Finding("frames", reason) for reason in reasons)
    assert [str(warning.message) for warning in caught] == reasons
    assert all(warning.category is CorticodeWarning for warning in caught)


def test_a_warning_points_at_the_caller_of_the_function_that_warns():
    def read():
        warn_about([Finding("frames", "3 dropped")])

    with pytest.warns(CorticodeWarning, match="3 dropped") as caught:
        read()
    assert caught[0].filename == __file__
