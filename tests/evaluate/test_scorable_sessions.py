"""Which sessions can be scored, known before anything is predicted."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corticode.data.session import Session
from corticode.data.targets import Target
from corticode.data.windows import WindowShape, cut_windows
from corticode.errors import DataError
from corticode.evaluate.scorable_sessions import scorable_windows, unsaid
from corticode.evaluate.tables import score_sessions

BOUTS = np.repeat([0, 1] * 4, 10)
REST = np.zeros(80)


def windows_of(*runs, target="run"):
    sessions = [
        Session(
            "m1",
            f"s{k}",
            np.random.default_rng(k).normal(size=(80, 2)),
            ("1", "2"),
            {"run": run, "act": np.where(run, "walk", "rest"), "speed": 2.0 * run + np.arange(80)},
            np.zeros(80, int),
        )
        for k, run in enumerate(runs)
    ]
    kind = {"run": "binary", "act": "classes", "speed": "value"}[target]
    return cut_windows(sessions, Target(target, kind=kind), WindowShape(1, 1))


def test_sessions_of_one_class_are_left_out_and_listed():
    kept, findings = scorable_windows(windows_of(BOUTS, REST), "the curves")
    assert np.unique(kept.session).tolist() == [0]
    assert [str(finding) for finding in findings] == [
        "animal 'm1', session 's1': left out of the curves: 1 bout of 0; 0 bouts of 1"
    ]


def test_unknown_behaviour_is_told():
    windows = windows_of(BOUTS, BOUTS)
    unknown = replace(windows, target=np.where(windows.session == 1, np.nan, windows.target))
    kept, findings = scorable_windows(unknown, "the curves")
    assert kept.n_windows == 78
    assert "its behaviour is not known" in str(findings[0])


@pytest.mark.parametrize("target", ["run", "act", "speed"])
def test_every_kind_of_target(target):
    kept, findings = scorable_windows(windows_of(BOUTS, BOUTS, target=target), "the curves")
    assert (kept.n_windows, findings) == (156, [])


def test_none_is_an_error():
    with pytest.raises(DataError, match="no session can be scored, so none is left for the curves"):
        scorable_windows(windows_of(REST), "the curves")


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from([2, 5, 10, 40, 80]), min_size=1, max_size=3))
def test_kept_are_those_that_are_not_blank(lengths):
    windows = windows_of(BOUTS, *(np.arange(80) // n % 2 for n in lengths))
    kept, findings = scorable_windows(windows, "the curves")
    table = score_sessions(unsaid(windows))
    wanted = table.loc[table["blank_because"] == "", "session"].tolist()
    assert [windows.session_names[k] for k in np.unique(kept.session)] == wanted
    assert len(findings) == len(table) - len(wanted)
