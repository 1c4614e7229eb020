"""Frame by frame, the causal form gives what it gives for a whole session."""

from dataclasses import replace

import numpy as np
import pytest
from tests.data.preprocessing.test_chain import made_raw, movie_of

from corticode.data.preprocessing.blood import VARIANTS
from corticode.data.preprocessing.causal import CausalChain
from corticode.data.preprocessing.steps import Baseline, Bins, Blood, Motion, Steps
from corticode.errors import DataError, StudyError

STEPS = Steps(causal=True, warm_up_s=3.0, blood=Blood("regression"))
WITH_CAUSAL = [name for name, row in VARIANTS.items() if row.has_causal]


def cut(raw, stop):
    channels = {name: movie[:stop] for name, movie in raw.channels.items()}
    return replace(raw, channels=channels, left_out=raw.left_out[:stop])


def streamed(raw, steps, folder, sizes=(1, 2, 7)):
    chain = CausalChain(cut(raw, 90), steps, folder)
    made, first, k = [], 90, 0
    while first < raw.n_frames:
        rows = slice(first, first + sizes[k % len(sizes)])
        frames = {name: movie[rows] for name, movie in raw.channels.items()}
        made.append(chain.take(frames, left_out=raw.left_out[rows]))
        first, k = rows.stop, k + 1
    return np.concatenate(made)


class TestCausalChain:
    @pytest.mark.parametrize("method", WITH_CAUSAL)
    def test_frame_by_frame_is_the_whole_session(self, method, tmp_path):
        raw = made_raw(n_frames=150, side=24, delay_frames=0.5)
        raw.left_out[100] = True
        steps = replace(STEPS, blood=Blood(method))
        whole, _, _ = movie_of(raw, steps, tmp_path)
        # Percent: 1e-6 of dF/F.
        np.testing.assert_allclose(streamed(raw, steps, tmp_path), whole[90:], atol=1e-4)

    @pytest.mark.parametrize(
        "change",
        [
            {"baseline": Baseline("running", length_s=1.0)},
            {"bins": Bins(2, 3)},
            {"components": 3},
            {"baseline": None, "blood": Blood("none")},
            {"motion": Motion("none"), "dark": 100.0},
        ],
    )
    def test_with_other_steps(self, change, tmp_path):
        raw = made_raw(n_frames=150, side=24)
        steps = replace(STEPS, **change)
        whole, _, _ = movie_of(raw, steps, tmp_path)
        n_warm = 90 // steps.bins.frames
        made = streamed(raw, steps, tmp_path, sizes=(1, 4))
        np.testing.assert_allclose(made, whole[n_warm:], atol=1e-4, rtol=1e-6)

    def test_steps_that_look_ahead_are_refused(self, tmp_path):
        with pytest.raises(StudyError, match="causal = true"):
            CausalChain(made_raw(), replace(STEPS, causal=False), tmp_path)

    def test_a_method_without_a_causal_form(self, tmp_path):
        with pytest.raises(StudyError, match="no causal form"):
            CausalChain(made_raw(), replace(STEPS, blood=Blood("braidyn")), tmp_path)

    def test_a_frame_of_another_size_and_a_missing_channel(self, tmp_path):
        raw = made_raw(n_frames=100, side=24)
        chain = CausalChain(cut(raw, 90), STEPS, tmp_path)
        with pytest.raises(DataError, match="24 x 24"):
            chain.take({name: movie[90:, :20] for name, movie in raw.channels.items()})
        with pytest.raises(DataError, match="reference channel are missing"):
            chain.take({"calcium": raw.channels["calcium"][90:]})
