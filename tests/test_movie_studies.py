"""Decoding from movies through a whole run: what the parts' own tests cannot see."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from corticode.data.catalogue import read_catalogue
from corticode.decode.decoder import load_decoder
from corticode.decode.predictions import Predictions
from corticode.decode.settings import Augment, Network, Training
from corticode.errors import DataError, DecoderError, StudyError
from corticode.run.check import check_study
from corticode.run.fits import predict_recordings
from corticode.run.folder import Run
from corticode.run.plan import plan_study
from corticode.study.study import read_study, resolve

STUDY = """
preset = "code"
[data]
catalogue = "sessions.csv"
[target]
signal = "run"
[folds]
only = ["test-m1_valid-m2", "test-m2_valid-m3"]
[[condition]]
name = "traces"
preprocess = { detrend_frames = 0 }
window = { before = 2, after = 2 }
network = { kind = "linear-window" }
[[condition]]
name = "cnn-gru"
input = "movie"
start_from = "cnn"
preprocess = { correction = "none" }
window = { before = 2, after = 2 }
network = { kind = "cnn-gru", backbone = "efficientnet-lite0", units = 8 }
[condition.training]
epochs = 1
learning_rate = 3e-4
freeze_batch_norm = true
label_smoothing = 0.0
windows = "shared"
drop_last = false
[[condition]]
name = "cnn"
input = "movie"
preprocess = { correction = "none" }
network = { backbone = "efficientnet-lite0" }
[condition.training]
epochs = 2
batch_size = 32
learning_rate = 1e-3
freeze_batch_norm = true
windows = "shared"
drop_last = false
"""
SIDE = 32


def write_session(folder, name, rng, n_frames=150):
    """A movie whose left half is brighter in running, traces of both halves, and behaviour."""
    run = (np.arange(n_frames) // 15 % 2).astype(int)
    frames = rng.normal(200, 10, (n_frames, SIDE, SIDE))
    frames[:, :, : SIDE // 2] += 25 * run[:, None, None]
    np.save(folder / f"{name}_movie.npy", frames.astype(np.uint16))
    halves = frames.reshape(n_frames, SIDE, 2, SIDE // 2).mean(axis=(1, 3))
    np.save(folder / f"{name}_traces.npy", halves.astype(np.float32))
    pd.DataFrame({"run": run}).to_csv(folder / f"{name}.csv", index=False)


@pytest.fixture(scope="module")
def movie_cohort(tmp_path_factory):
    folder = tmp_path_factory.mktemp("movies") / "cohort"
    folder.mkdir()
    rows = []
    for a in (1, 2, 3):
        for s in (1, 2):
            name = f"m{a}_s{s}"
            write_session(folder, name, np.random.default_rng([a, s]))
            files = [f"{name}_traces.npy", f"{name}_movie.npy", f"{name}.csv"]
            rows.append([f"m{a}", f"s{s}", *files, 10])
    columns = ["animal", "session", "traces", "movie", "behavior", "frame_rate_hz"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "sessions.csv", index=False)
    (folder / "study.toml").write_text(STUDY, "utf-8")
    return folder


@pytest.fixture
def own_movies(movie_cohort, tmp_path):
    return shutil.copytree(movie_cohort, tmp_path / "cohort")


@pytest.fixture(scope="module")
def finished(movie_cohort, run_inline, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    summary, tasks = run_inline(movie_cohort, out)
    return Run(out), summary, tasks


def test_a_plan_tries_movies_and_writes_nothing(movie_cohort):
    before = set(movie_cohort.rglob("*"))
    cost = plan_study(read_study(movie_cohort / "study.toml"))
    assert set(movie_cohort.rglob("*")) == before
    assert {(one.network, one.n_fits) for one in cost.kinds} == {
        ("linear-window", 2),
        ("cnn", 2),
        ("cnn-gru", 2),
    }
    assert all(one.windows_per_s > 0 for one in cost.kinds)
    # Two decoders of each of two conditions, of more than three million weights.
    assert cost.disk_gb > 4 * 4 * 3e6 / 1e9


def test_blood_that_was_taken_out_before_is_not_said_to_be_left_in(own_movies):
    found = check_study(read_study(own_movies / "study.toml")).findings
    assert not [one for one in found if one.item == "preprocess.correction"]
    table = pd.read_csv(own_movies / "sessions.csv")
    table["history"] = "dF/F, F0: mean (whole session); blood: heartbeat (whole session)"
    table.to_csv(own_movies / "sessions.csv", index=False)
    found = check_study(read_study(own_movies / "study.toml")).findings
    told = [one.reason for one in found if one.item == "preprocess.correction"]
    assert len(told) == 2 and all("6 recordings (heartbeat" in one for one in told)
    assert all("'done-elsewhere'" in one for one in told)


@pytest.mark.study
class TestRun:
    def test_conditions_of_traces_and_movies_stand_side_by_side(self, finished):
        scores = finished[0].read_table("animal_scores")
        assert list(dict.fromkeys(scores["condition"])) == ["traces", "cnn", "cnn-gru"]
        means = scores.groupby("condition")["value"].mean()
        assert means["traces"] > 0.95
        assert means["cnn"] > 0.8
        assert means["cnn-gru"] > 0.8

    def test_a_fit_comes_after_the_one_it_starts_from(self, finished):
        _, _, tasks = finished
        order = [task.folder for task in tasks]
        for task in tasks:
            if task.start_folder is not None:
                assert order.index(task.start_folder) < order.index(task.folder)
        assert sum(task.start_folder is not None for task in tasks) == 2

    def test_windows_say_what_they_saw(self, finished):
        run, _, tasks = finished
        folder = next(t.folder for t in tasks if t.condition.name == "cnn-gru")
        predictions = Predictions.load(folder / "predictions.npz")
        # 150 frames a session; the window spans 2 + 1 + 2 images and a frame more on each side.
        assert (predictions.part == 2).sum() == 2 * 144
        assert predictions.frame.min() == 3
        assert predictions.frame.max() == 146
        scores = run.read_table("scores").set_index("condition")
        assert (scores["look_ahead_s"] == np.inf).all()

    def test_again_nothing_is_done_again(self, finished, movie_cohort, run_inline):
        summary, tasks = run_inline(movie_cohort, finished[0].folder)
        assert tasks == []
        assert summary.n_kept == 6

    def test_the_store_holds_no_frames(self, finished, movie_cohort):
        kept = finished[0].folder / "prepared"
        n_bytes = sum(path.stat().st_size for path in kept.rglob("*") if path.is_file())
        movies = sum(path.stat().st_size for path in movie_cohort.glob("*_movie.npy"))
        # Movies this small have statistics that weigh; none of 18,000 frames does.
        assert n_bytes < 0.6 * movies

    def test_lost_statistics_are_taken_again(self, own_movies, run_inline, tmp_path):
        self._only_cnn(own_movies)
        run_inline(own_movies, tmp_path / "run")
        kept = sorted((tmp_path / "run" / "prepared" / "movies").glob("*.npz"))
        assert len(kept) == 6
        kept[0].unlink()
        kept[1].write_bytes(b"spoilt")
        summary, tasks = run_inline(own_movies, tmp_path / "run")
        assert tasks == []
        assert all(path.stat().st_size > 1000 for path in kept)
        assert summary.n_kept == 1

    def test_a_movie_that_changed_is_measured_again_and_said_so(
        self, own_movies, run_inline, tmp_path
    ):
        self._only_cnn(own_movies)
        before, _ = run_inline(own_movies, tmp_path / "run")
        assert not [f for f in before.findings if "changed since" in f.reason]
        write_session(own_movies, "m1_s1", np.random.default_rng(99))
        after, tasks = run_inline(own_movies, tmp_path / "run")
        said = [f for f in after.findings if "changed since" in f.reason]
        assert [(f.animal, f.session) for f in said] == [("m1", "s1")]
        assert after.n_changed == len(tasks) == 1

    def _only_cnn(self, folder):
        text = STUDY.replace(
            STUDY[STUDY.index("[[condition]]") : STUDY.rindex("[[condition]]")], ""
        )
        text = text.replace(', "test-m2_valid-m3"', "").replace("epochs = 2", "epochs = 1")
        text = text.replace('"code"\n[data]', '"code"\n[data]').replace(
            "freeze_batch_norm", "share = 0.1\nfreeze_batch_norm"
        )
        (folder / "study.toml").write_text(text, "utf-8")

    def test_test_animals_change_no_trained_number(self, own_movies, run_inline, tmp_path):
        self._only_cnn(own_movies)
        states = []
        for k in range(2):
            _, tasks = run_inline(own_movies, tmp_path / f"run{k}")
            states.append((tasks[0].folder / "decoder.safetensors").read_bytes())
            for s in (1, 2):
                write_session(own_movies, f"m1_s{s}", np.random.default_rng([7, s]))
        assert states[0] == states[1]


CUT_OUT = """
[[map]]
condition = "cnn"
kind = "occlusion"
every_n_frames = 4
n_orders = 2
"""


@pytest.mark.study
def test_squares_have_a_map_and_tell_what_they_took(finished, own_movies, run_inline, tmp_path):
    path = own_movies / "study.toml"
    path.write_text(path.read_text("utf-8") + CUT_OUT, "utf-8")
    out = shutil.copytree(finished[0].folder, tmp_path / "run")
    summary, tasks = run_inline(own_movies, out)
    assert (summary.n_kept, len(tasks)) == (6, 2)
    table = Run(out).read_table("occlusion")
    # Half of the image tells: no square alone is missed.
    assert table["mask"].tolist()[::63] == ["cell 1-1", "cell 8-8"]
    assert table["score"].abs().max() < 0.05
    assert (table["thinning_se"] > 0).any()
    assert not table["outside_brain"].any()
    done = json.loads((tasks[0].folder / "done.json").read_text("utf-8"))
    # 37 of the 148 images of each session, as they are and under 64 squares.
    assert done["details"]["cnn_passes"] == pytest.approx(2 * 37 * 65, abs=2 * 65)


@pytest.mark.study
class TestPredict:
    def test_says_what_the_run_said(self, finished, movie_cohort):
        _, _, tasks = finished
        task = next(t for t in tasks if t.condition.name == "cnn-gru")
        recordings = read_catalogue(movie_cohort / "sessions.csv")
        own = [r for r in recordings if r.animal == task.fold.test[0].animal]
        again = predict_recordings(load_decoder(task.folder), own)
        kept = Predictions.load(task.folder / "predictions.npz")
        np.testing.assert_allclose(again.score, kept.score[kept.part == 2], atol=1e-5)

    def test_frames_of_another_size_are_refused(self, finished, own_movies):
        task = next(t for t in finished[2] if t.condition.name == "cnn")
        path = own_movies / "m1_s1_movie.npy"
        np.save(path, np.load(path)[:, :, :24])
        recordings = read_catalogue(own_movies / "sessions.csv")[:1]
        with pytest.raises(DecoderError, match=r"frames of \(32, 24\) pixels .* on \(32, 32\)"):
            predict_recordings(load_decoder(task.folder), recordings)

    def test_the_decoder_says_how_movies_were_treated(self, finished):
        task = next(t for t in finished[2] if t.condition.name == "cnn")
        described = json.loads((task.folder / "decoder.json").read_text("utf-8"))
        assert described["recipe"]["pixels"]["correction"] == "none"
        assert described["recipe"]["image_shape"] == [32, 32]
        assert described["network"]["backbone"] == "efficientnet-lite0"


class TestFaults:
    @pytest.fixture
    def faults(self, own_movies):
        def read(change, text=STUDY):
            (own_movies / "study.toml").write_text(change(text), "utf-8")
            return check_study(read_study(own_movies / "study.toml")).faults

        return read

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            (
                '{ correction = "none" }',
                "{}",
                "condition 'cnn': it decodes movies, so state what is done about blood",
            ),
            ('{ correction = "none" }', '{ correction = "none", scale = "min-max" }', "is for reg"),
            ("{ detrend_frames = 0 }", '{ detrend_frames = 0, mask = "brain" }', "is for movies"),
            ('start_from = "cnn"', 'start_from = "cnnn"', "no condition; did you mean 'cnn'"),
            ('start_from = "cnn"', 'start_from = "cnn-gru"', "a circle"),
            (
                'start_from = "cnn"',
                'start_from = "cnn"\npermute_labels = "sessions"',
                "saw other labels",
            ),
            ('name = "cnn"\n', 'name = "cnn"\nwindow = { after = 1 }\n', "reads one image"),
            ('kind = "cnn-gru"', 'kind = "gru"', "needs a network of kind cnn"),
            ('kind = "linear-window"', 'kind = "cnn"', "decodes movies, and input is 'traces'"),
        ],
    )
    def test_of_the_study_file(self, own_movies, old, new, message):
        assert old in STUDY
        (own_movies / "study.toml").write_text(STUDY.replace(old, new), "utf-8")
        with pytest.raises(StudyError, match=message):
            read_study(own_movies / "study.toml")

    def test_frames_of_different_sizes(self, own_movies, faults):
        path = own_movies / "m2_s1_movie.npy"
        np.save(path, np.load(path)[:, :30])
        found = faults(lambda text: text)
        assert any("different sizes" in f and "m2/s1 30 x 32" in f for f in found)

    def test_a_session_without_movie(self, own_movies, faults):
        table = pd.read_csv(own_movies / "sessions.csv")
        table.loc[3, "movie"] = np.nan
        table.to_csv(own_movies / "sessions.csv", index=False)
        assert any("session m2/s2 has no movie" in f for f in faults(lambda text: text))

    def test_no_reference_channel(self, faults):
        found = faults(lambda text: text.replace('"none" }', '"reference-regression" }'))
        assert any("m1/s1 has no reference channel" in f for f in found)

    def test_a_movie_shorter_than_a_window(self, faults):
        found = faults(
            lambda text: text.replace(
                'window = { before = 2, after = 2 }\nnetwork = { kind = "cnn-gru"',
                'window = { before = 80, after = 80 }\nnetwork = { kind = "cnn-gru"',
            )
        )
        assert any("150 frames; a window needs 163" in f for f in found)

    @pytest.mark.parametrize("shift", ["shift_pixels = 32", "shift_pixels = 40"])
    def test_shifts_larger_than_the_images(self, faults, shift):
        found = faults(lambda text: text + f"augment = {{ {shift} }}\n")
        said = f"'cnn': training augment shifts by up to {shift[-2:]} pixels, and the images have"
        assert any(said in f and "32 x 32" in f for f in found)

    @pytest.mark.parametrize("sides", ["left,left", "left,right"])
    def test_a_mirror_where_regions_are_of_one_side(self, own_movies, sides):
        first, second = sides.split(",")
        table = f"name,side\n1,{first}\n2,{second}\n"
        (own_movies / "regions.csv").write_text(table, "utf-8")
        text = STUDY.replace('"sessions.csv"', '"sessions.csv"\nregions = "regions.csv"')
        (own_movies / "study.toml").write_text(text + "augment = { mirror = 0.5 }\n", "utf-8")
        report = check_study(read_study(own_movies / "study.toml"))
        said = [one for one in report.findings if one.item == "training.augment.mirror"]
        assert len(said) == (first == second)

    def test_pixels_that_never_change(self, own_movies, run_inline, tmp_path):
        np.save(own_movies / "m3_s1_movie.npy", np.full((150, SIDE, SIDE), 7, np.uint16))
        with pytest.raises(DataError, match=r"m3/s1.*no pixel of the movie ever changes"):
            run_inline(own_movies, tmp_path / "run")

    def test_weights_that_are_not_there(self, own_movies, run_inline, tmp_path):
        text = STUDY.replace(
            'network = { backbone = "efficientnet-lite0" }',
            'network = { backbone = "efficientnet-lite0", weights = "mine.pth" }',
        )
        (own_movies / "study.toml").write_text(text, "utf-8")
        found = check_study(read_study(own_movies / "study.toml")).faults
        assert any("mine.pth" in f for f in found)

    def test_two_wavelengths_that_are_not_named(self, own_movies, faults):
        path = own_movies / "m1_s2_movie.npy"
        movie = np.load(path)
        movie[1::2] //= 2
        np.save(path, movie)
        found = faults(lambda text: text)
        assert any("m1/s2: even and odd frames" in f and "channels =" in f for f in found)


class TestFoldsOfACondition:
    def test_are_the_only_ones_fitted(self, own_movies, run_inline, tmp_path):
        text = STUDY[: STUDY.index('[[condition]]\nname = "cnn-gru"')]
        more = '[[condition]]\nname = "one"\nlike = "traces"\nfolds = ["test-m2_valid-m3"]\n'
        (own_movies / "study.toml").write_text(text + more, "utf-8")
        _, tasks = run_inline(own_movies, tmp_path / "run")
        found = [(task.condition.name, task.fold.name) for task in tasks]
        assert found == [
            ("traces", "test-m1_valid-m2"),
            ("traces", "test-m2_valid-m3"),
            ("one", "test-m2_valid-m3"),
        ]
        # The same fold of the same settings has the same key, whatever chose it.
        assert tasks[1].key == tasks[2].key

    def test_that_do_not_exist_are_a_fault(self, own_movies):
        text = STUDY.replace('name = "cnn"\n', 'name = "cnn"\nfolds = ["test-m2_valid-m4"]\n')
        (own_movies / "study.toml").write_text(text, "utf-8")
        faults = check_study(read_study(own_movies / "study.toml")).faults
        assert any("condition 'cnn', folds, names 'test-m2_valid-m4'" in f for f in faults)


def test_extract_gives_a_catalogue_for_both_kinds(own_movies, command_line, tmp_path):
    halves = np.ones((SIDE, SIDE), np.uint8)
    halves[:, SIDE // 2 :] = 2
    np.save(own_movies / "labels.npy", halves)
    code, printed, told = command_line(
        "extract",
        own_movies / "sessions.csv",
        tmp_path / "out",
        "--labels",
        own_movies / "labels.npy",
        "--baseline",
        "percentile",
    )
    assert code == 0
    assert "names the traces beside the movies" in printed
    assert told.count(" done") == 6
    study = STUDY.replace('"sessions.csv"', f'"{tmp_path}/out/sessions.csv"')
    (tmp_path / "study.toml").write_text(study, "utf-8")
    assert check_study(read_study(tmp_path / "study.toml")).faults == []


ONLINE = """
preset = "online"
[data]
catalogue = "sessions.csv"
[target]
signal = "run"
[[condition]]
name = "cnn"
input = "movie"
preprocess = { correction = "none" }
network = { kind = "cnn" }
[[condition]]
name = "cnn-gru"
input = "movie"
preprocess = { correction = "none" }
network = { kind = "cnn-gru" }
"""
LITE = """
network = { kind = "cnn", backbone = "efficientnet-lite0" }
[[condition]]
name = "efficientnet-gru"
input = "movie"
preprocess = { correction = "none" }
network = { kind = "cnn-gru", backbone = "efficientnet-lite0" }
[[condition]]
name = "alone"
input = "movie"
preprocess = { correction = "none" }
"""


class TestPresets:
    @pytest.fixture
    def conditions(self, own_movies):
        def read(text):
            (own_movies / "study.toml").write_text(text, "utf-8")
            return [
                resolve(keys, 30.0) for keys in read_study(own_movies / "study.toml").conditions
            ]

        return read

    @pytest.mark.parametrize("preset", ["recommended", "online", "text", "code"])
    def test_have_defaults_for_movies(self, conditions, preset):
        cnn, recurrent = conditions(ONLINE.replace("online", preset))
        assert cnn.window.n_frames == 1
        assert (cnn.network.kind, recurrent.network.kind) == ("cnn", "cnn-gru")
        assert recurrent.network.backbone == cnn.network.backbone
        assert cnn.training.schedule == recurrent.training.schedule == "one-cycle"
        published = preset in ("text", "code")
        assert (cnn.network.backbone == "efficientnet-b0") is published
        assert (cnn.training.batch_size == 512) is published
        assert cnn.pixels.scale == {"text": "variance", "code": "sd"}.get(preset, "fluctuation")
        assert cnn.pixels.causal is (preset == "online")
        assert cnn.pixels.detrend_frames == (None if published else 999)
        assert recurrent.window.n_frames == (11 if published else 31)
        assert recurrent.training.batch_size == (32 if published else 64)
        augment = Augment() if published else Augment(shift_fraction=0.0625)
        assert recurrent.training.augment == cnn.training.augment == augment

    def test_recommended_is_the_small_cnn_with_shifted_windows(self, conditions):
        cnn, recurrent, lite, lite_recurrent, alone = conditions(
            ONLINE.replace("online", "recommended")
            + '[[condition]]\nname = "lite"\ninput = "movie"\n'
            + 'preprocess = { correction = "none" }'
            + LITE
        )
        assert cnn.network == Network("cnn", backbone="small")
        assert alone.network == recurrent.network
        assert recurrent.network == Network("cnn-gru", backbone="small", temporal_stride=3)
        assert recurrent.window.n_frames == 31
        for one in (cnn, recurrent):
            assert one.training.windows == "independent"
            assert one.training.augment == Augment(shift_fraction=0.0625)
        # An EfficientNet is fine-tuned as before there was another.
        for one, n_frames, batch_size in ((lite, 1, 128), (lite_recurrent, 11, 32)):
            assert one.window.n_frames == n_frames
            assert (one.network.temporal_stride, one.network.flavour) == (1, "tensorflow")
            assert one.training == Training(
                epochs=3,
                batch_size=batch_size,
                learning_rate=1e-3 if n_frames == 1 else 3e-4,
                optimiser="fastai-adam",
                schedule="one-cycle",
                validations=4,
                patience=6,
                freeze_batch_norm=n_frames > 1,
                mixed_precision=n_frames > 1,
            )

    def test_shifts_are_given_in_pixels_instead(self, conditions):
        _, recurrent = conditions(
            ONLINE.replace("online", "recommended")
            + "training = { augment = { shift_pixels = 2, gain = 0.1 } }\n"
        )
        assert recurrent.training.augment == Augment(shift_pixels=2, gain=0.1)

    def test_online_looks_at_nothing_that_is_still_to_come(self, own_movies, run_inline, tmp_path):
        for path in own_movies.glob("*_movie.npy"):
            np.save(path, np.tile(np.load(path), (3, 1, 1)))
            name = path.name.replace("_movie.npy", "")
            table = pd.read_csv(own_movies / f"{name}.csv")
            pd.concat([table] * 3).to_csv(own_movies / f"{name}.csv", index=False)
            np.save(own_movies / f"{name}_traces.npy", np.random.rand(450, 2))  # noqa: NPY002
        text = ONLINE[: ONLINE.index('[[condition]]\nname = "cnn-gru"')]
        text = text.replace('"run"', '"run"\n[folds]\nonly = ["test-m1_valid-m2"]')
        text += "training = { epochs = 1, share = 0.1, batch_size = 16 }\n"
        (own_movies / "study.toml").write_text(text, "utf-8")
        run_inline(own_movies, tmp_path / "run")
        run = Run(tmp_path / "run")
        assert run.read_table("scores")["look_ahead_s"].tolist() == [0.0]
        folder = run.fit_folder("cnn", "test-m1_valid-m2", 0)
        predictions = Predictions.load(folder / "predictions.npz")
        # Statistics of the past are there from frame 256 on; the image is centred a frame earlier.
        assert predictions.frame.min() == 258
        assert predictions.frame.max() == 449
