import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corticode.data.catalogue import Recording
from corticode.data.readers.arrays import ArrayLocation
from corticode.simulate.dials import resolve_dials
from corticode.simulate.session import simulate_mouse, simulate_session
from corticode.simulate.sizes import CohortSize
from corticode.simulate.truth import describe_cohort, describe_session, is_simulated

EXTENT = CohortSize((3,), 1000, 32, has_movies=False)


@pytest.fixture(scope="module")
def mouse():
    return simulate_mouse(1, 3, 0, resolve_dials({"lag_s": 0.3, "unplugged_wheel": 1}))


@settings(max_examples=3, deadline=None)
@given(number=st.integers(0, 2))
def test_a_session_is_told_with_its_run_fraction_and_ceiling(mouse, number):
    session = simulate_session(mouse, number, 1000, 32, 0)

    def perfect(traces):
        return session.behavior.is_running[15:-15].astype(float)

    told = describe_session("a", mouse, session, perfect)
    assert told["animal"] == "m1"
    assert told["run_fraction"] == session.behavior.is_running.mean()
    assert told["ideal_auc"] == 1


def test_a_session_without_running_has_no_ceiling():
    third = simulate_mouse(3, 3, 0, resolve_dials({"unplugged_wheel": 1}))
    session = simulate_session(third, 1, 1000, 32, 0)
    told = describe_session("b", third, session, lambda traces: traces[30:, 0])
    assert told["ideal_auc"] is None


def test_a_cohort_is_told_as_json(mouse):
    sessions = [
        {"session": "a", "animal": "m1", "ideal_auc": 0.9},
        {"session": "b", "animal": "m1", "ideal_auc": None},
        {"session": "c", "animal": "m1", "ideal_auc": 0.8},
    ]
    truth = json.loads(
        json.dumps(describe_cohort("tiny", EXTENT, 0, mouse.dials, [mouse], sessions))
    )
    assert truth["data"] == "simulated"
    assert truth["ideal_auc"] == pytest.approx(0.85)
    assert truth["lag_s"] == 0.3
    animal = truth["animals"]["m1"]
    assert np.shape(animal["footprints"]["centres"]) == (50, 2)
    assert animal["footprints"]["radius"] == 1
    assert np.shape(animal["weights"]["limb, left"]) == (50,)
    assert truth["n_frames"] == 1000


@pytest.mark.parametrize("place", ["truth.json", "traces/truth.json"])
def test_a_recording_is_known_as_simulated_by_the_truth_beside_it(tmp_path, place):
    (tmp_path / "traces").mkdir()
    recording = Recording("m1", "a", traces=ArrayLocation(tmp_path / "traces" / "a.npy"))
    assert not is_simulated(recording)
    (tmp_path / place).write_text("{}", "utf-8")
    assert is_simulated(recording)
