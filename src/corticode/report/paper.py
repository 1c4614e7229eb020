"""The figures of the 2024 study drawn from a run, a row a panel: what it needs, how it is drawn."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from corticode.errors import CorticodeError, MissingDataError
from corticode.evaluate.published import (
    published_attributions,
    published_correlations,
    published_summary,
)
from corticode.explain.importance_map import ImportanceMap
from corticode.explain.masks import limb_squares
from corticode.report.canvas import Figure
from corticode.report.headline import SIMULATED, permuted_twins
from corticode.report.map_figures import (
    draw_correlations,
    draw_covered,
    draw_group_layout,
    draw_heat_map,
    draw_region_bars,
    draw_region_test,
    draw_session_maps,
    draw_square_map,
    draw_square_overlay,
    outlines_of,
)
from corticode.report.page import data_address, render
from corticode.report.page_figures import draw_kept_regions
from corticode.report.score_figures import (
    METRIC_NAMES,
    draw_family,
    draw_learning_curves,
    draw_roc,
    draw_session_traces,
    family_of,
)
from corticode.report.session_figures import draw_class_shares
from corticode.report.values import RunValues, choose_by_rule
from corticode.run.tables import TABLES

# The condition of traces that most panels are about, and that of movies.
TRACES, MOVIES, LIMBS = "gru", "cnn-gru, length 5", "limb squares"
# Those whose learning curves are drawn.
TRAINED = (TRACES, "cnn", MOVIES)
# Regions of a heat map that stand below it in figures.
TOP = 10
# Column of scores.csv, and name of the published number.
PUBLISHED_METRICS = {"auc": "auc", "r2": "r2", "mae": "mae_cm_per_s"}
HISTORY = {
    "train_loss": "loss: training",
    "valid_loss": "validation",
    "train_accuracy": "accuracy: training",
    "valid_accuracy": "accuracy: validation",
}
NO_PARTS: Mapping[str, Any] = {"by_class": (), "by_animal": (), "by_decoder": (), "findings": ()}
WAY = "'corticode run paper-code --catalogue sessions.csv' (or paper-text) has it"
GO_ON = "'corticode run' with the same study and folder goes on"
TESTS = (
    "Above: all windows of a split pooled, as published; a star: P < 0.05 as published, by rank "
    "sums over the splits, adjusted by Holm's method. Splits share animals and are no samples. "
    "Below, the verdict of the animals: mean within-session score, paired by animal, with its 95 % "
    "t interval (filled: without 0) and the exact sign-flip p with the smallest that so many "
    "animals can give. †: both verdicts differ."
)


@dataclass(frozen=True)
class PaperRun:
    """What the panels are drawn from.

    Parameters
    ----------
    values
        The run, with the single predictions of the condition "gru".
    beside
        The published numbers beside the run's, as in ``published.csv``.
    histories
        Losses of conditions over their training, by name.
    """

    values: RunValues
    beside: pd.DataFrame = field(default_factory=pd.DataFrame)
    histories: Mapping[str, pd.DataFrame] = field(default_factory=dict)


@dataclass(frozen=True)
class Drawn:
    """A panel as it was drawn.

    Parameters
    ----------
    caption, alt
        Below it, and in its place.
    figure
        The figure; None: the panel is a table.
    numbers
        What was drawn as a table, the published numbers beside it where there are any.
    """

    caption: str
    alt: str
    figure: Figure | None = None
    numbers: pd.DataFrame = field(default_factory=pd.DataFrame)


@dataclass(frozen=True)
class Panel:
    """A row of `PANELS`.

    Parameters
    ----------
    name
        As the article calls it.
    title
        What it shows.
    draw
        Makes it; raises a `CorticodeError` that says what is missing and how to get it.
    """

    name: str
    title: str
    draw: Callable[[PaperRun], Drawn]

    @property
    def stem(self) -> str:
        """Name of its files, without suffix.

        Examples
        --------
        >>> Panel("Fig. 2E", "", lambda run: Drawn("", "")).stem
        'Fig-2E'
        """
        return re.sub(r"\W+", "-", self.name.replace("Fig.", "Fig"))


@dataclass(frozen=True)
class PaperFigure:
    """A panel and what came of it.

    Parameters
    ----------
    panel
        Which.
    drawn
        As it was drawn; None where it could not be.
    missing
        Why not, and how to get it.
    """

    panel: Panel
    drawn: Drawn | None = None
    missing: str = ""


def draw_panels(run: PaperRun, names: Sequence[str] = ()) -> list[PaperFigure]:
    """Panels in the article's order; those that a run cannot fill say why.

    Parameters
    ----------
    run
        What they are drawn from.
    names
        Of the panels; none: all.

    Examples
    --------
    >>> found = draw_panels(PaperRun(RunValues("run")))
    >>> len(found) == len(PANELS), found[2].panel.name, found[2].missing[:30]
    (True, 'Fig. 2E', "not in this run's study: 'cnn'")
    """
    found = []
    for panel in (one for one in PANELS if not names or one.name in names):
        try:
            found.append(PaperFigure(panel, panel.draw(run)))
        except CorticodeError as error:
            found.append(PaperFigure(panel, missing=str(error)))
    return found


def render_paper(run: PaperRun, figures: Sequence[PaperFigure]) -> str:
    """All panels on one HTML file that needs no other, and holds no script.

    Examples
    --------
    >>> "&lt;b&gt;" in render_paper(PaperRun(RunValues("<b>")), [])
    True
    """
    shown = [
        {
            "id": one.panel.stem,
            "name": one.panel.name,
            "title": one.panel.title,
            "missing": one.missing,
            "caption": "" if one.drawn is None else one.drawn.caption,
            "alt": "" if one.drawn is None else one.drawn.alt,
            "source": ""
            if one.drawn is None or one.drawn.figure is None
            else data_address(one.drawn.figure),
            "columns": [] if one.drawn is None else list(one.drawn.numbers.columns),
            "rows": []
            if one.drawn is None
            else [[_cell(cell) for cell in row] for row in one.drawn.numbers.to_numpy()],
        }
        for one in figures
    ]
    return render(
        "paper.html",
        name=run.values.name,
        simulated=SIMULATED if run.values.is_simulated else "",
        figures=shown,
        n_drawn=sum(one.drawn is not None for one in figures),
        missing=list(run.values.missing),
    )


def _cell(cell: Any) -> str:
    """A number with three decimals, whole ones without; nothing for NaN."""
    if not isinstance(cell, float | np.floating):
        return str(cell)
    if np.isnan(cell):
        return ""
    return f"{cell:.0f}" if cell.is_integer() else f"{cell:.3f}"


def _need(run: PaperRun, *names: str, metric: str = "") -> list[str]:
    """Those of some conditions that have scores, of one metric where it is named.

    Raises
    ------
    MissingDataError
        None has.
    """
    scores = run.values.table("scores")
    known = set() if scores.empty else set(scores["condition"])
    fitted = [name for name in names if name in known]
    if not fitted:
        raise MissingDataError(_why(run, names))
    if not metric:
        return fitted
    has_metric = scores[scores[metric].notna()] if metric in scores else scores[:0]
    found = [name for name in fitted if name in set(has_metric["condition"])]
    if not found:
        raise MissingDataError(
            f"{_listed(fitted)}: no {METRIC_NAMES[metric]}, as another kind of target is decoded "
            f"under the published name; {WAY}"
        )
    return found


def _why(run: PaperRun, names: Sequence[str]) -> str:
    """Why conditions have no score, and how to get it."""
    asked = [str(one["name"]) for one in run.values.conditions]
    excluded = run.values.table("excluded")
    reasons = {}
    if not excluded.empty:
        own = excluded[excluded["what"] == "condition"]
        reasons = dict(zip(own["item"], own["reason"], strict=True))
    left_out = [name for name in names if name in reasons]
    absent = [name for name in names if name not in asked and name not in reasons]
    waiting = [name for name in names if name in asked and name not in reasons]
    words = [f"left out of this run: {name!r} ({reasons[name]})" for name in left_out]
    if absent:
        words.append(f"not in this run's study: {_listed(absent)} ({WAY}{_with_movies(absent)})")
    if waiting:
        words.append(f"not scored yet: {_listed(waiting)} ({GO_ON})")
    return "; ".join(words)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))


def _with_movies(names: Sequence[str]) -> str:
    return ", of recordings with movies" if any(name.startswith("cnn") for name in names) else ""


def _table(run: PaperRun, name: str) -> pd.DataFrame:
    """A table that has rows.

    Raises
    ------
    MissingDataError
        It has none.
    """
    table = run.values.table(name)
    if table.empty:
        way = TABLES[name].way or WAY
        raise MissingDataError(f"this run has no {name}.csv: {way}")
    return table


def split_scores(run: PaperRun, names: Sequence[str], column: str = "auc") -> pd.DataFrame:
    """The pooled score of each split, seeds averaged: condition, test_animal, value."""
    scores = run.values.table("scores")
    own = scores[scores["condition"].isin(names)].dropna(subset=[column])
    by_split = own.groupby(["condition", "fold", "test_animal"], sort=False)[column].mean()
    return by_split.rename("value").reset_index()


def _beside(run: PaperRun, names: Sequence[str], metric: str) -> dict[str, tuple[float, float]]:
    """Mean and SD of conditions as published."""
    if run.beside.empty:
        return {}
    is_asked = run.beside["metric"] == PUBLISHED_METRICS[metric]
    own = run.beside[is_asked & run.beside["condition"].isin(list(names))]
    own = own.dropna(subset=["published_mean"])
    return {
        str(name): (float(mean), float(sd))
        for name, mean, sd in own[["condition", "published_mean", "published_sd"]].to_numpy()
    }


def _numbers(
    table: pd.DataFrame, names: Sequence[str], published: Mapping[str, tuple[float, float]]
) -> pd.DataFrame:
    """A row a condition: mean and SD over splits, as published and here."""
    grouped = table.groupby("condition", sort=False)["value"]
    nothing = (np.nan, np.nan)
    rows = [
        (name, *published.get(name, nothing), grouped.mean()[name], grouped.std()[name],
         int(grouped.size()[name]))
        for name in names
    ]  # fmt: skip
    columns = ["condition", "published mean", "published SD", "this run: mean", "SD", "splits"]
    return pd.DataFrame(rows, columns=columns)


def _family(run: PaperRun, family: str, metric: str) -> Drawn:
    """Conditions beside each other, tested as published and over animals."""
    labels = LABELS[family]
    found = _need(run, *labels, metric=metric)
    if len(found) < 2:
        raise MissingDataError(
            f"only {found[0]!r} has scores here; "
            + _why(run, [name for name in labels if name not in found])
        )
    table = split_scores(run, found, metric)
    pairs = family_of(run.values.table("comparisons"), family, metric)
    published = _beside(run, found, metric)
    words = [TESTS]
    if pairs.empty:
        words = [f"Not tested: comparisons.csv has no family {family!r} of these; {WAY}."]
    absent = [name for name in labels if name not in found]
    if absent:
        words.append(f"Not drawn: {_why(run, absent)}.")
    return Drawn(
        " ".join(words),
        f"Scores of {len(table)} splits under {len(found)} conditions; the numbers stand below, "
        "the tests in comparisons.csv.",
        draw_family(table, pairs, labels, metric, published, ALONG.get(family, "")),
        _numbers(table, found, published),
    )


def _running(run: PaperRun) -> Drawn:
    """Fraction of time running, by animal."""
    name = _need(run, TRACES, "cnn", MOVIES)[0]
    table = _table(run, "session_scores")
    own = table[table["condition"] == name]
    if "base_rate" not in own or own["base_rate"].isna().all():
        raise MissingDataError(f"session_scores.csv has no base_rate of {name!r}: {GO_ON}")
    rates = own.groupby(["animal", "session"], sort=False)["base_rate"]
    sessions = rates.mean().dropna().reset_index()
    by_animal = sessions.groupby("animal", sort=False)["base_rate"].agg(["mean", "std", "count"])
    ours = by_animal.reset_index().to_numpy()
    told = published_summary("1C")
    theirs = [(f"published {one.condition}", one.mean, one.sd, one.n) for one in told.itertuples()]
    columns = ["animal", "fraction of time running", "SD over sessions", "sessions"]
    figure = draw_class_shares(sessions)
    figure.axes[0].set_ylabel("fraction of time running")
    return Drawn(
        "Points: sessions (their tested windows); lines: means of animals. Below, the five mice of "
        "the article beside them.",
        f"Fraction of time running in {len(sessions)} sessions, by animal.",
        figure,
        pd.DataFrame([*ours, *theirs], columns=columns),
    )


def _losses(run: PaperRun, names: Sequence[str]) -> Drawn:
    """Learning curves of conditions."""
    found = {name: run.histories[name] for name in _need(run, *names) if name in run.histories}
    if not found:
        raise MissingDataError(f"history.csv of no fit of {_listed(names)} could be read: {GO_ON}")
    history = pd.concat([one.assign(condition=name) for name, one in found.items()])
    absent = [name for name in names if name not in found]
    shown = [name for name in HISTORY if name in history]
    kept = history[history["is_best"]].groupby("condition", sort=False)
    numbers = kept[shown].mean().join(kept.size().rename("decoders")).reset_index()
    words = f" Not drawn: {_why(run, absent)}." if absent else ""
    return Drawn(
        "A line a decoder, black their mean; circles mark the epoch that was kept, whose means "
        f"stand below.{words}",
        f"Learning curves of {int(numbers['decoders'].sum())} decoders.",
        draw_learning_curves(history),
        numbers.rename(columns=HISTORY),
    )


def _output(run: PaperRun) -> Drawn:
    """33 s of what the decoder said and the animal did."""
    _need(run, TRACES)
    chosen = choose_by_rule([one for one in run.values.traces if one.condition == TRACES])
    if chosen is None:
        raise MissingDataError(
            f"no session of {TRACES!r} has predictions and both behaviours: the run keeps them in "
            "predictions.npz of each fit"
        )
    trace = chosen[0]
    return Drawn(
        "The median session by AUC, and of it the 33 s (1,000 frames) in which the fraction of "
        "time running is nearest to one half: chosen by rule, not by hand.",
        "Decoded probability of running over time, periods of running shaded.",
        draw_session_traces([trace], ["median session"]),
        pd.DataFrame({"animal": [trace.animal], "session": [trace.session], "AUC": [trace.auc]}),
    )


def _roc(run: PaperRun) -> Drawn:
    """ROC curves by part."""
    _need(run, TRACES)
    curves = run.values.curves.roc
    if curves.empty:
        raise MissingDataError(f"predictions.npz of no fit of {TRACES!r} could be read: {GO_ON}")
    aucs = curves.groupby(["part", "decoder"], sort=False)["auc"].first()
    words = "All windows of a part pooled, a line a decoder."
    if "train" not in set(curves["part"]):
        words += (
            " Training windows are not kept in this run: 'training = { keep_train = true }' of "
            f"{TRACES!r} keeps them."
        )
    numbers = aucs.groupby("part", sort=False).agg(["mean", "std", "size"]).reset_index()
    return Drawn(
        words,
        "ROC curves of training, validation and test windows.",
        draw_roc(curves),
        numbers.set_axis(["windows of", "AUC: mean", "SD", "decoders"], axis="columns"),
    )


def _squares(run: PaperRun) -> tuple[tuple[str, str], NDArray[np.float64], ImportanceMap]:
    _need(run, MOVIES)
    for key, found in run.values.maps.items():
        if key[0] == MOVIES and found.axes == ("row", "column"):
            return key, found.absolute if found.signed is None else found.signed, found
    raise MissingDataError(
        f"this run has no map of squares of {MOVIES!r}: 'corticode explain' makes those that the "
        f"study asks for with [[map]]; {WAY}"
    )


def _square_map(run: PaperRun) -> Drawn:
    """Fig. 3B: what covering each cell of the image costs."""
    _, values, found = _squares(run)
    return Drawn(
        "AUC of the whole image minus that with a square of 32 x 32 pixels covered; each cell is "
        "the mean of the squares that cover it, over sessions, decoders and animals.",
        f"Map of {values.shape[0]} by {values.shape[1]} cells, the largest {values.max():.3f}.",
        draw_square_map(values, found.unit),
        _cells(values, found),
    )


def _cells(values: NDArray[np.float64], found: ImportanceMap) -> pd.DataFrame:
    """The largest cell of the left half and its mirror image, beside the published two."""
    half = values[:, : values.shape[1] // 2]
    row, column = np.unravel_index(int(np.argmax(half)), half.shape)
    cells = (int(row), int(column)), (int(row), values.shape[1] - 1 - int(column))
    parts = [part.absolute if part.signed is None else part.signed for part in found.by_animal]
    published = published_summary("3B")
    rows = []
    for (down, across), what, (_, told) in zip(
        cells, ("largest on the left", "its mirror image"), published.iterrows(), strict=True
    ):
        over = np.array([part[down, across] for part in parts])
        sd = over.std(ddof=1) if over.size > 1 else np.nan
        name = f"{what} (row {down + 1}, column {across + 1})"
        rows.append((name, told["mean"], told["sd"], values[down, across], sd, over.size))
    columns = [
        "cell", "published mean", "SD over splits", "this run: mean", "SD over animals", "animals",
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def _overlay(run: PaperRun) -> Drawn:
    """Fig. 3C: the same over the mean image."""
    _, values, found = _squares(run)
    name, image = next(iter(_images(run).items()))
    return Drawn(
        f"The map of Fig. 3B over the mean image of {name}; cells that cost nothing are clear.",
        "The map of squares over a mean image.",
        draw_square_overlay(
            values, image, found.unit, outlines_of(run.values.regions, run.values.region_labels)
        ),
    )


def _images(run: PaperRun) -> Mapping[str, NDArray[Any]]:
    if not run.values.mean_images:
        raise MissingDataError(
            f"the mean images of movies (prepared/movies) are not in this run folder: {GO_ON} and "
            "makes them again"
        )
    return run.values.mean_images


def _by_session(run: PaperRun) -> Drawn:
    """S1 Fig: the map of squares of every session over its mean image."""
    key, _, found = _squares(run)
    maps = run.values.session_maps.get(key, {})
    if not maps:
        raise MissingDataError(
            f"occlusion_sessions.csv of no map of {MOVIES!r} could be read: 'corticode explain' "
            "makes them again"
        )
    images = run.values.mean_images
    bare = [name for name in maps if name not in images]
    words = f" Without a mean image (prepared/movies): {', '.join(bare)}." if bare else ""
    return Drawn(
        f"All {len(maps)} sessions, decoders averaged, in one scale, each over its own mean "
        f"image.{words}",
        f"Maps of {len(maps)} sessions.",
        draw_session_maps(maps, found.unit, images, all_sessions=True),
        pd.DataFrame(
            [(name, float(one.max()), float(one.mean())) for name, one in maps.items()],
            columns=["session", "largest cell", "mean of cells"],
        ),
    )


def _limbs(run: PaperRun) -> Drawn:
    """S3 Fig: both limb squares covered at once."""
    _need(run, MOVIES)
    table = run.values.table("occlusion")
    own = table[(table["condition"] == MOVIES) & (table["map"] == LIMBS)] if len(table) else table
    if own.empty:
        raise MissingDataError(
            f"occlusion.csv has no map {LIMBS!r} of {MOVIES!r}: 'corticode explain' makes it where "
            f"the study asks for it with [[map]]; {WAY}"
        )
    if "pooled_whole" not in own:
        raise MissingDataError(
            f"occlusion.csv of this run has no pooled scores: {GO_ON} and makes the table again"
        )
    image = next(iter(run.values.mean_images.values()), None)
    covered = limb_squares((128, 128) if image is None else image.shape).covered
    columns = {
        "mask": "covered", "pooled_whole": "AUC, whole", "sd_whole": "SD over splits",
        "pooled_covered": "AUC, covered", "sd_covered": "SD", "p_splits": "p over splits",
        "score": "animals: cost", "low": "from", "high": "to", "n_animals": "animals",
    }  # fmt: skip
    return Drawn(
        "Left, all windows of a split pooled with nothing covered and with both limb areas "
        "(rows 49 to 80, columns 17 to 32 and 97 to 112 of 128) covered at once, tested as "
        "published by rank sums over splits, which share animals. Middle, what that costs within "
        "sessions, mean over animals. Right, the mask"
        + (
            "."
            if image is None
            else f" over the mean image of {next(iter(run.values.mean_images))}."
        ),
        "AUC with and without both limb areas covered, and the mask.",
        draw_covered(own.iloc[0], covered, image),
        own[list(columns)].rename(columns=columns),
    )


def _shap(run: PaperRun) -> tuple[str, ImportanceMap]:
    _need(run, TRACES)
    for (condition, name), found in run.values.maps.items():
        if (condition, found.kind, found.axes) == (TRACES, "deep-shap", ("frame", "region")):
            return name, found
    raise MissingDataError(
        f"this run has no map by Deep SHAP of {TRACES!r}: 'corticode explain' makes those that the "
        f"study asks for with [[map]]; {WAY}"
    )


def _published_map(found: ImportanceMap) -> ImportanceMap | None:
    """The published map as shares, where the map is of the same regions and frames."""
    values = published_attributions()
    names = tuple(str(k + 1) for k in range(values.shape[2]))
    if found.names != names or len(found.frames) != values.shape[1]:
        return None
    shares = values / values.sum(axis=(1, 2), keepdims=True)
    return replace(found, absolute=shares.mean(axis=0), signed=None, **NO_PARTS)


def _heat(run: PaperRun) -> Drawn:
    """Fig. 6A: |SHAP| over regions and frames."""
    _, found = _shap(run)
    beside = _published_map(found)
    words = (
        "The published map beside it, in the same unit and a colour scale of its own."
        if beside is not None
        else "The published map is of other regions or frames and is not drawn."
    )
    order = np.argsort(-found.by_region(), kind="stable")[:TOP]
    numbers = pd.DataFrame(
        {
            "region": [found.names[k] for k in order],
            "this run: fraction of the total": found.by_region()[order],
            "published": [np.nan if beside is None else beside.by_region()[k] for k in order],
        }
    )
    return Drawn(
        "Mean |SHAP value| of each region and frame of the window as a fraction of a decoder's "
        f"total, averaged over decoders and animals. {words} Below: the first ten regions.",
        "Heat map of regions over frames of the window.",
        draw_heat_map(found, beside),
        numbers,
    )


def _bars(run: PaperRun) -> Drawn:
    """Fig. 6B: |SHAP| by region beside decoders of permuted labels."""
    name, found = _shap(run)
    groups = {}
    if not run.values.regions.empty:
        groups = dict(zip(run.values.regions["name"], run.values.regions["group"], strict=True))
    tested = run.values.table("map_permuted")
    if len(tested):
        tested = tested[(tested["condition"] == TRACES) & (tested["map"] == name)]
    if tested.empty:
        return _shares(run, name, found, groups)
    tested = tested.reset_index(drop=True)
    unit = str(found.details.get("unit_of_decoders", found.unit))
    told = published_attributions().sum(axis=1).mean(axis=0)
    is_same = _published_map(found) is not None and unit == "probability"
    published = dict(zip(found.names, told.tolist(), strict=True)) if is_same else None
    columns = {
        "region": "region", "value": "this run", "permuted_value": "permuted labels",
        "p_splits_holm": "p over splits (Holm)", "difference": "animals: difference",
        "low": "from", "high": "to", "p_holm": "p (Holm)",
    }  # fmt: skip
    numbers = tested[list(columns)].rename(columns=columns)
    if published is not None:
        numbers.insert(1, "published", numbers["region"].map(published))
    return Drawn(
        f"Mean |SHAP value| of each region, summed over the window ({unit}). A star: P < 0.05 as "
        "published, rank sums of decoders against those of permuted labels, Holm over regions; "
        "decoders share animals. Below, the difference over animals with its 95 % t interval "
        "(filled: without 0).",
        "Bars by region; the numbers stand below.",
        draw_region_test(tested, unit, groups or None, published),
        numbers,
    )


def _shares(run: PaperRun, name: str, found: ImportanceMap, groups: Mapping[str, str]) -> Drawn:
    """The same as fractions, of a run whose maps were not tested against permuted labels."""
    shares = _table(run, "map_shares")
    shares = shares[shares["map"] == name].rename(columns={"test_animal": "animal"})
    own = shares[shares["condition"] == TRACES]
    control = shares[shares["condition"].isin(permuted_twins(run.values, TRACES))]
    beside = _published_map(found)
    published = None if beside is None else dict(zip(found.names, beside.by_region(), strict=True))
    means = own.groupby(["region", "animal"], sort=False)["share"].mean()
    numbers = means.groupby("region", sort=False).mean().rename("this run: fraction").reset_index()
    if published is not None:
        numbers.insert(1, "published", numbers["region"].map(published))
    return Drawn(
        "Fraction of the total |SHAP value| that each region has. Bars: means over animals; dots: "
        "animals"
        + ("; lines and grey ranges: decoders of permuted labels" if len(control) else "")
        + ". Not tested against permuted labels: this run has no map_permuted.csv, which "
        f"'corticode explain' makes of {TRACES!r} and its like with permuted labels.",
        "Bars by region; the numbers stand below.",
        draw_region_bars(own, control, groups or None, published=published),
        numbers,
    )


def _layout(run: PaperRun) -> Drawn:
    """S2 Fig: where the regions lie."""
    regions = run.values.regions
    outlines = outlines_of(regions, run.values.region_labels)
    if outlines is None or regions.empty:
        raise MissingDataError(
            "where regions lie is not known: give [data] regions (a table with centres) or "
            "region_image in the study file"
        )
    return Drawn(
        f"Regions in the colour of their group. {outlines.words}",
        f"{len(regions)} regions in {regions['group'].nunique()} groups.",
        draw_group_layout(regions, outlines=outlines),
    )


def _region_traces(run: PaperRun) -> Drawn:
    """S2 Fig: what some regions do, over what the animal does."""
    _need(run, TRACES)
    figure, kept = draw_kept_regions(run.values, TRACES), run.values.region_traces
    if figure is None or kept is None:
        raise MissingDataError(
            f"the traces that {TRACES!r} decoded (prepared) are not in this run folder: {GO_ON} "
            "and makes them again"
        )
    return Drawn(
        f"The first region of each group in {kept.animal}/{kept.session}, as it was decoded and "
        "divided by its own SD; periods of running shaded.",
        "Traces of regions over time.",
        figure,
    )


def _correlations(run: PaperRun) -> Drawn:
    """S6 Fig: correlation of each region with running."""
    table = _table(run, "region_correlations")
    if table["pearson_r"].isna().all():
        raise MissingDataError("region_correlations.csv holds no number: every trace is constant")
    told = published_correlations()
    regions = list(dict.fromkeys(table["region"]))
    same = set(map(str, regions)) == set(told.index)
    published = {str(name): float(r) for name, r in told.items()} if same else None
    mean = table.groupby("region", sort=False)["pearson_r"].agg(["mean", "std", "count"])
    numbers = mean.reset_index().set_axis(
        ["region", "this run: r", "SD over sessions", "sessions"], axis="columns"
    )
    if same:
        numbers["published r"] = numbers["region"].astype(str).map(told)
    overall = published_summary("S6").iloc[0]
    return Drawn(
        "Pearson correlation of each region's detrended trace with run and rest. Mean over all "
        f"regions and sessions: {table['pearson_r'].mean():.2f} here, {overall['mean']:.2f} ± "
        f"{overall['sd']:.2f} as published. Diamonds: as published."
        + ("" if same else " The regions are others than the published ones."),
        "Correlations by region and animal; the numbers stand below.",
        draw_correlations(table, published),
        numbers,
    )


def _summary(run: PaperRun) -> Drawn:
    """S1 Table: every condition."""
    scores = run.values.table("scores")
    if scores.empty:
        raise MissingDataError(f"no condition has a score yet: {GO_ON}")
    parts = []
    for metric in PUBLISHED_METRICS:
        if metric not in scores:
            continue
        names = list(dict.fromkeys(scores.loc[scores[metric].notna(), "condition"]))
        if names:
            table = split_scores(run, names, metric)
            numbers = _numbers(table, names, _beside(run, names, metric))
            numbers.insert(1, "score", METRIC_NAMES[metric])
            parts.append(numbers)
    return Drawn(
        "Mean and SD over splits of the score of all windows of a split pooled (n − 1).",
        "",
        numbers=pd.concat(parts, ignore_index=True),
    )


GROUPS = ("M2&M1", "FL&HL", "PT&RS", "V1&Vm", "Vl&A1")
# Conditions of each family and how they are called in its figure, in its order.
LABELS: Mapping[str, Mapping[str, str]] = {
    "Fig. 2E": {"cnn": "CNN", "cnn-lstm, length 5": "CNN-LSTM", MOVIES: "CNN-GRU"},
    "Fig. 2F": {f"cnn-gru, length {n}": str(n) for n in (1, 2, 5, 10, 15)},
    "Fig. 4E": {
        TRACES: "GRU",
        "gru, raw dF/F": "GRU,\nraw dF/F",
        "logistic regression on one frame": "logistic\nregression",
    },
    "Fig. 4F": {
        **{"rnn": "RNN", "lstm": "LSTM", TRACES: "GRU"},
        **{"bi-rnn": "bi-RNN", "bi-lstm": "bi-LSTM", "bi-gru": "bi-GRU"},
    },
    "Fig. 5B": {TRACES if n == 15 else f"gru, length {n}": str(n) for n in (5, 10, 15, 20, 25, 30)},
    "Fig. 5C": {f"gru, shift {n}" if n else TRACES: str(n) for n in range(-60, 61, 10)},
    "Fig. 6D": {
        TRACES: "all regions",
        "gru, FLa&HLa only": "FLa&HLa",
        "gru, all but FLa&HLa": "all but\nFLa&HLa",
    },
    "Fig. 6F": {TRACES: "all regions"} | {f"gru, {name} only": name for name in GROUPS},
    "S4 Fig": {
        **{f"gru, detrended over {n} frames": str(n) for n in (100, 300)},
        TRACES: "1000",
        "gru, detrended over 3000 frames": "3000",
        "gru, raw dF/F": "none",
    },
    "S5 Fig": {"speed gru": "GRU", "speed linear regression": "linear\nregression"},
    "S5 Fig, D and E": {f"speed gru, {name} only": name for name in GROUPS},
}
ALONG = {
    "Fig. 2F": "images before and after the decoded one",
    "Fig. 5B": "frames before and after the decoded one",
    "Fig. 5C": "frames from the window's centre to the label (above 0: the future)",
    "S4 Fig": "frames of the moving mean that is taken off",
}


def _family_panel(name: str, title: str, family: str = "", metric: str = "auc") -> Panel:
    family = family or name
    return Panel(name, title, partial(_family, family=family, metric=metric))


# In the article's order.
PANELS = (
    Panel("Fig. 1C", "time spent running", _running),
    Panel("Fig. 2D", "loss of decoders of images", partial(_losses, names=("cnn", MOVIES))),
    _family_panel("Fig. 2E", "decoders of images"),
    _family_panel("Fig. 2F", "number of images"),
    Panel("Fig. 3B", "what covering a square costs", _square_map),
    Panel("Fig. 3C", "the same over the mean image", _overlay),
    Panel("Fig. 4B", "learning curves of the GRU", partial(_losses, names=(TRACES,))),
    Panel("Fig. 4C", "decoded probability and behaviour", _output),
    Panel("Fig. 4D", "ROC curves of the GRU", _roc),
    _family_panel("Fig. 4E", "detrending, and a linear decoder"),
    _family_panel("Fig. 4F", "six recurrent networks"),
    _family_panel("Fig. 5B", "length of the window"),
    _family_panel("Fig. 5C", "shift of the label"),
    Panel("Fig. 6A", "attribution by region and frame", _heat),
    Panel("Fig. 6B", "attribution by region", _bars),
    _family_panel("Fig. 6D", "limb areas, and all others"),
    _family_panel("Fig. 6F", "five groups of regions"),
    Panel("S1 Fig", "what covering a square costs, by session", _by_session),
    Panel("S2 Fig, regions", "where the regions lie", _layout),
    Panel("S2 Fig, traces", "traces of regions", _region_traces),
    Panel("S3 Fig", "both limb areas covered", _limbs),
    _family_panel("S4 Fig", "length of detrending"),
    _family_panel("S5 Fig, R2", "speed", "S5 Fig", "r2"),
    _family_panel("S5 Fig, error", "speed", "S5 Fig", "mae"),
    _family_panel("S5 Fig, D", "speed from five groups of regions", "S5 Fig, D and E", "r2"),
    _family_panel("S5 Fig, E", "speed from five groups of regions", "S5 Fig, D and E", "mae"),
    Panel("S6 Fig", "correlation of regions with running", _correlations),
    Panel("S1 Table", "every condition", _summary),
)
