"""What the page's viewer of sessions is given: 8-bit traces as text, small enough to be sent."""

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corticode.report.session_trace import SessionTrace

# Of text, all sessions together: more would leave no room for figures.
LARGEST = 8_000_000
MISSING, STEPS = 255, 254


def pack_traces(
    traces: Sequence[SessionTrace], largest: int = LARGEST
) -> tuple[list[dict[str, Any]], int]:
    """Traces as plain values for JSON, and how many had no room.

    Values are 8-bit: steps of 1/254 of their range, 255 where there is none.

    Parameters
    ----------
    traces
        Sessions; those of the first conditions come first.
    largest
        Bytes of text that they may take, all together.

    Returns
    -------
    list of dict
        condition, animal, session, first_frame, rate_hz, kind, auc and, under ``score``,
        ``target`` and (where known) ``speed``: low, high and base64 of the bytes.
    int
        Sessions left out because the text would have passed that.

    Examples
    --------
    >>> trace = SessionTrace("gru", "m1", "a", 15, np.zeros(3, "f4"), np.ones(3, "f4"))
    >>> packed, n_left_out = pack_traces([trace])
    >>> packed[0]["target"], n_left_out
    ({'low': 0.0, 'high': 1.0, 'bytes': '/v7+'}, 0)
    """
    packed: list[dict[str, Any]] = []
    size = 0
    for trace in traces:
        one = _pack(trace)
        size += sum(len(part["bytes"]) for part in one.values() if isinstance(part, dict))
        if size > largest:
            break
        packed.append(one)
    return packed, len(traces) - len(packed)


def _pack(trace: SessionTrace) -> dict[str, Any]:
    is_probability = trace.kind != "value"
    low, high = (0.0, 1.0) if is_probability else ends_of(trace.score, trace.target)
    classes = (0.0, max(1.0, ends_of(trace.target)[1]))
    found: dict[str, Any] = {
        "condition": trace.condition,
        "animal": trace.animal,
        "session": trace.session,
        "first_frame": trace.first_frame,
        "rate_hz": trace.frame_rate_hz,
        "kind": trace.kind,
        "auc": None if np.isnan(trace.auc) else round(trace.auc, 4),
        "score": pack_values(trace.score, low, high),
        "target": pack_values(trace.target, *(classes if is_probability else (low, high))),
    }
    if trace.speed is not None:
        found["speed"] = pack_values(trace.speed, *ends_of(trace.speed))
    return found


def ends_of(*several: NDArray[np.floating]) -> tuple[float, float]:
    """The least and the largest finite value; 0 and 1 without any.

    Examples
    --------
    >>> ends_of(np.array([3.0, np.nan]), np.array([[-1.0]]))
    (-1.0, 3.0)
    """
    values = np.concatenate([one.ravel() for one in several])
    known = values[np.isfinite(values)]
    return (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)


def pack_values(values: NDArray[np.floating], low: float, high: float) -> dict[str, Any]:
    """Values as 8 bits each: low, high and base64 of the bytes, 255 where there is none.

    Parameters
    ----------
    values
        Shape (value,); those beyond the ends are shown as the ends.
    low, high
        What the bytes 0 and 254 stand for.

    Examples
    --------
    >>> pack_values(np.array([0.0, 0.5, 1.0, np.nan]), 0.0, 1.0)["bytes"]
    'AH/+/w=='
    """
    scaled = (values.astype(np.float64) - low) / ((high - low) or 1.0) * STEPS
    rounded = np.where(np.isfinite(scaled), np.clip(np.round(scaled), 0, STEPS), MISSING)
    text = base64.b64encode(rounded.astype(np.uint8).tobytes()).decode("ascii")
    return {"low": low, "high": high, "bytes": text}
