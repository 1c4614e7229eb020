import base64
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corticode.report.session_trace import SessionTrace
from corticode.report.viewer import MISSING, STEPS, pack_traces


def unpacked(part):
    bytes_ = np.frombuffer(base64.b64decode(part["bytes"]), np.uint8).astype(float)
    values = part["low"] + bytes_ / STEPS * (part["high"] - part["low"])
    return np.where(bytes_ == MISSING, np.nan, values)


def test_probability_is_kept_to_a_step(make_trace):
    trace = make_trace()
    packed, n_left_out = pack_traces([trace])
    assert n_left_out == 0
    assert np.abs(unpacked(packed[0]["score"]) - trace.score).max() < 1 / STEPS


@settings(max_examples=40)
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
