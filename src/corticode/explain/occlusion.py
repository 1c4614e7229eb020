"""Cut-out importance: cover part of a fitted decoder's input, and see how much worse it decodes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from corticode.data.windows import Windows
from corticode.decode.decoder import Decoder, count_outputs, roles_of_animals
from corticode.decode.movie_batches import MovieFrames, contiguous_blocks
from corticode.decode.predict import (
    Versions,
    check_recipe,
    outputs_of_movies,
    predict,
    scores_of,
)
from corticode.errors import DataError, Finding, StudyError
from corticode.evaluate.metrics import primary, score_windows
from corticode.evaluate.scores import scorable_windows
from corticode.explain.masks import (
    Mask,
    check_fill,
    check_shapes,
    donor_rows,
    rings,
    share_in_brain,
    thin_windows,
)

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


def occlude(
    decoder: Decoder,
    windows: Windows,
    masks: Sequence[Mask],
    *,
    fill: str = "zero",
    every_n_frames: int = 1,
    seed: int = 0,
    brain: NDArray[np.bool_] | None = None,
    device: str = "cpu",
) -> Occlusion:
    """What covering each mask costs a fitted decoder, by session and pooled.

    A decoder is not trained again. Of movies, a frame is read and normalised once, and passes the
    CNN once as it is and once a mask.

    Parameters
    ----------
    decoder
        A fitted decoder.
    windows
        Windows cut with the decoder's recipe, of animals it was not trained on.
    masks
        What is covered: see `corticode.explain.masks`.
    fill
        What stands in the place of covered input. ``"zero"``: 0 after normalisation, as published;
        the pixel's mean (or moving mean) in movies, in traces what regions that are left out enter
        as. It is off the data's distribution, and covering what the decoder never uses may change
        its output nonetheless. ``"other-session"``: the patch's own activity in another session of
        the animal. ``"shuffled"``: its own activity in other contiguous_blocks of the session.
        ``"neighbours"``: of movies, the mean of the uncovered pixels just around.
    every_n_frames
        Decode a share of the windows so that one image in so many passes the CNN (of traces, every
        n-th window). What that costs is given as a standard error, found by leaving out one tenth
        of the windows at a time.
    seed
        Of the fills and of which windows are decoded.
    brain
        Of movies: True in the brain, shape (row, column). Masks without a pixel in it are marked
        as a control.
    device
        ``"cpu"`` or ``"cuda"``.

    Returns
    -------
    Occlusion
        Its tables. Sessions whose own score would be left blank (one class only, too few bouts)
        are left out and listed.

    Raises
    ------
    DecoderError
        The windows were not cut with the decoder's recipe.
    StudyError
        Masks of another shape, or over regions the decoder does not see; an unknown fill.
    DataError
        No session can be scored.

    References
    ----------
    Ajioka et al. (2024), doi:10.1371/journal.pcbi.1011074, Figs 3 and S3.

    Examples
    --------
    >>> from corticode.data.session import Session
    >>> from corticode.data.targets import Target
    >>> from corticode.data.windows import WindowShape, cut_windows
    >>> from corticode.decode.fit import fit
    >>> from corticode.explain.masks import region_masks
    >>> run = np.arange(400) // 20 % 2
    >>> traces = np.random.default_rng(0).normal(size=(400, 3))
    >>> traces[:, 1] += 4 * run
    >>> session = Session("m1", "a", traces, ("M2", "HL", "V1"), {"run": run}, np.zeros(400, int))
    >>> windows = cut_windows([session], Target("run"), WindowShape(1, 1))
    >>> early, late = windows.where(windows.frame < 200), windows.where(windows.frame > 210)
    >>> decoder = fit(early, late, "linear-window")
    >>> masks = region_masks({"limb": ["HL"], "other": ["not", "HL"]}, windows.recipe.regions)
    >>> score = occlude(decoder, windows, masks).sessions.set_index("mask")["score"]
    >>> bool(score["limb"] > 0.3), bool(abs(score["other"]) < 0.1)
    (True, True)
    """
    check_recipe(decoder, windows)
    sees_movies = decoder.settings.sees_movies
    check_fill(fill, sees_movies=sees_movies)
    outside = _check_masks(decoder, masks, brain)
    scorable, findings = scorable_windows(windows, "the occlusion")
    chosen = thin_windows(scorable, every_n_frames, seed=seed)
    donors = None
    if fill in ("other-session", "shuffled"):
        # Sessions that cannot be scored can still lend.
        donors = donor_rows(windows, fill, seed=seed)
    if sees_movies:
        parts = [mask.covered for mask in masks]
        versions = covered_versions(parts, fill, donors, device)
        scores = scores_of_versions(decoder, chosen, versions, 1 + len(masks), device)
    else:
        scores = _scores_of_traces(decoder, chosen, masks, donors, device)
    sessions, pooled, too_few = tables_of_scores(
        chosen,
        scores,
        masks,
        outside=outside,
        share_decoded=chosen.n_windows / scorable.n_windows,
    )
    return Occlusion(
        masks=tuple(masks),
        metric=primary(decoder.kind),
        sessions=sessions,
        pooled=pooled,
        fill=fill,
        every_n_frames=every_n_frames,
        cnn_passes=count_passes(chosen, len(masks)),
        findings=(*_not_new(decoder, chosen), *findings, *too_few),
    )


def count_passes(windows: Windows, n_masks: int) -> int:
    """Images that pass a CNN when so many masks are covered: each once as it is, once a mask."""
    if not windows.movies:
        return 0
    length = windows.recipe.window.n_frames
    n_images = sum(stretch.size + length - 1 for stretch in contiguous_blocks(windows))
    return n_images * (1 + n_masks)


def _check_masks(
    decoder: Decoder, masks: Sequence[Mask], brain: NDArray[np.bool_] | None
) -> NDArray[np.bool_]:
    """Which masks lie outside the brain, shape (mask,), once all are found to fit."""
    recipe = decoder.recipe
    if decoder.settings.sees_movies:
        check_shapes(masks, recipe.image_shape or (), "decoder's images")
        if brain is None:
            return np.zeros(len(masks), np.bool_)
        return np.asarray(share_in_brain(masks, brain) == 0)
    if brain is not None:
        raise StudyError("a brain mask is for movies, and this decoder reads traces; leave it out")
    check_shapes(masks, (len(recipe.regions),), "decoder's regions")
    kept = np.asarray(recipe.kept_regions)
    for mask in masks:
        absent = [name for name, k in zip(recipe.regions, mask.covered & ~kept, strict=True) if k]
        seen = [name for name, k in zip(recipe.regions, kept, strict=True) if k]
        if absent:
            raise StudyError(
                f"mask {mask.name!r} covers {', '.join(absent[:5])}, which the decoder does not "
                f"see; cover some of {', '.join(seen[:8])}{', ...' * (len(seen) > 8)}"
            )
        if mask.covered[kept].all():
            raise StudyError(
                f"mask {mask.name!r} covers all that the decoder sees ({', '.join(seen[:8])}); "
                "cover a part of it"
            )
    return np.zeros(len(masks), np.bool_)


def _not_new(decoder: Decoder, windows: Windows) -> list[Finding]:
    """Animals in which a map shows what was learnt, and not what carries over to new animals."""
    roles = roles_of_animals(decoder)
    reason = "was a {} animal of this decoder: its map says nothing of new animals"
    names = [windows.animal_names[k] for k in np.unique(windows.animal)]
    return [Finding("session", reason.format(roles[name]), name) for name in names if name in roles]


def _scores_of_traces(
    decoder: Decoder,
    windows: Windows,
    masks: Sequence[Mask],
    donors: NDArray[np.int64] | None,
    device: str,
) -> Scores:
    """Scores as they are and under each mask, shape (1 + mask, window) or (..., class)."""
    # What the network scales to 0, as it does regions that are left out.
    other = decoder.network.input_offset.cpu().numpy()
    if donors is not None:
        other = windows.traces[donors]
    said = [predict(decoder, windows, part=None, device=device).score]
    for mask in masks:
        traces = np.array(windows.traces)
        traces[:, mask.covered] = other[..., mask.covered]
        covered = replace(windows, traces=traces)
        said.append(predict(decoder, covered, part=None, device=device).score)
    return np.stack(said)


def scores_of_versions(
    decoder: Decoder, windows: Windows, versions: Versions, n_versions: int, device: str = "cpu"
) -> Scores:
    """What a decoder of movies says of each version of its frames.

    Parameters
    ----------
    decoder, windows, device
        What decodes, what, and where.
    versions, n_versions
        As from `covered_versions`, and how many it makes: each frame passes the CNN once a version.

    Returns
    -------
    NDArray
        Shape (version, window) or (version, window, class).
    """
    n_outputs = count_outputs(decoder.kind, decoder.recipe.classes)
    is_wide = decoder.kind == "value" and decoder.network.says_float64
    said = np.empty(
        (n_versions, windows.n_windows, n_outputs), np.float64 if is_wide else np.float32
    )
    network = decoder.network.to(device)
    try:
        with torch.inference_mode():
            for where, outputs in outputs_of_movies(network, windows, device, versions=versions):
                said[:, where] = scores_of(network, outputs, decoder.kind).cpu().numpy()
    finally:
        network.to("cpu")
    return said if decoder.kind == "classes" else said[..., 0]


def covered_versions(
    parts: Sequence[NDArray[np.bool_]],
    fill: str,
    donors: NDArray[np.int64] | None = None,
    device: str = "cpu",
) -> Versions:
    """A maker of versions of a movie's frames: as they are, then with each part covered.

    Parameters
    ----------
    parts
        Pixels that are covered, each of shape (row, column).
    fill
        See `occlude`.
    donors
        The frame that stands in for each, for the fills that need it (`donor_rows`), shape
        (frame,).
    device
        Where frames are.
    """
    covered = [torch.from_numpy(part).to(device) for part in parts]
    around: list[list[tuple[Tensor, Tensor]]] = [[] for _ in parts]
    if fill == "neighbours":
        around = [
            [(torch.from_numpy(a).to(device), torch.from_numpy(b).to(device)) for a, b in pairs]
            for pairs in map(rings, parts)
        ]

    def make(frames: Tensor, rows: NDArray[np.int64], recorded: MovieFrames) -> Iterator[Tensor]:
        yield frames
        others = None
        if donors is not None:
            lent = donors[rows]
            others = recorded.normalise(lent, recorded.read(lent))
        for part, pairs in zip(covered, around, strict=True):
            if others is not None:
                yield torch.where(part, others, frames)
            elif fill == "neighbours":
                filled = frames.clone()
                for inside, ring in pairs:
                    filled[:, inside] = frames[:, ring].mean(dim=1, keepdim=True)
                yield filled
            else:
                yield frames.masked_fill(part, 0.0)

    return make
