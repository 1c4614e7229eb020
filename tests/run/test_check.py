"""What `check` finds before anything is trained, of behaviour that has its own clock."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import corticode as cc
from corticode import cli
from corticode.data.catalogue import read_catalogue
from corticode.decode.decoder import load_decoder
from corticode.errors import CorticodeWarning, DataError, StudyError
from corticode.run.check import SessionFacts, check_study, session_table
from corticode.run.fits import predict_recordings
from corticode.run.folder import Run
from corticode.run.study_files import read_files
from corticode.run.tasks import lay_out
from corticode.study.study import read_study

HZ, BEHAVIOR_HZ = 10, 200
STUDY = """
[data]
catalogue = "sessions.csv"
{data}
[target]
{target}
[[condition]]
name = "linear"
preprocess = {{ detrend_frames = 0 }}
network = {{ kind = "linear-window" }}
{more}
"""
LICK, TICKS = 'signal = "lick"', 'signal = "ticks"\nabove = 0.05'


def bouts(rng, n_frames, mean=40):
    state = np.cumsum(rng.random(n_frames) < 2 / mean) % 2
    return state.astype(int)


def write_session(folder, name, seed, n_frames=400, *, change=None, **columns):
    """Traces at 10 Hz; licks of 5 ms, wheel ticks and a state at 200 Hz; both clocks in seconds."""
    rng = np.random.default_rng(seed)
    run, n_samples = bouts(rng, n_frames), n_frames * BEHAVIOR_HZ // HZ
    traces = rng.normal(size=(n_frames, 4)) + 2 * run[:, None]
    own = np.repeat(run, BEHAVIOR_HZ // HZ)
    lick = np.zeros(n_samples, int)
    lick[10 + 20 * np.flatnonzero(run) + rng.integers(-9, 10, run.sum())] = 1
    arrays = {
        "frames": np.arange(n_frames) / HZ,
        "clock": np.arange(n_samples) / BEHAVIOR_HZ,
        "lick": lick,
        "ticks": rng.poisson(0.3 * own),
        "state": np.where(own, "run", "rest"),
        "running": own,
    }
    arrays |= {} if change is None else change(arrays, seed)
    np.save(folder / f"{name}.npy", traces.astype(np.float32))
    np.savez(folder / f"{name}.npz", **arrays)
    row = {"animal": name[:2], "session": name[2:], "traces": f"{name}.npy"}
    times = {"frame_times": f"{name}.npz::frames", "behavior_times": f"{name}.npz::clock"}
    return row | {"behavior": f"{name}.npz"} | times | columns


@pytest.fixture
def clocked(tmp_path):
    """Writes three animals of two sessions each, and their study; gives the study's path."""

    def write(target, *, data="", more="", **options):
        names = [f"m{k}{s}" for k in (1, 2, 3) for s in "ab"]
        rows = [write_session(tmp_path, name, k, **options) for k, name in enumerate(names)]
        pd.DataFrame(rows).to_csv(tmp_path / "sessions.csv", index=False)
        path = tmp_path / "study.toml"
        path.write_text(STUDY.format(target=target, data=data, more=more), "utf-8")
        return path

    return write


def true_running(path):
    return [bouts(np.random.default_rng(k), 400) for k in range(6)]


class TestOneRuleAStudy:
    def test_events_of_a_frame_are_not_those_of_its_middle(self, clocked):
        path = clocked(LICK)
        for session, run in zip(
            read_files(read_study(path)).sessions, true_running(path), strict=True
        ):
            np.testing.assert_array_equal(session.behavior["lick"], run)
            assert session.placed["lick"].rule == "any"
        assert check_study(path).findings == []

    def test_a_glitch_in_one_session_changes_no_rule(self, clocked):
        def glitch(arrays, seed):
            ticks = arrays["ticks"].copy()
            ticks[: 40 * (seed % 2)] = np.arange(40 * (seed % 2))
            return {"ticks": ticks}

        path = clocked(TICKS, change=glitch)
        for session, run in zip(
            read_files(read_study(path)).sessions, true_running(path), strict=True
        ):
            assert session.placed["ticks"].rule == "mean"
            assert np.mean((session.behavior["ticks"] > 0.05)[2:] == run[2:]) > 0.98

    def test_what_is_stated_loses_and_says_so(self, clocked):
        path = clocked(LICK + '\non_frames = "middle"')
        (finding,) = check_study(path).findings
        n_licks = sum(run.sum() for run in true_running(path))
        assert f" of {n_licks} bouts of 'lick' fall between the middles of frames" in finding.reason
        assert finding.count > 0.9 * n_licks

    def test_classes_are_those_in_the_middle(self, clocked):
        path = clocked('signal = "state"\nkind = "classes"')
        for session, run in zip(
            read_files(read_study(path)).sessions, true_running(path), strict=True
        ):
            np.testing.assert_array_equal(session.behavior["state"] == "run", run)

    def test_what_one_condition_states_holds_for_all(self, clocked):
        other = '[[condition]]\nname = "b"\nlike = "linear"\ntarget = { on_frames = "count" }'
        study = read_study(clocked(TICKS, more=other))
        assert study.on_frames == {"ticks": "count"}
        assert {c.target.on_frames for c in study.conditions} == {"count"}
        third = '\n[[condition]]\nname = "c"\nlike = "linear"\ntarget = { on_frames = "any" }'
        with pytest.raises(StudyError, match=r"'ticks' is 'count' in 'b' and 'any' in 'c'; a sig"):
            read_study(clocked(TICKS, more=other + third))

    def test_classes_and_a_threshold_of_one_signal(self, clocked):
        other = '[[condition]]\nname = "b"\nlike = "linear"\ntarget = { kind = "classes" }'
        study = read_study(clocked('signal = "running"\nabove = 0.5', more=other))
        assert study.on_frames == {"running": "middle"}
        assert study.conditions[0].target.on_frames == "middle"

    def test_a_rule_that_a_kind_cannot_have(self, clocked):
        for target, words in (
            ('signal = "state"\nkind = "classes"\non_frames = "mean"', "a class has no mean"),
            (LICK + '\non_frames = "count"', "give `above`, or take 'any' or 'middle'"),
            (TICKS + '\nabsolute = true\non_frames = "any"', "before the absolute value"),
        ):
            with pytest.raises(StudyError, match=words):
                read_study(clocked(target))


def test_a_rule_for_a_signal_without_a_clock_does_nothing(linear_cohort):
    path = linear_cohort / "study.toml"
    assert "on_frames" not in str(check_study(path).findings)
    stated = path.read_text("utf-8").replace("[target]", '[target]\non_frames = "middle"')
    path.write_text(stated, "utf-8")
    (finding,) = check_study(path).findings
    assert str(finding) == (
        "key 'target.on_frames': has no effect: 'run' has no clock of its own, and its samples are "
        "taken one for one; leave it out"
    )


class TestKeysOfFits:
    def keys(self, path, out):
        return [task.key for task in lay_out(read_study(path), Run(out)).tasks]

    def test_change_with_the_rule_where_frames_do(self, clocked, tmp_path):
        by_default = self.keys(clocked(LICK), tmp_path / "run")
        stated = self.keys(clocked(LICK + '\non_frames = "any"'), tmp_path / "run")
        middle = self.keys(clocked(LICK + '\non_frames = "middle"'), tmp_path / "run")
        assert stated == by_default
        assert not set(middle) & set(by_default)

    def test_stay_where_they_do_not(self, clocked, tmp_path, monkeypatch):
        # Ticks with a fraction were averaged ever since.
        path = clocked(TICKS, change=lambda arrays, seed: {"ticks": arrays["ticks"] + 0.25})
        sessions = read_files(read_study(path)).sessions
        assert all(session.placed["ticks"].as_before for session in sessions)
        before = self.keys(path, tmp_path / "run")
        monkeypatch.setattr("corticode.run.tasks.rules_key", lambda session, signals: {})
        assert self.keys(path, tmp_path / "run") == before


class TestFromPython:
    def test_windows_ask_for_what_sessions_did_not_know(self, clocked):
        recording = read_catalogue(clocked(LICK).parent / "sessions.csv")[0]
        session = cc.open_session(recording)
        assert session.behavior["lick"].max() < 0.1
        windows = cc.cut_windows([session], cc.Target("lick"), cc.WindowShape(1, 1))
        run = true_running(None)[0]
        np.testing.assert_array_equal(windows.target, run[windows.frame])

    def test_a_category_cannot_be_had_from_a_mean(self, clocked):
        def steps(arrays, seed):
            return {"step": np.arange(arrays["clock"].size) // 31 % 3}

        recording = read_catalogue(clocked(LICK, change=steps).parent / "sessions.csv")[0]
        target = cc.Target("step", "classes")
        with pytest.raises(DataError, match=r"open_session\(..., on_frames=\{'step': 'middle'\}\)"):
            cc.cut_windows([cc.open_session(recording)], target, cc.WindowShape(1, 1))
        session = cc.open_session(recording, on_frames={"step": "middle"})
        assert cc.cut_windows([session], target, cc.WindowShape(1, 1)).recipe.classes == (
            "0",
            "1",
            "2",
        )

    def test_losses_are_warned_of(self, clocked):
        recording = read_catalogue(clocked(LICK).parent / "sessions.csv")[0]
        session = cc.open_session(recording, on_frames="middle")
        with pytest.warns(CorticodeWarning, match="fall between the middles of frames"):
            cc.cut_windows([session], cc.Target("lick"), cc.WindowShape(1, 1))


def test_a_decoder_brings_new_recordings_onto_frames_as_its_own(clocked, tmp_path):
    path = clocked(LICK)
    cc.run_study(path, tmp_path / "run")
    fit = Run(tmp_path / "run").fit_folder("linear", "test-m1_valid-m2", 0)
    described = json.loads((fit / "decoder.json").read_text("utf-8"))
    assert "on_frames" not in described["recipe"]["target"]
    predictions = predict_recordings(
        load_decoder(fit), read_catalogue(tmp_path / "sessions.csv")[:1]
    )
    np.testing.assert_array_equal(predictions.target, true_running(path)[0][predictions.frame])


class TestClocksThatCannotBeRight:
    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (
                lambda arrays: {k: arrays[k] * 1000 for k in ("frames", "clock")},
                "In milliseconds they would be 10 Hz: bring frame_times and behavior_times to sec",
            ),
            (
                lambda arrays: {"frames": np.arange(400)},
                "they look like numbers of frames; divide them by the frame rate (at 9.976 Hz",
            ),
            (lambda arrays: {"clock": arrays["clock"] / 60}, "behavior_times look like minutes"),
            (lambda arrays: {"clock": arrays["clock"] + 35}, "from another zero: if both began"),
            (
                lambda arrays: {"frames": (1.7e9 + arrays["frames"]).astype(np.float32)},
                "times of the Unix epoch in single precision",
            ),
            (
                lambda arrays: {"clock": arrays["clock"] % 16.384},
                "after 16.38 s, and so at 1 other place: the clock was set back there",
            ),
        ],
    )
    def test_one_fault_for_all_sessions(self, clocked, change, words):
        path = clocked(LICK, change=lambda arrays, seed: change(arrays))
        (fault,) = check_study(path).faults
        assert words in fault
        assert fault.endswith(" (the same in m1/b, m2/a, m2/b, m3/a, m3/b)")
        assert "\n" not in fault

    def test_a_length_of_no_frame(self, clocked):
        (fault,) = check_study(clocked(TICKS + "\nminimum_bout_s = 0.04")).faults
        assert "minimum_bout_s = 0.04 is less than half a frame at 10 Hz" in fault


class TestWhatThereIs:
    def test_of_each_session(self, clocked):
        report = check_study(clocked(LICK))
        runs = true_running(None)
        assert [one.name for one in report.sessions][:3] == ["m1/a", "m1/b", "m2/a"]
        for one, run in zip(report.sessions, runs, strict=True):
            assert (one.n_frames, one.frame_rate_hz, one.covered) == (400, pytest.approx(10), 1)
            assert one.length_s == pytest.approx(40)
            assert one.labels == {"lick": {"0": pytest.approx(1 - run.mean()), "1": run.mean()}}
        n_licks = sum(run.sum() for run in runs)
        assert report.facts[1].startswith("'lick' is the largest sample of each frame's exposure; ")
        assert (
            f" of {n_licks} bouts fall between the middles of frames and would be"
            in (report.facts[1])
        )

    def test_of_several_targets(self, clocked):
        more = "".join(
            f'[[condition]]\nname = "{k}"\nlike = "linear"\ntarget = {{ {target} }}\n'
            for k, target in enumerate(
                ('signal = "state", kind = "classes"', 'signal = "ticks", kind = "value"')
            )
        )
        report = check_study(clocked(LICK, more=more))
        first, run = report.sessions[0], true_running(None)[0]
        assert set(first.labels) == {"lick", "state", "ticks"}
        assert first.labels["state"]["run"] == pytest.approx(run.mean())
        assert first.labels["ticks"]["mean"] == pytest.approx(0.3 * run.mean(), abs=0.02)

    def test_behavior_that_covers_a_part(self, clocked):
        path = clocked(LICK, change=lambda arrays, seed: {"clock": arrays["clock"] + 10})
        report = check_study(path)
        assert report.sessions[0].covered == pytest.approx(0.75)
        assert "100 of 400 frames have no sample" in report.findings[0].reason

    def test_as_a_table_and_as_sentences(self, clocked):
        sessions = check_study(clocked('signal = "ticks"\nabove = 0.05')).sessions
        head, first, *_ = table = session_table(sessions, 80)
        assert head.split() == [
            "session",
            "frames",
            "length",
            "rate",
            "covered",
            "ticks",
            ">",
            "0.05",
        ]
        assert first.split()[:8] == ["m1/a", "400", "40.0", "s", "10", "Hz", "100", "%"]
        assert len({len(line) for line in table}) == 1
        assert len(head) <= 60
        sentence = session_table(sessions, 50)[0]
        assert sentence.startswith("m1/a: 400 frames, 40.0 s, 10 Hz, 100 % covered, ticks > 0.05 ")

    def test_without_a_frame_rate(self, cohort):
        sessions = [
            replace(one, frame_rate_hz=None) for one in check_study(cohort / "study.toml").sessions
        ]
        head = session_table(sessions, 80)[0]
        assert head.split() == ["session", "frames", "covered", "run"]


def test_shares_that_are_almost_none_or_all():
    labels = {"lick": {"0": 0.99999, "1": 0.00001}}
    line = session_table([SessionFacts("m1/a", 123_456, 30.0, 0.99999, labels)], 80)[1]
    assert line.split() == ["m1/a", "123,456", "68.6", "min", "30", "Hz", "99.9", "%", "0.1", "%"]


def test_the_command_prints_them(clocked, capsys):
    path = clocked(LICK)
    cli.check(str(path))
    told = capsys.readouterr().out.splitlines()
    assert told[0].split() == ["session", "frames", "length", "rate", "covered", "lick"]
    assert told[7] == "6 sessions of 3 animals, 2,400 frames at 10 Hz"
