"""What could leak from test to training, found before anything is trained."""

from collections.abc import Sequence

from corticode.data.catalogue import Recording
from corticode.data.files import fingerprint
from corticode.data.folds import Fold, Part
from corticode.data.preprocess import Preprocessing
from corticode.data.windows import WindowShape
from corticode.errors import DataError, Finding


def find_leaks(
    preprocessing: Preprocessing,
    window: WindowShape,
    folds: Sequence[Fold],
    recordings: Sequence[Recording],
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

    Returns
    -------
    list of Finding
        Risks that the work may go on with: filters and whole-session statistics that reach from
        one block of a session into another.

    Raises
    ------
    DataError
        The same recorded data stand in the training and the test part of a fold.
    """
    _refuse_same_data(folds, recordings)
    return _reach_between_blocks(preprocessing, window, folds)


def _refuse_same_data(folds: Sequence[Fold], recordings: Sequence[Recording]) -> None:
    """A recording listed twice, as two animals or sessions, would be trained on and tested."""
    by_content: dict[tuple[str, str | None], list[Recording]] = {}
    for recording in recordings:
        location = recording.traces or recording.movie
        if location is not None:
            content = (fingerprint(location.path), location.dataset)
            by_content.setdefault(content, []).append(recording)
    for same in by_content.values():
        for one in same:
            for other in same:
                fold = next((f for f in folds if _apart(f, one, other)), None)
                if one is not other and fold is not None:
                    raise DataError(
                        f"recordings {one.name} and {other.name} hold the same data; fold "
                        f"{fold.name!r} would train on one and test on the other: correct the "
                        "catalogue"
                    )


def _apart(fold: Fold, one: Recording, other: Recording) -> bool:
    return _holds(fold.train, one) and (_holds(fold.test, other) or _holds(fold.valid, other))


def _holds(parts: Sequence[Part], recording: Recording) -> bool:
    return any(
        part.animal == recording.animal and part.session in (None, recording.session)
        for part in parts
    )


def _reach_between_blocks(
    preprocessing: Preprocessing, window: WindowShape, folds: Sequence[Fold]
) -> list[Finding]:
    if not any(part.stop_frame is not None for fold in folds for part in fold.test):
        return []
    findings = []
    if preprocessing.scale != "none" and preprocessing.scale_over == "session":
        findings.append(
            Finding(
                "leak",
                f"{preprocessing.scale} scaling uses the whole session, so training blocks know "
                "the level and spread of test blocks; scale_over = 'training' or 'causal' avoids "
                "it",
            )
        )
    for name, length in (
        ("detrending", preprocessing.detrend_frames),
        ("smoothing", preprocessing.smooth_frames),
    ):
        if length and length > window.n_frames:
            findings.append(
                Finding(
                    "leak",
                    f"{name} over {length} frames reaches from training into test blocks; the "
                    f"gap covers the window of {window.n_frames} frames alone",
                )
            )
    return findings
