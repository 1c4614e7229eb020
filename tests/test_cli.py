"""The command line: what it prints, and what it refuses."""

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from corticode import __version__, cli
from corticode.decode.predictions import Predictions
from corticode.errors import Finding
from corticode.run.execute import RunSummary
from corticode.run.folder import Run, slug

VERBS = (
    "simulate",
    "import",
    "regions",
    "extract",
    "preprocess",
    "check",
    "plan",
    "run",
    "predict",
    "report",
    "export",
    "demo",
)
DOCS = Path(__file__).parent.parent / "docs"
HELP = [[], *([verb] for verb in VERBS), ["import", "study2024"]]


@pytest.fixture
def narrow(monkeypatch):
    """A terminal of 60 columns."""
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERMINAL_WIDTH", "60")


class TestHelp:
    @pytest.mark.parametrize(
        "arguments", [[], *([verb] for verb in VERBS), ["import", "study2024"]]
    )
    def test_fits_a_narrow_terminal(self, narrow, command_line, arguments):
        code, printed, told = command_line(*arguments, "--help")
        assert code == 0
        assert told == ""
        assert printed.lstrip().startswith("Usage: corticode")
        assert max(map(len, printed.splitlines())) <= 60

    def test_lists_every_verb(self, narrow, command_line):
        _, printed, _ = command_line("--help")
        assert "..." not in printed.partition("Commands:")[2]
        assert all(f"\n  {verb} " in printed for verb in VERBS)
        assert "Begin with: corticode demo." in printed

    def test_of_run_in_full(self, narrow, command_line):
        _, printed, _ = command_line("run", "--help")
        for option in ("STUDY", "--out RUN", "--workers N", "--seeds K", "--device"):
            assert option in printed

    def test_without_a_verb(self, command_line):
        _, printed, told = command_line()
        assert "Usage: corticode" in printed + told

    def test_loads_nothing_heavy(self):
        code = (
            "import sys; sys.argv = ['corticode', '--help']\n"
            "from corticode.cli import main\n"
            "try: main()\n"
            "except SystemExit: pass\n"
            "print([m for m in ('torch', 'numpy', 'pandas', 'pydantic') if m in sys.modules])"
        )
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "[]"


def test_version(command_line):
    assert command_line("--version") == (0, f"{__version__}\n", "")


class TestUsage:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--nonsense"], "--nonsense"),
            (["runn"], "runn"),
            (["run", "study.toml"], "--out"),
            (["run", "study.toml", "--out", "run", "--worker", "2"], "--worker"),
            (["run", "study.toml", "--out", "run", "--epochs", "3"], "--epochs"),
            (["run", "study.toml", "--out", "run", "--workers", "0"], "--workers"),
            (["run", "study.toml", "--out", "run", "--seeds", "x"], "--seeds"),
            (["predict", "decoder"], "CATALOGUE"),
        ],
    )
    def test_what_is_refused_before_anything_is_read(self, command_line, arguments, message):
        code, _, told = command_line(*arguments)
        assert code == 2
        assert message in told
        assert "Traceback" not in told

    def test_an_unknown_device(self, cohort, command_line, tmp_path):
        arguments = ["run", cohort / "study.toml", "--out", tmp_path / "run", "--device", "gpu"]
        code, _, told = command_line(*arguments)
        assert (code, told) == (2, "error: --device gpu is none of auto, cpu, cuda\n")
        assert not (tmp_path / "run").exists()

    def test_no_gpu(self, cohort, command_line, tmp_path, monkeypatch):
        monkeypatch.setattr("torch.cuda.is_available", lambda: False)
        arguments = ["run", cohort / "study.toml", "--out", tmp_path / "run", "--device", "cuda"]
        code, _, told = command_line(*arguments)
        assert code == 2
        assert told == "error: --device cuda: torch finds no GPU here; use --device cpu\n"

    def test_a_run_folder_that_is_a_file(self, cohort, command_line, tmp_path):
        (tmp_path / "run").write_text("")
        code, _, told = command_line("run", cohort / "study.toml", "--out", tmp_path / "run")
        assert code == 2
        assert told.startswith("error: cannot write ")
        assert "choose another folder" in told

    @pytest.mark.parametrize("option", ["--set", "--dial"])
    def test_parameters(self, option, command_line, tmp_path):
        code, _, told = command_line("simulate", tmp_path / "mice", option, "noise=loud")
        assert code == 2
        assert told == "error: --set noise=loud: give NAME=VALUE with a number\n"
        assert not (tmp_path / "mice").exists()


class TestRegions:
    """From landmarks to traces of named regions, on a movie whose left visual cortex brightens."""

    POINTS = "front-left=23.9,16 front=32,16 front-right=40.1,16 back=32,45"

    @pytest.fixture
    def movie(self, tmp_path):
        from corticode.data.atlas.maps import label_pixels, read_atlas

        places = np.array([[0.09, 0, 8.96], [0, 0.09, 8.08], [0, 0, 1]])
        labels = label_pixels(read_atlas(), places, (64, 64))
        running = np.arange(60) // 10 % 2
        movie = np.random.default_rng(0).poisson(900, (60, 64, 64)) * (labels > 0) + 100
        movie = movie + 100 * running[:, None, None] * (labels == 35)
        np.save(tmp_path / "movie.npy", movie.astype(np.uint16))
        pd.DataFrame({"run": running}).to_csv(tmp_path / "run.csv", index=False)
        row = {"animal": "m1", "session": "a", "movie": "movie.npy", "behavior": "run.csv"}
        pd.DataFrame([row | {"frame_rate_hz": 30}]).to_csv(tmp_path / "sessions.csv", index=False)
        return tmp_path / "movie.npy"

    def test_labels_and_table_go_into_extract_and_studies(self, command_line, movie, tmp_path):
        from corticode.data.catalogue import read_catalogue
        from corticode.data.regions import read_regions, select_regions
        from corticode.data.session import read_session
        from corticode.evaluate.region_sets import mirror_pairs

        out = tmp_path / "atlas"
        code, printed, told = command_line("regions", movie, "--landmarks", self.POINTS,
                                           "--pixel-mm", "0.1", "--out", out)  # fmt: skip
        assert code == 0
        assert "mm by the landmarks (to about 5 %), 0.1 as" in printed
        assert "warning: a pixel has 0.228" in told
        assert "with fewer than 12 pixels in the image left out: SSp-un" in told
        assert {path.name for path in out.iterdir()} == {
            "labels.npy", "regions.csv", "transform.json", "overlay.png",
        }  # fmt: skip
        code, _, _ = command_line("extract", tmp_path / "sessions.csv", tmp_path / "traces",
                                  "--labels", out / "labels.npy")  # fmt: skip
        assert code == 0
        session = read_session(read_catalogue(tmp_path / "traces" / "sessions.csv")[0])
        table = read_regions(out / "regions.csv")
        assert "SSp-un_left" not in session.regions
        assert np.ptp(session.traces, axis=0).argmax() == session.regions.index("VISp_left")
        left = select_regions(["left"], session.regions, table)
        assert [n.endswith("_left") for n in session.regions] == left.tolist()
        visual = select_regions(["VISp"], session.regions, table)
        assert np.flatnonzero(visual).size == 2
        # By number: the place in the table, from 1, whatever was left out.
        assert select_regions([35], session.regions, table)[session.regions.index("VISp_left")]
        pairs = mirror_pairs(session.regions, np.flatnonzero(visual), table)
        assert len(pairs) == 1

    def test_preprocess_takes_its_labels_and_writes_a_page(self, command_line, movie, tmp_path):
        from corticode.data.catalogue import read_catalogue

        out, made = tmp_path / "atlas", tmp_path / "made"
        command_line("regions", movie, "--landmarks", self.POINTS, "--out", out)
        (tmp_path / "steps.toml").write_text('preprocess.motion.channel = "none"\n')
        arguments = ("preprocess", tmp_path / "sessions.csv", made, "--labels", out / "labels.npy",
                     "--steps", tmp_path / "steps.toml")  # fmt: skip
        code, printed, told = command_line(*arguments)
        assert code == 0
        assert printed.startswith("steps: dF/F, F0: mean (whole session)")
        assert "done" in told
        (recording,) = read_catalogue(made / "sessions.csv")
        assert "VISp_left" in recording.regions.read_text()
        assert "1 session" in (made / "quality.html").read_text("utf-8")
        _, printed, told = command_line(*arguments)
        assert "1 session was kept" in printed
        assert "done" not in told

    def test_a_session_that_still_lies_apart_is_told(
        self, command_line, movie, tmp_path, monkeypatch
    ):
        from corticode.report import atlas_overlay

        def missed(images):
            found, findings = register(images)
            return replace(found, transforms=np.stack([np.eye(3)] * len(images))), findings

        register = atlas_overlay.register_sessions
        monkeypatch.setattr(atlas_overlay, "register_sessions", missed)
        np.save(tmp_path / "other.npy", np.roll(np.load(movie), 5, axis=1))
        _, _, told = command_line("regions", movie, "--landmarks", self.POINTS,
                                  "--out", tmp_path / "atlas",
                                  "--session", f"day2={tmp_path / 'other.npy'}")  # fmt: skip
        assert "session 'day2': lies 5.0 pixels from the animal's first session" in told

    def test_another_session_is_laid_over_the_first(self, command_line, movie, tmp_path):
        """Its camera looked two rows higher and a column further left."""
        other = np.roll(np.load(movie), (2, 1), axis=(1, 2))
        np.save(tmp_path / "other.npy", other)
        out = tmp_path / "atlas"
        code, printed, _ = command_line("regions", movie, "--landmarks", self.POINTS, "--out", out,
                                        "--session", f"day2={tmp_path / 'other.npy'}")  # fmt: skip
        assert code == 0
        assert "day2: +2.0 rows, +1.0 columns, " in printed
        first, second = np.load(out / "labels.npy"), np.load(out / "day2" / "labels.npy")
        assert (np.roll(first, (2, 1), axis=(0, 1)) == second).mean() > 0.99
        assert (out / "day2" / "overlay.png").is_file()
        for wrong in ("day2", "a/b=x.npy", "=x.npy"):
            code, _, told = command_line("regions", movie, "--landmarks", self.POINTS,
                                         "--out", tmp_path / "no", "--session", wrong)  # fmt: skip
            assert (code, "give NAME=IMAGE" in told) == (2, True)

    def test_nothing_is_replaced(self, command_line, movie, tmp_path):
        (tmp_path / "atlas").mkdir()
        (tmp_path / "atlas" / "labels.npy").touch()
        code, _, told = command_line("regions", movie, "--landmarks", self.POINTS,
                                     "--out", tmp_path / "atlas")  # fmt: skip
        assert (code, told) == (
            2,
            f"error: {tmp_path / 'atlas'} holds files; name another folder, or move it away\n",
        )

    def test_bad_landmarks_leave_no_folder(self, command_line, movie, tmp_path):
        for points, words in (
            ("front=32,16 bregma=32,31 back=32,45", "lie on one line"),
            (self.POINTS.replace("left=23.9", "left=230"), "outside the image of 64 rows"),
            (self.POINTS.replace("left", "x").replace("right", "left").replace("-x", "-right"),
             "left and right are exchanged"),
            (self.POINTS.replace("back", "bakc"), "did you mean 'back'"),
        ):  # fmt: skip
            code, _, told = command_line("regions", movie, "--landmarks", points,
                                         "--out", tmp_path / "atlas")  # fmt: skip
            assert code == 2
            assert words in told
        assert not (tmp_path / "atlas").exists()


class TestCheck:
    def test_clean(self, cohort, command_line):
        code, printed, told = command_line("check", cohort / "study.toml")
        assert (code, told) == (0, "")
        lines = printed.splitlines()
        assert lines[0].split() == ["session", "frames", "length", "rate", "covered", "run"]
        assert [line.split()[0] for line in lines[1:13]] == [
            f"m{animal}/s{session}" for animal in (1, 2, 3, 4) for session in (1, 2, 3)
        ]
        assert lines[13:] == [
            "12 sessions of 4 animals, 4,800 frames at 10 Hz",
            "gru: 4 folds",
            "linear: 4 folds",
            "no fault found",
        ]

    def test_odd(self, linear_cohort, command_line):
        np.save(linear_cohort / "m1_s1.npy", np.load(linear_cohort / "m1_s1.npy") * [1] * 5 + [0])
        traces = np.load(linear_cohort / "m1_s2.npy")
        traces[:, 5] = 0
        np.save(linear_cohort / "m1_s2.npy", traces)
        code, printed, told = command_line("check", linear_cohort / "study.toml")
        assert code == 0
        expected = "warning: animal 'm1', session 's2', region '6': is flat and enters as 0\n"
        assert told == expected
        assert printed.endswith("no fault found, see the warnings above\n")

    def test_leaks_are_no_good_end(self, linear_cohort, command_line):
        text = (linear_cohort / "study.toml").read_text("utf-8")
        text = text.replace('by = "animal"', 'by = "block"\nblocks = 4')
        text = text.replace("detrend_frames = 0", "detrend_frames = 100")
        (linear_cohort / "study.toml").write_text(text, "utf-8")
        code, printed, told = command_line("check", linear_cohort / "study.toml")
        assert code == 0
        assert "no room for a gap of" in told
        assert printed.endswith(
            "2 risks of a leak or mix-up, see the warnings above; no other fault found\n"
        )

    def test_many_warnings_in_brief(self, linear_cohort, command_line):
        for path in linear_cohort.glob("*.npy"):
            traces = np.load(path)
            traces[:, 4:] = 1
            np.save(path, traces)
        _, _, told = command_line("check", linear_cohort / "study.toml")
        alike = "is flat and enters as 0 (and 11 others alike)"
        assert [line.endswith(alike) for line in told.splitlines()] == [True, True]

    def test_more_kinds_of_warnings_than_are_shown(self, capsys):
        cli._show_findings([Finding("fold", f"odd {k}") for k in range(24)])
        told = capsys.readouterr().err.splitlines()
        assert len(told) == 21
        assert told[-1] == "warning: and 4 more (all are in excluded.csv of a run)"


class TestRun:
    def test_says_where_it_stands_and_what_it_found(self, linear_cohort, command_line, tmp_path):
        arguments = ["run", linear_cohort / "study.toml", "--out", tmp_path / "run"]
        code, printed, told = command_line(*arguments)
        assert code == 0
        lines = told.splitlines()
        assert lines[0] == "12 fits, 0 of them finished before"
        # A busy machine may take a while.
        assert re.match(r"1/12 done, \d:\d\d, ", lines[1])
        assert re.match(r"12/12 done, \d:\d\d, ", lines[-1])
        assert lines[-1].partition(" left: linear, test-m")[1]
        assert "condition" in printed
        assert "linear" in printed
        assert f"tables: {tmp_path / 'run'}/scores.csv" in printed.replace("\n", "")
        code, printed_again, told = command_line(*arguments)
        assert code == 0
        assert told == "12 fits, 12 of them finished before\n"
        assert printed_again == printed

    def test_says_how_many_are_redone(self, linear_cohort, command_line, tmp_path):
        arguments = ["run", linear_cohort / "study.toml", "--out", tmp_path / "run"]
        command_line(*arguments)
        study = linear_cohort / "study.toml"
        text = study.read_text("utf-8").replace("after = 5", "after = 4")
        study.write_text(text, "utf-8")
        _, _, told = command_line(*arguments)
        assert told.splitlines()[:2] == [
            "12 fits, 0 of them finished before",
            "12 finished fits have other settings or data now and are redone",
        ]

    def test_says_what_an_earlier_study_left(self, linear_cohort, command_line, tmp_path):
        arguments = ["run", linear_cohort / "study.toml", "--out", tmp_path / "run"]
        command_line(*arguments)
        study = linear_cohort / "study.toml"
        text = study.read_text("utf-8").replace('name = "linear"', 'name = "another"')
        study.write_text(text, "utf-8")
        _, _, told = command_line(*arguments)
        assert told.splitlines()[:2] == [
            "12 fits, 0 of them finished before",
            f"{tmp_path / 'run'} holds 12 fits of conditions, folds or seeds that are not in this "
            "study (any more); they stay on disk and enter no table",
        ]
        assert set(pd.read_csv(tmp_path / "run" / "scores.csv")["condition"]) == {"another"}

    def test_names_a_decoder_of_this_study(self, linear_cohort, command_line, tmp_path):
        arguments = ["run", linear_cohort / "study.toml", "--out", tmp_path / "run"]
        stale = tmp_path / "run" / "fits" / "a-0" / "f" / "seed-0"
        stale.mkdir(parents=True)
        (stale / "decoder.json").touch()
        _, printed, _ = command_line(*arguments)
        folder = Path(printed.splitlines()[-1].removeprefix("a decoder, for 'corticode predict': "))
        assert folder.parts[-3:] == (slug("linear"), slug("test-m1_valid-m2"), "seed-0")
        out = tmp_path / "said.csv"
        code, _, _ = command_line("predict", folder, linear_cohort / "sessions.csv", "--out", out)
        assert code == 0

    def test_on_one_line_in_a_terminal(self, linear_cohort, command_line, tmp_path, monkeypatch):
        monkeypatch.setattr("sys.stderr.isatty", lambda: True)
        arguments = ["run", linear_cohort / "study.toml", "--out", tmp_path / "run"]
        _, _, told = command_line(*arguments)
        assert told.count("\r\x1b[K") == 12
        assert told.count("\n") == 2
        assert told.endswith("\n")

    def test_stopped(self, linear_cohort, command_line, tmp_path, monkeypatch):
        def stop(*_, **__):
            raise KeyboardInterrupt

        monkeypatch.setattr("corticode.run.execute.execute_study", stop)
        arguments = ["run", linear_cohort / "study.toml", "--out", tmp_path / "run"]
        message = "stopped; run the same command again to go on\n"
        assert command_line(*arguments) == (130, "", message)


class TestPredict:
    @pytest.fixture
    def fit(self, finished_run):
        return finished_run.fit_folder("gru", "test-m2_valid-m3", 0)

    def expected(self, fit):
        said = Predictions.load(fit / "predictions.npz").of_part("test").to_frame()
        return said.set_index(["session", "frame"])

    def test_as_csv(self, fit, cohort, command_line, tmp_path):
        out = tmp_path / "said.csv"
        code, printed, _ = command_line("predict", fit, cohort / "sessions.csv", "--out", out)
        assert (code, printed) == (0, f"4,680 predictions written to {out}\n")
        said = pd.read_csv(out)
        assert list(said.columns) == ["part", "animal", "session", "frame", "target", "score"]
        own = said[said["animal"] == "m2"].set_index(["session", "frame"])
        expected = self.expected(fit)
        np.testing.assert_array_equal(own["target"], expected["target"])
        np.testing.assert_array_equal(own["score"].astype(np.float32), expected["score"])

    def test_one_session_as_npz(self, fit, cohort, command_line, tmp_path):
        out = tmp_path / "said.npz"
        arguments = ["predict", fit, cohort / "sessions.csv", "--out", out, "--session", "s3"]
        code, printed, _ = command_line(*arguments)
        assert (code, printed) == (0, f"1,560 predictions written to {out}\n")
        said = Predictions.load(out).to_frame()
        assert set(said["session"]) == {"s3"}
        own = said[said["animal"] == "m2"].set_index("frame")
        np.testing.assert_array_equal(own["score"], self.expected(fit).loc["s3", "score"])

    def test_one_session_of_one_animal(self, fit, cohort, command_line, tmp_path):
        out = tmp_path / "said.csv"
        arguments = ["predict", fit, cohort / "sessions.csv", "--out", out, "--session", "m2/s3"]
        code, printed, told = command_line(*arguments)
        assert (code, printed, told) == (0, f"390 predictions written to {out}\n", "")
        assert set(pd.read_csv(out)["animal"]) == {"m2"}

    def test_warns_of_frames_left_out(self, fit, own_cohort, command_line, tmp_path):
        traces = np.load(own_cohort / "m1_s1.npy")
        traces[7, 2] = np.nan
        np.save(own_cohort / "m1_s1.npy", traces)
        out = tmp_path / "said.csv"
        code, _, err = command_line("predict", fit, own_cohort / "sessions.csv", "--out", out)
        assert code == 0
        assert "warning: animal 'm1', session 's1': 1 of 400 frames" in err

    def test_without_behavior(self, fit, own_cohort, command_line, tmp_path):
        table = pd.read_csv(own_cohort / "sessions.csv").drop(columns=["behavior", "segment"])
        table.to_csv(own_cohort / "sessions.csv", index=False)
        out = tmp_path / "said.csv"
        code, _, _ = command_line("predict", fit, own_cohort / "sessions.csv", "--out", out)
        assert code == 0
        said = pd.read_csv(out)
        assert said["target"].isna().all()
        own = said[said["animal"] == "m2"]
        np.testing.assert_array_equal(own["score"].astype(np.float32), self.expected(fit)["score"])

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--out", "said.txt"], "--out said.txt ends in neither .csv nor .npz"),
            (
                ["--out", "said.csv", "--session", "s9"],
                "no session 's9'; its sessions are s1, s2, s3, each also with its animal before "
                "it, as in m1/s1",
            ),
        ],
    )
    def test_refused(self, fit, cohort, command_line, tmp_path, monkeypatch, options, message):
        monkeypatch.chdir(tmp_path)
        code, _, told = command_line("predict", fit, cohort / "sessions.csv", *options)
        assert code == 2
        assert message in told
        assert not list(tmp_path.glob("said*"))

    def test_of_other_recordings(self, fit, own_cohort, command_line, tmp_path):
        table = pd.read_csv(own_cohort / "sessions.csv").assign(frame_rate_hz=30)
        table.to_csv(own_cohort / "sessions.csv", index=False)
        out = tmp_path / "said.csv"
        code, _, told = command_line("predict", fit, own_cohort / "sessions.csv", "--out", out)
        assert code == 2
        assert "session m1/s1 has 30.0 frames/s; the decoder was fitted at 10.0" in told
        assert not out.exists()


@pytest.fixture
def own_run(finished_run, tmp_path):
    """A copy of a finished run, to be changed."""
    return Run(Path(shutil.copytree(finished_run.folder, tmp_path / "run")))


class TestOwnFilesAreSafe:
    """Nothing that is read, and nothing of somebody else's, is written over."""

    def unchanged(self, folder):
        files = (path for path in sorted(folder.rglob("*")) if path.is_file())
        return {str(path.relative_to(folder)): path.read_bytes() for path in files}

    @pytest.mark.parametrize("link", ["itself", "hard", "soft", "dots"])
    @pytest.mark.parametrize("name", ["sessions.csv", "m1_s1.csv", "other.csv"])
    def test_predictions(self, finished_run, own_cohort, command_line, tmp_path, name, link):
        (own_cohort / "other.csv").write_text("mine")
        out = own_cohort / name
        if link == "hard":
            out = tmp_path / "said.csv"
            out.hardlink_to(own_cohort / name)
        elif link == "soft":
            out = tmp_path / "said.csv"
            out.symlink_to(own_cohort / name)
        elif link == "dots":
            out = own_cohort / ".." / own_cohort.name / name
        before = self.unchanged(own_cohort)
        fit = finished_run.fit_folder("linear", "test-m1_valid-m2", 0)
        code, _, told = command_line("predict", fit, own_cohort / "sessions.csv", "--out", out)
        assert code == 2
        assert f"error: --out {out} " in told
        assert "nothing was written: give the name of a new file" in told
        assert self.unchanged(own_cohort) == before

    def test_predictions_of_a_fit(self, own_run, own_cohort, command_line):
        fit = own_run.fit_folder("linear", "test-m1_valid-m2", 0)
        before = self.unchanged(fit)
        catalogue = own_cohort / "sessions.csv"
        code, _, told = command_line("predict", fit, catalogue, "--out", fit / "predictions.npz")
        assert code == 2
        assert "which is read" in told
        assert self.unchanged(fit) == before

    def test_predictions_of_before_may_be_replaced(
        self, finished_run, cohort, command_line, tmp_path
    ):
        fit = finished_run.fit_folder("linear", "test-m1_valid-m2", 0)
        for name in ("said.csv", "said.npz"):
            for _ in range(2):
                out = tmp_path / name
                code, *_ = command_line("predict", fit, cohort / "sessions.csv", "--out", out)
                assert code == 0

    def test_a_run(self, own_cohort, command_line):
        before = self.unchanged(own_cohort)
        code, _, told = command_line("run", own_cohort / "study.toml", "--out", own_cohort)
        assert code == 2
        assert f"{own_cohort} holds files and is no run folder; nothing was written" in told
        assert self.unchanged(own_cohort) == before

    @pytest.mark.parametrize("verb", [["report"], ["export", "--format", "csv"], ["explain"]])
    def test_a_folder_that_is_no_run(self, own_cohort, command_line, verb):
        (own_cohort / "methods.md").write_text("mine")
        (own_cohort / "published.csv").write_text("mine")
        before = self.unchanged(own_cohort)
        code, _, told = command_line(verb[0], own_cohort, *verb[1:])
        assert code == 2
        assert "is no run folder" in told
        assert self.unchanged(own_cohort) == before

    def test_a_page(self, finished_run, command_line, tmp_path):
        own = tmp_path / "index.html"
        own.write_text("<title>mine</title>")
        other = shutil.copytree(finished_run.folder, tmp_path / "other")
        for others in ([], [other]):
            code, _, told = command_line("report", finished_run.folder, *others, "--out", own)
            assert code == 2
        assert "exists and is no page of corticode; nothing was written" in told
        assert own.read_text() == "<title>mine</title>"

    def test_an_export_that_is_stopped(self, own_run):
        code = (
            "import sys, time; from corticode import cli; from corticode.report import export\n"
            "def wait(*_): print('ready', flush=True); time.sleep(60)\n"
            f"export._write = wait; sys.argv = ['corticode', 'export', {str(own_run.folder)!r}, "
            "'--format', 'csv']; cli.main()"
        )
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        assert child.stdout.readline() == b"ready\n"
        child.terminate()
        child.communicate()
        assert child.returncode in (143, -signal.SIGTERM)
        assert [path.name for path in own_run.folder.parent.iterdir()] == ["run"]

    def test_a_demonstration(self, own_cohort, command_line):
        before = self.unchanged(own_cohort)
        code, _, told = command_line("demo", "--out", own_cohort)
        assert code == 2
        assert "holds files and is no demonstration" in told
        assert self.unchanged(own_cohort) == before

    @pytest.mark.study
    def test_an_edited_methods_text(self, own_run, command_line):
        path, beside = own_run.folder / "methods.md", own_run.folder / "methods.new.md"
        command_line("report", own_run.folder)
        written = path.read_text("utf-8")
        assert not beside.exists()
        path.write_text(written.replace("Methods", "What we did"), "utf-8")
        code, _, told = command_line("report", own_run.folder)
        assert code == 0
        assert f"methods.md was edited and is kept; the new text is {beside}" in told
        assert path.read_text("utf-8") == written.replace("Methods", "What we did")
        assert beside.read_text("utf-8") == written
        path.unlink()
        command_line("report", own_run.folder)
        assert path.read_text("utf-8") == written
        assert not beside.exists()

    def test_a_run_that_cannot_be_written(self, own_run, command_line, tmp_path, monkeypatch):
        """A test cannot make a folder read-only for root: what would write there fails instead."""
        mkstemp = tempfile.mkstemp

        def refuse(*arguments, **options):
            if options.get("dir") == own_run.folder:
                raise OSError(errno.EROFS, os.strerror(errno.EROFS))
            return mkstemp(*arguments, **options)

        monkeypatch.setattr(tempfile, "mkstemp", refuse)
        code, _, told = command_line("report", own_run.folder)
        assert code == 2
        assert "Read-only file system" in told
        assert "or have the page elsewhere with --out FILE.html" in told
        before = self.unchanged(own_run.folder)
        page = tmp_path / "page.html"
        code, printed, _ = command_line("report", own_run.folder, "--out", page)
        assert (code, printed) == (0, f"{page}\n")
        assert "corticode report: run" in page.read_text("utf-8")
        assert self.unchanged(own_run.folder) == before


class TestNames:
    """Brackets are no markup, control characters are shown and not obeyed."""

    def test_on_the_terminal(self, own_cohort, command_line, tmp_path):
        study = (own_cohort / "study.toml").read_text("utf-8")
        study = study.replace('"linear"', '"[red]linear[/red] :brain:\\u001b[2J"')
        (own_cohort / "study.toml").write_text(study.replace("epochs = 2", "epochs = 1"), "utf-8")
        code, printed, told = command_line(
            "run", own_cohort / "study.toml", "--out", tmp_path / "run"
        )
        assert code == 0
        assert "[red]linear[/red]" in printed
        assert "\x1b" not in printed + told
        assert "\\x1b[2J" in told

    def test_of_files(self, command_line, tmp_path):
        code, _, told = command_line("check", tmp_path / "\x1b]0;a\x07[b].toml")
        assert code == 2
        assert "\\x1b]0;a\\x07[b].toml does not exist" in told


class TestReport:
    def test_prints_the_path_of_the_page(self, command_line, finished_run, tmp_path):
        folder = Path(shutil.copytree(finished_run.folder, tmp_path / "run"))
        code, printed, _ = command_line("report", folder, "--figures", "pdf")
        assert (code, printed.strip()) == (0, str(folder / "report.html"))
        assert (folder / "report.html").is_file()
        assert (folder / "figures" / "splits.pdf").is_file()

    def test_of_two_runs(self, command_line, finished_run, tmp_path):
        out = tmp_path / "compared" / "page.html"
        folder = Path(shutil.copytree(finished_run.folder, tmp_path / "other"))
        code, printed, _ = command_line("report", folder, finished_run.folder, "--out", out)
        assert (code, printed.strip()) == (0, str(out))
        assert "two runs compared" in out.read_text("utf-8")

    def test_of_two_runs_with_nothing_in_common(self, command_line, finished_run, tmp_path):
        folder = Path(shutil.copytree(finished_run.folder, tmp_path / "other"))
        for path in (folder / "study.toml", *folder.glob("*scores.csv")):
            text = path.read_text("utf-8")
            path.write_text(text.replace("gru,", "x,").replace("linear,", "y,"), "utf-8")
        out = tmp_path / "page.html"
        code, printed, told = command_line("report", folder, finished_run.folder, "--out", out)
        assert (code, printed) == (2, "")
        assert "other and run have no condition in common" in told
        assert not out.exists()

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--out", "page.csv"], "--out page.csv is a page; give a name that ends in .html"),
            (["other", "--figures", "svg"], "--figures is for the page of one run"),
            (["other", "--minute", "0"], "--movie and --minute are for the page of one run"),
        ],
    )
    def test_options_of_the_other_page(self, command_line, tmp_path, options, message):
        code, _, told = command_line("report", tmp_path, *options)
        assert code == 2
        assert message in told

    def test_of_no_run(self, command_line, tmp_path):
        code, _, told = command_line("report", tmp_path)
        assert code == 2
        assert "is no run folder" in told


class TestExport:
    @pytest.mark.parametrize("form", ["csv", "mat"])
    def test_says_where_it_is(self, command_line, finished_run, tmp_path, form):
        out = tmp_path / "out"
        code, printed, told = command_line(
            "export", finished_run.folder, "--format", form, "--to", out
        )
        assert (code, told) == (0, "")
        assert f"files in {out}; index.csv says what each holds" in printed

    def test_refused(self, command_line, finished_run, tmp_path):
        code, _, told = command_line("export", finished_run.folder, "--format", "xls")
        assert code == 2
        assert "format 'xls' is unknown; give csv or mat" in told


class TestDemo:
    """What it finds is in test_demo.py, which runs it whole."""

    def test_goes_step_by_step_as_the_page_says(self, command_line, tmp_path, monkeypatch):
        def stop(*_, **__):
            raise KeyboardInterrupt

        monkeypatch.setattr("corticode.run.execute.execute_study", stop)
        monkeypatch.chdir(tmp_path)
        code, printed, told = command_line("demo", "--size", "grid")
        assert (code, told) == (130, "stopped; run the same command again to go on\n")
        steps = [line for line in printed.splitlines() if re.match(r"\d\. ", line)]
        assert [step.split(":")[0] for step in steps] == [
            "1. corticode simulate",
            "2. corticode import study2024",
            "3. corticode check",
            "4. corticode run",
        ]
        # The page shows mice of size tiny, which have three times the frames.
        assert " 15,000 frames at 30 Hz\n" in printed
        shown = printed.replace(" 15,000 frames", " 45,000 frames")
        assert shown in (DOCS / "start.md").read_text("utf-8")
        assert Path("demo/study/sessions.csv").is_file()
        # A second call simulates nothing again, and no mice of another size.
        made = Path("demo/cohort/truth.json").stat().st_mtime_ns
        _, printed, _ = command_line("demo", "--size", "grid")
        assert "1. corticode simulate" not in printed
        assert Path("demo/cohort/truth.json").stat().st_mtime_ns == made
        code, printed, told = command_line("demo")
        assert (code, printed) == (2, "")
        assert "demo/cohort holds mice of size grid, not tiny" in told


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.4, "0:00"), (59.6, "1:00"), (61, "1:01"), (3600, "1:00:00")]
)
def test_clock(seconds, shown):
    assert cli._clock(seconds) == shown


def test_scores_with_a_condition_that_has_none(capsys):
    rows = [("gru", "m1", "auc", 0.75), ("gru", "m2", "auc", 0.25), ("blank", "m1", "auc", np.nan)]
    table = pd.DataFrame(rows, columns=["condition", "animal", "metric", "value"])
    summary = RunSummary(table, (Finding("fold", "odd"),), 3, 0, 0)
    cli._show_scores(summary, table, Path("run"))
    printed = capsys.readouterr().out
    assert [line.split()[1::2] for line in printed.splitlines() if "│ " in line] == [
        ["gru", "auc", "0.500", "0.250", "0.750", "2"],
        ["blank", "auc", "-", "-", "-", "0"],
    ]
