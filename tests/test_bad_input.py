"""Every kind of bad input, by command: one message, exit code 2, nothing half-written."""

import errno
import json
import os
import pickle
import re
import shutil

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.io
import tifffile

from corticode.run.folder import Run

VERBS = ("run", "check")


def edit_catalogue(folder, **columns):
    """Give columns of the catalogue other values, for all sessions or, in a dict, for some rows."""
    path = folder / "sessions.csv"
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    for name, values in columns.items():
        if name not in table:
            table[name] = ""
        if not isinstance(values, dict):
            values = dict.fromkeys(table.index, values)
        for row, value in values.items():
            table.loc[row, name] = value
    table.to_csv(path, index=False)


def edit_study(folder, old, new):
    path = folder / "study.toml"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


class Evil:
    """Unpickling it writes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def missing_study(folder):
    (folder / "study.toml").unlink()


def missing_catalogue(folder):
    (folder / "sessions.csv").unlink()


def missing_traces(folder):
    (folder / "m2_s1.npy").unlink()


def missing_behavior(folder):
    (folder / "m2_s1.csv").unlink()


def missing_region_table(folder):
    edit_study(folder, '"sessions.csv"', '"sessions.csv"\nregions = "regions.csv"')


def empty_catalogue(folder):
    (folder / "sessions.csv").write_text("")


def catalogue_without_rows(folder):
    (folder / "sessions.csv").write_text("animal,session,traces\n")


def duplicate_session(folder):
    edit_catalogue(folder, session={1: "s1"})


def unknown_column(folder):
    table = pd.read_csv(folder / "sessions.csv").rename(columns={"behavior": "behaviour"})
    table.to_csv(folder / "sessions.csv", index=False)


def unknown_key(folder):
    edit_study(folder, "before = 5", "befor = 5")


def wrong_types(folder):
    edit_study(folder, "before = 5", 'before = "five"')
    edit_study(folder, 'signal = "run"', "signal = 3")
    edit_study(folder, 'by = "animal"', 'by = "mouse"')


def no_toml(folder):
    (folder / "study.toml").write_text("preset = ")


def truncated_tiff(folder):
    path = folder / "movie.tif"
    tifffile.imwrite(path, np.zeros((400, 8, 8), np.uint16), photometric="minisblack")
    path.write_bytes(path.read_bytes()[:20_000])
    # A study of traces opens the movies of recordings without traces alone.
    edit_catalogue(folder, movie={3: "movie.tif"}, traces={3: ""})


def mat_without_the_array(folder):
    arrays = {"dat_roi": np.zeros((400, 6)), "frames": np.arange(400.0)}
    scipy.io.savemat(folder / "m2_s1.mat", arrays)
    edit_catalogue(folder, traces={3: "m2_s1.mat::data_roi"})


def lengths_that_differ(folder):
    np.save(folder / "m2_s1.npy", np.load(folder / "m2_s1.npy")[:390])


def lengths_beyond_what_may_be_trimmed(folder):
    lengths_that_differ(folder)
    edit_study(folder, '"sessions.csv"', '"sessions.csv"\ntrim_frames = 9')


def turned_traces(folder):
    np.save(folder / "m2_s1.npy", np.load(folder / "m2_s1.npy").T)


def traces_with_three_axes(folder):
    np.save(folder / "m2_s1.npy", np.zeros((400, 6, 2)))


def axes_of_another_kind(folder):
    edit_catalogue(folder, traces_axes={3: "frames,region"})


def flat_traces(folder):
    for k, path in enumerate(folder.glob("*.npy")):
        np.save(path, np.full((400, 6), k, np.float32))


def one_region_that_is_flat(folder):
    for path in folder.glob("*.npy"):
        traces = np.load(path)
        traces[:, 4] = 1
        np.save(path, traces)
    edit_study(folder, 'name = "linear"', 'name = "linear"\nregions = [5]')


def no_window_left(folder):
    for path in folder.glob("*.npy"):
        traces = np.load(path)
        traces[::8] = np.nan
        np.save(path, traces)


def no_target_left(folder):
    for path in folder.glob("m*.csv"):
        pd.read_csv(path).assign(run=np.nan).to_csv(path, index=False)


def unequal_rates(folder):
    edit_catalogue(folder, frame_rate_hz={3: "30"})


def short_session(folder):
    np.save(folder / "m2_s1.npy", np.load(folder / "m2_s1.npy")[:10])
    pd.read_csv(folder / "m2_s1.csv")[:10].to_csv(folder / "m2_s1.csv", index=False)


def pickle_as_npy(folder):
    content = np.empty(1, dtype=object)
    content[0] = Evil(folder / "was loaded")
    np.save(folder / "m2_s1.npy", content, allow_pickle=True)


def bare_pickle_as_npy(folder):
    (folder / "m2_s1.npy").write_bytes(pickle.dumps(Evil(folder / "was loaded")))


def link_to_another_file(folder):
    with h5py.File(folder / "secret.h5", "w") as file:
        file["traces"] = np.zeros((400, 6))
    with h5py.File(folder / "m2_s1.h5", "w") as file:
        file["traces"] = h5py.ExternalLink("secret.h5", "/traces")
    edit_catalogue(folder, traces={3: "m2_s1.h5::traces"})


def data_in_another_file(folder):
    np.zeros((400, 6)).tofile(folder / "secret.raw")
    with h5py.File(folder / "m2_s1.h5", "w") as file:
        file.create_dataset(
            "traces", (400, 6), "f8", external=[(str(folder / "secret.raw"), 0, 400 * 6 * 8)]
        )
    edit_catalogue(folder, traces={3: "m2_s1.h5::traces"})


def signal_that_is_not_there(folder):
    edit_study(folder, 'signal = "run"', 'signal = "runn"')


def signal_without_threshold(folder):
    edit_study(folder, 'signal = "run"', 'signal = "speed"')


def signal_of_text(folder):
    edit_study(folder, 'signal = "run"', 'signal = "act"')


def two_animals(folder):
    table = pd.read_csv(folder / "sessions.csv")
    table[table["animal"] < "m3"].to_csv(folder / "sessions.csv", index=False)


def one_class_everywhere(folder):
    for path in folder.glob("m*.csv"):
        pd.read_csv(path).assign(run=1).to_csv(path, index=False)


def nothing_to_exchange(folder):
    edit_study(folder, 'name = "linear"', 'name = "linear"\npermute_labels = "segments"')


def the_same_file_twice(folder):
    edit_catalogue(folder, traces={3: "m1_s1.npy"})


def the_same_traces_for_two_sessions(folder):
    edit_catalogue(folder, traces={1: "m1_s1.npy"})


def rates_that_are_blank(folder):
    edit_catalogue(folder, frame_rate_hz={1: "", 4: ""})


def behavior_with_semicolons(folder):
    for path in folder.glob("m*.csv"):
        pd.read_csv(path).to_csv(path, index=False, sep=";", decimal=",")


def behavior_with_decimal_commas(folder):
    edit_study(folder, 'signal = "run"', 'signal = "speed"\nabove = 20')
    path = folder / "m2_s1.csv"
    pd.read_csv(path).to_csv(path, index=False, decimal=",")


def behavior_in_milliseconds(folder):
    times = np.arange(400) / 10
    np.savez(folder / "clocks.npz", frames=times, behavior=1000 * times)
    edit_catalogue(folder, frame_times="clocks.npz::frames", behavior_times="clocks.npz::behavior")


def no_class_above_the_threshold(folder):
    edit_study(folder, 'signal = "run"', 'signal = "speed"\nabove = 50')


def decimal_comma_in_the_study(folder):
    edit_study(folder, 'signal = "run"', 'signal = "speed"\nabove = 0,5')


def network_as_text(folder):
    edit_study(folder, '{ kind = "linear-window" }', '"linear-window"')


def regions_that_begin_with_not(folder):
    edit_study(folder, 'name = "linear"', 'name = "linear"\nregions = ["not vis"]')


def numbers_and_text(folder):
    edit_study(folder, 'signal = "run"', 'signal = "act"\nkind = "classes"')
    path = folder / "m2_s1.csv"
    pd.read_csv(path).assign(act=1).to_csv(path, index=False)


BAD = {
    missing_study: ["study file", "study.toml does not exist", "give the path of a TOML file"],
    missing_catalogue: ["there is no catalogue at", "sessions.csv", "give the path of a CSV"],
    missing_traces: ["row 5", "'traces'", "m2_s1.npy does not exist", "relative to the catalogue"],
    missing_behavior: ["row 5", "'behavior'", "m2_s1.csv does not exist", "relative to"],
    missing_region_table: ["regions.csv does not exist; paths are relative to the study file"],
    empty_catalogue: ["sessions.csv", "is empty", "one row a session"],
    catalogue_without_rows: ["sessions.csv", "it has no rows; write one row a session"],
    duplicate_session: ["row 3", "animal 'm1', session 's1' stands in row 2", "its own name"],
    unknown_column: ["sessions.csv", "'behaviour' is unknown; did you mean 'behavior'?"],
    unknown_key: ["study.toml", "'linear'", "unknown key 'befor'; did you mean 'before'?"],
    wrong_types: [
        "study.toml has 3 faults",
        'before = "five": a whole number is needed',
        "signal = 3: text in quotes is needed",
        "by = \"mouse\": it must be 'animal', 'day', 'session' or 'block'",
    ],
    no_toml: ["study.toml is not valid TOML"],
    truncated_tiff: ["movie.tif"],
    mat_without_the_array: ["m2_s1.mat", "data_roi", "dat_roi", "frames", "did you mean"],
    lengths_that_differ: [
        "session m2/s1 has unequal numbers of frames: traces 390, behaviour 'run' 400",
        "10 frames are more than an end that was cut: give frame_times and behavior_times",
    ],
    lengths_beyond_what_may_be_trimmed: [
        "traces 390",
        "([data] trim_frames = 9); 10 frames are more than an end",
    ],
    turned_traces: ["session m2/s1", "traces 6", "give traces_axes = 'region,time'"],
    traces_with_three_axes: ["session m2/s1", "(400, 6, 2)", "2 axes, time, region"],
    axes_of_another_kind: ["row 5", "'frames,region' is not an order of time,region"],
    flat_traces: ["no region varies in any of the 12 sessions", "traces_axes"],
    one_region_that_is_flat: ["no region that the decoder may see varies"],
    no_window_left: ["condition 'linear': no window of 11 frames is left", "shorten the window"],
    no_target_left: ["condition 'linear'", "no window of 11 frames is left", "check the target"],
    unequal_rates: ["frame rates (Hz) differ: 10 in 11", "30 in 1 (first m2/s1)", "resample_hz"],
    short_session: [
        "session 'm2/s1' has 10 frames; a window needs 11 (5 before + 1 + 5 after)",
        "take the session out of the catalogue",
    ],
    pickle_as_npy: ["m2_s1.npy"],
    bare_pickle_as_npy: ["m2_s1.npy"],
    link_to_another_file: ["m2_s1.h5", "secret.h5"],
    data_in_another_file: ["m2_s1.h5"],
    signal_that_is_not_there: ["m1_s1.csv has no signal 'runn'", "did you mean 'run'?"],
    signal_without_threshold: ["session m1/s1", "signal 'speed' holds", "give `above`"],
    signal_of_text: ["session m1/s1", "signal 'act' holds text", "choose kind 'classes'"],
    two_animals: ["need at least 3 animals", "got 2", "use [folds] by = 'session' or 'block'"],
    one_class_everywhere: ["fold", "has one class", "12 folds"],
    nothing_to_exchange: ["session 's1' of animal 'm1'", "permute_labels = 'sessions'"],
    the_same_file_twice: ["recordings m1/s1 and m2/s1 hold the same data", "correct the catalogue"],
    the_same_traces_for_two_sessions: [
        "row 3, column 'traces': sessions 's1' and 's2' of animal 'm1' name the same traces",
        "also in row 2); give each its own file",
    ],
    rates_that_are_blank: ["unknown in 2 (first m1/s2)", "fill in frame_rate_hz for m1/s2, m2/s2"],
    behavior_with_semicolons: [
        "m1_s1.csv is separated by semicolons; a .csv table needs commas",
        "a point in decimals (0.5)",
        "(the same in m1/s2, m1/s3, m2/s1, m2/s2, m2/s3 and 6 more)",
    ],
    behavior_with_decimal_commas: ["m2_s1.csv, column 'speed' has decimal commas", "with a point"],
    behavior_in_milliseconds: [
        "frame_times last 39.9 s",
        "behavior_times 3.99e+04 s",
        "behavior_times look like milliseconds: bring them to seconds (divided by 1,000)",
    ],
    no_class_above_the_threshold: ["fold", "has one class", "12 folds"],
    decimal_comma_in_the_study: ["not valid TOML", "has a decimal comma: write 0.5"],
    network_as_text: ['network = "linear-window": ', 'network = { kind = "linear-window" }'],
    regions_that_begin_with_not: ['regions = ["not", "vis"] keeps all the others'],
    numbers_and_text: ["'act'", "m2/s1", "text"],
}
# `check` goes on to the findings of these, which leave no fold to `run`.
NOT_CHECKED = (one_region_that_is_flat,)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("spoil", BAD, ids=lambda spoil: spoil.__name__)
def test_input(spoil, verb, linear_cohort, command_line, tmp_path):
    spoil(linear_cohort)
    out = tmp_path / "run"
    arguments = ["--out", out, "--device", "cpu"] if verb == "run" else []
    code, printed, told = command_line(verb, linear_cohort / "study.toml", *arguments)
    if verb == "check" and spoil in NOT_CHECKED:
        assert (code, "error" in told) == (0, False)
        return
    assert code == 2
    error = told[told.index("error: ") :]
    for piece in BAD[spoil]:
        assert piece in error
    assert "Traceback" not in told + printed
    assert not (linear_cohort / "was loaded").exists()
    assert not list(out.glob("*.csv"))
    assert not list(tmp_path.rglob("*.part"))


class TestFullDisk:
    @pytest.mark.parametrize("when", ["preparing", "fitting"])
    def test_ends_and_goes_on(self, linear_cohort, command_line, tmp_path, monkeypatch, when):
        arguments = ["run", linear_cohort / "study.toml", "--out", tmp_path / "run"]
        n_files = 0
        fsync = os.fsync

        def full(handle):
            nonlocal n_files
            n_files += 1
            if when == "preparing" or n_files > 25:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            fsync(handle)

        with monkeypatch.context() as patch:
            patch.setattr("os.fsync", full)
            code, _, told = command_line(*arguments)
        assert code == 2
        (message,) = [line for line in told.splitlines() if line.startswith("error: ")]
        assert re.search(r"cannot write .*: No space left on device; free some space", message)
        assert "then run the same command again" in message
        assert "Traceback" not in told
        assert not list((tmp_path / "run").glob("*.csv"))
        assert not list(tmp_path.rglob("*.part"))
        n_done = len(list(tmp_path.rglob("done.json")))
        assert (n_done > 0) == (when == "fitting")
        code, _, told = command_line(*arguments)
        assert code == 0
        assert f"12 fits, {n_done} of them finished before" in told
        assert len(Run(tmp_path / "run").read_table("scores")) == 12


@pytest.fixture
def own_run(finished_run, cohort, tmp_path):
    """A fit's folder of a finished run, to be damaged, and the run's command."""
    shutil.copytree(finished_run.folder, tmp_path / "run")
    fit = Run(tmp_path / "run").fit_folder("linear", "test-m1_valid-m2", 0)
    return fit, ["run", cohort / "study.toml", "--out", tmp_path / "run"]


class TestDamagedRun:
    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"key": "k"}', b"\x80\x04K\x01."])
    def test_done(self, own_run, command_line, content):
        fit, arguments = own_run
        (fit / "done.json").write_bytes(content)
        code, _, told = command_line(*arguments)
        assert code == 0
        assert "is done again, as it is damaged: done.json is damaged" in told
        assert "8 fits, 7 of them finished before" in told
        assert json.loads((fit / "done.json").read_text("utf-8"))["scores"]

    def test_prepared_sessions(self, own_run, command_line, tmp_path):
        fit, arguments = own_run
        (fit / "done.json").unlink()
        (path,) = (tmp_path / "run" / "prepared").glob("*/traces.npy")
        whole = path.read_bytes()
        for damaged in (whole[:1000], whole[:-1] + bytes([whole[-1] ^ 1])):
            path.write_bytes(damaged)
            code, *_ = command_line(*arguments)
            assert code == 0
            assert path.read_bytes() == whole


class TestDamagedDecoder:
    def predict(self, own_run, command_line, cohort, tmp_path):
        out = tmp_path / "said.csv"
        code, printed, told = command_line(
            "predict", own_run[0], cohort / "sessions.csv", "--out", out, "--device", "cpu"
        )
        assert "Traceback" not in told + printed
        assert not out.exists()
        return code, told

    @pytest.mark.parametrize("content", [b"", b"{}", b"\x00" * 100])
    def test_weights(self, own_run, command_line, cohort, tmp_path, content):
        (own_run[0] / "decoder.safetensors").write_bytes(content)
        code, told = self.predict(own_run, command_line, cohort, tmp_path)
        assert code == 2
        assert "decoder.safetensors holds no weights of this decoder" in told
        assert "fit the decoder again" in told

    def test_weights_of_another_decoder(
        self, own_run, finished_run, command_line, cohort, tmp_path
    ):
        other = finished_run.fit_folder("gru", "test-m1_valid-m2", 0) / "decoder.safetensors"
        (own_run[0] / "decoder.safetensors").write_bytes(other.read_bytes())
        code, told = self.predict(own_run, command_line, cohort, tmp_path)
        assert code == 2
        assert "decoder.safetensors holds no weights of this decoder" in told

    @pytest.mark.parametrize("name", ["decoder.safetensors", "decoder.json"])
    def test_files_of_another_decoder_of_its_kind(
        self, own_run, finished_run, command_line, cohort, tmp_path, name
    ):
        other = finished_run.fit_folder("linear", "test-m2_valid-m3", 0) / name
        (own_run[0] / name).write_bytes(other.read_bytes())
        code, told = self.predict(own_run, command_line, cohort, tmp_path)
        assert code == 2
        assert f"{name} is damaged (it is not the file that done.json beside it records" in told
        assert "'corticode run' with the study and folder of its run does so" in told

    def test_a_decoder_copied_alone(self, own_run, command_line, cohort, tmp_path):
        (own_run[0] / "done.json").unlink()
        arguments = ["predict", own_run[0], cohort / "sessions.csv", "--device", "cpu"]
        code, *_ = command_line(*arguments, "--out", tmp_path / "said.csv")
        assert code == 0

    @pytest.mark.parametrize("name", ["decoder.safetensors", "decoder.json"])
    def test_a_pickle_is_never_loaded(self, own_run, command_line, cohort, tmp_path, name):
        trap = tmp_path / "was loaded"
        (own_run[0] / name).write_bytes(pickle.dumps(Evil(trap)))
        code, told = self.predict(own_run, command_line, cohort, tmp_path)
        assert code == 2
        assert name in told
        assert not trap.exists()

    @pytest.mark.parametrize("content", ["", "{}", '{"format": 99}', '{"format": 1}'])
    def test_description(self, own_run, command_line, cohort, tmp_path, content):
        (own_run[0] / "decoder.json").write_text(content, "utf-8")
        code, told = self.predict(own_run, command_line, cohort, tmp_path)
        assert code == 2
        assert "decoder.json" in told

    def test_no_decoder(self, own_run, command_line, cohort, tmp_path):
        code, told = self.predict([tmp_path], command_line, cohort, tmp_path)
        assert code == 2
        assert "holds no decoder.json; give the folder of one fit" in told


class TestWarnings:
    """The run goes on; what is odd comes first and stands in excluded.csv."""

    def told_and_excluded(self, folder, command_line, tmp_path):
        code, _, told = command_line("run", folder / "study.toml", "--out", tmp_path / "run")
        assert code == 0
        lines = told.splitlines()
        n_warnings = lines.index("12 fits, 0 of them finished before")
        assert all(line.startswith("warning: ") for line in lines[:n_warnings])
        return "\n".join(lines[:n_warnings]), Run(tmp_path / "run").read_table("excluded")

    def test_frames_that_are_not_finite(self, linear_cohort, command_line, tmp_path):
        traces = np.load(linear_cohort / "m2_s1.npy")
        traces[100, 3], traces[200, 1] = np.nan, np.inf
        np.save(linear_cohort / "m2_s1.npy", traces)
        told, excluded = self.told_and_excluded(linear_cohort, command_line, tmp_path)
        (row,) = excluded.itertuples()
        assert (row.what, row.animal, row.session, row.count) == ("frames", "m2", "s1", 2)
        assert row.reason.startswith("2 of 400 frames have a region without a finite value")
        assert f"warning: animal 'm2', session 's1': {row.reason}" in told
        sessions = Run(tmp_path / "run").read_table("session_scores")
        n_windows = sessions.groupby(["animal", "session"])["n_windows"].first()
        assert n_windows["m2", "s1"] == 390 - 2 * 11
        assert n_windows["m2", "s2"] == 390

    def test_frames_without_behavior(self, linear_cohort, command_line, tmp_path):
        table = pd.read_csv(linear_cohort / "m2_s1.csv")
        table["run"] = table["run"].where(table.index >= 30)
        table.to_csv(linear_cohort / "m2_s1.csv", index=False)
        told, excluded = self.told_and_excluded(linear_cohort, command_line, tmp_path)
        (row,) = excluded.itertuples()
        assert (row.what, row.animal, row.session, row.item) == ("frames", "m2", "s1", "run")
        assert row.reason == "30 of 400 frames have no value; windows avoid them"
        assert row.count == 30
        assert row.reason in told

    def test_flat_region(self, linear_cohort, command_line, tmp_path):
        traces = np.load(linear_cohort / "m2_s1.npy")
        traces[:, 4] = 7
        np.save(linear_cohort / "m2_s1.npy", traces)
        told, excluded = self.told_and_excluded(linear_cohort, command_line, tmp_path)
        (row,) = excluded.itertuples()
        assert (row.what, row.animal, row.session, row.item) == ("region", "m2", "s1", "5")
        assert "warning: animal 'm2', session 's1', region '5': is flat and enters as 0" in told

    def test_region_missing_in_one_animal(self, linear_cohort, command_line, tmp_path):
        for name in ("m2_s1", "m2_s2", "m2_s3"):
            traces = np.load(linear_cohort / f"{name}.npy")
            traces[:, 5] = np.nan
            np.save(linear_cohort / f"{name}.npy", traces)
        told, excluded = self.told_and_excluded(linear_cohort, command_line, tmp_path)
        assert "animal 'm2', region '6': is missing in 3 of 12 sessions (m2) and left out" in told
        assert set(excluded["item"]) == {"6"}
        assert excluded["reason"].str.startswith("has no finite value").sum() == 3

    def test_speed_in_an_odd_unit(self, linear_cohort, command_line, tmp_path):
        edit_study(linear_cohort, 'signal = "run"', 'signal = "speed"\nabove = 0.2')
        for path in linear_cohort.glob("m*.csv"):
            table = pd.read_csv(path)
            table.assign(speed=table["speed"] / 100).to_csv(path, index=False)
        told, excluded = self.told_and_excluded(linear_cohort, command_line, tmp_path)
        assert "unit 'speed': 99th percentile of |speed| is 0." in told
        assert list(excluded["what"]) == ["unit"] * 12

    def test_folds_with_parts_of_one_class(self, linear_cohort, command_line, tmp_path):
        for path in [*linear_cohort.glob("m1_*.csv"), *linear_cohort.glob("m2_*.csv")]:
            pd.read_csv(path).assign(run=1).to_csv(path, index=False)
        told, excluded = self.told_and_excluded(linear_cohort, command_line, tmp_path)
        assert set(excluded["what"]) == {"fold", "session"}
        blank = excluded[excluded["what"] == "session"].set_index("animal")["reason"]
        assert blank.index.tolist() == ["m1", "m2"]
        assert blank["m1"].startswith("no auc in 'linear': 0 bouts of 0; 0.0 s of 0; 1 bout of 1 (")
        folds = excluded[excluded["what"] == "fold"]
        for fold, piece in (
            ("test-m3_valid-m4", "left out of 'linear': its training part has one class"),
            ("test-m1_valid-m3", "its test part has one class; AUC is empty"),
            ("test-m3_valid-m1", "its validation part has one class; the epoch is chosen by"),
        ):
            assert f": {piece}" in told
            assert (folds.loc[folds["item"] == fold, "reason"].str.startswith(piece)).any()
        scores = Run(tmp_path / "run").read_table("scores").set_index("test_animal")
        assert scores.loc[["m1", "m2"], "auc"].isna().all()
        assert (scores.loc[["m3", "m4"], "auc"] > 0.9).all()

    def test_dropped_and_trimmed_frames(self, linear_cohort, command_line, tmp_path):
        lengths_that_differ(linear_cohort)
        edit_study(linear_cohort, '"sessions.csv"', '"sessions.csv"\ntrim_frames = 10')
        told, excluded = self.told_and_excluded(linear_cohort, command_line, tmp_path)
        assert "10 frames were cut from the tail of behaviour 'run'" in told
        assert list(excluded["count"]) == [10]
