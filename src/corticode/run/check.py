"""What is wrong or odd in a study, found before anything is trained."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
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
from corticode.data.session import Session
from corticode.data.signals import has_value
from corticode.data.targets import Target, TargetTrace
from corticode.data.windows import targets_of
from corticode.errors import LEFT_OUT, CorticodeError, Finding
from corticode.run.study_files import StudyFiles, read_content
from corticode.run.tasks import (
    Asked,
    ask,
    check_start_weights,
    examine_folds,
    mixed_up,
    odd_about,
    with_weights,
)
from corticode.study.conditions import Condition
from corticode.study.shipped import open_study
from corticode.study.study import Study, resolve

RULES = {
    "mean": "is averaged over each frame's exposure",
    "any": "is the largest sample of each frame's exposure",
    "count": "is summed over each frame's exposure",
    "middle": "is the sample in the middle of each frame's exposure",
}


@dataclass(frozen=True)
class SessionFacts:
    """What there is of one session.

    Parameters
    ----------
    name
        Animal and session.
    n_frames, frame_rate_hz
        Its frames, and how many a second; None where that is not known.
    covered
        Share of the frames that have a value of every signal that is decoded.
    labels
        By what is decoded: the share of each class among the frames that have one, or mean and SD
        of a value.
    """

    name: str
    n_frames: int
    frame_rate_hz: float | None
    covered: float
    labels: Mapping[str, Mapping[str, float]]

    @property
    def length_s(self) -> float | None:
        """How long it is, dropped frames left out."""
        return None if self.frame_rate_hz is None else self.n_frames / self.frame_rate_hz


@dataclass
class CheckReport:
    """What is wrong with a study (faults) and what is odd (findings), before any fit.

    `sessions` and `facts` say what there is: each recording, the rules by which behaviour comes
    onto frames, the folds of each condition. `preprocessed` are folders of corrected recordings.
    """

    faults: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)
    sessions: list[SessionFacts] = field(default_factory=list)
    preprocessed: tuple[Path, ...] = ()


def check_study(
    study: Study | Path | str | Mapping[str, Any],
    *,
    catalogue: Path | str | None = None,
    on_preprocessed: Callable[[str], None] = lambda _: None,
) -> CheckReport:
    """What is wrong or odd in a study's data and folds, found without training.

    Every session is read, every fold of every condition is cut into windows, its parts are
    proved disjoint and counted by class. As ``corticode check``.

    Parameters
    ----------
    study, catalogue
        As of `corticode.run.execute.run_study`.
    on_preprocessed
        Told each session that was preprocessed, where the study starts from raw movies: that is
        done here where it is not done yet, and kept.

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
        content = read_content(with_weights(study), on_preprocessed=on_preprocessed)
    except CorticodeError as error:
        report.faults.append(str(error))
        return report
    study = content.study
    _describe(report, study, content.main)
    report.preprocessed = content.made
    report.findings += content.findings
    report.findings += [f for view in content.views for one in view.sessions for f in one.findings]
    prepared: dict[tuple[str, str, tuple[int, ...]], PreparedSessions] = {}
    asked_before: list[Asked] = []
    for keys in study.conditions:
        try:
            view = content.by_condition[keys.name]
            asked = ask(study, view, keys)
            asked_before.append(asked)
            condition, folds = asked.condition, asked.folds
            check_start_weights([condition])
            report.findings += odd_about(study, view, asked)
            for members, own_folds in asked.groups:
                _examine_group(report, prepared, view, condition, members, own_folds)
            report.facts.append(f"{condition.name}: {len(folds)} fold{'s' * (len(folds) != 1)}")
        except CorticodeError as error:
            report.faults.append(str(error))
    report.findings[:0] = [*study.left_out, *mixed_up(content, asked_before)]
    report.faults = list(dict.fromkeys(report.faults))
    report.findings = list(dict.fromkeys(report.findings))
    return report


def _examine_group(
    report: CheckReport,
    prepared: dict[tuple[str, str, tuple[int, ...]], PreparedSessions],
    view: StudyFiles,
    condition: Condition,
    members: Sequence[int],
    folds: Sequence[Fold],
) -> None:
    """Cut the windows of sessions that are decoded together; what is odd goes into the report.

    Stand-ins of prepared sessions are made once for all conditions of an input, in `prepared`.
    """
    own = [view.sessions[k] for k in members]
    group = (view.view, _input_of(condition), tuple(members))
    if condition.pixels is not None:
        if group not in prepared:
            prepared[group] = stand_in_movies(own, condition.pixels)
    else:
        if condition.preprocessing.regress_out != "none":
            check_input(own, "traces+cues")
        own = stand_ins(own, condition.input, condition.behavior)
        check_together(own, condition.preprocessing)
        if group not in prepared:
            prepared[group] = prepare_sessions(own)
    report.findings += prepared[group].findings
    found = examine_folds(prepared[group], condition, folds, view.table)
    report.findings += found
    report.faults += _no_fold_left(prepared[group], condition, folds, found)


def _input_of(condition: Condition) -> str:
    """What conditions have in common whose prepared sessions are the same here."""
    return f"{condition.input} {condition.behavior} {condition.pixels}"


def _describe(report: CheckReport, study: Study, content: StudyFiles) -> None:
    """Say in a report what there is of recordings, and how behaviour came onto frames."""
    sessions = content.sessions
    animals = {session.animal for session in sessions}
    n_frames = sum(session.n_frames for session in sessions)
    report.facts.append(
        f"{len(sessions)} session{'s' * (len(sessions) != 1)} of {len(animals)} "
        f"animal{'s' * (len(animals) != 1)}, {n_frames:,} frames"
        + (f" at {content.frame_rate_hz:g} Hz" if content.frame_rate_hz else "")
    )
    report.facts += rule_facts(sessions, study.all_signals)
    targets = []
    for keys in study.conditions:
        # A condition that cannot be is among the faults.
        with suppress(CorticodeError):
            targets.append(resolve(keys, content.frame_rate_hz).target)
    report.sessions = session_facts(sessions, targets)


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


def session_facts(sessions: Sequence[Session], targets: Sequence[Target]) -> list[SessionFacts]:
    """What there is of each session, by what is decoded; a target that cannot be made is left out.

    Examples
    --------
    >>> run = {"run": np.array([0, 0, 1, 0])}
    >>> session = Session("m1", "a", None, (), run, np.zeros(4, np.int32), 2.0)
    >>> (facts,) = session_facts([session], [Target("run")])
    >>> facts.length_s, facts.covered, facts.labels
    (2.0, 1.0, {'run': {'0': 0.75, '1': 0.25}})
    """
    names = _names_of(targets)
    shares: list[dict[str, Mapping[str, float]]] = [{} for _ in sessions]
    covered = np.ones((len(sessions), len(names)))
    for column, (target, name) in enumerate(names.items()):
        signals = [session.behavior.get(target.signal) for session in sessions]
        if any(signal is None for signal in signals):
            continue
        try:
            known = [signal for signal in signals if signal is not None]
            made = targets_of(sessions, target)
        except CorticodeError:
            # What is wrong with it is among the faults.
            continue
        for k, trace in enumerate(made):
            shares[k][name] = _label_shares(trace)
            if target.events is None:
                covered[k, column] = np.mean(has_value(known[k]))
    return [
        SessionFacts(
            session.name, session.n_frames, session.frame_rate_hz, float(row.min(initial=1.0)), own
        )
        for session, own, row in zip(sessions, shares, covered, strict=True)
    ]


def _names_of(targets: Sequence[Target]) -> dict[Target, str]:
    """Short names of what is decoded; targets of one name are one here."""
    names: dict[Target, str] = {}
    for target in dict.fromkeys(targets):
        name = f"|{target.signal}|" if target.absolute else target.signal
        if target.kind == "binary" and target.above is not None:
            name += f" > {target.above:g}"
        if name not in names.values():
            names[target] = name
    return names


def _label_shares(trace: TargetTrace) -> dict[str, float]:
    values = trace.values[np.isfinite(trace.values)].astype(np.float64)
    if not trace.classes:
        mean, sd = (values.mean(), values.std()) if values.size else (np.nan, np.nan)
        return {"mean": float(mean), "sd": float(sd)}
    n_values = max(values.size, 1)
    return {name: float(np.sum(values == k)) / n_values for k, name in enumerate(trace.classes)}


def rule_facts(sessions: Sequence[Session], signals: Sequence[str]) -> list[str]:
    """How each signal that had a clock of its own came onto frames, and what the middle would lose.

    Examples
    --------
    >>> from corticode.data.on_frames import Placed
    >>> placed = {"lick": Placed("any", peaks=np.ones(120), n_between=75)}
    >>> session = Session("m1", "a", None, (), {}, np.zeros(4, np.int32), placed=placed)
    >>> rule_facts([session], ["lick"])  # doctest: +ELLIPSIS
    ["'lick' is the largest sample of each frame's exposure; 75 of 120 bouts fall between ..."]
    """
    facts = []
    for signal in signals:
        placed = [session.placed[signal] for session in sessions if signal in session.placed]
        if not placed:
            continue
        rule = placed[0].rule
        fact = f"{signal!r} {RULES[rule]}"
        n_between = sum(one.n_between for one in placed)
        if n_between and rule != "middle":
            n_bouts = sum(one.peaks.size for one in placed)
            fact += (
                f"; {n_between} of {n_bouts} bouts fall between the middles of frames and would be "
                "lost by 'middle'"
            )
        facts.append(fact)
    return facts


def session_table(sessions: Sequence[SessionFacts], width: int) -> list[str]:
    r"""Lines that say what there is of each session: a table where one fits, else a sentence each.

    Examples
    --------
    >>> facts = SessionFacts("m1/a", 400, 10.0, 1.0, {"run": {"0": 0.75, "1": 0.25}})
    >>> print("\n".join(session_table([facts], 60)))
    session  frames  length   rate  covered   run
    m1/a        400  40.0 s  10 Hz    100 %  25 %
    >>> print("\n".join(session_table([facts], 30)))
    m1/a: 400 frames, 40.0 s, 10 Hz, 100 % covered, run 25 %
    """
    rows = [_cells(one) for one in sessions]
    heads = list(dict.fromkeys(head for row in rows for head in row))
    columns = [[head, *(row.get(head, "") for row in rows)] for head in heads]
    widths = [max(map(len, column)) for column in columns]
    if sum(widths) + 2 * (len(widths) - 1) <= width:
        return [
            "  ".join(
                cell.ljust(n) if k == 0 else cell.rjust(n)
                for k, (cell, n) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in zip(*columns, strict=True)
        ]
    return [_sentence(row) for row in rows]


def _cells(one: SessionFacts) -> dict[str, str]:
    length_s, rate = one.length_s, one.frame_rate_hz
    cells = {"session": one.name, "frames": f"{one.n_frames:,}"}
    if length_s is not None and rate is not None:
        cells["length"] = f"{length_s:.1f} s" if length_s < 120 else f"{length_s / 60:.1f} min"
        cells["rate"] = f"{rate:.4g} Hz"
    cells["covered"] = _percent(one.covered)
    for name, shares in one.labels.items():
        if set(shares) == {"mean", "sd"}:
            cells[name] = f"{shares['mean']:.3g} ± {shares['sd']:.3g}"
        elif set(shares) == {"0", "1"}:
            cells[name] = _percent(shares["1"])
        else:
            cells |= {f"{name} {label}": _percent(share) for label, share in shares.items()}
    return cells


def _sentence(cells: Mapping[str, str]) -> str:
    parts = [
        f"{cells['frames']} frames",
        *(cells[head] for head in ("length", "rate") if head in cells),
        f"{cells['covered']} covered",
    ]
    fixed = ("session", "frames", "length", "rate", "covered")
    parts += [f"{head} {cell}" for head, cell in cells.items() if head not in fixed]
    return f"{cells['session']}: {', '.join(parts)}"


def _percent(share: float) -> str:
    """A share in percent; 0 % and 100 % are none and all."""
    percent = 100 * share
    if 0 < percent < 1 or 99 < percent < 100:
        return f"{min(max(percent, 0.1), 99.9):.1f} %"
    return f"{percent:.0f} %"
