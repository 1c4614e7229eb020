import pytest
from hypothesis import given
from hypothesis import strategies as st

from corticode.data.synthetic.dials import (
    BEHAVIOR_DRIVEN,
    DIALS,
    SPECIAL,
    TYPICAL,
    dials_of_mouse,
    resolve_dials,
)
from corticode.errors import StudyError


def test_typical_features_are_on_and_mishaps_off():
    dials = resolve_dials(None)
    assert {dials[name] for name in TYPICAL} == {1.0}
    assert {dials[name] for name in SPECIAL} == {0.0}


@given(st.dictionaries(st.sampled_from(sorted(set(DIALS) - {"lag_s"})), st.floats(0, 10)))
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
    with pytest.raises(StudyError, match=r"no dial 'limbs'; dials are signal, limb.*'limb'\?"):
        resolve_dials({"limbs": 1})
    with pytest.raises(StudyError, match="dial 'noise' is -1; it must be 0"):
        resolve_dials({"noise": -1})
    with pytest.raises(StudyError, match="dial 'noise' is nan"):
        resolve_dials({"noise": float("nan")})
    assert resolve_dials({"lag_s": -0.3})["lag_s"] == -0.3
