"""Tests."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corticode.errors import StudyError
from corticode.simulate.dials import (
    BEHAVIOR_DRIVEN,
    DIALS,
    MOUSE_NUMBERS,
    N_MICE,
    SIZES,
    SPECIAL,
    TYPICAL,
    dials_of_mouse,
    published_sessions,
    resolve_dials,
)
from corticode.simulate.session import RUN_FRACTIONS


def test_typical_features_are_on_and_mishaps_off():
    dials = resolve_dials(None)
    assert {dials[name] for name in TYPICAL} == {1.0}
    assert {dials[name] for name in SPECIAL} == {0.0}


@given(
    st.dictionaries(
        st.sampled_from(sorted(set(DIALS) - {"lag_s", *MOUSE_NUMBERS})), st.floats(0, 10)
    )
)
def test_what_is_given_is_kept(given_dials):
    dials = resolve_dials(given_dials)
    assert set(dials) == set(DIALS)
    assert {name: dials[name] for name in given_dials} == given_dials


@pytest.mark.parametrize("alone", [{"signal": 0}, {"redundant": 1}, {"nonlinear": 2}])
def test_without_signal_elsewhere_nothing_else_follows_behaviour(alone):
    dials = resolve_dials(alone)
    assert not any(dials[name] for name in BEHAVIOR_DRIVEN)
    dials = resolve_dials({**alone, "motion": 3})
    assert [name for name in BEHAVIOR_DRIVEN if dials[name]] == ["motion"]


def test_one_mouse_alone_has_a_signal():
    dials = resolve_dials({"only_mouse": 2})
    assert dials_of_mouse(dials, 2) == dials
    assert not any(dials_of_mouse(dials, 1)[name] for name in ("signal", *BEHAVIOR_DRIVEN))


def test_dials_that_cannot_be_turned_are_refused():
    with pytest.raises(
        StudyError, match=r"no simulation parameter 'limbs'.*'limb'\?; there are signal"
    ):
        resolve_dials({"limbs": 1})
    with pytest.raises(StudyError, match="parameter 'noise' is -1; it must be 0"):
        resolve_dials({"noise": -1})
    with pytest.raises(StudyError, match="parameter 'noise' is nan"):
        resolve_dials({"noise": float("nan")})
    assert resolve_dials({"lag_s": -0.3})["lag_s"] == -0.3


@pytest.mark.parametrize("name", MOUSE_NUMBERS)
@pytest.mark.parametrize("value", [N_MICE + 1, 2.5])
def test_a_mouse_that_is_not_there_cannot_be_named(name, value):
    with pytest.raises(StudyError, match=rf"{name}' is {value:g}; it names a mouse: 1 to 5, or 0"):
        resolve_dials({name: value})
    assert resolve_dials({name: N_MICE})[name] == N_MICE


def test_cohorts_of_every_size_have_the_mice_that_dials_can_name():
    assert {len(size.n_sessions) for size in SIZES.values()} == {N_MICE} == {len(RUN_FRACTIONS)}


def test_the_study_has_its_published_sessions():
    ids = published_sessions()
    study = SIZES["study"]
    assert study.n_sessions == tuple(len(ids[mouse]) for mouse in range(1, 6))
    assert sum(study.n_sessions) == 64
    assert (study.n_frames, study.n_pixels) == (18_000, 128)
    assert ids[1][0] == "20180125_Emx1G6_LR_1"
    # The suffix does not tell the mouse.
    assert {mouse for mouse in ids if any("_non_" in name for name in ids[mouse])} == {2, 5}


def test_every_size_takes_no_more_sessions_than_were_published():
    for size in SIZES.values():
        for mouse, n_sessions in enumerate(size.n_sessions, start=1):
            assert 3 <= n_sessions <= len(published_sessions()[mouse])
