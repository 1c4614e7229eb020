"""Which windows lie in sessions that can be scored at all, before anything is predicted."""

import numpy as np

from corticode.data.windows import Windows
from corticode.decode.predictions import PART_NAMES, Predictions
from corticode.errors import DataError, Finding
from corticode.evaluate.tables import score_sessions

SHOWN = 3


def unsaid(windows: Windows) -> Predictions:
    """The windows as test predictions that say nothing, to ask which sessions can be scored.

    Parameters
    ----------
    windows
        Windows whose recipe holds the kind of target and its classes.
    """
    recipe = windows.recipe
    is_classes = recipe.target.kind == "classes"
    n_classes = max(1, len(recipe.classes)) if is_classes else 2
    shape = (windows.n_windows, n_classes) if is_classes else (windows.n_windows,)
    return Predictions(
        part=np.full(windows.n_windows, PART_NAMES.index("test"), np.int8),
        animal=windows.animal,
        session=windows.session,
        frame=windows.frame,
        target=windows.target,
        score=np.full(shape, 1 / n_classes, np.float32),
        kind=recipe.target.kind,
        animal_names=windows.animal_names,
        session_names=windows.session_names,
        classes=recipe.classes,
        frame_rate_hz=recipe.frame_rate_hz,
    )


def scorable_windows(windows: Windows, left_out_of: str) -> tuple[Windows, list[Finding]]:
    """The windows of sessions that can be scored, and which sessions cannot, and why.

    Parameters
    ----------
    windows
        Windows of some sessions; those whose target is not known are left out.
    left_out_of
        What the other sessions are left out of, for the findings: ``"the occlusion"``.

    Returns
    -------
    Windows, list
        Those of sessions that `corticode.evaluate.tables.score_sessions` would not leave blank.

    Raises
    ------
    DataError
        No session can be scored.

    Examples
    --------
    >>> from corticode.data.session import Session
    >>> from corticode.data.targets import Target
    >>> from corticode.data.windows import WindowShape, cut_windows
    >>> sessions = [
    ...     Session("m1", name, np.random.default_rng(0).normal(size=(80, 2)), ("1", "2"),
    ...             {"run": run}, np.zeros(80, int))
    ...     for name, run in (("a", np.arange(80) // 10 % 2), ("b", np.arange(80) // 60))
    ... ]
    >>> kept, findings = scorable_windows(
    ...     cut_windows(sessions, Target("run"), WindowShape(1, 1)), "the curves")
    >>> kept.n_windows, str(findings[0])
    (78, "animal 'm1', session 'b': left out of the curves: 1 bout of 0; 1 bout of 1")
    """
    known = windows.where(np.isfinite(windows.target))
    reasons = {}
    if known.n_windows:
        table = score_sessions(unsaid(known))
        names = zip(table["animal"], table["session"], strict=True)
        reasons = dict(zip(names, table["blank_because"], strict=True))
    findings = []
    kept = np.zeros(known.n_windows, np.bool_)
    for k in np.unique(windows.session):
        animal = windows.animal_names[windows.animal[windows.session == k][0]]
        session = windows.session_names[k]
        reason = reasons.get((animal, session), "its behaviour is not known")
        if reason:
            findings.append(
                Finding("session", f"left out of {left_out_of}: {reason}", animal, session)
            )
        else:
            kept |= known.session == k
    if not kept.any():
        listed = "; ".join(str(finding) for finding in findings[:SHOWN])
        raise DataError(f"no session can be scored, so none is left for {left_out_of}: {listed}")
    return known.where(kept), findings
