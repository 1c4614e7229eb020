"""Does decoding exceed what the measured confounds tell? Description, and one test that may claim.

Stored predictions describe: what confounds alone tell, what cortex and what both together tell,
and what is left of cortex among moments that look alike to the confounds. None of this decides,
since a confound is never measured without error (Westfall & Yarkoni 2016,
doi:10.1371/journal.pone.0152719). A claim is made by decoders refitted on traces from which the
confounds were removed as if measured without error (`corticode.data.confounds`), and only where
two measurements of each confound agree well enough.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, softmax

from corticode.data.confounds import LEAST_RELIABILITY
from corticode.data.windows import Windows
from corticode.decode.linear import LinearProblem, fit_linear
from corticode.decode.predictions import Predictions
from corticode.errors import DataError
from corticode.evaluate.intervals import Interval, interval, score_interval
from corticode.evaluate.metrics import binary_scores, primary
from corticode.evaluate.nulls import COHORT
from corticode.evaluate.refits import EVERY, PENALTY, ridge_weights, standardised_inputs
from corticode.evaluate.scores import as_empty_predictions, score_sessions

CHANCE = {"auc": 0.5, "r2": 0.0}
# Of what lies between chance and 1: what the interval of the cleaned traces has to exceed, and
# what its upper end may reach where nothing is left (0.52 and 0.55 of an AUC).
EXCEEDS, NOTHING_LEFT = 0.04, 0.10
FEWEST_ANIMALS = 3
N_STRATA = 20
# Of an animal's one session, which are left out in turn.
N_PARTS = 5
STACK_PENALTY = 1e-3
CLAIMED = "exceeds the measured confounds"
NONE_BEYOND = "no evidence beyond the measured confounds"
NOT_SEPARABLE = "not separable from the measured confounds"
CAVEAT = (
    "Confounds that were not measured, or whose errors are shared between measurements, cannot be "
    "excluded; the decisive control is the same analysis in GFP animals "
    "(Creamer et al. 2022, doi:10.1371/journal.pcbi.1010421)."
)
MEASURED = "measured"
ROWS = {
    "confounds": "confounds only",
    "within": "confounds only, trained within the animal (upper bound)",
    "cortex": "cortex",
    "stack": "confounds and cortex",
    "gain": "confounds and cortex, minus confounds only",
    "strata": "cortex, among moments alike in the confounds",
    "cleaned": "cortex, confounds removed and refitted",
}


def control_names(condition: str) -> tuple[str, str]:
    """The conditions that a study adds beside one: its confounds alone, and those removed.

    Examples
    --------
    >>> control_names("gru")
    ('gru: confounds only', 'gru: confounds removed')
    """
    return f"{condition}: confounds only", f"{condition}: confounds removed"


def behavior_control(condition: str) -> str:
    """The condition that a study adds for the behaviour columns it names as confounds.

    Examples
    --------
    >>> behavior_control("gru")
    'gru: behaviour confounds only'
    """
    return f"{condition}: behaviour confounds only"


def listed(names: Sequence[str]) -> str:
    """Names as they stand in a sentence.

    Examples
    --------
    >>> listed(["whisking"]), listed(["whisking", "pupil", "licks"])
    ('whisking', 'whisking, pupil and licks')
    """
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


@dataclass(frozen=True)
class ConfoundAnalysis:
    """What cortex tells beside the measured confounds.

    Parameters
    ----------
    confounds
        Which: ``"measured"`` (motion, light, the reference channel) or names of behaviour columns.
    animals
        One row an animal: animal, confounds, within (of decoders of confounds that are trained
        and tested in the same animal), cortex, stack, gain (stack minus confounds), strata
        (AUC of cortex within strata of the confounds' score; a description that supports no
        claim) and cleaned; NaN where there is none.
    rows
        Mean and interval over animals of each of these columns.
    metric
        ``"auc"`` or ``"r2"``.
    reliability
        See `corticode.data.confounds.least_reliable`; NaN where confounds were measured once.
    verdict, words
        One of three, and the sentence that says why.
    """

    confounds: str
    animals: pd.DataFrame
    rows: Mapping[str, Interval]
    metric: str
    reliability: float
    verdict: str
    words: str


def describe_beside(cortex: Predictions, confounds: Predictions) -> pd.DataFrame:
    """Scores of one decoder's test sessions beside those of a decoder of confounds alone.

    The stack is a logistic (of values: a ridge) regression of what was decoded on both decoders'
    scores, each standardised within its session, fitted on the validation windows.

    Parameters
    ----------
    cortex, confounds
        Of the same fold and seed, with validation and test windows.

    Returns
    -------
    DataFrame
        One row a session: animal, session, n_windows, confounds, cortex, stack (NaN without
        validation windows) and strata (NaN for values).

    Raises
    ------
    DataError
        They share no test window, or differ in kind.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> run = np.tile(np.repeat([0.0, 1.0], 10), 20).astype(np.float32)
    >>> def predicted(noise):
    ...     score = 1 / (1 + np.exp(-(2 * run - 1 + noise * rng.normal(size=400))))
    ...     return Predictions(
    ...         part=np.repeat([1, 2], 200).astype(np.int8), animal=np.zeros(400, np.int16),
    ...         session=np.repeat([0, 1], 200).astype(np.int16),
    ...         frame=np.tile(np.arange(200), 2).astype(np.int32), target=run,
    ...         score=score.astype(np.float32), kind="binary", animal_names=("m1",),
    ...         session_names=("a", "b"))
    >>> found = describe_beside(predicted(2.0), predicted(2.0))
    >>> bool(found["stack"].iloc[0] > found[["cortex", "confounds"]].iloc[0].max())
    True
    """
    if cortex.kind != confounds.kind or cortex.classes != confounds.classes:
        raise DataError(
            f"decoders of cortex and confounds decode other targets ({cortex.kind}, "
            f"{confounds.kind}); give them one target"
        )
    cortex, confounds = _shared(cortex, confounds)
    metric = primary(cortex.kind)
    both = [_standardised(one) for one in (cortex, confounds)]
    scored = score_sessions(cortex)
    found = scored[["animal", "session", "n_windows"]].assign(
        confounds=score_sessions(confounds)[metric], cortex=scored[metric], stack=np.nan
    )
    if (cortex.part == 1).any():
        found["stack"] = score_sessions(_stacked(cortex, both))[metric]
    strata = {} if cortex.kind == "value" else _within_strata(cortex, both)
    sessions = zip(found["animal"], found["session"], strict=True)
    found["strata"] = [strata.get(name, np.nan) for name in sessions]
    found.loc[found["cortex"].isna(), "strata"] = np.nan
    return found


def analyse_confounds(
    described: Sequence[pd.DataFrame],
    animal_scores: pd.DataFrame,
    condition: str,
    reliability: float = np.nan,
    least: str = "",
    *,
    within: pd.DataFrame | None = None,
    columns: Sequence[str] = (),
) -> ConfoundAnalysis:
    """What follows from descriptions and from the decoders of cleaned traces.

    "Exceeds the measured confounds" is said only where the two measurements of each confound
    agree (partial correlation of 0.3 or more), the interval over animals of the cleaned traces
    lies above 0.52 and that of what cortex adds to confounds above 0. "No evidence beyond" them
    needs the same agreement, and an interval of the cleaned traces that holds chance and ends
    below 0.55. All else is not separable: fewer than three animals, movies (which are not
    cleaned), and behaviour columns, which are measured once.

    Parameters
    ----------
    described
        From `describe_beside`, one a fold and seed, with columns fold and seed.
    animal_scores
        Columns condition, animal, metric, value; with the condition and, where traces were
        cleaned and decoders refitted, the second of `control_names`.
    condition
        The condition that is asked about.
    reliability, least
        Of the confound that is measured worst, and which that is
        (`corticode.data.confounds.least_reliable`); NaN where one is measured once.
    within
        From `confounds_within_animals`; None: not done.
    columns
        Names of behaviour columns, where these are the confounds.

    Raises
    ------
    DataError
        The condition has no score.
    """
    own = animal_scores[animal_scores["condition"] == condition]
    if own.empty or not described:
        raise DataError(f"there is no score of {condition!r} and its confounds; run them first")
    metric = str(own["metric"].iloc[0])
    table = pd.concat(described)
    scores = ["confounds", "cortex", "stack", "strata"]
    by_decoder = table.groupby(["animal", "fold", "seed"], sort=False)[scores].mean()
    animals = by_decoder.groupby("animal", sort=False).mean().reset_index()
    animals["gain"] = animals["stack"] - animals["confounds"]
    cleaned = animal_scores[animal_scores["condition"] == control_names(condition)[1]]
    for name, values in (("within", within), ("cleaned", None if columns else cleaned)):
        by_animal = {} if values is None else values.set_index("animal")["value"].to_dict()
        animals[name] = animals["animal"].map(by_animal).astype(np.float64)
    animals = animals[["animal", *ROWS]]
    rows = {
        name: interval(animals[name]) if name == "gain" else score_interval(animals[name], metric)
        for name in ROWS
    }
    rows = {name: _with_exact(row) for name, row in rows.items()}
    verdict = judge(rows["cleaned"], rows["gain"], reliability, CHANCE[metric])
    return ConfoundAnalysis(
        ", ".join(columns) or MEASURED,
        animals,
        rows,
        metric,
        reliability,
        verdict,
        _words(rows, metric, (reliability, least), verdict, columns),
    )


def confounds_within_animals(windows: Windows, *, every: int = EVERY) -> pd.DataFrame:
    """What confounds tell a decoder that knows the animal: the most that they could explain.

    Across animals confounds may be read badly where light falls, and the brain moves, otherwise in
    each. Here each session of an animal is left out in turn (of an animal with one session each
    fifth of it, a window's length of frames apart), and a ridge regression on whole windows, each
    input standardised within its session, is fitted to the rest.

    Parameters
    ----------
    windows
        Windows of confounds, of all animals.
    every
        Only windows of every so many frames train: neighbouring windows hold nearly the same.

    Returns
    -------
    DataFrame
        One row an animal: animal, value (mean within-session score; NaN without a score).

    Examples
    --------
    >>> from corticode.data.session import Session
    >>> from corticode.data.targets import Target
    >>> from corticode.data.windows import WindowShape, cut_windows
    >>> rng = np.random.default_rng(0)
    >>> run = np.tile(np.repeat([0, 1], 40), 15)
    >>> signs = {"m1": 1, "m2": -1}  # light falls otherwise in each animal
    >>> sessions = [
    ...     Session(animal, name, (sign * run + rng.normal(size=1200))[:, None], ("light",),
    ...             {"run": run}, np.zeros(1200, int))
    ...     for animal, sign in signs.items() for name in "ab"
    ... ]
    >>> windows = cut_windows(sessions, Target("run"), WindowShape(2, 2))
    >>> found = confounds_within_animals(windows)
    >>> found["animal"].tolist(), bool(found["value"].min() > 0.9)
    (['m1', 'm2'], True)
    """
    said = as_empty_predictions(windows)
    if said.kind == "value":
        # Sessions in which the value hardly varies have no R2 here either.
        said = replace(said, train_sd=float(np.nanstd(windows.target)))
    score = said.score.copy()
    is_tested = np.zeros(windows.n_windows, np.bool_)
    for code in range(len(windows.animal_names)):
        own = np.flatnonzero(windows.animal == code)
        for tested, output in _outputs_within(windows, own, every, said):
            score[tested] = _as_scores(output, said.kind)
            is_tested[tested] = True
    if not is_tested.any():
        return pd.DataFrame({"animal": windows.animal_names, "value": np.nan})
    rows = score_sessions(replace(said, score=score).where(np.flatnonzero(is_tested)))
    by_animal = rows.groupby("animal")[primary(said.kind)].mean()
    return by_animal.reindex(list(windows.animal_names)).rename("value").reset_index()


def _outputs_within(
    windows: Windows, own: NDArray[np.intp], every: int, said: Predictions
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float64]]]:
    """Rows of one animal that are tested together, and what the rest of it says of them.

    These are its sessions, or fifths of its only one; without a window that trains there are none.
    """
    target = windows.target.astype(np.float64)[:, None]
    if said.kind == "classes":
        of_class = target == np.arange(max(1, len(said.classes)))
        target = np.where(np.isnan(target), np.nan, of_class)
    trains = (windows.frame % every == 0) & ~np.isnan(windows.target)
    session = windows.session[own]
    sessions = [own[session == code] for code in np.unique(session)]
    if len(sessions) == 1:
        rows, frame = own, windows.frame[own]
        inputs = standardised_inputs(windows, rows)
        # Of the whole session: the level of the rest would be low where much is left out.
        level = target[rows[trains[rows]]].mean(axis=0) if trains[rows].any() else 0.0
        for part in np.array_split(np.arange(rows.size), N_PARTS):
            if not part.size:
                continue
            first, last = frame[part[[0, -1]]]
            gap = windows.recipe.n_frames
            chosen = trains[rows] & ((frame < first - gap) | (frame > last + gap))
            if chosen.any():
                fitted = _Ridge.of(inputs[chosen], target[rows[chosen]])
                yield rows[part], fitted.outputs(inputs[part]) + level
        return
    fits = []
    for rows in sessions:
        chosen = trains[rows]
        fits.append(_Ridge.of(standardised_inputs(windows, rows)[chosen], target[rows[chosen]]))
    for k, rows in enumerate(sessions):
        others = [fit for j, fit in enumerate(fits) if j != k and fit.n]
        if others:
            level = np.sum([fit.total for fit in others], axis=0) / sum(fit.n for fit in others)
            yield rows, _Ridge.joined(others).outputs(standardised_inputs(windows, rows)) + level


@dataclass(frozen=True)
class _Ridge:
    """What a ridge regression needs of its training windows."""

    gram: NDArray[np.float64]
    moment: NDArray[np.float64]
    total: NDArray[np.float64]
    n: int

    @classmethod
    def of(cls, inputs: NDArray[np.float32], target: NDArray[np.float64]) -> "_Ridge":
        wide = inputs.astype(np.float64)
        about = target - target.mean(axis=0) if len(target) else target
        return cls(wide.T @ wide, wide.T @ about, target.sum(axis=0), len(target))

    @classmethod
    def joined(cls, several: Sequence["_Ridge"]) -> "_Ridge":
        return cls(
            np.sum([one.gram for one in several], axis=0),
            np.sum([one.moment for one in several], axis=0),
            np.sum([one.total for one in several], axis=0),
            sum(one.n for one in several),
        )

    def outputs(self, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
        """About their level, shape (window, output)."""
        return np.asarray(inputs @ ridge_weights(self.gram.copy(), self.moment, PENALTY))


def _as_scores(output: NDArray[np.float64], kind: str) -> NDArray[np.float32]:
    """Outputs as predictions hold them: values, or what lies between 0 and 1 in the same order."""
    if kind == "classes":
        return np.asarray(softmax(output, axis=1), dtype=np.float32)
    return np.asarray(output[:, 0] if kind == "value" else expit(output[:, 0]), dtype=np.float32)


def judge(cleaned: Interval, gain: Interval, reliability: float, chance: float = 0.5) -> str:
    """One of the three verdicts; see `analyse_confounds`.

    Examples
    --------
    >>> left, gain = interval([0.80, 0.82, 0.85]), interval([0.04, 0.05, 0.06])
    >>> judge(left, gain, 0.8), judge(left, gain, 0.2)
    ('exceeds the measured confounds', 'not separable from the measured confounds')
    """
    if not reliability >= LEAST_RELIABILITY or cleaned.n < FEWEST_ANIMALS:
        return NOT_SEPARABLE
    span = 1 - chance
    if cleaned.low > chance + EXCEEDS * span and gain.low > 0:
        return CLAIMED
    if cleaned.low <= chance <= cleaned.high < chance + NOTHING_LEFT * span:
        return NONE_BEYOND
    return NOT_SEPARABLE


def confound_rows(found: ConfoundAnalysis, condition: str) -> pd.DataFrame:
    """The analysis as a table of a run, verdict and words in each row.

    Returns
    -------
    DataFrame
        A row an animal and quantity, after those of the cohort: condition, confounds (which),
        input (which of `ROWS`), animal, metric, value, low and high (95 %; of the cohort alone),
        n_animals, reliability, verdict, words.
    """
    same = {"reliability": found.reliability, "verdict": found.verdict, "words": found.words}
    rows = [
        {"animal": COHORT, "input": ROWS[name], "value": row.mean, "low": row.low,
         "high": row.high, "n_animals": row.n}
        for name, row in found.rows.items()
    ]  # fmt: skip
    for animal, values in found.animals.set_index("animal").iterrows():
        rows += [
            {"animal": animal, "input": words, "value": values[name], "n_animals": 1}
            for name, words in ROWS.items()
        ]
    table = pd.DataFrame([row | same for row in rows])
    table = table.assign(condition=condition, confounds=found.confounds, metric=found.metric)
    columns = [
        "condition",
        "confounds",
        "input",
        "animal",
        "metric",
        "value",
        "low",
        "high",
        "n_animals",
    ]
    return table[[*columns, *same]]


def _words(
    rows: Mapping[str, Interval],
    metric: str,
    measured: tuple[float, str],
    verdict: str,
    columns: Sequence[str],
) -> str:
    name = {"auc": "AUC", "r2": "R²"}[metric]
    cleaned, gain = rows["cleaned"], rows["gain"]
    reliability, least = measured
    of = f" of {least}" if least else ""
    if columns:
        why = (
            f"{listed(columns)} {'is' if len(columns) == 1 else 'are each'} measured once, and a "
            f"claim needs two measurements; alone {name} is {_ends(rows['confounds'])}, and beside "
            f"that cortex adds {_ends(gain)}"
        )
    elif cleaned.n == 0:
        why = (
            "no decoder was refitted on inputs from which confounds were removed (that is done "
            "for region traces, not for movies)"
        )
    elif np.isnan(reliability):
        why = f"there is one measurement{of}, and two are needed"
    elif cleaned.n < FEWEST_ANIMALS:
        why = f"{cleaned.n} animals are too few"
    else:
        agree = "agree" if reliability >= LEAST_RELIABILITY else "agree too little"
        why = (
            f"with confounds removed, {name} is {_ends(cleaned)}; beside confounds cortex adds "
            f"{_ends(gain)}; the two measurements{of} {agree} (partial correlation "
            f"{reliability:.2f}; {cleaned.n} animals)"
        )
    return f"Decoding {'shows ' if verdict == NONE_BEYOND else ''}{_of(verdict)}: {why}. {CAVEAT}"


def _of(verdict: str) -> str:
    return f"is {verdict}" if verdict == NOT_SEPARABLE else verdict


def _ends(found: Interval) -> str:
    return f"{found.mean:.3f} (95 % CI {found.low:.3f} to {found.high:.3f})"


def _with_exact(found: Interval) -> Interval:
    """The interval; of equal values, which have none, the value itself."""
    if found.n > 1 and np.isnan(found.low):
        return replace(found, low=found.mean, high=found.mean)
    return found


def _shared(one: Predictions, other: Predictions) -> tuple[Predictions, Predictions]:
    """The windows that both predict, in the same order."""
    keys = []
    for said in (one, other):
        names = [
            f"{said.animal_names[a]}\n{said.session_names[s]}"
            for a, s in zip(said.animal.tolist(), said.session.tolist(), strict=True)
        ]
        keys.append(pd.MultiIndex.from_arrays([said.part, names, said.frame]))
    place = keys[1].get_indexer(keys[0])
    if not (place >= 0).any():
        raise DataError("decoders of cortex and of confounds share no window; give them one window")
    return one.where(place >= 0), other.where(place[place >= 0])


def _standardised(said: Predictions) -> NDArray[np.float64]:
    """Scores, of probabilities their logit, less their session's mean over its SD; (window, k)."""
    score = said.score.astype(np.float64).reshape(said.n_windows, -1)
    if said.kind != "value":
        inner = np.clip(score, 1e-6, 1 - 1e-6)
        score = np.log(inner / (1 - inner))
    found = np.zeros_like(score)
    for rows in _session_rows(said):
        about = score[rows] - score[rows].mean(axis=0)
        spread = about.std(axis=0)
        found[rows] = np.divide(about, spread, out=np.zeros_like(about), where=spread > 0)
    return found


def _session_rows(said: Predictions) -> list[NDArray[np.intp]]:
    codes = said.animal.astype(np.int64) * (len(said.session_names) + 1) + said.session
    codes = codes * 3 + said.part
    return [np.flatnonzero(codes == code) for code in np.unique(codes)]


def _stacked(cortex: Predictions, both: Sequence[NDArray[np.float64]]) -> Predictions:
    """What both scores together say, by a regression fitted on validation windows."""
    inputs = np.concatenate(both, axis=1).astype(np.float32)
    known = np.flatnonzero((cortex.part == 1) & ~np.isnan(cortex.target))
    target = cortex.target[known]
    offset, scale = 0.0, 1.0
    if cortex.kind == "classes":
        columns = (target[:, None] == np.arange(len(cortex.classes))).astype(np.float32)
    elif cortex.kind == "value":
        offset, scale = float(target.mean()), float(target.std()) or 1.0
        columns = ((target - offset) / scale)[:, None]
    else:
        columns = target[:, None]
    n = inputs.shape[1]
    zeros, ones = np.zeros(n, np.float32), np.ones(n, np.float32)
    problem = LinearProblem(
        inputs[known], zeros, ones, np.arange(known.size), 1, columns, cortex.kind
    )
    fit = fit_linear(problem, None, [STACK_PENALTY])
    output = inputs @ fit.weight[:, 0].T + fit.bias
    if cortex.kind == "value":
        return replace(cortex, score=(output[:, 0] * scale + offset).astype(np.float32))
    if cortex.kind == "binary":
        return replace(cortex, score=(1 / (1 + np.exp(-output[:, 0]))).astype(np.float32))
    raised = np.exp(output - output.max(axis=1, keepdims=True))
    return replace(cortex, score=(raised / raised.sum(axis=1, keepdims=True)).astype(np.float32))


def _within_strata(
    cortex: Predictions, both: Sequence[NDArray[np.float64]]
) -> dict[tuple[str, str], float]:
    """By animal and session, AUC of cortex among test windows that confounds score alike.

    Each session's windows are cut into strata of equal numbers by the confounds' score; pairs of
    windows of both classes count once each. Of several classes it is the mean over classes.
    """
    found = {}
    for own in _session_rows(cortex):
        target = cortex.target[own]
        if cortex.part[own[0]] != 2:
            continue
        classes = [1] if cortex.kind == "binary" else np.unique(target[~np.isnan(target)])
        values = []
        for code in classes:
            column = 0 if cortex.kind == "binary" else int(code)
            score, by = both[0][own, column], both[1][own, column]
            is_it = np.where(np.isnan(target), np.nan, target == code)
            right = pairs = 0.0
            for stratum in np.array_split(np.argsort(by, kind="stable"), N_STRATA):
                label = is_it[stratum]
                n = float(np.nansum(label == 1) * np.nansum(label == 0))
                if n:
                    right += n * binary_scores(label, score[stratum])["auc"]
                    pairs += n
            values.append(right / pairs if pairs else np.nan)
        name = (
            cortex.animal_names[cortex.animal[own[0]]],
            cortex.session_names[cortex.session[own[0]]],
        )
        found[name] = float(np.mean(values)) if values else np.nan
    return found
