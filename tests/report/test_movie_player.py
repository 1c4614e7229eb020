import base64
import json
from dataclasses import replace

import numpy as np
import pytest

from corticode.data.movie_clips import cut_clip
from corticode.report.movie_player import ShownClip, pack_clip
from corticode.report.viewer import MISSING, STEPS


def unpacked(part):
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
    back = unpacked(packed["changes"]).reshape(shown.clip.changes.shape)
    reach = packed["changes"]["high"]
    assert back == pytest.approx(np.clip(shown.clip.changes, -reach, reach), abs=reach / STEPS)
    assert np.abs(unpacked(packed["mean"]) - shown.clip.mean.ravel()).max() < 0.1


def test_probability_and_label_are_in_step(shown):
    packed = pack_clip(shown)
    score, target = (unpacked(packed[name]) for name in ("score", "target"))
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
    assert np.isnan(unpacked(packed["score"])).all()
    assert unpacked(packed["changes"]) == pytest.approx(0)
