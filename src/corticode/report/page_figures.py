"""The figures that a run's tables allow, each with title, caption and words in its place."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from corticode.evaluate.confounds import MEASURED
from corticode.evaluate.nulls import COHORT
from corticode.explain.importance_map import ImportanceMap
from corticode.explain.stability import moment_of_animals
from corticode.report.canvas import Figure
from corticode.report.headline import animal_values, metric_of, permuted_twins
from corticode.report.map_figures import (
    RegionOutlines,
    draw_correlations,
    draw_group_layout,
    draw_heat_map,
    draw_mask_costs,
    draw_mean_images,
    draw_region_bars,
    draw_session_maps,
    draw_square_map,
    outlines_of,
)
from corticode.report.questions import session_means
from corticode.report.score_figures import (
    METRIC_NAMES,
    STRETCH_FRAMES,
    draw_confounds,
    draw_detection,
    draw_lag_matrix,
    draw_learning_curves,
    draw_onset,
    draw_points_by_split,
    draw_reliability,
    draw_roc,
    draw_session_scores,
    draw_session_traces,
    draw_sweep,
    draw_trial_time,
    verdicts_of,
)
from corticode.report.session_figures import draw_class_shares, draw_region_traces
from corticode.report.values import (
    RegionTraces,
    RunValues,
    alike_but,
    choose_by_rule,
    choose_stretch,
    decodes_trials,
    headline_condition,
    is_permuted,
    names_of_series,
    value_at,
)

# Of the same kind; the others stand in the tables, and each with its figure where one asks for it.
MOST_MAPS = 8
MOST_VERDICTS = 4
MOST_CONFOUNDS = 8
SWEEPS = (
    ("window.shift", "shift of the target (frames; above 0: the future)"),
    ("window.before", "frames on either side of the decoded one"),
    ("target.above", "threshold above which a frame is of the class (the signal's unit)"),
    ("preprocess.detrend_frames", "length of the detrending mean (frames; 0: none)"),
)


@dataclass(frozen=True)
class PageFigure:
    """A figure with its words.

    Parameters
    ----------
    name
        File name without suffix.
    section
        ``"scores"``, ``"sessions"``, ``"evidence"`` or ``"maps"``.
    title, caption, alt
        Above it, below it, and in its place.
    figure
        The figure itself.
    """

    name: str
    section: str
    title: str
    caption: str
    alt: str
    figure: Figure


def images_and_maps(values: RunValues, name: str) -> Iterator[PageFigure]:
    """Mean images, maps over regions and over squares, correlations: those that there are.

    Parameters
    ----------
    values
        The run.
    name
        The condition the page is about.
    """
    outlines = outlines_of(values.regions, values.region_labels)
    yield from _of_images(values, outlines)
    yield from _of_layout(values, outlines)
    yield from _of_maps(values)
    yield from _of_shares(values)
    yield from _of_squares(values, outlines)
    yield from _of_masks(values)
    yield from _of_correlations(values)


def _of_images(values: RunValues, outlines: RegionOutlines | None) -> Iterator[PageFigure]:
    if not values.mean_images:
        return
    yield PageFigure(
        "images",
        "sessions",
        "Are sessions and animals aligned?",
        "Mean image of each session (the first six of an animal). Vessels and borders should lie "
        f"in the same place. {_outline_words(values, outlines)}",
        f"Mean images of {len(values.mean_images)} sessions.",
        draw_mean_images(values.mean_images, outlines),
    )


def _outline_words(values: RunValues, outlines: RegionOutlines | None) -> str:
    """Where the outlines over mean images come from, or why there are none."""
    if outlines is None:
        return (
            "Where regions lie is not known: give [data] regions (with centres) or region_image "
            "for outlines."
        )
    if any(outlines.on(image.shape) for image in values.mean_images.values()):
        return outlines.words
    return "Some centres lie outside these images, so that no region is drawn: they are of others."


def _of_layout(values: RunValues, outlines: RegionOutlines | None) -> Iterator[PageFigure]:
    if outlines is None or values.regions.empty:
        return
    n_groups = values.regions["group"].nunique()
    yield PageFigure(
        "layout",
        "maps",
        "Where the regions lie",
        f"Regions in the colour of their group. {outlines.words}",
        f"{len(values.regions)} regions in {n_groups} groups.",
        draw_group_layout(values.regions, outlines=outlines),
    )


def _of_maps(values: RunValues) -> Iterator[PageFigure]:
    # Maps of controls stand beside those of what they control, as lines.
    shown = [
        (key, found)
        for key, found in values.maps.items()
        if found.axes == ("frame", "region") and not is_permuted(values.condition(key[0]))
    ]
    for k, ((condition, kind), found) in enumerate(shown[:MOST_MAPS]):
        yield PageFigure(
            f"map-{k + 1}",
            "maps",
            f"Map “{kind}” of “{condition}”: regions over time",
            "Share of the map's total that each region holds at each frame of the window, mean "
            f"over animals. {moment_words(found)}" + _others(len(shown), k),
            "Heat map of regions by frames of the window; the shares stand in map_regions.csv.",
            draw_heat_map(found),
        )


def moment_words(found: ImportanceMap) -> str:
    """When in the window a map over frames lies, or that it is not determined.

    The rule is that of `corticode.explain.stability.moment_of`, over animals.
    """
    moment = moment_of_animals(found)
    over = moment.found
    if over.n < 3:
        return (
            f"When in the window: not determined, as {over.n} of {len(found.by_animal)} animals "
            "have a map with a peak in time."
        )
    scale, unit = (found.frame_rate_hz, "s") if found.frame_rate_hz else (1.0, "frames")
    mean, low, high = ((one + found.frames[0]) / scale for one in (over.mean, over.low, over.high))
    digits = 2 if unit == "s" else 1
    interval = f"95 % CI {low:+.{digits}f} to {high:+.{digits}f}, {over.n} animals"
    if not moment.is_determined:
        return f"When in the window: not determined (centre of the peak {interval} {unit})."
    return f"The peak is centred at {mean:+.{digits}f} {unit} from the decoded frame ({interval})."


def _others(n_maps: int, k: int) -> str:
    """A word at the last figure that is shown on those that are not."""
    if k + 1 < MOST_MAPS or n_maps <= MOST_MAPS:
        return ""
    return f" {n_maps - MOST_MAPS} more maps of this kind are not drawn; their tables are below."


def _of_shares(values: RunValues) -> Iterator[PageFigure]:
    shares = values.table("map_shares")
    if shares.empty:
        return
    groups = {}
    if not values.regions.empty:
        groups = dict(zip(values.regions["name"], values.regions["group"], strict=True))
    by_map = [
        (str(whose), str(what), own)
        for (whose, what), own in shares.groupby(["condition", "map"], sort=False)
        if not is_permuted(values.condition(str(whose)))
    ]
    for k, (condition, kind, own) in enumerate(by_map[:MOST_MAPS]):
        twins = permuted_twins(values, condition)
        control = shares[shares["condition"].isin(twins) & (shares["map"] == kind)]
        yield PageFigure(
            f"regions-{k + 1}",
            "maps",
            f"Map “{kind}” of “{condition}”: share of each region",
            "Bars: mean over animals, dots: animals."
            + _others(len(by_map), k)
            + (
                " Lines: decoders of permuted labels."
                if not control.empty
                else " A control of permuted labels with this map: not done."
            ),
            "Bars by region; the shares stand in map_regions.csv.",
            draw_region_bars(
                own.rename(columns={"test_animal": "animal"}),
                control.rename(columns={"test_animal": "animal"}),
                groups or None,
            ),
        )


def _of_squares(values: RunValues, outlines: RegionOutlines | None) -> Iterator[PageFigure]:
    shown = [(key, found) for key, found in values.maps.items() if found.axes == ("row", "column")]
    for k, ((condition, kind), found) in enumerate(shown[:MOST_MAPS]):
        signed = found.absolute if found.signed is None else found.signed
        whose, image = next(iter(values.mean_images.items()), ("", None))
        over = f" Over the mean image of {whose}. {_outline_words(values, outlines)}"
        yield PageFigure(
            f"squares-{k + 1}",
            "maps",
            f"Map “{kind}” of “{condition}”: what covering costs",
            "Score of the whole image less that with squares covered; each cell is the mean "
            "of the squares that cover it. Borders that cost as much as cortex are a warning."
            + (over if image is not None else "")
            + _others(len(shown), k),
            f"{signed.shape[0]} by {signed.shape[1]} cells, the largest {np.max(signed):.3f}.",
            draw_square_map(signed, found.unit, image, outlines),
        )
        by_session = values.session_maps.get((condition, kind), {})
        if len(by_session) > 1:
            yield PageFigure(
                f"squares-{k + 1}-sessions",
                "maps",
                f"Map “{kind}” of “{condition}”: session by session",
                "The same in each session (the first six of an animal), decoders averaged, in one "
                "scale. What is cortex should come again in most of them.",
                f"Maps of {len(by_session)} sessions.",
                draw_session_maps(by_session, found.unit),
            )


def _of_masks(values: RunValues) -> Iterator[PageFigure]:
    """Costs of masks that are no squares: limb squares, circles, regions, images of one's own."""
    table = values.table("occlusion")
    if table.empty:
        return
    groups = table.groupby(["condition", "map"], sort=False)
    # Maps of squares are drawn as images.
    own = [
        (key, rows)
        for key, rows in groups
        if not _is_over_cells(values.maps.get((str(key[0]), str(key[1]))))
    ]
    for k, ((condition, kind), rows) in enumerate(own[:MOST_MAPS]):
        yield PageFigure(
            f"masks-{k + 1}",
            "maps",
            f"Map “{kind}” of “{condition}”: what covering each part costs",
            "Score of the whole input less that with a part covered: mean over animals and its t "
            "interval" + (", the first 40 parts." if len(rows) > 40 else "."),
            f"Costs of {len(rows)} parts; the numbers stand in occlusion.csv.",
            draw_mask_costs(rows),
        )


def _is_over_cells(found: ImportanceMap | None) -> bool:
    return found is not None and found.axes == ("row", "column")


def _of_correlations(values: RunValues) -> Iterator[PageFigure]:
    table = values.table("region_correlations")
    if table.empty or table["pearson_r"].isna().all():
        return
    yield PageFigure(
        "correlations",
        "maps",
        "Correlation of each region with behaviour",
        "Frame by frame, without a decoder. A region that correlates need not be read, and one "
        "that is read need not correlate.",
        "Pearson correlations by region and animal; the numbers stand in region_correlations.csv.",
        draw_correlations(table),
    )


def page_figures(values: RunValues) -> list[PageFigure]:
    """Every figure that can be drawn of a run; those without data are left out.

    Examples
    --------
    >>> page_figures(RunValues("run"))
    []
    """
    name = headline_condition(values)
    if name is None:
        return []
    makers: tuple[Callable[[RunValues, str], Iterator[PageFigure]], ...] = (
        _of_trial_time,
        _of_splits,
        _of_confounds,
        _of_sweeps,
        _of_learning,
        _of_generalisation,
        _of_lags,
        _of_curves,
        _of_sessions,
        _of_recordings,
        images_and_maps,
    )
    return [figure for make in makers for figure in make(values, name)]


def _of_trial_time(values: RunValues, name: str) -> Iterator[PageFigure]:
    table = values.table("trial_time")
    if table.empty:
        return
    for k, (condition, own) in enumerate(table.groupby("condition", sort=False)):
        reach = own["first_s"] - own["lag_s"], own["last_s"] - own["lag_s"]
        sees = ""
        if not own["lag_s"].isna().any():
            sees = (
                f" Each window reaches from {reach[0].min():+.2g} to {reach[1].max():+.2g} s of it."
            )
        events = (values.condition(str(condition)).get("target") or {}).get("events", "the event")
        yield PageFigure(
            f"trial-time-{k + 1}",
            "scores",
            f"When can trials be decoded? “{condition}” around “{events}”",
            "At each lag a decoder of its own is trained and tested in windows centred there."
            f"{sees} Thin lines: animals; band: the 95 % interval of their mean at each lag, not "
            "corrected for the number of lags (p_holm in trial_time.csv is).",
            f"Scores at {own['lag_frames'].nunique()} lags; the numbers stand in trial_time.csv.",
            draw_trial_time(own),
        )


def _of_splits(values: RunValues, name: str) -> Iterator[PageFigure]:
    metric = metric_of(values, name)
    column = f"{metric}_session_mean"
    scores = values.table("scores")
    if scores.empty or column not in scores or scores[column].isna().all():
        return
    table = scores.rename(columns={column: "value"}).dropna(subset=["value"])
    table = table[~table["condition"].isin(names_of_series(values))]
    if table.empty:
        return
    comparisons = values.table("comparisons")
    verdicts = [] if comparisons.empty else verdicts_of(comparisons)[:MOST_VERDICTS]
    n_conditions = table["condition"].nunique()
    yield PageFigure(
        "splits",
        "scores",
        f"{METRIC_NAMES[metric]} by split",
        "Each point is one decoder (fold and seed) in the colour of its test animal: its mean "
        "within-session score. Box: middle half and ends; bar: mean ± SD over splits. Splits share "
        "animals, so they are not independent." + (" The first 16." if n_conditions > 16 else ""),
        f"Scores of {len(table)} decoders under {n_conditions} conditions; the same numbers stand "
        "in the table of conditions.",
        draw_points_by_split(table, metric, verdicts),
    )


def _of_confounds(values: RunValues, name: str) -> Iterator[PageFigure]:
    table = values.table("confounds")
    if table.empty:
        return
    for k, (condition, rows) in enumerate(table.groupby("condition", sort=False)):
        if k == MOST_CONFOUNDS:
            break
        own = rows if "confounds" in rows else rows.assign(confounds=MEASURED)
        yield PageFigure(
            f"confounds-{k + 1}",
            "evidence",
            f"“{condition}” beside its confounds",
            "Dots: animals; black: mean and 95 % interval over animals. “Own animal”: confounds "
            "decoded by a decoder trained in the same animal, an upper bound. “Confounds removed”: "
            "decoders refitted on traces without them, the one input a claim can rest on. Right of "
            "the rule: cortex among moments alike in the confounds, which supports no claim.",
            f"{own['words'].iloc[0]} The numbers stand in confounds.csv.",
            draw_confounds(own, str(own["metric"].iloc[0])),
        )


def _of_sweeps(values: RunValues, name: str) -> Iterator[PageFigure]:
    lags = names_of_series(values)
    for key, along in SWEEPS:
        # A window's length is one setting: both sides change together.
        others = alike_but(values, name, "window" if key == "window.before" else key)
        if key == "window.before":
            own = value_at(values.condition(name), "window.shift")
            others = [one for one in others if value_at(one, "window.shift") == own]
        others = [one for one in others if one["name"] not in lags]
        compared = [values.condition(name), *others]
        settings = {str(one["name"]): value_at(one, key) for one in compared}
        rows = [
            {"setting": setting, "animal": animal, "value": value}
            for condition, setting in settings.items()
            if setting is not None
            for animal, value in animal_values(values, condition).items()
        ]
        table = pd.DataFrame(rows, columns=["setting", "animal", "value"])
        if table["setting"].nunique() < 2:
            continue
        lines = _shift_lines(values, settings) if key == "window.shift" else {}
        yield PageFigure(
            f"sweep-{key.replace('.', '-')}",
            "scores",
            f"Scores along the {along.partition(' (')[0]}",
            "One line an animal, black their mean."
            + (
                " Only above both reference lines is more decoded than the present foretells: the "
                "label's own persistence, and the unshifted decoder scored on the shifted label."
                if lines
                else ""
            ),
            f"Mean score of animals at {table['setting'].nunique()} settings.",
            draw_sweep(table, along, metric_of(values, name), lines),
        )


def _of_learning(values: RunValues, name: str) -> Iterator[PageFigure]:
    table = values.table("learning_curve")
    if table.empty:
        return
    own = table[(table["condition"] == name) & (table["animal"] != "")]
    along = {
        "animals": "training animals",
        "minutes": "minutes of each training animal's recordings",
    }
    for varied, rows in own.groupby("varied", sort=False):
        if rows["amount"].nunique() < 2:
            continue
        # As text: amounts stand side by side, however far apart they are.
        shown = rows.assign(setting=[f"{amount:.4g}" for amount in rows["amount"]])
        yield PageFigure(
            f"learning-{varied}",
            "scores",
            f"Scores along the {along[str(varied)]}",
            "One line an animal, black their mean; the last point is trained on everything. The "
            "number of epochs is the same, so that less data also means fewer steps of training.",
            f"Mean score of animals with {rows['amount'].nunique()} amounts of training data.",
            draw_sweep(shown, along[str(varied)], metric_of(values, name)),
        )


def _of_generalisation(values: RunValues, name: str) -> Iterator[PageFigure]:
    table = values.table("generalisation")
    if table.empty:
        return
    chosen = (table["condition"] == name) & (table["animal"] != "")
    own = table[chosen].rename(columns={"tested": "setting"})
    if own.empty:
        return
    yield PageFigure(
        "generalisation",
        "scores",
        "Within sessions, across sessions, across animals",
        "The same decoder, trained on other blocks of the session that is tested, on other "
        "sessions of the animal, or on other animals, and scored on the same windows. One line an "
        "animal, black their mean.",
        f"Mean score of {own['animal'].nunique()} animals by what was left out.",
        draw_sweep(own, "where the decoder is tested", metric_of(values, name)),
    )


def _of_lags(values: RunValues, name: str) -> Iterator[PageFigure]:
    table = values.table("cross_temporal")
    if table.empty:
        return
    means = table[table["animal"].fillna("") == ""]
    for k, (sweep, own) in enumerate(means.groupby("sweep", sort=False)):
        yield PageFigure(
            f"lags-{k + 1}",
            "scores",
            f"Trained at one lag, tested at another: {sweep}",
            "The decoder of each lag (a row), on the target at every lag (a column), all on the "
            "same windows; the mean over animals. A row that is even says that what the decoder "
            "reads lasts, or that the target does; that of a decoder at chance at its own lag says "
            "nothing. Intervals stand in cross_temporal.csv.",
            f"Mean score of {own['n_animals'].max():g} animals by the lag of training and of test.",
            draw_lag_matrix(own),
        )


def _shift_lines(values: RunValues, settings: dict[str, object]) -> dict[str, "pd.Series[float]"]:
    table = values.table("shift_references")
    own = table[table["condition"].isin(list(settings))] if not table.empty else table
    if own.empty:
        return {}
    mean = own.groupby(["shift", "animal"])[["persistence_auc", "unshifted_auc"]].mean()
    by_shift = mean.groupby("shift").mean()
    return {
        "persistence of the label": by_shift["persistence_auc"],
        "unshifted decoder": by_shift["unshifted_auc"],
    }


def _of_curves(values: RunValues, name: str) -> Iterator[PageFigure]:
    curves = values.curves
    if not curves.roc.empty:
        yield PageFigure(
            "roc",
            "scores",
            f"ROC curves of “{name}”",
            "One line a decoder, all windows of its part pooled. Pooled over sessions, the AUC may "
            "differ from the mean within sessions. Training windows are shown where they are kept.",
            "Share of hits over share of false alarms.",
            draw_roc(curves.roc),
        )
    if not curves.history.empty:
        yield PageFigure(
            "learning",
            "scores",
            f"Learning curves of “{name}”",
            "Loss after each validation, one line a decoder; circles mark what was kept.",
            "Training and validation loss over epochs.",
            draw_learning_curves(curves.history),
        )
    yield from _of_detection(values, name)
    if not curves.reliability.empty:
        yield PageFigure(
            "reliability",
            "detection",
            f"Are the probabilities of “{name}” true?",
            "Where the decoder says 0.8, it should be class 1 in 8 of 10 windows (dashed line). "
            "Calibration moves between animals.",
            "Share of class 1 over the probability said, by animal.",
            draw_reliability(curves.reliability),
        )


def _of_detection(values: RunValues, name: str) -> Iterator[PageFigure]:
    table = values.table("detection")
    own = table[table["condition"] == name] if len(table) else table
    own = own[own["animal"] != COHORT] if len(own) else own
    if own.empty:
        return
    yield PageFigure(
        "detection",
        "detection",
        f"“{name}” as a detector in each test animal",
        "One dot an animal, at the threshold that lets 5 % of frames of validation rest pass. "
        "Left: an open triangle is an upper limit, where there was no false alarm. Middle: the "
        "cross is the fraction of equally long stretches of rest with an alarm. Right: an open "
        "triangle is a median later than the 2 s that are looked at.",
        f"False alarms, onsets detected and latency of {len(own)} animals; the numbers stand in "
        "the table above and in detection.csv.",
        draw_detection(own),
    )


def _of_recordings(values: RunValues, name: str) -> Iterator[PageFigure]:
    """What animals and regions did, whatever was decoded."""
    table = session_means(values, name)
    kind = (values.condition(name).get("target") or {}).get("kind", "binary")
    if kind == "binary" and len(table) and table["base_rate"].notna().any():
        yield PageFigure(
            "shares",
            "sessions",
            "How many of the trials were of class 1?"
            if decodes_trials(values.condition(name))
            else "How much of the time was class 1?",
            "Points: sessions, their tested windows; lines: means of animals. Where shares differ, "
            "accuracies of animals cannot be compared.",
            f"Share of class 1 in {len(table)} sessions, by animal.",
            draw_class_shares(table),
        )
    if values.region_traces is None:
        return
    figure = draw_kept_regions(values, name)
    if figure is None:
        return
    yield PageFigure(
        "region-traces",
        "sessions",
        "What regions did meanwhile",
        "The median session and the stretch of “What was said, and what was”: the first region of "
        "each group (without groups, regions at even steps), as it was decoded and divided by its "
        "own SD.",
        f"Traces of {len(_one_a_group(values, values.region_traces))} regions over time.",
        figure,
    )


def draw_kept_regions(values: RunValues, name: str) -> Figure | None:
    """Traces of one region a group, in the stretch of a session that a page shows.

    Parameters
    ----------
    values
        The run.
    name
        The condition whose sessions they are; None comes back where none of them is kept.

    Examples
    --------
    >>> draw_kept_regions(RunValues("run"), "gru")
    """
    kept = values.region_traces
    own = [trace for trace in values.traces if trace.condition == name]
    if kept is None:
        return None
    whose = (kept.animal, kept.session)
    trace = next((one for one in own if (one.animal, one.session) == whose), None)
    if trace is None:
        return None
    stretch = choose_stretch(trace, STRETCH_FRAMES)
    frames = slice(trace.first_frame + stretch.start, trace.first_frame + stretch.stop)
    chosen = _one_a_group(values, kept)
    times = trace.times_s[stretch]
    return draw_region_traces(
        kept.values[frames][: len(times), chosen],
        [kept.names[k] for k in chosen],
        times,
        None if trace.kind == "value" else trace.target[stretch],
        unit="s" if trace.frame_rate_hz else "frames",
    )


def _one_a_group(values: RunValues, kept: RegionTraces) -> list[int]:
    groups = {}
    if not values.regions.empty:
        groups = dict(zip(values.regions["name"].astype(str), values.regions["group"], strict=True))
    first: dict[str, int] = {}
    for k, name in enumerate(kept.names):
        if groups.get(name, "none") != "none":
            first.setdefault(groups[name], k)
    return list(first.values())[:10] or list(range(0, len(kept.names), -(-len(kept.names) // 10)))


def _of_sessions(values: RunValues, name: str) -> Iterator[PageFigure]:
    table = session_means(values, name).dropna(subset=["value"])
    metric = metric_of(values, name)
    own = [trace for trace in values.traces if trace.condition == name]
    chosen = choose_by_rule(own)
    if chosen is not None:
        stretch, alt = (
            ("the value varies most", "Decoded and recorded value over time, in two sessions.")
            if chosen[0].kind == "value"
            else (
                "the share of class 1 is the nearest to one half",
                "Decoded probability over time with periods of class 1 shaded, in two sessions.",
            )
        )
        yield PageFigure(
            "traces",
            "sessions",
            "What was said, and what was",
            "The median and the worst session (by the score of the averaged decoders); of each, "
            f"the stretch in which {stretch}. No session was picked by hand.",
            alt,
            draw_session_traces(chosen, ("median session", "worst session")),
        )
    if len(table) > 1 and metric == "auc":
        yield PageFigure(
            "sessions",
            "sessions",
            "Scores of sessions against labels and days",
            "Where scores or the share of class 1 go with the day, sessions are not exchangeable.",
            f"{len(table)} sessions: score over share of class 1, and over the order of days.",
            draw_session_scores(table, metric),
        )
    onset = values.curves.onset
    if not onset.empty and onset["auc"].notna().any():
        scores = values.table("scores")
        ahead = scores.loc[scores["condition"] == name, "look_ahead_s"].dropna()
        yield PageFigure(
            "onset",
            "sessions",
            "Around the onset of class 1",
            "Frames so long after an onset (of bouts of 2 s and more after 2 s of class 0) against "
            "frames of steady class 0 of the same session.",
            "AUC over the time from the onset of class 1, by animal.",
            draw_onset(onset, float(ahead.max()) if not ahead.empty else None),
        )
