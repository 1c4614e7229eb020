"""What the page's player of a movie is given: 8-bit pictures in step with label and probability."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corticode.data.movie_clips import MovieClip
from corticode.report.canvas import DIVERGING, colours_of_map
from corticode.report.session_trace import SessionTrace
from corticode.report.viewer import ends_of, pack_values

# Changes beyond this percentile of all are shown as it: one bright pixel may not take the contrast.
SHOWN_PERCENTILE = 99.0


@dataclass(frozen=True)
class ShownClip:
    """A clip and what was said and was meanwhile.

    Parameters
    ----------
    clip
        The pictures.
    trace
        Of the session that it is from.
    why
        Why this clip: a rule, or that it was asked for.
    """

    clip: MovieClip
    trace: SessionTrace
    why: str


def pack_clip(shown: ShownClip) -> dict[str, Any]:
    """A clip as plain values for JSON.

    Returns
    -------
    dict
        animal, session, condition, kind, why, rows, columns, first_frame, step (frames a picture),
        side (pixels a pixel), rate_hz (of frames), palette (256 colours of changes); ``changes``
        (picture by picture, row by row), ``mean`` and, a value a picture, ``score`` and
        ``target``: low, high and base64 of 8-bit values, 255 where there is none. `score` and
        `target` are means over a picture's frames.

    Examples
    --------
    >>> clip = MovieClip(np.zeros((2, 3, 4), "f4"), np.ones((3, 4), "f4"), 0, 5, 1, 2.0)
    >>> trace = SessionTrace("cnn", "m1", "a", 1, np.ones(9, "f4"), np.zeros(9, "f4"))
    >>> packed = pack_clip(ShownClip(clip, trace, "asked for"))
    >>> packed["rows"], packed["columns"], packed["score"]["bytes"], packed["target"]["bytes"]
    (3, 4, '/v4=', 'AAA=')
    """
    clip, trace = shown.clip, shown.trace
    _, rows, columns = clip.changes.shape
    known = np.abs(clip.changes[np.isfinite(clip.changes)])
    reach = float(np.percentile(known, SHOWN_PERCENTILE)) if known.size else 0.0
    darkest, brightest = ends_of(clip.mean)
    said, was = (_by_picture(values, trace, clip) for values in (trace.score, trace.target))
    low, high = (0.0, 1.0) if trace.kind != "value" else ends_of(said, was)
    top = max(1.0, ends_of(was)[1]) if trace.kind == "classes" else high
    return {
        "animal": trace.animal,
        "session": trace.session,
        "condition": trace.condition,
        "kind": trace.kind,
        "why": shown.why,
        "rows": rows,
        "columns": columns,
        "first_frame": clip.first_frame,
        "step": clip.frames_a_picture,
        "side": clip.pixels_a_side,
        "rate_hz": trace.frame_rate_hz,
        "palette": colours_of_map(DIVERGING),
        "changes": pack_values(clip.changes.ravel(), -(reach or 1.0), reach or 1.0),
        "mean": pack_values(clip.mean.ravel(), darkest, brightest),
        "score": pack_values(said, low, high),
        "target": pack_values(was, low, top),
    }


def _by_picture(
    values: NDArray[np.float32], trace: SessionTrace, clip: MovieClip
) -> NDArray[np.float32]:
    """Means over the frames of each picture; NaN where none of them has a value."""
    laid = np.full(clip.n_frames, np.nan, np.float32)
    first = trace.first_frame - clip.first_frame
    rows = slice(max(first, 0), max(min(first + values.size, laid.size), 0))
    laid[rows] = values[rows.start - first : rows.stop - first]
    table = laid.reshape(-1, clip.frames_a_picture)
    n_known = np.isfinite(table).sum(axis=1)
    total = np.nansum(table, axis=1)
    if trace.kind == "classes":
        # A mean of classes is none: the picture's middle frame tells.
        return np.asarray(table[:, clip.frames_a_picture // 2])
    return np.where(n_known > 0, total / np.maximum(n_known, 1), np.nan).astype(np.float32)
