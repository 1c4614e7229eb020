"""Pictures of a run: label images, maps by session, traces of regions, a minute of a movie."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from corticode.errors import DataError, MissingDataError, StudyError
from corticode.report.read_run import read_run
from corticode.report.run_pictures import (
    ClipRequest,
    read_clip,
    read_region_labels,
    read_region_traces,
    read_session_maps,
)
from corticode.report.session_trace import SessionTrace
from corticode.run.folder import Run

STUDY = {"data": {"catalogue": "../sessions.csv", "region_image": "../atlas.npy"}}


@pytest.fixture
def run(tmp_path):
    """An empty run folder beside recordings: two sessions of 90 s at 10 Hz, 32 x 20 pixels."""
    rows = []
    for session in ("a", "b"):
        movie = np.full((900, 32, 20), 1000, np.uint16)
        movie += np.arange(900, dtype=np.uint16)[:, None, None]
        np.save(tmp_path / f"{session}.npy", movie)
        rows.append(["m1", session, f"{session}.npy"])
    rows.append(["m2", "a", ""])
    np.save(tmp_path / "m2.npy", np.zeros((900, 3), np.float32))
    table = pd.DataFrame(rows, columns=["animal", "session", "movie"])
    table["traces"] = ["", "", "m2.npy"]
    table.to_csv(tmp_path / "sessions.csv", index=False)
    np.save(tmp_path / "atlas.npy", np.array([[0, 1], [2, 1]], np.uint8))
    (tmp_path / "run").mkdir()
    return Run(tmp_path / "run")


def trace(animal="m1", session="a", *, auc=0.9, worst=600, n_frames=880):
    target = np.zeros(n_frames, np.float32)
    score = target.copy()
    score[worst : worst + 100] = 0.9
    return SessionTrace("cnn", animal, session, 10, score, target, "binary", 10.0, auc)


class TestClip:
    def test_by_rule_it_is_about_the_worst_stretch_of_the_median_session(self, run):
        traces = [trace(auc=0.9), trace(session="b", auc=0.8), trace("m2", "a", auc=np.nan)]
        shown = read_clip(run.folder, STUDY, traces, ClipRequest())
        # Of an even number the lower of the middle two: m1/b. The worst ten seconds are frames 610
        # to 709; a minute about them would end at 960, beyond the movie's end.
        assert shown.trace.session == "b"
        assert shown.clip.first_frame == 300
        assert shown.clip.n_frames == 600
        assert "most wrong, of the median session" in shown.why
        early = read_clip(run.folder, STUDY, [trace(worst=300)], ClipRequest())
        assert early.clip.first_frame == 10 + 350 - 300

    def test_a_minute_that_was_asked_for(self, run):
        shown = read_clip(run.folder, STUDY, [trace()], ClipRequest("m1/a", 1))
        # The second minute holds half a minute of movie.
        assert (shown.clip.first_frame, shown.clip.n_frames) == (600, 300)
        middle = shown.clip.mean.mean()
        assert middle == pytest.approx(1000 + np.arange(600, 900).mean())
        assert shown.why == "minute 1, as was asked for"

    def test_what_is_not_there_is_told_with_what_is(self, run):
        with pytest.raises(StudyError, match="frames has minutes 0 to 1"):
            read_clip(run.folder, STUDY, [trace()], ClipRequest("m1/a", 2))
        with pytest.raises(StudyError, match=r"no session 'm1/c' was tested.*did you mean 'm1/a'"):
            read_clip(run.folder, STUDY, [trace()], ClipRequest("m1/c"))
        with pytest.raises(DataError, match="session m2/a has no movie"):
            read_clip(run.folder, STUDY, [trace("m2")], ClipRequest())
        with pytest.raises(MissingDataError, match="no session has a score"):
            read_clip(run.folder, STUDY, [], ClipRequest())
        with pytest.raises(MissingDataError, match="m3/a is not in the catalogue"):
            read_clip(run.folder, STUDY, [trace("m3")], ClipRequest())
        with pytest.raises(MissingDataError, match=r"study\.toml, which names"):
            read_clip(run.folder, {}, [trace()], ClipRequest())

    def test_a_movie_that_became_shorter_is_another(self, run):
        with pytest.raises(DataError, match="has 900 frames now, and frame 1009 of it was decoded"):
            read_clip(run.folder, STUDY, [trace(n_frames=1000)], ClipRequest())

    def test_without_a_frame_rate_a_minute_is_1800_frames(self, run):
        shown = read_clip(
            run.folder, STUDY, [replace(trace(), frame_rate_hz=None)], ClipRequest("m1/a", 0)
        )
        assert shown.clip.n_frames == 900
        assert shown.clip.rate_hz is None


def test_labels_are_found_from_the_run_folder(run):
    assert read_region_labels(run.folder, STUDY).tolist() == [[0, 1], [2, 1]]
    assert read_region_labels(run.folder, {"data": {}}) is None


def test_maps_by_session_are_means_over_decoders(run):
    names = [f"square {i + 1}-{j + 1}" for i in range(8) for j in range(8)]
    for seed, score in ((0, 0.1), (1, 0.3)):
        folder = run.map_folder("cnn", "occlusion", "f", seed)
        folder.mkdir(parents=True)
        (folder / "done.json").write_text(json.dumps({"details": {"image_shape": [32, 32]}}))
        table = pd.DataFrame({"mask": names, "animal": "7", "session": "01", "score": score})
        table.to_csv(folder / "occlusion_sessions.csv", index=False)
    found = read_session_maps(run, "cnn", "occlusion")
    assert list(found) == ["7/01"]
    assert found["7/01"] == pytest.approx(np.full((8, 8), 0.2))
    assert read_session_maps(run, "cnn", "other") == {}


def test_traces_of_regions_are_those_that_were_decoded(finished_run):
    values = read_run(finished_run.folder)
    kept = values.region_traces
    assert kept.names == ("1", "2", "3", "4", "5", "6")
    assert kept.values.shape == (400, 6)
    own = [one for one in values.traces if one.condition == "gru"]
    other = {"preprocess": {"detrend_frames": 7}}
    assert read_region_traces(finished_run, other, own, set(kept.names)) is None
    assert read_region_traces(finished_run, {}, own, {"border"}) is None
