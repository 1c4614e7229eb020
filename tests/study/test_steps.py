"""A file of preprocessing steps: what its keys ask for, and its faults in words."""

import pytest

from corticode.data.preprocessing.steps import (
    Baseline,
    Bins,
    Blood,
    Motion,
    Steps,
    describe,
    look_ahead_frames,
)
from corticode.errors import MissingDataError, StudyError
from corticode.study.steps import read_steps


def asked(tmp_path, text, *, has_reference=True):
    path = tmp_path / "steps.toml"
    path.write_text(text, encoding="utf-8")
    return read_steps(path, has_reference=has_reference)


class TestReadSteps:
    def test_every_key_has_an_effect(self, tmp_path):
        text = """
        [preprocess]
        dark = 100.0
        mask = "brain"
        causal = true
        warm_up_s = 30.0
        motion = { channel = "calcium", rotation = true }
        bin = { pixels = 2, frames = 3 }
        dff.baseline = "running"
        dff.baseline_s = 20.0
        dff.before_s = 2.0
        dff.events = "cue"
        dff.percentile = 5.0
        denoise = { components = 30 }
        blood = { method = "regression" }
        atlas = { size = [64, 48] }
        """
        assert asked(tmp_path, text) == Steps(
            dark=100.0,
            motion=Motion("calcium", rotation=True),
            mask="brain",
            bins=Bins(2, 3),
            baseline=Baseline("running", 5.0, 20.0, 2.0, "cue"),
            components=30,
            blood=Blood("regression"),
            atlas=(64, 48),
            causal=True,
            warm_up_s=30.0,
        )
        fitted = asked(tmp_path, "preprocess.blood.fit_s = [0.0, 60.0]")
        assert fitted.blood == Blood("heartbeat", (0.0, 60.0))

    def test_without_a_reference_blood_is_left_in(self, tmp_path):
        assert asked(tmp_path, "", has_reference=False).blood.method == "none"
        assert asked(tmp_path, "", has_reference=True).blood.method == "heartbeat"

    def test_a_method_that_needs_a_reference_names_those_that_do_not(self, tmp_path):
        with pytest.raises(StudyError, match="movie_reference") as error:
            asked(tmp_path, 'preprocess.blood.method = "regression"', has_reference=False)
        assert "'none'" in str(error.value)

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("[preprocess]\nmotoin = {}", "motion"),
            ('preprocess.blood.method = "regresion"', "regression"),
            ("preprocess.bin.pixels = 0", "pixels"),
            ("preprocess.blood.fit_s = [60.0, 0.0]", "fit_s"),
            ('preprocess.dff.baseline = "none"\npreprocess.blood.method = "ratio"', "reference"),
            ("preprocess.atlas.size = [128]", "at least 2 are needed"),
            ("preprocess.blood.fit_s = [0.0, 1.0, 2.0]", "no more than 2 may be given"),
            ("preprocess.atlas.size = [128, 2]", "from 16 on"),
            ("preprocess = 3,5", "TOML"),
        ],
    )
    def test_faults(self, tmp_path, text, words):
        with pytest.raises(StudyError, match=words):
            asked(tmp_path, text, has_reference="ratio" not in text)

    def test_no_file(self, tmp_path):
        with pytest.raises(MissingDataError, match=r"none\.toml"):
            read_steps(tmp_path / "none.toml", has_reference=True)


class TestSteps:
    def test_words_say_what_was_fitted_where(self):
        steps = Steps(dark=100, bins=Bins(2), blood=Blood("regression", (0, 60)))
        assert describe(steps) == (
            "dark level 100 counts, or the recording's own dark frames; brain motion estimated on "
            "the reference channel (whole session); bins of 2 x 2 pixels and 1 frames; dF/F, F0: "
            "mean (whole session); blood: regression (seconds 0 to 60)"
        )

    def test_look_ahead(self):
        assert look_ahead_frames(Steps(), 30.0) == float("inf")
        assert look_ahead_frames(Steps(causal=True, blood=Blood("regression")), 30.0) == 0
        assert look_ahead_frames(Steps(causal=True, bins=Bins(1, 4)), 30.0) == 3

    def test_blood_needs_dff(self):
        with pytest.raises(StudyError, match="baseline"):
            Steps(baseline=None)
