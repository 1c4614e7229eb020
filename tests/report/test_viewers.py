"""Tests."""

import base64
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corticode.errors import DataError
from corticode.explain.importance_map import ImportanceMap
from corticode.report.map_figures import outline
from corticode.report.values import SessionTrace, ShownClip
from corticode.report.viewers import (
    MISSING,
    MOST_MAPS,
    MOST_VALUES,
    STEPS,
    cut_clip,
    pack_clip,
    pack_maps,
    pack_traces,
    svg_path,
)


def unpacked(part):
    bytes_ = np.frombuffer(base64.b64decode(part["bytes"]), np.uint8).astype(float)
    values = part["low"] + bytes_ / STEPS * (part["high"] - part["low"])
    return np.where(bytes_ == MISSING, np.nan, values)


def test_probability_is_kept_to_a_step(make_trace):
    trace = make_trace()
    packed, n_left_out = pack_traces([trace])
    assert n_left_out == 0
    assert np.abs(unpacked(packed[0]["score"]) - trace.score).max() < 1 / STEPS


@given(st.lists(st.one_of(st.just(np.nan), st.floats(-1e3, 1e3, width=32)), min_size=1))
def test_values_come_back_and_what_is_missing_stays_so(values):
    score = np.array(values, np.float32)
    packed, _ = pack_traces([SessionTrace("g", "m", "s", 0, score, score, "value")])
    back = unpacked(packed[0]["score"])
    assert np.array_equal(np.isnan(back), np.isnan(score))
    spread = packed[0]["score"]["high"] - packed[0]["score"]["low"]
    assert np.nanmax(np.abs(back - score), initial=0) <= spread / STEPS + 1e-3


def test_it_is_plain_json(make_trace):
    trace = replace(make_trace(), auc=float("nan"), speed=np.zeros(600, np.float32))
    packed, _ = pack_traces([trace])
    assert json.loads(json.dumps(packed, allow_nan=False))[0]["auc"] is None


def test_what_has_no_room_is_counted(make_trace):
    packed, n_left_out = pack_traces([make_trace(session=f"{k}") for k in range(5)], 4000)
    assert (len(packed), n_left_out) == (2, 3)


def test_classes_have_their_own_range(make_trace):
    trace = make_trace()
    packed, _ = pack_traces([replace(trace, kind="classes", target=trace.target * 3)])
    assert packed[0]["target"]["high"] == pytest.approx(3)


@pytest.fixture
def regions():
    return pd.DataFrame(
        {"name": ["a", "b"], "group": ["M", "none"], "row": [5.0, 9.0], "column": [6.0, 20.0]}
    )


@pytest.fixture
def shap():
    values = np.array([[0.1, 0.2], [0.3, 0.4]])
    return ImportanceMap(
        "deep-shap", "share", ("frame", "region"), values, names=("a", "b"), frames=(-1, 0),
        frame_rate_hz=10.0,
    )  # fmt: skip


def test_values_come_from_the_tables(make_values, regions, shap):
    table = pd.DataFrame(
        {"condition": "gru", "map": "deep-shap", "rank": [1, 2], "region": ["b", "a"],
         "share": [0.6, 0.4], "low": [0.5, np.nan], "high": [0.7, np.nan], "n_animals": 3}
    )  # fmt: skip
    values = make_values(
        maps={("gru", "deep-shap"): shap}, regions=regions, tables={"map_regions": table}
    )
    packed, n_left_out = pack_maps(values)
    one = json.loads(json.dumps(packed, allow_nan=False))["maps"][0]
    assert n_left_out == 0
    # In the order of the map, not of ranks; of what is unknown nothing is said.
    assert one["items"] == [["a", 0.4, None, None, "M"], ["b", 0.6, 0.5, 0.7, ""]]
    assert one["n_animals"] == 3
    assert one["frames"] == ["-1 (-0.10 s)", "+0 (+0.00 s)"]
    laid = np.frombuffer(base64.b64decode(one["grid"]["bytes"]), np.uint8).reshape(2, 2)
    assert laid / 254 * one["grid"]["high"] == pytest.approx(shap.absolute.T, abs=0.4 / 254)
    assert "a" in packed["outlines"]
    assert packed["box"].split() == ["0", "-1", "26", "16"]


def test_cells_of_an_occlusion_keep_their_sign(make_values):
    found = ImportanceMap("occlusion", "AUC", ("row", "column"), np.eye(2), signed=-np.eye(2))
    table = pd.DataFrame(
        {"condition": "cnn", "map": "covered", "mask": ["cell 1-1", "cell 1-2"], "score": [-1, 0],
         "low": -2.0, "high": 0.5, "n_animals": 2}
    )  # fmt: skip
    values = make_values(maps={("cnn", "covered"): found}, tables={"occlusion": table})
    one = pack_maps(values)[0]["maps"][0]
    assert one["is_signed"]
    assert one["items"][0] == ["cell 1-1", -1, -2, 0.5, ""]
    assert one["items"][3] == ["cell 2-2", None, None, None, ""]
    assert (one["grid"]["low"], one["grid"]["high"]) == (-1, 1)


def test_controls_are_not_among_them_and_the_rest_is_counted(make_values, shap):
    maps = {("permuted", "deep-shap"): shap} | {("gru", f"{k}"): shap for k in range(MOST_MAPS + 2)}
    packed, n_left_out = pack_maps(make_values(maps=maps))
    assert [one["title"] for one in packed["maps"][:2]] == ["0 of gru", "1 of gru"]
    assert (len(packed["maps"]), n_left_out) == (MOST_MAPS, 2)
    assert packed["outlines"] == {}


def test_a_map_over_regions_alone_has_no_grid(make_values):
    found = ImportanceMap("occlusion", "AUC", ("region",), np.ones(2), names=("a", "b"))
    one = pack_maps(make_values(maps={("gru", "occlusion"): found}))[0]["maps"][0]
    assert "grid" not in one
    assert one["unit"] == "loss of AUC"


def test_a_hole_is_a_part_of_the_path():
    ring = np.ones((3, 3), bool)
    ring[1, 1] = False
    assert svg_path(outline(ring)).count("M") == 2


def unpacked_clip(part):
    found = np.frombuffer(base64.b64decode(part["bytes"]), np.uint8).astype(float)
    values = part["low"] + found / STEPS * (part["high"] - part["low"])
    return np.where(found == MISSING, np.nan, values)


@pytest.fixture
def shown(make_trace):
    """A clip that begins five frames before its trace, 4 frames a picture."""
    rng = np.random.default_rng(0)
    movie = 1000 + 10 * rng.normal(size=(200, 8, 6))
    trace = make_trace(n_frames=600)
    return ShownClip(cut_clip(movie, trace.first_frame - 5, 160, 40.0), trace, "asked for")


def test_pictures_come_back(shown):
    packed = json.loads(json.dumps(pack_clip(shown), allow_nan=False))
    assert (packed["rows"], packed["columns"], packed["step"]) == (8, 6, 4)
    back = unpacked_clip(packed["changes"]).reshape(shown.clip.changes.shape)
    reach = packed["changes"]["high"]
    assert back == pytest.approx(np.clip(shown.clip.changes, -reach, reach), abs=reach / STEPS)
    assert np.abs(unpacked_clip(packed["mean"]) - shown.clip.mean.ravel()).max() < 0.1


def test_probability_and_label_are_in_step(shown):
    packed = pack_clip(shown)
    score, target = (unpacked_clip(packed[name]) for name in ("score", "target"))
    assert score.size == target.size == 40
    # Picture 0 holds four frames before the trace, picture 1 one of them and three of its own.
    assert np.isnan(score[0])
    assert score[1] == pytest.approx(shown.trace.score[:3].mean(), abs=1 / STEPS)
    assert score[9] == pytest.approx(shown.trace.score[31:35].mean(), abs=1 / STEPS)
    # The first 60 frames are rest: pictures 2 to 15 hold these alone, picture 16 three of class 1.
    assert target[15:18] == pytest.approx([0, 0.75, 1], abs=1 / STEPS)


def test_values_and_classes_have_their_own_range(shown):
    trace = replace(shown.trace, target=shown.trace.target * 3)
    assert pack_clip(replace(shown, trace=replace(trace, kind="classes")))["target"]["high"] == 3
    packed = pack_clip(replace(shown, trace=replace(trace, kind="value")))
    assert packed["target"]["high"] == packed["score"]["high"] == 3


def test_a_clip_beyond_the_trace_and_a_movie_that_never_changes(shown):
    still = cut_clip(np.full((900, 4, 4), 7, np.uint8), 700, 100)
    packed = pack_clip(replace(shown, clip=still))
    assert np.isnan(unpacked_clip(packed["score"])).all()
    assert unpacked_clip(packed["changes"]) == pytest.approx(0)


def test_pictures_are_means_of_frames_and_of_squares_of_pixels():
    rng = np.random.default_rng(0)
    movie = rng.integers(100, 200, (70, 200, 130)).astype(np.uint16)
    clip = cut_clip(movie, 5, 60, 30.0)
    assert (clip.frames_a_picture, clip.pixels_a_side, clip.rate_hz) == (3, 3, 10.0)
    assert clip.changes.shape == (20, 67, 44)
    first = movie[5:8, :3, :3].mean()
    back = (1 + clip.changes[0, 0, 0] / 100) * clip.mean[0, 0]
    assert back == pytest.approx(first, rel=1e-5)
    # The last column is of one pixel alone: 130 = 43 x 3 + 1.
    corner = (1 + clip.changes[-1, -1, -1] / 100) * clip.mean[-1, -1]
    assert corner == pytest.approx(movie[62:65, 198:, 129:].mean(), rel=1e-5)


def test_a_minute_of_large_frames_has_room():
    movie = np.broadcast_to(np.ones((1, 192, 192), np.uint8), (5000, 192, 192))
    clip = cut_clip(movie, 0, 1800, 30.0)
    assert clip.changes.size <= MOST_VALUES
    assert clip.changes.shape[1:] == (96, 96)
    assert clip.rate_hz == 5.0


def test_pixels_without_a_finite_value_stay_so():
    movie = np.ones((10, 2, 2))
    movie[:, 0, 0] = np.nan
    movie[3, 1, 1] = np.nan
    clip = cut_clip(movie, 0, 10)
    assert np.isnan(clip.changes[:, 0, 0]).all()
    assert np.isnan(clip.changes[:, 1, 1]).sum() == 1
    assert clip.rate_hz is None


def test_the_end_of_the_movie_is_the_end_of_the_clip():
    assert cut_clip(np.ones((10, 2, 2)), 8, 100).changes.shape == (2, 2, 2)
    with pytest.raises(DataError, match="a movie of 10 frames has no frames from 10 on"):
        cut_clip(np.ones((10, 2, 2)), 10, 5)


def test_only_the_clip_is_read(tmp_path):
    np.save(tmp_path / "movie.npy", np.ones((500, 8, 8), np.uint8))
    code = (
        "import sys, numpy as np; from corticode.report.viewers import cut_clip;"
        f"movie = np.load({str(tmp_path / 'movie.npy')!r}, mmap_mode='r');"
        "print(cut_clip(movie, 0, 60, 10.0).changes.shape, 'torch' in sys.modules, "
        "'sklearn' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(60, 8, 8) False False"
