"""What is wrong or odd in a study, found before anything is trained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from corticode.data.cues import check_input, stand_ins
from corticode.data.folds import (
    Fold,
)
from corticode.data.prepared import (
    PreparedSessions,
    check_together,
    prepare_sessions,
    stand_in_movies,
)
from corticode.errors import LEFT_OUT, CorticodeError, Finding
from corticode.run.tasks import ask, check_start_weights, examine_folds, odd_about, read_files
from corticode.study.conditions import Condition
from corticode.study.shipped import open_study
from corticode.study.study import Study


@dataclass
class CheckReport:
    """What is wrong with a study (faults) and what is odd (findings), before any fit."""

    faults: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)


def check_study(
    study: Study | Path | str | Mapping[str, Any], *, catalogue: Path | str | None = None
) -> CheckReport:
    """What is wrong or odd in a study's data and folds, found without training.

    Every session is read, every fold of every condition is cut into windows, its parts are
    proved disjoint and counted by class. As ``corticode check``.

    Parameters
    ----------
    study, catalogue
        As of `corticode.run.execute.run_study`.

    Raises
    ------
    StudyError, MissingDataError
        The study itself cannot be read; what is wrong with its recordings is in the report.

    Examples
    --------
    >>> report = check_study({"data": {"catalogue": "none.csv"}, "target": {"signal": "run"},
    ...                       "condition": [{"name": "gru"}]})
    >>> report.faults[0].partition(";")[0]
    'there is no catalogue at none.csv'
    """
    study = open_study(study, catalogue)
    report = CheckReport(findings=list(study.unused))
    try:
        content = read_files(study)
    except CorticodeError as error:
        report.faults.append(str(error))
        return report
    sessions = content.sessions
    animals = {session.animal for session in sessions}
    n_frames = sum(session.n_frames for session in sessions)
    report.facts.append(
        f"{len(sessions)} sessions of {len(animals)} animals, {n_frames:,} frames"
        + (f" at {content.frame_rate_hz:g} Hz" if content.frame_rate_hz else "")
    )
    report.findings += [finding for session in sessions for finding in session.findings]
    prepared: dict[tuple[str, tuple[int, ...]], PreparedSessions] = {}
    for keys in study.conditions:
        try:
            asked = ask(study, content, keys)
            condition, folds = asked.condition, asked.folds
            check_start_weights([condition])
            report.findings += odd_about(study, content, asked)
            for members, own_folds in asked.groups:
                own = [sessions[k] for k in members]
                group = (f"{condition.input} {condition.pixels}", tuple(members))
                if condition.pixels is not None:
                    if group not in prepared:
                        prepared[group] = stand_in_movies(own, condition.pixels)
                else:
                    if condition.preprocessing.regress_out != "none":
                        check_input(own, "traces+cues")
                    own = stand_ins(own, condition.input)
                    check_together(own, condition.preprocessing)
                    if group not in prepared:
                        prepared[group] = prepare_sessions(own)
                report.findings += prepared[group].findings
                found = examine_folds(prepared[group], condition, own_folds, content.table)
                report.findings += found
                report.faults += _no_fold_left(prepared[group], condition, own_folds, found)
            report.facts.append(f"{condition.name}: {len(folds)} fold{'s' * (len(folds) != 1)}")
        except CorticodeError as error:
            report.faults.append(str(error))
    report.faults = list(dict.fromkeys(report.faults))
    report.findings = list(dict.fromkeys(report.findings))
    return report


def _no_fold_left(
    prepared: PreparedSessions,
    condition: Condition,
    folds: Sequence[Fold],
    findings: Sequence[Finding],
) -> list[str]:
    """A fault where no fold of a condition can be fitted: why, and what the signal holds."""
    left_out = [finding for finding in findings if finding.code == LEFT_OUT]
    if len(left_out) < len(folds):
        return []
    target = condition.target
    signal = prepared.behavior[target.signal]
    held = ""
    if signal.dtype.kind in "iuf" and np.isfinite(signal).any():
        held = f"; {target.signal!r} runs from {np.nanmin(signal):g} to {np.nanmax(signal):g}"
        held += "" if target.above is None else f", and the target is above {target.above:g}"
    why = left_out[0].reason.partition(": ")[2]
    return [
        f"condition {condition.name!r}: none of its {len(folds)} folds can be fitted: {why}{held}"
    ]
