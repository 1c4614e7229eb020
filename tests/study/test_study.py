from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pandas as pd
import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from corticode.data.layouts.study2024 import read_published_regions
from corticode.data.preprocess import Preprocessing, look_ahead_frames
from corticode.data.regions import read_regions, select_regions
from corticode.data.targets import Target
from corticode.data.windows import WindowShape
from corticode.decode.settings import Augment, Network, Training
from corticode.errors import MissingDataError, StudyError
from corticode.study.study import (
    PRESETS,
    gap_frames,
    read_preset,
    read_study,
    resolve,
    write_resolved,
)

DATA = '[data]\ncatalogue = "sessions.csv"\n'
HEAD = 'preset = "code"\n' + DATA
# The example of the interface, without maps and comparisons.
EXAMPLE = """
preset = "recommended"
[data]
catalogue = "sessions.csv"
[target]
signal = "speed"
kind = "binary"
above = 0.5
[folds]
by = "animal"
[[condition]]
name = "gru"
input = "traces"
preprocess = { detrend_frames = 1000, scale = "min-max" }
window = { before = 15, after = 15, shift = 0 }
network = { kind = "gru" }
training = { epochs = 30 }
[[condition]]
name = "gru, FLa&HLa only"
like = "gru"
regions = [6, 8, 31, 33]
[[condition]]
name = "gru, permuted"
like = "gru"
permute_labels = "sessions"
"""


@pytest.fixture
def study(tmp_path):
    def make(text):
        path = tmp_path / "study.toml"
        path.write_text(text, "utf-8")
        return read_study(path)

    return make


@pytest.fixture
def conditions(study):
    """Conditions by name, at 30 frames a second unless told otherwise."""

    def make(text, rate=30.0):
        return {keys.name: resolve(keys, rate) for keys in study(text).conditions}

    return make


def faults_of(study, text):
    with pytest.raises(StudyError) as caught:
        study(text)
    return str(caught.value)


class TestExample:
    def test_is_read(self, study, tmp_path):
        read = study(EXAMPLE)
        assert [condition.name for condition in read.conditions] == [
            "gru",
            "gru, FLa&HLa only",
            "gru, permuted",
        ]
        assert read.catalogue_path == tmp_path / "sessions.csv"
        assert read.regions_path is None
        assert read.signals == ("speed",)
        assert (read.folds.by, read.folds.only, read.folds.blocks) == ("animal", None, 5)

    def test_says_what_is_done(self, conditions):
        found = conditions(EXAMPLE)
        gru, limbs, permuted = found.values()
        assert gru.preprocessing == Preprocessing(detrend_frames=1000, scale="min-max")
        assert gru.window == WindowShape(15, 15, 0)
        assert gru.network == Network("gru", 32)
        assert gru.training == Training(30, 256, 1e-3, 0.001)
        assert gru.target == Target("speed", above=0.5)
        assert (gru.regions, gru.permute_labels, gru.keep_train) == (None, None, False)
        assert limbs.regions == (6, 8, 31, 33)
        assert permuted.permute_labels == "sessions"
        assert permuted.regions is None
        assert limbs.window == permuted.window == gru.window


class TestPresets:
    """As published: 1000 frames, min-max, 15 + 1 + 15 frames, 30 epochs of 256, Adam 1e-3."""

    @pytest.mark.parametrize(("preset", "smoothing"), [("text", 0.01), ("code", 0.001)])
    def test_of_the_study(self, conditions, preset, smoothing):
        text = f'preset = "{preset}"\n{DATA}[[condition]]\nname = "gru"\n'
        found = conditions(text, rate=None)["gru"]
        assert found.preprocessing == Preprocessing(
            detrend_frames=1000, causal=False, smooth_frames=None, scale="min-max"
        )
        assert found.preprocessing.scale_over == "session"
        assert found.window == WindowShape(before=15, after=15, shift=0)
        assert found.network == Network("gru", units=32)
        assert found.training == Training(
            epochs=30, batch_size=256, learning_rate=1e-3, label_smoothing=smoothing
        )
        assert found.target == Target("runrest", kind="binary")

    def test_recommended_serves_any_frame_rate(self, conditions):
        text = DATA + '[target]\nsignal = "run"\n[[condition]]\nname = "gru"\n'
        found = conditions(text)["gru"]
        assert found.preprocessing == Preprocessing(detrend_frames=999, scale="robust")
        assert found.window == WindowShape(15, 15, 0)
        assert conditions(text, rate=10.0)["gru"].window == WindowShape(5, 5, 0)

    @pytest.mark.parametrize("rate", [10.0, 30.0])
    def test_online_is_causal(self, conditions, rate):
        text = (
            'preset = "online"\n' + DATA + '[target]\nsignal = "run"\n[[condition]]\nname = "gru"\n'
        )
        found = conditions(text, rate=rate)["gru"]
        assert found.preprocessing == Preprocessing(
            detrend_frames=round(33.3 * rate), causal=True, scale="z-score", scale_over="causal"
        )
        assert found.window == WindowShape(before=round(rate), after=0, shift=0)
        assert look_ahead_frames(found.preprocessing) == 0
        usual = conditions(text.replace("online", "recommended"), rate=rate)["gru"]
        assert (found.network, found.training) == (usual.network, usual.training)

    def test_within_a_condition(self, conditions):
        text = (
            HEAD
            + '[[condition]]\nname = "a"\n[[condition]]\nname = "b"\npreset = "text"\n'
            + 'window = { before = 3 }\n[[condition]]\nname = "c"\nlike = "b"\n'
        )
        found = conditions(text)
        assert [c.training.label_smoothing for c in found.values()] == [0.001, 0.01, 0.01]
        assert [c.window.before for c in found.values()] == [15, 3, 3]

    def test_say_the_same_lengths(self):
        # Reading a resolved study again starts from another preset, of which nothing may be left.
        stems = [
            {
                (group, key.removesuffix("_s").removesuffix("_frames"))
                for group, keys in read_preset(name)["condition"].items()
                if isinstance(keys, dict)
                for key in keys
            }
            for name in PRESETS
        ]
        assert all(one == stems[0] for one in stems)


class TestLike:
    def test_in_any_order(self, conditions):
        text = HEAD + (
            '[[condition]]\nname = "c"\nlike = "b"\nwindow = { after = 1 }\n'
            '[[condition]]\nname = "b"\nlike = "a"\nwindow = { before = 2 }\n'
            '[[condition]]\nname = "a"\nwindow = { before = 9, after = 9, shift = 9 }\n'
        )
        found = conditions(text)
        assert list(found) == ["c", "b", "a"]
        assert [c.window for c in found.values()] == [
            WindowShape(2, 1, 9),
            WindowShape(2, 9, 9),
            WindowShape(9, 9, 9),
        ]

    def test_merges_key_by_key(self, conditions):
        text = HEAD + (
            '[[condition]]\nname = "a"\npreprocess = { scale = "robust" }\n'
            'training = { epochs = 3, keep_train = true }\ntarget = { signal = "x", above = 2.0 }\n'
            '[[condition]]\nname = "b"\nlike = "a"\npreprocess = { causal = true }\n'
            "training = { batch_size = 8 }\ntarget = { absolute = true }\n"
        )
        b = conditions(text)["b"]
        assert b.preprocessing == Preprocessing(1000, causal=True, scale="robust")
        assert b.training == Training(epochs=3, batch_size=8)
        assert b.keep_train
        assert b.target == Target("x", above=2.0, absolute=True)

    def test_replaces_network_and_regions_whole(self, conditions):
        text = HEAD + (
            '[[condition]]\nname = "a"\nnetwork = { kind = "lstm", units = 8 }\nregions = [1, 2]\n'
            '[[condition]]\nname = "b"\nlike = "a"\nnetwork = { kind = "bi-gru" }\n'
            'regions = ["x"]\n'
            '[[condition]]\nname = "c"\nlike = "a"\nregions = "all"\npermute_labels = "frames"\n'
            '[[condition]]\nname = "d"\nlike = "c"\npermute_labels = "none"\n'
        )
        found = conditions(text)
        assert found["b"].network == Network("bi-gru", 32)
        assert found["b"].regions == ("x",)
        assert found["c"].network == Network("lstm", 8)
        assert found["c"].regions is None
        assert [found[n].permute_labels for n in "abcd"] == [None, None, "frames", None]

    def test_does_not_copy_the_name(self, study):
        text = HEAD + '[[condition]]\nname = "a"\n[[condition]]\nname = "b"\nlike = "a"\n'
        assert [c.name for c in study(text).conditions] == ["a", "b"]
        assert all(c.like is None for c in study(text).conditions)

    def test_frames_take_the_place_of_seconds_and_the_reverse(self, conditions):
        text = HEAD + (
            '[[condition]]\nname = "a"\nwindow = { before_s = 0.1 }\n'
            "preprocess = { detrend_s = 10, smooth_s = 0.2 }\n"
            '[[condition]]\nname = "b"\nlike = "a"\nwindow = { before = 7 }\n'
            "preprocess = { detrend_frames = 11, smooth_frames = 0 }\n"
        )
        found = conditions(text)
        assert found["a"].window == WindowShape(3, 15, 0)
        assert found["b"].window == WindowShape(7, 15, 0)
        assert (
            found["a"].preprocessing.detrend_frames,
            found["a"].preprocessing.smooth_frames,
        ) == (
            300,
            6,
        )
        assert found["b"].preprocessing == Preprocessing(detrend_frames=11)

    def test_of_nothing(self, study):
        text = HEAD + '[[condition]]\nname = "b"\nlike = "grru"\n[[condition]]\nname = "gru"\n'
        expected = "condition 'b' is like 'grru', which is no condition; did you mean 'gru'?"
        assert faults_of(study, text).endswith(f"study.toml: {expected}")

    @pytest.mark.parametrize(
        ("likes", "circle"),
        [
            ({"a": "a"}, "'a' is like 'a'"),
            ({"x": "b", "a": "b", "b": "c", "c": "a"}, "'a' is like 'b' is like 'c' is like 'a'"),
        ],
    )
    def test_in_a_circle(self, study, likes, circle):
        text = HEAD + "".join(f'[[condition]]\nname="{n}"\nlike="{m}"\n' for n, m in likes.items())
        told = faults_of(study, text)
        assert told.endswith(
            f"study.toml: condition {circle}: a circle; one of them must stand alone"
        )


SET = '[[region_set]]\nname = "limbs"\ncondition = "{}"\nregions = [6, 8]\n'


class TestRegionSets:
    """Which conditions a set of regions adds."""

    def test_a_network_is_judged_by_its_like_with_region_dropout(self, conditions):
        text = HEAD + (
            '[target]\nsignal = "x"\n[[condition]]\nname = "a"\n'
            "training = { epochs = 3, augment = { region_dropout = 0.1 } }\n" + SET.format("a")
        )
        found = conditions(text)
        assert list(found) == ["a", "a: without limbs", "a: limbs only", "a: region dropout"]
        judge = found["a: region dropout"]
        assert judge.training == Training(epochs=3, augment=Augment(region_dropout=0.5))
        assert found["a: limbs only"].training.augment == Augment(region_dropout=0.1)

    @pytest.mark.parametrize(
        ("keys", "is_added"),
        [
            ("", True),
            ("n_sets = 5\n", True),
            ("n_sets = 0\n", False),
            ('[[condition]]\nname = "b: region dropout"\nlike = "a"\n', None),
        ],
    )
    def test_where_sets_are_drawn(self, study, keys, is_added):
        text = HEAD + '[target]\nsignal = "x"\n[[condition]]\nname = "a"\n' + SET.format("b")
        text += keys + '[[condition]]\nname = "b"\nlike = "a"\n'
        if is_added is None:
            assert "'b: region dropout', which drops no regions; give it" in faults_of(study, text)
            return
        names = [one.name for one in study(text).conditions]
        assert ("b: region dropout" in names) == is_added

    def test_linear_decoders_are_refitted_to_each_set_instead(self, study):
        text = HEAD + (
            '[target]\nsignal = "x"\n[[condition]]\nname = "a"\n'
            'network = { kind = "linear-window" }\n'
            '[[condition]]\nname = "b"\nlike = "a"\n' + SET.format("b")
        )
        names = [one.name for one in study(text).conditions]
        assert names == ["a", "b", "b: without limbs", "b: limbs only"]


class TestSeconds:
    def test_become_frames(self, conditions):
        text = DATA + (
            '[target]\nsignal = "speed"\nabove = 0.5\nminimum_bout_s = 1\nminimum_gap_s = 0.25\n'
            "exclude_transition_s = 0.1\nsmooth_s = 0.5\n"
            '[[condition]]\nname = "a"\nwindow = { before_s = 0.5, after_s = 0.24, shift_s = -1 }\n'
        )
        found = conditions(text, rate=20.0)["a"]
        assert found.window == WindowShape(10, 5, -20)
        assert found.target == Target(
            "speed",
            above=0.5,
            minimum_bout_frames=20,
            minimum_gap_frames=5,
            exclude_transition_frames=2,
            smooth_frames=10,
        )

    def test_of_movies_become_frames_too(self, conditions):
        movie = 'input = "movie"\npreprocess = { correction = "none"'
        text = DATA.replace("[data]", 'preset = "recommended"\n[data]') + (
            '[target]\nsignal = "speed"\nabove = 0.5\n'
            f'[[condition]]\nname = "usual"\n{movie} }}\n'
            f'[[condition]]\nname = "own"\n{movie}, detrend_s = 5 }}\n'
            f'[[condition]]\nname = "none"\n{movie}, detrend_frames = 0 }}\n'
        )
        found = conditions(text, rate=20.0)
        lengths = {name: one.pixels.detrend_frames for name, one in found.items()}
        assert lengths == {"usual": 666, "own": 100, "none": None}

    def test_need_a_frame_rate(self, conditions):
        text = HEAD + '[[condition]]\nname = "a"\nwindow = { before_s = 0.5 }\n'
        with pytest.raises(
            StudyError,
            match=r"condition 'a': before_s is in seconds, but the catalogue has no frame_rate_hz; "
            r"add it, or give before$",
        ):
            conditions(text, rate=None)


class TestLengthsOfNoFrame:
    @pytest.mark.parametrize(
        ("keys", "told"),
        [
            (
                "window = { before_s = 0.04, after = 3 }",
                "before_s = 0.04 is less than half a frame at 10 Hz; give at least 0.1 s, one "
                "frame, or before = 0 if none is meant",
            ),
            ("window = { shift_s = -0.02 }", "shift_s = -0.02 is less than half a frame at 10 Hz"),
            ("preprocess = { detrend_s = 0.01 }", "or detrend_frames = 0 if none is meant"),
            ("preprocess = { smooth_s = 0.05 }", "smooth_s = 0.05 is less than half a frame"),
            ("target = { minimum_bout_s = 0.04 }", "minimum_bout_s = 0.04 is less than half"),
            ("target = { minimum_gap_s = 0.04 }", "minimum_gap_s = 0.04 is less than half"),
            ("target = { exclude_transition_s = 0.04 }", "exclude_transition_s = 0.04 is less"),
            ("target = { above = 1, smooth_s = 0.04 }", "or smooth_frames = 0 if none is meant"),
            (
                "preprocess = { detrend_s = 0.1 }",
                "detrending is over 1 frame, and a frame",
            ),
            ("preprocess = { detrend_frames = 1 }", "give more frames, or detrend_frames = 0: not"),
        ],
    )
    def test_are_refused(self, study, keys, told):
        text = HEAD + f'[target]\nsignal = "v"\n[[condition]]\nname = "a"\n{keys}\n'
        with pytest.raises(StudyError) as caught:
            resolve(study(text).conditions[0], frame_rate_hz=10.0)
        assert told in str(caught.value)

    def test_come_together(self, study):
        keys = "window = { before_s = 0.04, after_s = 0.04 }\npreprocess = { smooth_s = 0.01 }"
        condition = study(HEAD + f'[[condition]]\nname = "a"\n{keys}\n').conditions[0]
        with pytest.raises(StudyError, match=r"before_s.*; .*after_s.*; .*smooth_s"):
            resolve(condition, frame_rate_hz=10.0)
        # A faster camera takes them.
        assert resolve(condition, frame_rate_hz=100.0).window == WindowShape(4, 4)

    def test_zero_is_what_it_says(self, study):
        keys = "window = { before_s = 0.0, after_s = 0.1, shift_s = 0.0 }"
        condition = study(HEAD + f'[[condition]]\nname = "a"\n{keys}\n').conditions[0]
        assert resolve(condition, frame_rate_hz=10.0).window == WindowShape(0, 1, 0)

    def test_a_gap_between_blocks(self, study):
        text = HEAD + '[folds]\nby = "block"\ngap_s = 0.01\n[[condition]]\nname = "a"\n'
        with pytest.raises(StudyError, match=r"\[folds\] gap_s = 0.01 is less than half a frame"):
            gap_frames(study(text), WindowShape(3, 3), 30.0)


class TestGap:
    WINDOW = WindowShape(3, 4, shift=-5)

    @pytest.mark.parametrize(
        ("keys", "frames"), [("", 13), ("gap_frames = 2", 2), ("gap_s = 1", 30)]
    )
    def test_between_blocks(self, study, keys, frames):
        text = HEAD + f'[folds]\nby = "block"\n{keys}\n[[condition]]\nname = "a"\n'
        assert gap_frames(study(text), self.WINDOW, 30.0) == frames

    def test_in_seconds_needs_a_frame_rate(self, study):
        text = HEAD + '[folds]\nby = "block"\ngap_s = 1\n[[condition]]\nname = "a"\n'
        with pytest.raises(StudyError, match=r"\[folds\] gap_s needs frame_rate_hz"):
            gap_frames(study(text), self.WINDOW, None)


class TestFaults:
    def test_come_all_at_once(self, study):
        told = faults_of(
            study,
            'preset = "code"\nfrmes = 3\n[data]\ncatalog = "x"\n[folds]\nblocks = 2\n'
            '[[condition]]\nname = "gru"\nwindow = { before = 15.5, befor = 2 }\n'
            'training = { epochs = "30" }\n[[condition]]\nname = "gru"\nlike = "gru2"\n',
        ).splitlines()
        assert told[0].endswith("study.toml has 9 faults:")
        assert [line[5:] for line in told[1:]] == [
            "[data]: catalogue is missing (path of the catalogue, relative to the study file)",
            "[data]: unknown key 'catalog'; did you mean 'catalogue'? (known: catalogue, "
            "trim_frames, resample_hz, resynchronise, bad_frames, regions, region_image)",
            "[folds]: blocks = 2: it must be 3 or more",
            "condition 1 ('gru'), window: before = 15.5: a whole number is needed",
            "condition 1 ('gru'), window: unknown key 'befor'; did you mean 'before'? (known: "
            "before, before_s, after, after_s, shift, shift_s)",
            "condition 1 ('gru'), training: epochs = \"30\": a whole number is needed",
            "unknown key 'frmes' (known: preset, data, preprocess, target, trials, folds, "
            "condition, map, confounds, trial_time, region_set, learning_curve, generalisation, "
            "cross_temporal, permutation_test, comparison)",
            "2 conditions are named 'gru'; names must differ",
            "condition 'gru' is like 'gru2', which is no condition; did you mean 'gru'?",
        ]

    @pytest.mark.parametrize(
        ("keys", "told"),
        [
            (
                'preprocess = { scale = "robust", scale_over = "causal" }',
                "condition 'a': scale = 'robust' has no causal form",
            ),
            ("target = { smooth_frames = 3 }", "condition 'a': target smooth_frames is set for"),
            ("training = { penalty = [-1.0] }", "condition 'a': training penalty = [-1.0]"),
            (
                "target = { minimum_bout_s = 1, minimum_bout_frames = 3 }",
                "condition 'a', target: "
                "minimum_bout_s and minimum_bout_frames say the same thing; give one",
            ),
            ("window = { before = 1, before_s = 1 }", "condition 'a', window: before_s and before"),
            ("window = { before_s = inf }", "before_s = Infinity: a finite number is needed"),
            ('like = "b"\npreset = "text"', "condition 'a' gives like and preset; only one can be"),
            (
                'network = { kind = "speed" }',
                "condition 'a': network kind 'speed' decodes values, and the target is of kind "
                "'binary'; give target kind = 'value', or another network",
            ),
            (
                'network = { kind = "speed", units = 64 }\ntarget = { kind = "value" }',
                "condition 'a': network units = 64, but kind 'speed' has the sizes of the study",
            ),
        ],
    )
    def test_of_settings_that_do_not_go_together(self, study, keys, told):
        text = HEAD + f'[[condition]]\nname = "b"\n[[condition]]\nname = "a"\n{keys}\n'
        assert told in faults_of(study, text)

    def test_of_every_condition_s_settings(self, study):
        text = HEAD + (
            '[[condition]]\nname = "a"\ntraining = { penalty = [-1.0] }\n'
            '[[condition]]\nname = "b"\ntarget = { absolute = true }\n'
        )
        told = faults_of(study, text)
        assert "has 2 faults" in told
        assert "1. condition 'a': training penalty" in told
        assert "2. condition 'b': target absolute" in told

    def test_no_signal(self, study):
        told = faults_of(study, DATA + '[[condition]]\nname = "a"\n')
        assert told.endswith("condition 'a' decodes no signal; give [target] signal")

    @pytest.mark.parametrize("name", ["x" * 5000, "a\0b"])
    def test_no_path(self, name, tmp_path):
        with pytest.raises(MissingDataError, match="does not exist; give the path of a TOML file"):
            read_study(tmp_path / name)

    @pytest.mark.parametrize(
        ("number", "words"),
        [
            (
                "0x" + "f" * 5000,
                "folds.blocks is too large; whole numbers up to 9,007,199,254",
            ),
            ("9" * 400, "folds.blocks is too large"),
            ("[1, [99999999999999999]]", "folds.blocks 2 1 is too large"),
            ("9" * 5000, "holds a whole number of more than 4,300 digits"),
            ("-9", "it must be 3 or more"),
            ("1e400", "folds"),
        ],
    )
    def test_numbers_without_end(self, study, number, words):
        with pytest.raises(StudyError, match=words):
            study(f"[data]\ncatalogue = 'a.csv'\n[folds]\nblocks = {number}")

    def test_no_file(self, tmp_path):
        with pytest.raises(MissingDataError, match=r"study.toml does not exist; give the path of"):
            read_study(tmp_path / "study.toml")

    def test_a_catalogue(self, tmp_path):
        (tmp_path / "sessions.csv").write_text("animal,session\n", "utf-8")
        with pytest.raises(StudyError, match=r'is a table, not .*catalogue = "sessions.csv"$'):
            read_study(tmp_path / "sessions.csv")

    @pytest.mark.parametrize(
        "content",
        [b"name = ", b"\xff\xfe", b"a = " + b"[" * 100_000, b"\0" * 20],
    )
    def test_no_toml(self, tmp_path, content):
        (tmp_path / "study.toml").write_bytes(content)
        with pytest.raises(StudyError, match=r"study.toml is not valid TOML: "):
            read_study(tmp_path / "study.toml")


class TestRegions:
    """From what a study file says to the regions that a decoder may see."""

    TABLE = """name,side,mirror,group
FLa-l,left,FLa-r,FL&HL;FLa&HLa
FL-l,left,FL-r,FL&HL
M2-l,left,M2-r,M2&M1
FLa-r,right,FLa-l,FL&HL; FLa&HLa
FL-r,right,FL-l,FL&HL
M2-r,right,M2-l,M2&M1
other,,,
"""

    @pytest.mark.parametrize(
        ("regions", "kept"),
        [
            ('["FLa&HLa"]', {"FLa-l", "FLa-r"}),
            ('["FL&HL"]', {"FLa-l", "FL-l", "FLa-r", "FL-r"}),
            ('["left"]', {"FLa-l", "FL-l", "M2-l"}),
            ('["not", "right"]', {"FLa-l", "FL-l", "M2-l", "other"}),
            ('["not", "FLa&HLa", 7, "M2-r"]', {"FL-l", "M2-l", "FL-r"}),
            ('["M2&M1", 1, "other"]', {"M2-l", "M2-r", "FLa-l", "other"}),
            ('"all"', {"FLa-l", "FL-l", "M2-l", "FLa-r", "FL-r", "M2-r", "other"}),
        ],
    )
    def test_by_number_name_group_and_side(self, study, tmp_path, regions, kept):
        (tmp_path / "regions.csv").write_text(self.TABLE, "utf-8")
        text = HEAD + f'regions = "regions.csv"\n[[condition]]\nname = "a"\nregions = {regions}\n'
        read = study(text)
        table = read_regions(read.regions_path)
        condition = resolve(read.conditions[0], None)
        mask = select_regions(condition.regions, table.names, table)
        assert {name for name, keep in zip(table.names, mask, strict=True) if keep} == kept

    def test_a_group_that_is_none(self, study, tmp_path):
        (tmp_path / "regions.csv").write_text(self.TABLE, "utf-8")
        read = study(
            HEAD + 'regions = "regions.csv"\n[[condition]]\nname = "a"\nregions = ["FLa&HL"]\n'
        )
        table = read_regions(read.regions_path)
        with pytest.raises(StudyError, match=r"holds 'FLa&HL', .* did you mean 'FLa&HLa'\?"):
            select_regions(read.conditions[0].regions, table.names, table)


@pytest.fixture(scope="module")
def published():
    """The trace conditions of the study, by name."""
    read = read_study(Path(str(files("corticode.study.presets") / "traces2024.toml")))
    # All lengths are in frames, so that no frame rate is needed.
    return {keys.name: resolve(keys, None) for keys in read.conditions}


class TestTraceConditionsOfTheStudy:
    def test_are_all_there(self, published):
        assert len(published) == 45
        lengths = [name for name in published if name.startswith("gru, length ")]
        shifts = [name for name in published if name.startswith("gru, shift ")]
        subsets = [c for c in published.values() if c.regions is not None]
        values = [c for c in published.values() if c.target.kind == "value"]
        assert (len(lengths), len(shifts), len(subsets), len(values)) == (5, 12, 12, 7)

    def test_differ_from_gru_by_what_their_name_says(self, published):
        gru = published["gru"]
        for length in (5, 10, 20, 25, 30):
            assert published[f"gru, length {length}"].window == WindowShape(length, length)
        for shift in (*range(-60, 0, 10), *range(10, 61, 10)):
            assert published[f"gru, shift {shift}"].window == WindowShape(15, 15, shift)
        for n_frames in (100, 300, 3000):
            name = f"gru, detrended over {n_frames} frames"
            assert published[name].preprocessing == Preprocessing(detrend_frames=n_frames)
        assert gru.preprocessing == Preprocessing(detrend_frames=1000)
        assert published["gru, raw dF/F"].preprocessing == Preprocessing()
        assert published["gru, permuted labels"].permute_labels == "sessions"
        for kind in ("rnn", "lstm", "bi-rnn", "bi-lstm", "bi-gru"):
            assert published[kind].network == Network(kind, 32)
        assert gru.network == published["gru, shift 60"].network == Network("gru-keras", 32)
        assert published["gru, PyTorch cell"].network == Network("gru", 32)
        binary = [c for c in published.values() if c.target.kind == "binary"]
        as_scikit_learn = replace(gru.training, penalty="scikit-learn")
        baselines = ("logistic regression on one frame", "speed linear regression")
        for name, c in published.items():
            assert c.training == (as_scikit_learn if name in baselines else gru.training)
        assert {c.target for c in binary} == {Target("runrest")}

    def test_speed_is_a_smoothed_value(self, published):
        speed, linear = published["speed gru"], published["speed linear regression"]
        assert speed.target == linear.target == Target("speed_rs", kind="value", smooth_frames=30)
        assert (speed.network.kind, linear.network.kind) == ("speed", "linear-frame")

    @pytest.mark.parametrize(
        ("name", "numbers"),
        [
            ("FLa&HLa only", {6, 8, 31, 33}),
            ("all but FLa&HLa", set(range(1, 51)) - {6, 8, 31, 33}),
            ("M2&M1 only", {*range(1, 5), *range(26, 30)}),
            ("FL&HL only", {*range(6, 10), *range(31, 35)}),
            ("PT&RS only", {*range(14, 18), *range(39, 43)}),
            ("V1&Vm only", {*range(18, 22), *range(43, 47)}),
            ("Vl&A1 only", {*range(22, 26), *range(47, 51)}),
        ],
    )
    def test_groups_hold_the_study_s_regions(self, published, name, numbers):
        table = read_published_regions()
        for decoder in ("gru", "speed gru"):
            if f"{decoder}, {name}" in published:
                kept = select_regions(published[f"{decoder}, {name}"].regions, table.names, table)
                assert {k + 1 for k in range(50) if kept[k]} == numbers

    def test_have_the_names_of_the_published_tables(self, published):
        folder = Path(__file__).parents[3] / "shared" / "reference"
        if not folder.is_dir():
            pytest.skip("no ../shared")
        by_split = pd.read_csv(folder / "published_by_split.csv")
        names = {name for name in by_split["condition"] if not name.startswith("cnn")}
        assert names - set(published) == {"gru, length 15"}  # which is gru itself
        summary = pd.read_csv(folder / "published_summary.csv")
        decoders = summary[summary["figure"].isin(["4", "4E", "4F", "6D", "6F", "S5"])]
        assert set(decoders["condition"]) <= set(published)


RESOLVED = {
    "window": st.fixed_dictionaries(
        {},
        optional={
            "before": st.integers(0, 30),
            "after_s": st.just(0.0) | st.floats(0.05, 2),
            "shift": st.integers(-9, 9),
        },
    ),
    "preprocess": st.fixed_dictionaries(
        {},
        optional={
            "detrend_frames": st.just(0) | st.integers(2, 2000),
            "smooth_s": st.just(0.0) | st.floats(0.05, 1),
            "causal": st.booleans(),
            "scale": st.sampled_from(["min-max", "z-score", "none"]),
            "scale_over": st.sampled_from(["session", "training"]),
        },
    ),
    "training": st.fixed_dictionaries(
        {},
        optional={
            "epochs": st.integers(1, 99),
            "learning_rate": st.floats(1e-6, 1),
            "penalty": st.lists(st.floats(0, 10), min_size=1, max_size=3),
            "keep_train": st.booleans(),
        },
    ),
    "network": st.fixed_dictionaries(
        {"kind": st.sampled_from(["gru", "bi-lstm", "linear-frame"])},
        optional={"units": st.integers(1, 64)},
    ),
    "regions": st.lists(st.integers(1, 50) | st.text(max_size=5), max_size=3) | st.just("all"),
    "permute_labels": st.sampled_from(["none", "sessions"]),
}


class TestWriteResolved:
    def again(self, study, folder):
        path = folder / "again.toml"
        path.write_text(write_resolved(study, folder), "utf-8")
        return read_study(path)

    @given(
        st.lists(
            st.fixed_dictionaries({}, optional=RESOLVED | {"preset": st.sampled_from(PRESETS)}),
            min_size=1,
            max_size=4,
        ),
        st.sampled_from(PRESETS),
        st.data(),
    )
    def test_reads_again_as_the_same_study(self, tmp_path_factory, given_keys, preset, data):
        folder = tmp_path_factory.getbasetemp()
        for k, keys in enumerate(given_keys):
            keys["name"] = f"condition {k}"
            if k and "preset" not in keys:
                keys["like"] = f"condition {data.draw(st.integers(0, k - 1))}"
        content = {
            "preset": preset,
            "data": {"catalogue": "sessions.csv", "trim_frames": 2},
            "folds": {"by": "block", "gap_s": 0.5},
            "target": {"signal": "speed", "above": 0.5, "minimum_bout_s": 0.5},
            "condition": given_keys,
        }
        (folder / "study.toml").write_text(tomli_w.dumps(content), "utf-8")
        study = read_study(folder / "study.toml")
        again = self.again(study, folder)
        assert (again.data, again.folds) == (study.data, study.folds)
        assert len(again.conditions) == len(given_keys)
        for one, other in zip(again.conditions, study.conditions, strict=True):
            assert one == other
            assert resolve(one, 29.7) == resolve(other, 29.7)

    def test_from_another_folder_the_same_files_are_found(self, study, tmp_path):
        keys = 'regions = "tables/regions.csv"\nregion_image = "atlas.h5::labels"\n'
        text = HEAD + keys + '[[condition]]\nname = "a"\n'
        read = study(text)
        folder = tmp_path / "runs" / "one"
        folder.mkdir(parents=True)
        again = self.again(read, folder)
        assert again.catalogue_path.resolve() == read.catalogue_path.resolve()
        assert again.regions_path.resolve() == (tmp_path / "tables" / "regions.csv").resolve()
        assert again.data.catalogue == "../../sessions.csv"
        assert again.data.region_image == "../../atlas.h5::labels"
        assert again.region_image.path.resolve() == (tmp_path / "atlas.h5").resolve()

    def test_says_every_choice(self, study, tmp_path):
        text = write_resolved(study(HEAD + '[[condition]]\nname = "a"\n'), tmp_path)
        assert "detrend_frames = 1000" in text
        assert "like" not in text
        assert "preset" not in text


def test_signals_are_those_of_all_conditions(study):
    text = HEAD + (
        '[[condition]]\nname = "a"\n[[condition]]\nname = "b"\ntarget = { signal = "speed", '
        'kind = "value" }\n[[condition]]\nname = "c"\nlike = "b"\n'
    )
    assert study(text).signals == ("runrest", "speed")
