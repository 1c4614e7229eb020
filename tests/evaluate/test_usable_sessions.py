import numpy as np
import pytest

from corticode.decode.predictions import Predictions
from corticode.errors import DataError
from corticode.evaluate.usable_sessions import (
    day_of,
    mean_known,
    short_findings,
    short_sessions,
    slope_over_frames,
    usable_sessions,
)


def said(targets, animals=None):
    """Predictions of a session for each target trace, all scores alike."""
    animals = animals or ["m1"] * len(targets)
    names = tuple(dict.fromkeys(animals))
    lengths = [len(target) for target in targets]
    n = sum(lengths)
    return Predictions(
        np.full(n, 2, np.int8),
        np.repeat([names.index(a) for a in animals], lengths).astype(np.int16),
        np.repeat(np.arange(len(targets)), lengths).astype(np.int16),
        np.concatenate([np.arange(k) for k in lengths]).astype(np.int32),
        np.concatenate(targets).astype(np.float32),
        np.full(n, 0.5, np.float32),
        "binary",
        names,
        tuple(f"s{k}" for k in range(len(targets))),
    )


BOUTS = np.tile([0, 0, 1, 1], 5)


def test_short_and_blank_sessions_are_left_out_and_listed():
    targets = [BOUTS, BOUTS, BOUTS[:11], np.repeat([0, 1], 10), BOUTS]
    names, findings = usable_sessions([said(targets)])
    assert names == [("m1", "s0"), ("m1", "s1"), ("m1", "s4")]
    assert [finding.session for finding in findings] == ["s2", "s3"]
    assert "has 11 windows, under 60% of the median" in findings[0].reason
    assert "1 bout of 0" in findings[1].reason


def test_a_session_that_one_decoder_can_score_takes_part():
    blank = said([np.zeros(20), BOUTS])
    assert len(usable_sessions([blank])[0]) == 1
    assert len(usable_sessions([blank, said([BOUTS, BOUTS])])[0]) == 2


def test_sessions_come_animal_by_animal():
    names, _ = usable_sessions([said([BOUTS] * 4, ["m1", "m2", "m1", "m2"])])
    assert names == [("m1", "s0"), ("m1", "s2"), ("m2", "s1"), ("m2", "s3")]


def test_the_median_is_of_the_animal():
    lengths = {("m1", "a"): 10, ("m1", "b"): 10, ("m2", "a"): 100, ("m2", "b"): 100}
    assert short_sessions(lengths) == []
    lengths["m2", "c"] = 59
    assert short_sessions(lengths) == [("m2", "c")]
    assert short_findings(lengths)[0].animal == "m2"


def test_days():
    assert day_of(("m1", "a"), 3, None) == 3
    assert day_of(("m1", "a"), 3, {("m1", "a"): 7}) == 7
    with pytest.raises(DataError, match="session 'a' of animal 'm1' has no day"):
        day_of(("m1", "a"), 3, {})


def test_slope_and_mean():
    frame = np.array([0, 1, 3])
    assert slope_over_frames(frame, 2.0 * frame + 1) == pytest.approx(2)
    assert np.isnan(slope_over_frames(frame[:1], np.ones(1)))
    found = mean_known(np.array([[1, np.nan, 3], [np.nan] * 3]))
    assert found[0] == 2
    assert np.isnan(found[1])
