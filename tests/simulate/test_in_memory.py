import numpy as np
import pytest

from corticode.data.catalogue import read_catalogue
from corticode.data.layouts.study2024 import import_study2024
from corticode.data.session import open_session
from corticode.errors import StudyError
from corticode.simulate.cohort import TIMED, simulate_cohort
from corticode.simulate.in_memory import simulate_sessions


def test_they_are_the_mice_that_are_written_to_files(tmp_path):
    simulate_cohort(tmp_path / "cohort", size="grid", seed=3, dials={"limb": 2.0})
    import_study2024(tmp_path / "cohort", tmp_path)
    written = [open_session(one) for one in read_catalogue(tmp_path / "sessions.csv")]
    written.sort(key=lambda session: (session.animal, session.session))
    made = simulate_sessions(1000, seed=3, dials={"limb": 2.0})
    assert [one.animal for one in made] == [one.animal for one in written]
    for one in made:
        same = [
            w for w in written if w.animal == one.animal and np.array_equal(w.traces, one.traces)
        ]
        assert len(same) == 1
        for name in ("runrest", "speed_rs"):
            np.testing.assert_array_equal(same[0].behavior[name], one.behavior[name])
        assert (one.regions, one.frame_rate_hz) == (same[0].regions, 30.0)


def test_fewer_mice_are_the_first_ones():
    three, two = simulate_sessions(1000, n_mice=3), simulate_sessions(1000, n_mice=2)
    assert [one.name for one in three[::3]] == ["m1/day 1", "m2/day 1", "m3/day 1"]
    np.testing.assert_array_equal(three[5].traces, two[5].traces)


@pytest.mark.parametrize("n_mice", [0, 6])
def test_as_many_mice_as_there_are(n_mice):
    with pytest.raises(StudyError, match=f"{n_mice} mice; 1 to 5 can be simulated"):
        simulate_sessions(200, n_mice=n_mice)


@pytest.mark.parametrize("name", TIMED)
def test_what_only_files_tell_is_refused(name):
    with pytest.raises(StudyError, match=f"dial '{name}' needs files.*use simulate_cohort"):
        simulate_sessions(200, dials={name: 1.0})


def test_fewer_days_than_a_trend_takes():
    with pytest.raises(StudyError, match="2 sessions a mouse; at least 3 are needed"):
        simulate_sessions(200, 2)
