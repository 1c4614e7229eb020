"""What covering a decoder's input cost, in tables: by session and pooled."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from corticode.data.windows import Windows
from corticode.errors import DataError, Finding
from corticode.evaluate.metrics import primary, score_windows
from corticode.explain.masks import Mask

JACKKNIFE_BLOCKS = 10

Scores = NDArray[np.float32]


@dataclass(frozen=True)
class Occlusion:
    """How much worse one decoder decodes where parts of its input are covered.

    Parameters
    ----------
    masks
        What was covered.
    metric
        ``"auc"``, or ``"r2"`` for values.
    sessions
        One row a mask and session: mask, animal, session, n_windows, the metric, the metric with
        the part covered (``auc_covered``), score (their difference: above 0 where the part is
        needed), thinning_se (standard error of the score that comes of decoding a share of the
        windows only; 0 where all were), outside_brain (a control; False where no brain was given).
    pooled
        One row a mask and animal: the same of the windows of all its sessions together, as
        published; without session and thinning_se.
    fill
        What stood in the place of covered input.
    every_n_frames
        One image in so many was decoded.
    cnn_passes
        Images that passed the CNN; 0 for decoders of traces.
    findings
        Sessions that were left out, and animals that the decoder was fitted on.
    """

    masks: tuple[Mask, ...]
    metric: str
    sessions: pd.DataFrame
    pooled: pd.DataFrame
    fill: str
    every_n_frames: int
    cnn_passes: int
    findings: tuple[Finding, ...]


def tables_of_scores(
    windows: Windows,
    scores: Scores,
    masks: Sequence[Mask],
    *,
    outside: NDArray[np.bool_],
    share_decoded: float = 1.0,
) -> tuple[pd.DataFrame, pd.DataFrame, list[Finding]]:
    """The tables of an `Occlusion`, and the sessions that its windows are too few to score.

    Parameters
    ----------
    windows
        The windows that were decoded.
    scores
        What was said of them as they are and under each mask, shape (1 + mask, window) or
        (1 + mask, window, class).
    masks
        What was covered.
    outside
        Which masks are a control, shape (mask,).
    share_decoded
        Which part of all windows these are, above 0 to 1.

    Raises
    ------
    DataError
        No session is left.
    """
    metric = primary(windows.recipe.target.kind)
    by_session, findings = [], []
    scored = np.zeros(windows.n_windows, np.bool_)
    for k in np.unique(windows.session):
        rows = np.flatnonzero(windows.session == k)
        animal = windows.animal_names[windows.animal[rows[0]]]
        session = windows.session_names[k]
        found = list(_rows(windows, scores, masks, rows))
        if np.isnan(found[0][metric]):
            reason = f"left out of the occlusion: no {metric} over its {rows.size} windows decoded"
            findings.append(Finding("session", reason, animal, session))
            continue
        errors = _thinning_errors(windows, scores, rows, share_decoded)
        scored[rows] = True
        for mask, row, error, out in zip(masks, found, errors, outside, strict=True):
            names = {"mask": mask.name, "animal": animal, "session": session}
            by_session.append(
                names
                | {"n_windows": rows.size}
                | row
                | {"thinning_se": error, "outside_brain": bool(out)}
            )
    if not by_session:
        raise DataError("no session can be scored from so few windows; lower every_n_frames")
    by_animal = []
    for k in np.unique(windows.animal[scored]):
        rows = np.flatnonzero(scored & (windows.animal == k))
        for mask, row, out in zip(masks, _rows(windows, scores, masks, rows), outside, strict=True):
            names = {"mask": mask.name, "animal": windows.animal_names[k]}
            by_animal.append(names | {"n_windows": rows.size} | row | {"outside_brain": bool(out)})
    return pd.DataFrame(by_session), pd.DataFrame(by_animal), findings


def _rows(
    windows: Windows, scores: Scores, masks: Sequence[Mask], rows: NDArray[np.int64]
) -> Iterator[dict[str, float]]:
    """Of each mask: the metric, the metric covered, and the difference, over some windows."""
    metric = primary(windows.recipe.target.kind)
    base = _metric(windows, scores[0], rows)
    for k in range(len(masks)):
        covered = _metric(windows, scores[1 + k], rows)
        yield {metric: base, f"{metric}_covered": covered, "score": base - covered}


def _metric(windows: Windows, score: Scores, rows: NDArray[np.int64]) -> float:
    kind = windows.recipe.target.kind
    return score_windows(windows.target[rows], score[rows], kind)[primary(kind)]


def _thinning_errors(
    windows: Windows, scores: Scores, rows: NDArray[np.int64], share_decoded: float
) -> NDArray[np.float64]:
    """Standard error of a session's scores for want of the windows left out, shape (mask,).

    Tenths of the session are left out in turn (neighbouring windows are alike, so that leaving out
    single ones would tell too small an error); with all windows decoded nothing is left to err by.
    """
    n_masks = len(scores) - 1
    if share_decoded == 1:
        return np.zeros(n_masks)
    if rows.size < 2 * JACKKNIFE_BLOCKS:
        return np.full(n_masks, np.nan)
    kept = [np.setdiff1d(rows, block) for block in np.array_split(rows, JACKKNIFE_BLOCKS)]
    said = np.array([[_metric(windows, score, part) for score in scores] for part in kept])
    lost = said[:, :1] - said[:, 1:]
    spread = np.sum((lost - lost.mean(axis=0)) ** 2, axis=0)
    return np.asarray(
        np.sqrt((1 - share_decoded) * (JACKKNIFE_BLOCKS - 1) / JACKKNIFE_BLOCKS * spread)
    )
