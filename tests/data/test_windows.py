import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corticode.data.cues import cue_session
from corticode.data.prepared import prepare_sessions
from corticode.data.preprocess import Preprocessing
from corticode.data.session import Session
from corticode.data.targets import Target
from corticode.data.windows import (
    WindowShape,
    cut_windows,
    look_ahead_s,
    session_targets,
    windows_of,
)
from corticode.errors import CorticodeWarning, DataError, DecoderError, StudyError

AS_IT_IS = Preprocessing(scale="none")
RUN = Target("run")
ONE_EACH = WindowShape(1, 1)


def toy(n_frames=12, *, segment=None, missing=(), unknown=(), animal="m1", session="a", rate=None):
    """Frame t of region r holds 10 t + r; the target of frame t is t modulo 2."""
    traces = 10.0 * np.arange(n_frames)[:, None] + np.arange(2)
    traces[list(missing), 1] = np.nan
    run = np.arange(n_frames) % 2.0
    run[list(unknown)] = np.nan
    segment = np.zeros(n_frames) if segment is None else np.asarray(segment)
    behavior = {"run": run, "speed": 2.0 * np.arange(n_frames)}
    return Session(animal, session, traces, ("1", "2"), behavior, segment.astype(np.int32), rate)


def cut(sessions, window=ONE_EACH, target=RUN, **keys):
    return cut_windows(sessions, target, window, preprocessing=AS_IT_IS, **keys)


class TestExpectedWindows:
    def test_of_one_session(self):
        windows = cut([toy()])
        assert windows.start.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
        assert windows.frame.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
        assert windows.target.tolist() == [1, 0, 1, 0, 1, 0, 1, 0, 1, 0]
        assert windows.values()[3].tolist() == [[30, 31], [40, 41], [50, 51]]
        assert windows.n_windows == 10

    def test_uneven_around_the_centre(self):
        windows = cut([toy()], WindowShape(3, 0))
        assert windows.start.tolist() == list(range(9))
        assert windows.frame.tolist() == list(range(3, 12))
        assert windows.values()[0][:, 0].tolist() == [0, 10, 20, 30]

    def test_never_across_a_gap_in_time(self):
        windows = cut([toy(segment=[0] * 5 + [1] * 7)])
        assert windows.start.tolist() == [0, 1, 2, 5, 6, 7, 8, 9]

    def test_never_across_a_segment_whose_number_comes_back(self):
        windows = cut([toy(segment=[0] * 5 + [1] * 2 + [0] * 5)], WindowShape(2, 1))
        assert windows.start.tolist() == [0, 1, 7, 8]

    def test_never_over_a_frame_with_nan(self):
        assert cut([toy(missing=[4])]).start.tolist() == [0, 1, 5, 6, 7, 8, 9]

    def test_never_across_the_end_of_a_session(self):
        sessions = [toy(6), toy(5, session="b"), toy(3, animal="m2")]
        windows = cut(sessions)
        assert windows.start.tolist() == [0, 1, 2, 3, 6, 7, 8, 11]
        assert windows.frame.tolist() == [1, 2, 3, 4, 1, 2, 3, 1]
        assert windows.session.tolist() == [0, 0, 0, 0, 1, 1, 1, 2]
        assert windows.animal.tolist() == [0, 0, 0, 0, 0, 0, 0, 1]
        assert windows.animal_names == ("m1", "m2")
        assert windows.session_names == ("a", "b", "a")

    def test_never_without_a_target(self):
        assert cut([toy(unknown=[3, 11])]).frame.tolist() == [1, 2, 4, 5, 6, 7, 8, 9, 10]

    def test_shifted_into_the_future(self):
        windows = cut([toy()], WindowShape(1, 1, shift=2))
        assert windows.start.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8]
        assert windows.frame.tolist() == [3, 4, 5, 6, 7, 8, 9, 10, 11]
        assert windows.centre.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9]
        assert windows.target.tolist() == [1, 0, 1, 0, 1, 0, 1, 0, 1]

    def test_shifted_into_the_past(self):
        windows = cut([toy()], WindowShape(1, 1, shift=-3))
        assert windows.start.tolist() == [2, 3, 4, 5, 6, 7, 8, 9]
        assert windows.frame.tolist() == [0, 1, 2, 3, 4, 5, 6, 7]

    @pytest.mark.parametrize(
        ("shift", "starts"), [(2, [0, 1, 2, 6, 7, 8]), (-2, [1, 2, 3, 7, 8, 9])]
    )
    def test_shifted_never_across_a_gap_or_a_session(self, shift, starts):
        sessions = [toy(12, segment=[0] * 6 + [1] * 6), toy(3, session="b")]
        with pytest.warns(CorticodeWarning, match="session 'b': no window is left"):
            windows = cut(sessions, WindowShape(1, 1, shift=shift))
        # The target must lie in the stretch of the window: frames 0 to 5 or 6 to 11.
        assert windows.start.tolist() == starts
        assert set(windows.session.tolist()) == {0}

    def test_of_values(self):
        windows = cut([toy()], target=Target("speed", kind="value"))
        assert windows.target.tolist() == [2, 4, 6, 8, 10, 12, 14, 16, 18, 20]
        assert windows.recipe.classes == ()


@given(
    st.lists(st.integers(0, 2), min_size=4, max_size=25),
    st.data(),
    st.integers(0, 2),
    st.integers(0, 2),
    st.integers(-4, 4),
)
def test_windows_are_those_that_a_loop_finds(segment, data, before, after, shift):
    n = len(segment)
    if n < before + 1 + after:
        return
    frames = st.lists(st.integers(0, n - 1), max_size=3)
    missing, unknown = data.draw(frames), data.draw(frames)
    expected = []
    for centre in range(before, n - after):
        seen = range(centre - before, centre + after + 1)
        target_row = centre + shift
        path = range(min(seen.start, target_row), max(seen.stop - 1, target_row) + 1)
        is_usable = (
            0 <= target_row < n and target_row not in unknown and not set(missing) & set(seen)
        )
        if is_usable and all(segment[k] == segment[k - 1] for k in path[1:]):
            expected.append(target_row)
    prepared = prepare_sessions([toy(n, segment=segment, missing=missing)])
    prepared = replace(prepared, behavior={"run": toy(n, unknown=unknown).behavior["run"]})
    if not expected:
        with pytest.raises(DataError, match="is left"):
            cut_windows(prepared, RUN, WindowShape(before, after, shift))
        return
    assert cut_windows(prepared, RUN, WindowShape(before, after, shift)).frame.tolist() == expected


class TestContainer:
    def test_nothing_is_copied_but_values(self):
        prepared = prepare_sessions([toy()])
        windows = cut_windows(prepared, RUN, ONE_EACH)
        assert windows.traces is prepared.traces
        assert windows.where(np.array([2, 3])).traces is prepared.traces
        values = windows.values()
        assert not np.shares_memory(values, prepared.traces)
        assert values.dtype == np.float32

    def test_where_takes_a_mask_or_an_index(self):
        windows = cut([toy()])
        assert windows.where(windows.target == 1).frame.tolist() == [1, 3, 5, 7, 9]
        assert windows.where(np.array([8, 0])).frame.tolist() == [9, 1]
        assert windows.values(np.array([8, 0]))[:, 0, 0].tolist() == [80, 0]

    def test_regions_that_are_not_kept_are_zero(self):
        windows = cut([toy()], regions=["not", 1])
        assert windows.recipe.kept_regions == (False, True)
        assert windows.values()[0].tolist() == [[0, 1], [0, 11], [0, 21]]

    def test_covered(self):
        windows = cut([toy(missing=[4])])
        assert np.flatnonzero(~windows.covered()).tolist() == [4]
        one = windows.where(np.array([0, 6]))
        assert np.flatnonzero(one.covered()).tolist() == [0, 1, 2, 9, 10, 11]

    def test_recipe_says_what_was_done(self):
        recipe = cut([toy(rate=30.0)], regions=[2]).recipe
        assert recipe.regions == ("1", "2")
        assert recipe.classes == ("0", "1")
        assert (recipe.preprocessing, recipe.window, recipe.target) == (AS_IT_IS, ONE_EACH, RUN)
        assert recipe.frame_rate_hz == 30


def test_sessions_are_preprocessed_as_published_unless_told_otherwise():
    windows = cut_windows([toy()], RUN, ONE_EACH)
    assert windows.recipe.preprocessing == Preprocessing(detrend_frames=1000, scale="min-max")
    assert (windows.traces.min(), windows.traces.max()) == (0, 1)


def test_findings_are_warned_of():
    flat = toy()
    flat.traces[:, 1] = 3
    with pytest.warns(CorticodeWarning, match="region '2': is flat and enters as 0"):
        cut_windows([flat], RUN, ONE_EACH)


class TestClasses:
    def acts(self, *names):
        return replace(toy(len(names)), behavior={"act": np.array(names)})

    def test_are_the_same_in_all_sessions(self):
        sessions = [self.acts("b", "b", "b", "c"), self.acts("a", "a", "c", "c")]
        windows = cut(sessions, target=Target("act", kind="classes"))
        assert windows.recipe.classes == ("a", "b", "c")
        assert windows.target.tolist() == [1, 1, 0, 2]

    def test_may_be_those_of_a_decoder(self):
        prepared = prepare_sessions([self.acts("c", "c", "c", "a")])
        target = Target("act", kind="classes")
        (trace,) = session_targets(prepared, target, classes=("a", "b", "c"))
        assert trace.values.tolist() == [2, 2, 2, 0]
        with pytest.raises(DataError, match=r"session m1/a: signal 'act' holds the class 'c'"):
            session_targets(prepared, target, classes=("a", "b"))


class TestLookAhead:
    def recipe(self, window=ONE_EACH, rate=30.0, **preprocessing):
        return cut_windows(
            [toy(rate=rate)],
            Target("speed", kind="value"),
            window,
            preprocessing=Preprocessing(**preprocessing),
        ).recipe

    def test_of_the_window_alone(self):
        assert look_ahead_s(self.recipe(WindowShape(2, 3), scale="none")) == pytest.approx(0.1)
        recipe = self.recipe(WindowShape(2, 3), scale="none")
        assert look_ahead_s(recipe, centre_alone=True) == 0

    def test_of_a_shifted_target(self):
        recipe = self.recipe(WindowShape(2, 3, shift=6), scale="none")
        assert look_ahead_s(recipe) == pytest.approx(-0.1)

    def test_of_centred_filters(self):
        # 499 frames of detrending, 2 of smoothing, 1 of the window.
        recipe = self.recipe(detrend_frames=1000, smooth_frames=5, scale="none")
        assert look_ahead_s(recipe) == pytest.approx(502 / 30)

    def test_of_causal_filters(self):
        recipe = self.recipe(detrend_frames=10, causal=True, scale="z-score", scale_over="causal")
        assert look_ahead_s(recipe) == pytest.approx(1 / 30)

    def test_of_statistics_of_the_whole_session(self):
        assert look_ahead_s(self.recipe(scale="min-max")) == math.inf
        assert look_ahead_s(self.recipe(scale="min-max", rate=None)) == math.inf

    def test_without_a_frame_rate(self):
        assert look_ahead_s(self.recipe(scale="none", rate=None)) is None


class TestErrors:
    def test_a_session_shorter_than_a_window(self):
        with pytest.raises(
            DataError,
            match=r"^session 'm1/b' has 20 frames; a window needs 31 \(15 before \+ 1 \+ 15 after",
        ):
            cut([toy(40), toy(20, session="b")], WindowShape(15, 15))

    def test_no_usable_window(self):
        with pytest.raises(DataError, match=r"no window of 5 frames is left.*shorten the window"):
            cut([toy(missing=[4, 8])], WindowShape(2, 2))

    def test_no_session(self):
        with pytest.raises(DataError, match="there are no sessions to cut windows from"):
            cut([])

    def test_a_signal_that_is_not_there(self):
        with pytest.raises(DataError, match=r"'spead' is not in .*; signals there: run, speed"):
            cut([toy()], target=Target("spead"))

    def test_a_signal_that_does_not_fit_names_its_session(self):
        with pytest.raises(DataError, match=r"^session m1/a: signal 'speed' holds 12 different"):
            cut([toy()], target=Target("speed"))

    @pytest.mark.parametrize("frames", [(-1, 2), (2, -1)])
    def test_a_window_of_less_than_nothing(self, frames):
        with pytest.raises(StudyError, match="use shift to move the target"):
            WindowShape(*frames)

    def test_a_window_of_parts_of_frames(self):
        with pytest.raises(StudyError, match=r"window before is 15.5; it must be a whole number"):
            WindowShape(15.5)


def test_windows_of_unknown_behavior_have_no_target():
    prepared = prepare_sessions([toy(unknown=[3])])
    windows = windows_of(prepared, RUN, None, ONE_EACH, np.ones(2, np.bool_))
    assert windows.n_windows == 10
    assert np.isnan(windows.target).all()


class TestByRecipe:
    def test_as_the_decoders_own(self):
        own = cut([toy(30)], WindowShape(2, 1), regions=[2])
        other = replace(toy(20, animal="m9"), behavior={"run": np.arange(20) % 3 // 2})
        windows = cut_windows([other], recipe=own.recipe)
        assert windows.recipe == own.recipe
        assert windows.frame.tolist() == list(range(2, 19))
        assert windows.target.tolist() == other.behavior["run"][2:19].tolist()
        assert (windows.values()[..., 0] == 0).all()

    def test_of_whatever_keeps_one(self):
        class Kept:
            recipe = cut([toy()]).recipe

        assert cut_windows([toy()], recipe=Kept()).n_windows == 10

    def test_without_the_signal_the_target_is_not_known(self):
        own = cut([toy()])
        windows = cut_windows([replace(toy(), behavior={})], recipe=own.recipe)
        assert np.isnan(windows.target).all()
        assert windows.n_windows == 10

    def test_confounds_in_the_place_of_traces(self):
        shared = Session("m1", "a", toy().traces, ("1", "2"), toy().behavior, toy().segment)
        prepared = prepare_sessions([cue_session(shared, "global-mean")], AS_IT_IS)
        own = windows_of(
            prepared,
            RUN,
            session_targets(prepared, RUN),
            ONE_EACH,
            np.ones(1, bool),
            input="global-mean",
        )
        windows = cut_windows([shared], recipe=own.recipe)
        np.testing.assert_array_equal(windows.values(), own.values())

    def test_what_does_not_fit(self):
        recipe = cut([toy(rate=30.0)]).recipe
        with pytest.raises(DecoderError, match=r"session m1/a has 20.0 frames/s; the"):
            cut_windows([toy(rate=20.0)], recipe=recipe)
        three = replace(toy(rate=30.0), traces=np.zeros((12, 3)), regions=("1", "2", "3"))
        with pytest.raises(DecoderError, match="has 3 regions, the decoder 2"):
            cut_windows([three], recipe=recipe)
        with pytest.raises(StudyError, match="leave target, window, preprocessing"):
            cut_windows([toy()], RUN, recipe=recipe)
        with pytest.raises(StudyError, match="say what to decode"):
            cut_windows([toy()])


class TestSessionsWithoutWindows:
    def test_a_region_that_is_empty_takes_its_animal_with_it(self):
        message = r"animal 'm2', session 'a': no window is left: region '2' has no finite value"
        with pytest.warns(CorticodeWarning, match=message):
            windows = cut([toy(), toy(animal="m2", missing=range(12))])
        assert set(windows.animal) == {0}

    def test_for_other_reasons(self):
        message = r"'m2', session 'a': no window is left: every one crosses a gap in time, holds"
        with pytest.warns(CorticodeWarning, match=message):
            cut([toy(), toy(animal="m2", missing=range(0, 12, 2))])

    def test_none_is_said_of_sessions_that_have_some(self):
        cut([toy(), toy(animal="m2", missing=range(8))])
