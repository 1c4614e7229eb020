"""Cues regressed out of traces."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corticode.data.cues import (
    INPUTS,
    KNOTS_S,
    WHOLE_SESSION_INPUTS,
    check_input,
    cue_session,
    cue_sessions,
    lagged,
    regress_out,
    stand_ins,
    without_cues,
)
from corticode.data.preprocess import Preprocessing
from corticode.data.session import Session
from corticode.data.targets import Target
from corticode.data.windows import Recipe, WindowShape, look_ahead_s
from corticode.errors import DataError, Finding, MissingDataError, StudyError

NAN = np.nan
ROW, COLUMN = np.mgrid[:24, :24] - 11.5
BRAIN = np.hypot(ROW, COLUMN) < 8
RATE = 30.0
# What stands in the place of the traces; frames of a movie are decoded as they are.
MADE = [name for name in INPUTS[1:] if name not in ("movie", "behavior")]


def filmed(movie, *, name="a", **others):
    return Session("m1", name, None, (), {}, np.zeros(len(movie), np.int32), 30.0, movie, **others)


def brain_movie(n_frames=60, seed=0):
    """Bright brain, dim surround, little noise."""
    rng = np.random.default_rng(seed)
    texture = 1 + 0.2 * rng.random((24, 24))
    image = np.where(BRAIN, 3000.0, 100.0) * texture
    return image + rng.normal(size=(n_frames, 24, 24))


def traced(**others):
    traces = np.array([[1.0, 3.0], [2.0, NAN], [0.0, 4.0]])
    return Session("m1", "a", traces, ("1", "2"), {}, np.zeros(3, np.int32), **others)


def test_columns_of_the_behaviour():
    lick, pupil = np.array([0, 1, 0]), np.array([2.5, NAN, 3.0])
    session = replace(
        traced(), behavior={"pupil": pupil, "lick": lick, "state": np.array(["a"] * 3)}
    )
    found = cue_session(session, "behavior", columns=("lick", "pupil"))
    np.testing.assert_array_equal(found.traces, np.column_stack([lick, pupil]))
    assert found.regions == ("lick", "pupil")
    with pytest.raises(DataError, match="'state' holds text, and confounds are numbers"):
        cue_session(session, "behavior", columns=("lick", "state"))
    with pytest.raises(
        MissingDataError, match="no behaviour signal 'whisk'; its signals are pupil"
    ):
        cue_session(session, "behavior", columns=("whisk",))


def test_global_mean_of_regions():
    session = cue_session(traced(history="detrended-1000"), "global-mean")
    np.testing.assert_array_equal(session.traces, [[2.0], [NAN], [2.0]])
    assert session.regions == ("global-mean",)
    # Detrended traces have a detrended mean, which must not be detrended again.
    assert session.history == "detrended-1000"


def test_global_mean_of_pixels():
    movie = np.arange(3 * 5 * 6, dtype=np.uint16).reshape(3, 5, 6)
    session = cue_session(filmed(movie), "global-mean")
    assert session.traces.tolist() == [[14.5], [44.5], [74.5]]
    # Pixels around a brain that was cut out have no values at all.
    cut = movie.astype(np.float32)
    cut[:, 0] = NAN
    assert cue_session(filmed(cut), "global-mean").traces.tolist() == [[17.5], [47.5], [77.5]]


def test_frame_number_by_hand():
    session = cue_session(traced(history="smoothed"), "frame-number")
    assert session.traces.tolist() == [[0.0], [0.5], [1.0]]
    assert session.history == ""


def test_border_by_hand():
    movie = np.zeros((2, 6, 5), np.uint8)
    movie[0, :2] = 10
    movie[1, :, 4] = 6
    session = cue_session(filmed(movie), "border")
    assert session.regions == ("border-top", "border-bottom", "border-left", "border-right")
    np.testing.assert_allclose(session.traces, [[10, 0, 10 / 3, 10 / 3], [1.2, 1.2, 0, 3]])
    assert (session.movie, session.reference) == (None, None)


@given(seed=st.integers(0, 999), gain=st.floats(-3, 3))
def test_borders_and_global_mean_follow_light(seed, gain):
    light = np.random.default_rng(seed).normal(size=30)
    movie = 50 + gain * light[:, None, None] * np.ones((30, 6, 7))
    for name in ("border", "global-mean"):
        values = cue_session(filmed(movie), name).traces
        np.testing.assert_allclose(values, 50 + gain * light[:, None] + 0 * values, atol=1e-9)


def test_outside_of_the_brain():
    movie = brain_movie()
    light = np.random.default_rng(1).normal(size=60)
    movie[:, ~BRAIN] += 5 * light[:, None]
    movie[:, BRAIN] += 500 * np.random.default_rng(2).normal(size=(60, 1))
    far = np.hypot(ROW, COLUMN) > 11
    session = cue_session(filmed(movie), "outside-mask")
    assert session.regions == ("outside-mask",)
    assert np.corrcoef(session.traces[:, 0], light)[0, 1] > 0.99
    # A mask of one's own is taken as it is.
    own = cue_session(filmed(movie), "outside-mask", brain=~far)
    np.testing.assert_allclose(own.traces[:, 0], movie[:, far].mean(axis=1))
    assert own.findings == ()


def test_no_surround_in_view():
    cortex = 3000 + 300 * np.random.default_rng(0).normal(size=(10, 24, 24))
    (finding,) = cue_session(filmed(cortex), "outside-mask").findings
    assert "brain and surround are hardly told apart in the mean image" in str(finding)
    assert finding.session == "a"


def test_brain_motion_has_two_cues():
    image = brain_movie(1)[0]
    movie = np.stack([image] * 30 + [np.roll(image, 1, axis=0)])
    session = cue_session(filmed(movie), "brain-motion")
    assert session.regions == ("brain-motion-rows", "brain-motion-columns")
    np.testing.assert_allclose(session.traces[-1], [1, 0], atol=0.15)


def test_reference_channel():
    movie = np.zeros((4, 5, 5))
    reference = np.arange(4.0)[:, None, None] * np.ones((4, 5, 5))
    session = cue_session(filmed(movie, reference=reference), "reference")
    assert session.traces[:, 0].tolist() == [0, 1, 2, 3]


def test_traces_are_left_as_they_are():
    session = traced()
    assert cue_sessions([session], "traces") == [session]
    assert stand_ins([session], "traces") == [session]


@pytest.mark.parametrize("name", MADE)
def test_stand_ins_look_like_the_cues(name):
    movie = brain_movie()
    found = Finding("frames", "odd")
    session = filmed(movie, reference=movie, findings=(found,), history="detrended")
    session = replace(session, traces=np.ones((len(movie), 2)), regions=("1", "2"))
    (real,), (stand_in,) = cue_sessions([session], name), stand_ins([session], name)
    assert real.traces.shape == stand_in.traces.shape
    for part in ("regions", "findings", "history", "movie", "reference", "behavior"):
        assert getattr(real, part) == getattr(stand_in, part)
    assert real.findings == (found,)


@pytest.mark.parametrize("name", MADE)
def test_a_movie_is_never_held_whole(name, tmp_path):
    path = tmp_path / "movie.dat"
    movie = np.memmap(path, np.uint16, "w+", shape=(1200, 128, 128))
    movie[:] = np.random.default_rng(0).integers(100, 200, (1, 128, 128), np.uint16)
    movie[:, 32:96, 32:96] += np.uint16(3000)
    session = filmed(movie, reference=movie)
    session = replace(session, traces=np.zeros((len(movie), 1)), regions=("1",))
    tracemalloc.start()
    cue_session(session, name)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # The movie has 39 MB, and 157 as float64.
    assert peak < 38e6


def test_cues_together_stand_side_by_side():
    movie = brain_movie()
    session = replace(
        filmed(movie, reference=movie), traces=np.ones((len(movie), 2)), regions=("1", "2")
    )
    alone = [cue_session(session, name) for name in ("outside-mask", "brain-motion", "reference")]
    together = cue_session(session, "cues")
    np.testing.assert_array_equal(together.traces, np.hstack([one.traces for one in alone]))
    assert together.regions == tuple(name for one in alone for name in one.regions)
    beside = cue_session(session, "traces+cues")
    assert beside.regions == ("1", "2", *together.regions)
    np.testing.assert_array_equal(beside.traces[:, :2], session.traces)
    assert "reference" not in cue_session(replace(session, reference=None), "cues").regions


def test_cues_regressed_out_leave_the_session_otherwise_as_it_is():
    movie = brain_movie()
    session = filmed(movie)
    with pytest.raises(MissingDataError, match="needs traces and a movie"):
        without_cues(session)
    traced = replace(session, traces=np.ones((len(movie), 2)), regions=("1", "2"))
    with pytest.raises(DataError, match="has no frame rate, and cues are regressed out at lags"):
        without_cues(replace(traced, frame_rate_hz=None))
    with pytest.raises(DataError, match="frames are too few to regress"):
        without_cues(replace(traced, frame_rate_hz=30.0))


@pytest.mark.parametrize("name", INPUTS)
def test_look_ahead_of_whole_session_statistics(name):
    recipe = Recipe(
        (name,),
        (True,),
        Preprocessing(scale="none"),
        WindowShape(3, 3),
        Target("run"),
        ("0", "1"),
        30.0,
        name,
    )
    expected = np.inf if name in WHOLE_SESSION_INPUTS else 0.1
    assert look_ahead_s(recipe) == pytest.approx(expected)
    assert (name in WHOLE_SESSION_INPUTS) == np.isinf(expected)


class TestRefusals:
    def test_no_movie(self):
        message = (
            "input = 'border' needs a movie; session m1/a has traces only: name one in the "
            "catalogue's column 'movie', or take the conditions with this input out of the study"
        )
        with pytest.raises(MissingDataError) as caught:
            cue_session(traced(), "border")
        assert str(caught.value) == message
        with pytest.raises(MissingDataError, match="sessions m1/a, m1/b have traces only"):
            stand_ins([traced(), replace(traced(), session="b")], "brain-motion")
        many = [replace(traced(), session=letter) for letter in "abcde"]
        with pytest.raises(MissingDataError, match="m1/a, m1/b, m1/c and 2 more have traces only"):
            cue_sessions(many, "outside-mask")

    def test_neither_traces_nor_movie(self):
        empty = replace(traced(), traces=None, regions=())
        with pytest.raises(MissingDataError, match="needs traces or a movie; session m1/a has nei"):
            check_input([empty], "global-mean")

    def test_no_reference(self):
        with pytest.raises(
            MissingDataError,
            match=r"a reference channel; session m1/a has none: .*"
            "movie_reference",
        ):
            check_input([filmed(brain_movie(3))], "reference")

    def test_unknown_input(self):
        with pytest.raises(
            StudyError, match="input is 'borders'; it must be one of traces, movie, globa"
        ):
            cue_session(traced(), "borders")

    @pytest.mark.parametrize(
        ("name", "movie", "message"),
        [
            (
                "border",
                np.ones((3, 4, 9)),
                "input = 'border': frames have 4 x 9 pixels; four",
            ),
            ("brain-motion", np.ones((3, 9, 9)), "'brain-motion': frames have 9 x 9 pixels; brain"),
            ("outside-mask", np.ones((3, 9, 9)), "the mean image of 9 x 9 pixels is the same"),
            ("global-mean", np.full((3, 9, 9), NAN), "no pixel has a finite value in any frame"),
        ],
    )
    def test_images_that_do_not_do(self, name, movie, message):
        with pytest.raises(DataError, match=message):
            cue_session(filmed(movie), name)

    def test_masks_that_do_not_do(self):
        session = filmed(brain_movie(3))
        with pytest.raises(DataError, match=r"mask holds bool values of shape \(2, 2\); it needs"):
            cue_session(session, "outside-mask", brain=np.ones((2, 2), bool))
        with pytest.raises(DataError, match="mask holds float64 values of shape"):
            cue_session(session, "outside-mask", brain=np.ones((24, 24)))
        with pytest.raises(DataError, match="no pixel outside the brain has values; use input = "):
            cue_session(session, "outside-mask", brain=np.ones((24, 24), bool))


def test_lags_by_hand():
    pulse = np.zeros((200, 1))
    pulse[100] = 1
    design = lagged(pulse, 10.0)
    # At 10 frames/s one frame is 0.1 s, which is a lag as it is.
    assert design.shape == (200, len(KNOTS_S))
    # The lag of 1 s is its own frame, and neighbours are reached by straight lines.
    at_1_s = design[:, KNOTS_S.index(1.0)]
    assert at_1_s[110] == 1
    assert at_1_s[109] == pytest.approx(0.6)
    assert at_1_s[[107, 113]].tolist() == [0, 0]
    assert np.flatnonzero(design.any(axis=1))[[0, -1]].tolist() == [95, 130]


@given(lag_s=st.floats(-0.4, 2.9), gain=st.floats(-5, 5))
@settings(max_examples=20)
def test_a_delayed_cue_is_gone_and_the_rest_is_left(lag_s, gain):
    rng = np.random.default_rng(0)
    # A cue as slow as blood; fast ones are resolved near lag 0 alone.
    whole = np.convolve(rng.normal(size=6200 + 88), np.hanning(89), "valid")[:, None]
    whole /= whole.std()
    cue, first = whole[100:6100], 100 - round(lag_s * RATE)
    own = rng.normal(size=(6000, 1))
    traces = 7 + own + gain * whole[first : first + 6000]
    left = regress_out(traces, cue, RATE)
    assert np.corrcoef(left[:, 0], own[:, 0])[0, 1] > 0.85
    assert left.mean() == pytest.approx(traces.mean(), abs=1e-3)


def test_a_fast_cue_at_lag_0_is_gone():
    rng = np.random.default_rng(0)
    cue, own = rng.normal(size=(6000, 2)), rng.normal(size=(6000, 3))
    left = regress_out(own + cue @ rng.normal(size=(2, 3)) * 3, cue, RATE)
    assert all(np.corrcoef(left[:, k], own[:, k])[0, 1] > 0.98 for k in range(3))


def test_what_no_cue_explains_is_left():
    rng = np.random.default_rng(0)
    own = rng.normal(size=(18_000, 2))
    left = regress_out(own, rng.normal(size=(18_000, 8)), RATE)
    # Chance takes about as many of 18,000 degrees of freedom as there are columns, 136.
    assert 0.99 < left.var() / own.var() < 1


def test_nan_and_flat_cues():
    rng = np.random.default_rng(0)
    traces, cues = rng.normal(size=(3000, 2)), rng.normal(size=(3000, 2))
    cues[:, 1] = 4.0
    traces[:, 0] += 3 * cues[:, 0]
    traces[50], cues[700] = np.nan, np.nan
    left = regress_out(traces, cues, RATE)
    assert np.flatnonzero(np.isnan(left).any(axis=1)).tolist() == [50]
    assert left[~np.isnan(left)].std() < 1.1


def test_too_few_frames():
    with pytest.raises(DataError, match="40 frames are too few to regress 2 cues out at"):
        regress_out(np.zeros((40, 3)), np.zeros((40, 2)), RATE)
