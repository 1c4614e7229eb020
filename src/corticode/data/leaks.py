"""What could leak from test to training, found before anything is trained."""

from collections.abc import Sequence
from itertools import combinations, pairwise

from corticode.data.catalogue import Recording
from corticode.data.files import fingerprint
from corticode.data.folds import ROLES, Fold
from corticode.data.mixups import Twice
from corticode.data.movies.normalise import PixelPreprocessing
from corticode.data.preprocess import Preprocessing
from corticode.data.targets import Target
from corticode.data.windows import WindowShape
from corticode.errors import DataError, Finding


def find_leaks(
    preprocessing: Preprocessing,
    window: WindowShape,
    folds: Sequence[Fold],
    recordings: Sequence[Recording],
    target: Target | None = None,
    pixels: PixelPreprocessing | None = None,
    same: Sequence[Twice] = (),
) -> list[Finding]:
    """Ways in which training could know of the test part.

    Parameters
    ----------
    preprocessing, window
        What is done to traces before they are decoded.
    folds
        Who trains and who is tested.
    recordings
        The catalogue.
    target
        What is decoded; its smoothing reaches between blocks too.
    pixels
        What is done to movies, where they are decoded; traces are then not.
    same
        Recordings that hold the same data as they were read, whatever their files are (see
        `corticode.data.mixups.same_recordings`), by their places.

    Returns
    -------
    list of Finding
        Risks that the work may go on with: filters and whole-session statistics that reach from
        one block of a session into another; one recording under two names in one part.

    Raises
    ------
    DataError
        The same recorded data stand in two parts of a fold.
    """
    pairs = _same_files(recordings)
    pairs += [pair for k in same if (pair := (recordings[k.one], recordings[k.other])) not in pairs]
    twice = _refuse_same_data(folds, pairs)
    gap = _smallest_gap(folds)
    if gap is None:
        return twice
    if pixels is None:
        findings = twice + _reach_between_blocks(preprocessing, window, gap, _shortest_block(folds))
    else:
        findings = twice + _pixels_between_blocks(pixels)
    if target is not None and gap < target.smooth_frames - 1:
        findings.append(
            Finding(
                "leak",
                f"smoothing {target.signal!r} over {target.smooth_frames} frames lets targets of "
                f"training and test blocks share behaviour across the gap of {gap} frames; [folds] "
                f"gap_frames = {target.smooth_frames - 1} keeps them apart",
            )
        )
    return findings


def _same_files(recordings: Sequence[Recording]) -> list[tuple[Recording, Recording]]:
    """Pairs of recordings whose traces, or movies, are files of one content."""
    by_content: dict[tuple[str, str | None], list[Recording]] = {}
    for recording in recordings:
        location = recording.traces or recording.movie
        if location is not None:
            content = (fingerprint(location.path), location.dataset)
            by_content.setdefault(content, []).append(recording)
    return [pair for same in by_content.values() for pair in combinations(same, 2)]


def _refuse_same_data(
    folds: Sequence[Fold], pairs: Sequence[tuple[Recording, Recording]]
) -> list[Finding]:
    """Recordings that stand twice in one part; in two parts they are trained on and tested.

    Raises
    ------
    DataError
        Some do.
    """
    for one, other in pairs:
        for fold in folds:
            roles = (_roles(fold, one), _roles(fold, other))
            if all(roles) and roles[0] != roles[1]:
                raise DataError(
                    f"recordings {one.name} and {other.name} hold the same data; fold "
                    f"{fold.name!r} would have one in its {roles[0][0]} part and the other in "
                    f"its {roles[1][0]} part: correct the catalogue"
                )
    return [
        Finding(
            "leak",
            f"recordings {one.name} and {other.name} hold the same data, which counts twice; take "
            "one of their rows out of the catalogue",
        )
        for one, other in pairs
    ]


def _roles(fold: Fold, recording: Recording) -> list[str]:
    """What a fold uses a recording for; several things where it is cut into blocks."""
    return [
        role
        for role in ROLES
        if any(
            part.animal == recording.animal and part.session in (None, recording.session)
            for part in getattr(fold, role)
        )
    ]


def _pixels_between_blocks(pixels: PixelPreprocessing) -> list[Finding]:
    seen = "all earlier frames" if pixels.causal else "the whole session"
    reason = (
        f"each pixel's mean and the scale are those of {seen}, so training blocks know the level "
        "of test blocks; folds by session or animal keep them apart"
    )
    return [Finding("leak", reason)]


def _way_out(reach: int, shortest: int) -> str:
    """What keeps blocks apart that a filter brings together."""
    if reach < shortest:
        return f"[folds] gap_frames = {reach} keeps them apart"
    return (
        f"blocks of {shortest} frames leave no room for a gap of {reach}: take shorter filters "
        "(detrend_frames = 0 for none), or folds by session or animal"
    )


def _reach_between_blocks(
    preprocessing: Preprocessing, window: WindowShape, gap: int, shortest: int
) -> list[Finding]:
    findings = []
    if preprocessing.scale != "none" and preprocessing.scale_over != "training":
        seen = (
            "the whole session" if preprocessing.scale_over == "session" else "all earlier frames"
        )
        findings.append(
            Finding(
                "leak",
                f"{preprocessing.scale} scaling uses {seen}, so training blocks know the level "
                "and spread of test blocks; scale_over = 'training' avoids it",
            )
        )
    filters = [
        (name, length)
        for name, length in (
            ("detrending", preprocessing.detrend_frames),
            ("smoothing", preprocessing.smooth_frames),
        )
        if length
    ]
    # Moving means look back and ahead, or back alone; the sum of both is all that counts.
    reach = window.n_frames - 1 + sum(length - 1 for _, length in filters)
    if filters and gap < reach:
        named = " and ".join(f"{name} over {length} frames" for name, length in filters)
        findings.append(
            Finding(
                "leak",
                f"{named} and the window of {window.n_frames} frames reach from training into "
                f"test blocks across the gap of {gap} frames; {_way_out(reach, shortest)}",
            )
        )
    return findings


def _shortest_block(folds: Sequence[Fold]) -> int:
    """Frames of the shortest block, half of the gaps beside it included."""
    return min(
        part.stop_frame - part.first_frame
        for fold in folds
        for part in fold.test
        if part.stop_frame is not None
    )


def _smallest_gap(folds: Sequence[Fold]) -> int | None:
    """Frames between neighbouring blocks of different roles; None where there are no blocks."""
    gaps = []
    for fold in folds:
        parts = [
            (part.animal, str(part.session), part.first_frame, part.stop_frame, role)
            for role in ROLES
            for part in getattr(fold, role)
            if part.stop_frame is not None
        ]
        for one, other in pairwise(sorted(parts)):
            if one[:2] == other[:2] and one[4] != other[4]:
                gaps.append(other[2] - one[3])
    return min(gaps, default=None)
