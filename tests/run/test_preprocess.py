"""A catalogue of raw movies through all steps: what comes out can be studied, and is kept."""

import errno
import json
import os
import signal

import numpy as np
import pandas as pd
import pytest
import tifffile
from filelock import FileLock
from scipy import ndimage

from corticode.data.catalogue import read_catalogue
from corticode.data.preprocessing.steps import Baseline, Bins, Blood, Motion, Steps
from corticode.data.readers.arrays import ArrayLocation
from corticode.data.session import read_session
from corticode.errors import DataError, MissingDataError, RunError, StudyError
from corticode.report.quality import read_sessions
from corticode.run import preprocess as preprocess_module
from corticode.run.preprocess import LOCK, Wanted, preprocess, preprocess_catalogue

STILL = Steps(motion=Motion("none"), blood=Blood("regression"))


@pytest.fixture
def raw(tmp_path):
    """Two sessions of two wavelengths in turn, of which behaviour is sampled frame by frame."""
    rng = np.random.default_rng(0)
    image = 1000 + 1000 * ndimage.gaussian_filter(rng.normal(size=(24, 24)), 1.5)
    rows = []
    for k in range(2):
        light = 1 + 0.02 * rng.normal(size=(120, 1, 1))
        light[1::2] *= 0.6
        np.save(tmp_path / f"{k}.npy", rng.poisson(image * light).astype(np.uint16))
        run = (np.arange(60) // 7 % 2).astype(int)
        pd.DataFrame({"run": run, "n": np.arange(60)}).to_csv(tmp_path / f"{k}.csv", index=False)
        rows.append(
            {
                "animal": f"m{k}",
                "session": "a",
                "movie": f"{k}.npy",
                "behavior": f"{k}.csv",
                "frame_rate_hz": 10,
                "channels": "calcium,reference",
            }
        )
    pd.DataFrame(rows).to_csv(tmp_path / "sessions.csv", index=False)
    labels = np.zeros((24, 24), np.int16)
    labels[2:8, 2:8], labels[12:20, 3:9] = 4, 7
    np.save(tmp_path / "labels.npy", labels)
    return tmp_path


def made_of(raw, steps=STILL, wanted=None, **options):
    return preprocess_catalogue(
        read_catalogue(raw / "sessions.csv"),
        raw / "made",
        steps,
        wanted or Wanted(labels=ArrayLocation(raw / "labels.npy")),
        **options,
    )


class TestPreprocessCatalogue:
    def test_what_comes_out_is_a_catalogue_of_one_wavelength(self, raw):
        summary = made_of(raw)
        first = read_catalogue(summary.catalogue)[0]
        session = read_session(first)
        assert first.channels == () and "regression" in first.history
        assert session.regions == ("4", "7")
        assert session.traces.shape == (60, 2) and session.movie.shape == (60, 24, 24)
        assert session.movie.dtype == np.float16
        np.testing.assert_allclose(
            session.traces[:, 0],
            np.asarray(session.movie, float)[:, 2:8, 2:8].mean(axis=(1, 2)),
            atol=0.01,
        )
        assert session.behavior["n"].tolist() == list(range(60))

    def test_a_second_call_keeps_what_is_there(self, raw):
        assert (made_of(raw).n_made, made_of(raw).n_made, made_of(raw).n_kept) == (2, 0, 2)

    @pytest.mark.parametrize("change", ["steps", "movie", "lost"])
    def test_what_changed_is_made_again(self, raw, change):
        made_of(raw)
        if change == "movie":
            movie = np.load(raw / "1.npy")
            np.save(raw / "1.npy", np.roll(movie, 2, axis=0))
        if change == "lost":
            next((raw / "made" / "movies").glob("m0*")).unlink()
        steps = Steps(motion=Motion("none"), blood=Blood("ratio")) if change == "steps" else STILL
        assert made_of(raw, steps).n_made == (2 if change == "steps" else 1)

    def test_behaviour_follows_bins_of_frames(self, raw):
        steps = Steps(motion=Motion("none"), blood=Blood("none"), bins=Bins(2, 3))
        session = read_session(
            read_catalogue(made_of(raw, steps).catalogue)[0], on_frames={"n": "mean"}
        )
        assert session.movie.shape == (20, 12, 12)
        assert session.frame_rate_hz == pytest.approx(10 / 3)
        np.testing.assert_allclose(session.behavior["n"], np.arange(20) * 3 + 1)

    def test_traces_alone(self, raw):
        wanted = Wanted("none", labels=ArrayLocation(raw / "labels.npy"))
        first = read_catalogue(made_of(raw, wanted=wanted).catalogue)[0]
        assert first.movie is None and not (raw / "made" / "movies").exists()

    def test_a_movie_as_bigtiff(self, raw):
        made_of(raw, wanted=Wanted("float32"))
        first = read_catalogue(raw / "made" / "sessions.csv")[0]
        wanted = np.array(read_session(first).movie)
        again = read_catalogue(made_of(raw, wanted=Wanted("tiff")).catalogue)[0]
        assert again.movie.path.suffix == ".tif"
        assert again.movie.path.read_bytes()[:4] == b"II\x2b\0"
        np.testing.assert_array_equal(read_session(again).movie, wanted)
        np.testing.assert_array_equal(tifffile.imread(again.movie.path), wanted)

    def test_f0_before_each_trial(self, raw):
        """dF/F against the second before the latest trial; nothing before the first."""
        table = pd.read_csv(raw / "sessions.csv")
        pd.DataFrame({"start_time": [1.5, 0.4, 4.0]}).to_csv(raw / "trials.csv", index=False)
        table["trials"] = "trials.csv"
        table.to_csv(raw / "sessions.csv", index=False)
        asked = Baseline("trial", before_s=1.0)
        for blood in ("none", "regression"):
            steps = Steps(motion=Motion("none"), blood=Blood(blood), baseline=asked)
            made = read_session(read_catalogue(made_of(raw, steps).catalogue)[0])
            assert np.flatnonzero(np.isnan(made.traces[:, 0])).tolist() == list(range(15))
        steps = Steps(motion=Motion("none"), blood=Blood("none"), baseline=asked)
        made = read_session(read_catalogue(made_of(raw, steps).catalogue)[0])
        counts = np.load(raw / "0.npy")[::2, 5, 5].astype(float)
        for rows, before in ((slice(15, 40), slice(5, 15)), (slice(40, 60), slice(30, 40))):
            f0 = counts[before].mean()
            expected = 100 * (counts[rows] / f0 - 1)
            np.testing.assert_allclose(np.asarray(made.movie)[rows, 5, 5], expected, atol=0.02)

    def test_trials_that_are_not_there(self, raw):
        steps = Steps(motion=Motion("none"), blood=Blood("none"), baseline=Baseline("trial"))
        with pytest.raises(DataError, match="has no table of trials"):
            made_of(raw, steps)
        with pytest.raises(StudyError, match="'trial' has no causal form"):
            Steps(baseline=Baseline("trial"), causal=True)

    def test_frames_that_cannot_be_used_are_nan_and_told(self, raw):
        movie = np.load(raw / "0.npy")
        movie[40] = 0
        np.save(raw / "0.npy", movie)
        summary = made_of(raw)
        session = read_session(read_catalogue(summary.catalogue)[0])
        assert np.flatnonzero(np.isnan(session.traces[:, 0])).tolist() == [20]
        assert any("dark" in str(finding) for finding in summary.findings)

    def test_dark_frames_and_masks_of_the_catalogue(self, raw):
        table = pd.read_csv(raw / "sessions.csv")
        np.save(raw / "dark.npy", np.full((5, 24, 24), 100, np.uint16))
        mask = np.zeros((24, 24), np.uint8)
        mask[2:10, 2:10] = 1
        np.save(raw / "mask.npy", mask)
        table["dark"], table["mask"] = "dark.npy", "mask.npy"
        table.to_csv(raw / "sessions.csv", index=False)
        steps = Steps(motion=Motion("none"), blood=Blood("none"), mask="image")
        made = read_catalogue(made_of(raw, steps).catalogue)[0]
        movie = np.asarray(read_session(made).movie, float)
        assert np.array_equal(np.isfinite(movie).all(axis=0), mask == 1)
        counts = np.load(raw / "0.npy")[::2, 5, 5].astype(float) - 100
        np.testing.assert_allclose(movie[:, 5, 5], 100 * (counts / counts.mean() - 1), atol=0.02)

    def test_quality_is_kept_beside_it(self, raw):
        summary = made_of(raw)
        states = sorted((summary.catalogue.parent / "quality").glob("*.json"))
        numbers = json.loads(states[0].read_text())["numbers"]
        assert numbers["n_frames"] == 60 and numbers["sd_after"] > 0
        with np.load(states[0].with_suffix(".npz")) as kept:
            assert kept["image_slope"].shape == (24, 24)
            assert kept["course_corrected"].shape == (60,)

    def test_the_page_reads_strict_json(self, raw):
        """JSON knows no infinity, which a look-ahead of the whole session is."""

        def refuse(name):
            raise AssertionError(f"{name} is not JSON")

        made = made_of(raw).catalogue.parent
        texts = [path.read_text() for path in (made / "quality").glob("*.json")]
        states = [json.loads(text, parse_constant=refuse) for text in texts]
        assert states[0]["numbers"]["look_ahead_frames"] == "whole session"
        assert read_sessions(made)[0].numbers["look_ahead_frames"] == np.inf
        # As it was written before, bare.
        path = next((made / "quality").glob("*.json"))
        path.write_text(path.read_text().replace('"whole session"', "Infinity"))
        assert read_sessions(made)[0].numbers["look_ahead_frames"] == np.inf

    def test_sessions_that_left_the_catalogue_leave_the_page(self, raw):
        made_of(raw)
        table = pd.read_csv(raw / "sessions.csv").iloc[1:]
        table.to_csv(raw / "sessions.csv", index=False)
        assert [one.name for one in read_sessions(made_of(raw).catalogue.parent)] == ["m1/a"]

    def test_regions_of_each_session_have_their_own_names(self, raw):
        labels = np.load(raw / "labels.npy")
        for animal, numbers in {"m0": (4, 7), "m1": (1, 2)}.items():
            (raw / animal).mkdir()
            own = np.where(labels == 4, numbers[0], np.where(labels == 7, numbers[1], 0))
            np.save(raw / animal / "labels.npy", own)
        wanted = Wanted(labels=ArrayLocation(raw / "{animal}" / "labels.npy"))
        made = read_catalogue(made_of(raw, wanted=wanted).catalogue)
        assert [read_session(one).regions for one in made] == [("4", "7"), ("1", "2")]

    def test_behaviour_that_does_not_fit_is_told(self, raw):
        pd.read_csv(raw / "0.csv").iloc[:50].to_csv(raw / "0.csv", index=False)
        summary = made_of(raw)
        told = [str(one) for one in summary.findings if one.animal == "m0"]
        assert any("could not be set against motion" in one and "50" in one for one in told)

    def test_onto_the_atlas(self, raw):
        """A spot at one place of the atlas lies there in frames of another pose too."""
        from corticode.data.atlas.alignment import align, check_alignment
        from corticode.data.atlas.files import write_alignment
        from corticode.data.atlas.landmarks import Landmarks
        from corticode.data.atlas.maps import find_regions, read_atlas

        atlas, table = read_atlas(), pd.read_csv(raw / "sessions.csv")
        names = ("front-left", "front-right", "back", "bregma")
        for k, turn in enumerate((0.0, 0.12)):
            c, s = 0.12 * np.cos(turn), 0.12 * np.sin(turn)
            pose = np.array([[c, -s, 1 + 8 * turn], [s, c, 2 - 9 * turn], [0, 0, 1]])
            on_atlas = np.array([atlas.landmarks[name] for name in names])
            points = np.c_[on_atlas, np.ones(4)] @ pose[:2].T
            found = align(atlas, Landmarks(names, points), (64, 64))
            labels, regions, _ = find_regions(atlas, found.transform, (64, 64))
            checks, _ = check_alignment(atlas, found, 1.0 * (labels > 0), labels)
            write_alignment(raw / f"atlas{k}", found, labels, regions, checks)
            lit = 1000 + 500 * (labels == regions.names.index("MOs_left") + 1)
            light = np.ones((120, 1, 1))
            light[1::2] = 0.6
            np.save(raw / f"{k}.npy", (lit * light).astype(np.uint16))
        table["landmarks"] = ["atlas0/transform.json", "atlas1/transform.json"]
        table.to_csv(raw / "sessions.csv", index=False)
        steps = Steps(motion=Motion("none"), blood=Blood("none"), baseline=None, atlas=(128, 128))
        made = [
            read_session(one) for one in read_catalogue(made_of(raw, steps, Wanted()).catalogue)
        ]
        first, second = (np.asarray(one.movie[0]) > 1250 for one in made)
        assert first.sum() > 200
        assert (first & second).sum() / (first | second).sum() > 0.8
        assert made[0].traces[0, made[0].regions.index("MOs_left")] > 1350
        assert made[0].traces[0, made[0].regions.index("MOs_right")] < 1050

    @pytest.mark.study
    def test_two_workers_give_the_same_bytes(self, raw):
        made_of(raw)
        files = sorted((raw / "made").rglob("*.npy"))
        alone = [path.read_bytes() for path in files]
        (raw / "made").rename(raw / "before")
        made_of(raw, n_workers=2)
        assert [path.read_bytes() for path in sorted((raw / "made").rglob("*.npy"))] == alone

    def test_one_session_that_cannot_be_done_leaves_the_others(self, raw):
        table = pd.read_csv(raw / "sessions.csv")
        np.save(raw / "dark.npy", np.full((5, 24, 20), 100, np.uint16))
        table["dark"] = ["dark.npy", None]
        table.to_csv(raw / "sessions.csv", index=False)
        with pytest.raises(DataError, match=r"m0/a.*dark\.npy.*24, 20") as error:
            made_of(raw)
        assert "kept" in str(error.value)
        assert [path.name[:2] for path in (raw / "made" / "movies").iterdir()] == ["m1"]
        assert not list((raw / "made").glob(".scratch*"))
        assert not (raw / "made" / "sessions.csv").exists()

    def test_what_a_killed_call_left_is_removed(self, raw):
        made_of(raw)
        made = raw / "made"
        (made / ".scratch-ab12").mkdir()
        (made / ".scratch-ab12" / "calcium.npy").touch()
        (made / "movies" / ".m0.npy.part").touch()
        assert made_of(raw).n_kept == 2
        assert not [*made.glob(".*"), *(made / "movies").glob(".*")]


class TestOddInput:
    """What real users give; each ended in a wrong result, or in advice that was no help."""

    def changed(self, raw, **columns):
        table = pd.read_csv(raw / "sessions.csv").iloc[:1]
        for name, value in columns.items():
            table[name] = value
        table.to_csv(raw / "sessions.csv", index=False)

    def told(self, raw, *given, **more):
        return [str(one) for one in made_of(raw, *given, **more).findings]

    def test_a_call_that_fails_leaves_no_catalogue_of_other_steps(self, raw):
        """It named movies that had been made anew in another way."""
        made_of(raw)
        np.save(raw / "1.npy", np.load(raw / "1.npy")[:, :10])
        with pytest.raises(DataError, match="m1/a"):
            made_of(raw, Steps(motion=Motion("none"), blood=Blood("ratio")))
        assert not (raw / "made" / "sessions.csv").exists()

    def test_files_that_are_no_longer_wanted_go(self, raw):
        made_of(raw)
        made_of(raw, wanted=Wanted("none", labels=ArrayLocation(raw / "labels.npy")))
        assert not list((raw / "made" / "movies").iterdir())
        assert len(list((raw / "made" / "traces").iterdir())) == 2

    def test_what_a_mask_does_not_know_is_outside(self, raw):
        mask = np.full((24, 24), np.nan)
        mask[2:10, 2:10] = 1
        np.save(raw / "mask.npy", mask)
        self.changed(raw, mask="mask.npy")
        steps = Steps(motion=Motion("none"), blood=Blood("none"), mask="image")
        summary = made_of(raw, steps)
        movie = np.asarray(read_session(read_catalogue(summary.catalogue)[0]).movie[0])
        assert np.array_equal(np.isfinite(movie), np.isfinite(mask))
        # The second region lies outside.
        assert any("no pixel is kept of '7' (1 of 2 regions)" in str(x) for x in summary.findings)
        np.save(raw / "mask.npy", np.isnan(mask) & (np.arange(24) > 16))
        with pytest.raises(DataError, match="no pixel of any region is kept"):
            made_of(raw, steps)
        np.save(raw / "mask.npy", np.nan_to_num(mask) * 0.5)
        with pytest.raises(DataError, match=r"parts of 1 \(0 to 0.5\)"):
            made_of(raw, steps)

    def test_pixels_at_the_ceiling_do_not_dilute_regions(self, raw):
        movie = np.load(raw / "0.npy").clip(0, 4095)
        trace = 100 * (movie[::2, 2:8, 4:8] / movie[::2, 2:8, 4:8].mean(axis=0) - 1)
        movie[:, 2:8, 2:4] = 4095
        np.save(raw / "0.npy", movie)
        self.changed(raw)
        made = made_of(raw, Steps(motion=Motion("none"), blood=Blood("none"))).catalogue
        traces = read_session(read_catalogue(made)[0]).traces
        np.testing.assert_allclose(traces[:, 0], trace.mean(axis=(1, 2)), atol=0.01)

    def test_what_is_0_around_the_window_does_not_flow_into_the_brain(self, raw):
        """Put back, frames moved the edge of the window over the regions beside it."""
        rng = np.random.default_rng(4)
        image = 1000 + 1000 * ndimage.gaussian_filter(rng.normal(size=(60, 60)), 1.5)
        shifts = np.repeat(0.6 * (np.arange(60) // 5 % 2), 2)
        frames = [ndimage.shift(image, (k, 0), order=3)[10:50, 10:50] for k in shifts]
        movie = rng.poisson(np.array(frames)).astype(np.uint16)
        movie[:, :12] = 0
        np.save(raw / "0.npy", movie)
        labels = np.zeros((40, 40), np.int16)
        labels[8:30, 10:30] = 1
        np.save(raw / "labels.npy", labels)
        self.changed(raw)
        # The dark level is below what is seen; what is 0 is not.
        made = made_of(raw, Steps(dark=100.0, blood=Blood("none")))
        traces = read_session(read_catalogue(made.catalogue)[0]).traces
        assert np.isfinite(traces).all() and traces.std() < 0.5

    def test_dark_frames_without_a_frame(self, raw):
        np.save(raw / "dark.npy", np.zeros((0, 24, 24)))
        self.changed(raw, dark="dark.npy")
        with pytest.raises(DataError, match=r"dark\.npy hold no frame"):
            made_of(raw)

    @pytest.mark.parametrize("n_frames", [0, 2])
    def test_a_movie_of_hardly_a_frame(self, raw, n_frames):
        np.save(raw / "0.npy", np.load(raw / "0.npy")[:n_frames])
        self.changed(raw)
        with pytest.raises(DataError, match="at least 2 are needed"):
            made_of(raw)

    def test_slopes_fitted_on_more_than_there_is(self, raw):
        steps = Steps(motion=Motion("none"), blood=Blood("regression", (0.0, 100.0)))
        told = self.told(raw, steps)
        assert any("ends at 100 s and the session at 6 s" in one for one in told)
        assert any("whole session (transductive)" in one for one in told)

    def test_a_movie_whose_time_is_not_its_first_axis(self, raw):
        np.save(raw / "0.npy", np.load(raw / "0.npy").transpose(1, 2, 0))
        self.changed(raw, behavior=None)
        told = self.told(raw, Steps(motion=Motion("none"), blood=Blood("none")), Wanted())
        assert any("24 x 120 pixels" in one and "movie_axes" in one for one in told)

    def test_behaviour_of_another_length_and_bins_of_frames(self, raw):
        """It was taken to begin with the movie and to be as fast."""
        pd.read_csv(raw / "0.csv").iloc[:50].to_csv(raw / "0.csv", index=False)
        self.changed(raw)
        steps = Steps(motion=Motion("none"), blood=Blood("none"), bins=Bins(1, 3))
        with pytest.raises(DataError, match="has 50 samples where the movie has 60"):
            made_of(raw, steps)

    def test_a_clock_in_the_file_of_behaviour_and_bins_of_frames(self, raw):
        """Bins have a clock of their own, and the one of frames was taken for a signal."""
        run = (np.arange(600) // 70 % 2).astype(int)
        np.savez(raw / "0.npz", run=run, camera=np.arange(60) / 10, wheel=np.arange(600) / 100)
        self.changed(
            raw, behavior="0.npz", frame_times="0.npz::camera", behavior_times="0.npz::wheel"
        )
        steps = Steps(motion=Motion("none"), blood=Blood("none"), bins=Bins(1, 3))
        session = read_session(read_catalogue(made_of(raw, steps).catalogue)[0])
        assert list(session.behavior) == ["run"]
        assert session.frame_rate_hz == pytest.approx(10 / 3)

    def test_trials_that_count_frames_and_bins_of_frames(self, raw):
        pd.DataFrame({"start": [5, 20]}).to_csv(raw / "trials.csv", index=False)
        self.changed(raw, trials="trials.csv")
        steps = Steps(motion=Motion("none"), blood=Blood("none"), bins=Bins(1, 3))
        assert any("give trials in seconds" in one for one in self.told(raw, steps))

    def test_a_lost_frame_and_behaviour_that_counts_pairs(self, raw):
        """The movie that came out had a frame more than its behaviour."""
        movie = np.load(raw / "0.npy")
        np.save(raw / "0.npy", np.delete(movie, 61, axis=0))
        table = pd.read_csv(raw / "0.csv")
        table.iloc[:59].to_csv(raw / "0.csv", index=False)
        self.changed(raw)
        summary = made_of(raw, resynchronise=True)
        session = read_session(read_catalogue(summary.catalogue)[0])
        assert session.n_frames == 59
        assert np.flatnonzero(np.isnan(session.traces[:, 0])).tolist() == [30]

    def test_labels_of_an_animal_that_are_not_there(self, raw):
        wanted = Wanted(labels=ArrayLocation(raw / "{animal}.npy"))
        with pytest.raises(MissingDataError, match=r"m0\.npy does not exist"):
            made_of(raw, wanted=wanted)

    def test_transforms_of_another_image(self, raw):
        from corticode.data.atlas.alignment import align, check_alignment
        from corticode.data.atlas.files import write_alignment
        from corticode.data.atlas.landmarks import Landmarks
        from corticode.data.atlas.maps import find_regions, read_atlas

        atlas = read_atlas()
        names = ("front-left", "front-right", "back", "bregma")
        points = np.array([atlas.landmarks[name] for name in names]) * 0.045
        found = align(atlas, Landmarks(names, points), (24, 24))
        labels, regions, _ = find_regions(atlas, found.transform, (24, 24))
        checks, _ = check_alignment(atlas, found, 1.0 * (labels > 0), labels)
        write_alignment(raw / "atlas", found, labels, regions, checks)
        self.changed(raw, landmarks="atlas/transform.json")
        path, steps = raw / "atlas" / "transform.json", Steps(motion=Motion("none"), atlas=(64, 64))
        good = json.loads(path.read_text())
        for change, words in (
            ({"rows": 32}, "image of 32 x 24 pixels, and frames have 24 x 24"),
            ({"transform": (good["transform"] @ np.diag([-1.0, 1, 1])).tolist()}, "mirror"),
            ({"transform": [[0.045, 0, 900], [0, 0.045, 900], [0, 0, 1]]}, "beside the frames"),
        ):
            path.write_text(json.dumps(good | change))
            with pytest.raises(DataError, match=words):
                made_of(raw, steps, Wanted())


class TestRefusals:
    def test_a_disk_without_room(self, raw, monkeypatch):
        """A mapped file without room would end the process without a word."""

        def full(*_):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "posix_fallocate", full)
        with pytest.raises(RunError, match=r"needs 0 MB: No space left on device; free some"):
            made_of(raw)
        assert not list((raw / "made").glob("*/.*")) + list((raw / "made").glob(".*"))

    def test_a_folder_that_another_call_writes_into(self, raw):
        made_of(raw)
        with FileLock(raw / "made" / LOCK), pytest.raises(RunError, match="is in use"):
            made_of(raw)

    def test_a_folder_of_something_else(self, raw):
        (raw / "made").mkdir()
        (raw / "made" / "thesis.txt").write_text("mine")
        with pytest.raises(DataError, match="did not write"):
            made_of(raw)

    def test_some_recordings_without_a_reference(self, raw):
        table = pd.read_csv(raw / "sessions.csv")
        np.save(raw / "1.npy", np.load(raw / "1.npy")[::2])
        table.loc[1, "channels"] = None
        table.to_csv(raw / "sessions.csv", index=False)
        still = 'preprocess.motion.channel = "none"\n'
        (raw / "steps.toml").write_text(still)
        with pytest.raises(StudyError, match=r"1 of 2 recordings have no reference.*m1/a"):
            preprocess(raw / "sessions.csv", raw / "made", steps=raw / "steps.toml")
        assert not (raw / "made").exists()
        (raw / "steps.toml").write_text(still + 'preprocess.blood.method = "none"\n')
        made = preprocess(raw / "sessions.csv", raw / "made", steps=raw / "steps.toml")
        assert made.n_made == 2

    def test_nothing_to_come_out(self, raw):
        with pytest.raises(StudyError, match="nothing would come out"):
            made_of(raw, wanted=Wanted("none"))

    def test_regions_of_raw_frames_on_the_atlas(self, raw):
        with pytest.raises(StudyError, match="whose own regions"):
            made_of(raw, Steps(atlas=(64, 64)))

    def test_an_atlas_without_a_transform(self, raw):
        with pytest.raises(DataError, match="column 'landmarks'"):
            made_of(raw, Steps(atlas=(64, 64), motion=Motion("none")), Wanted())

    def test_no_such_kind_of_movie(self):
        with pytest.raises(StudyError, match="float16, float32, tiff, none"):
            Wanted("uint8")

    def test_labels_of_another_size(self, raw):
        np.save(raw / "labels.npy", np.ones((5, 5), np.int16))
        with pytest.raises(DataError, match="24, 24"):
            made_of(raw)


def killed(_):
    os.kill(os.getpid(), signal.SIGKILL)


class TestWorkers:
    @pytest.mark.study
    def test_a_worker_that_is_killed_is_one_message(self, raw, monkeypatch):
        monkeypatch.setattr(preprocess_module, "_attempt", killed)
        with pytest.raises(RunError, match="fewer --workers: what is done is kept"):
            made_of(raw, n_workers=2)

    @pytest.mark.study
    def test_what_waits_is_given_up_where_the_call_is_stopped(self, raw):
        """Ctrl-C waited for all sessions of the catalogue."""

        def stop(_):
            raise KeyboardInterrupt

        table = pd.concat([pd.read_csv(raw / "sessions.csv")] * 3, ignore_index=True)
        for k in range(6):
            np.save(raw / f"m{k}.npy", np.load(raw / "0.npy"))
        table["session"], table["movie"] = range(6), [f"m{k}.npy" for k in range(6)]
        table.to_csv(raw / "sessions.csv", index=False)
        with pytest.raises(KeyboardInterrupt):
            made_of(raw, n_workers=2, on_session=stop)
        assert len(list((raw / "made" / "quality").glob("*.json"))) < 6

    def test_pictures_that_were_lost_are_made_again(self, raw):
        made_of(raw)
        next((raw / "made" / "quality").glob("*.npz")).unlink()
        assert made_of(raw).n_made == 1
