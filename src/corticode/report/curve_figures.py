"""Figures of curves: ROC, learning, reliability, around the onset, and traces of sessions."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from corticode.evaluate.comparisons import check_columns
from corticode.report.canvas import (
    COLUMN_MM,
    GREY,
    PAGE_MM,
    Axes,
    Figure,
    colour_of,
    in_order,
    marker_of,
    new_figure,
    rows_by_animal,
    shortened,
    styled,
)
from corticode.report.session_trace import SessionTrace, choose_stretch

STRETCH_FRAMES = 1000  # 33 s at 30 Hz, as published
PARTS = {"train": "training animals", "valid": "validation animal", "test": "test animal"}


@styled
def draw_roc(curves: pd.DataFrame) -> Figure:
    """ROC curves of training, validation and test windows, one line a decoder.

    Parameters
    ----------
    curves
        Columns part (``"train"``, ``"valid"``, ``"test"``), decoder, animal (whose colour the
        line has), false_share, true_share, auc.

    Returns
    -------
    Figure
        A panel for each part that is there; its title gives the mean AUC +- SD over decoders.

    Examples
    --------
    >>> table = pd.DataFrame({"part": "test", "decoder": "a", "animal": "m1", "auc": 1.0,
    ...     "false_share": [0, 0, 1], "true_share": [0, 1, 1]})
    >>> len(draw_roc(table).axes)
    1
    """
    needed = ("part", "decoder", "animal", "false_share", "true_share", "auc")
    check_columns(curves, needed, "ROC curves")
    parts = [name for name in PARTS if (curves["part"] == name).any()] or ["test"]
    figure, axes = new_figure(20 + 48 * len(parts), 60, columns=len(parts), sharey=True)
    animals = {name: k for k, name in enumerate(in_order(curves["animal"]))}
    for drawn, part in zip(axes[0], parts, strict=True):
        own = curves[curves["part"] == part]
        for _, line in own.groupby("decoder", sort=False):
            colour = colour_of(animals[line["animal"].iloc[0]])
            drawn.plot(line["false_share"], line["true_share"], color=colour, lw=0.7, alpha=0.8)
        drawn.plot([0, 1], [0, 1], color=GREY, lw=0.6, ls="--")
        aucs = own.groupby("decoder")["auc"].first()
        spread = f" ± {aucs.std():.3f}" if aucs.size > 1 else ""
        drawn.set_title(f"{PARTS[part]}\nAUC {aucs.mean():.3f}{spread}")
        drawn.set(xlabel="false alarms (share of class 0)", aspect="equal", xlim=(0, 1))
    axes[0, 0].set(ylabel="hits (share of class 1)", ylim=(0, 1.01))
    for name, k in animals.items():
        axes[0, -1].plot([], [], color=colour_of(k), label=shortened(name, 14))
    axes[0, -1].legend(title="test animal", loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


@styled
def draw_learning_curves(history: pd.DataFrame) -> Figure:
    """Loss on training and validation windows as training goes on, one line a decoder.

    Parameters
    ----------
    history
        Columns decoder, epoch, train_loss, valid_loss, is_best (the epoch that was kept).

    Examples
    --------
    >>> table = pd.DataFrame({"decoder": "a", "epoch": [1, 2], "train_loss": [0.6, 0.5],
    ...     "valid_loss": [0.7, 0.6], "is_best": [False, True]})
    >>> len(draw_learning_curves(table).axes)
    2
    """
    needed = ("decoder", "epoch", "train_loss", "valid_loss", "is_best")
    check_columns(history, needed, "histories")
    figure, axes = new_figure(PAGE_MM * 0.75, 55, columns=2, sharey=True)
    columns = ("train_loss", "training windows"), ("valid_loss", "validation windows")
    for drawn, (column, title) in zip(axes[0], columns, strict=True):
        for _, line in history.groupby("decoder", sort=False):
            drawn.plot(line["epoch"], line[column], color=colour_of(0), lw=0.6, alpha=0.5)
        mean = history.groupby("epoch")[column].mean()
        drawn.plot(mean.index, mean, color="black", lw=1.5)
        drawn.set(title=title, xlabel="epoch")
    best = history[history["is_best"]]
    axes[0, 1].plot(
        best["epoch"], best["valid_loss"], "o", color=colour_of(1), ms=3, label="kept", zorder=3
    )
    axes[0, 1].legend()
    axes[0, 0].set_ylabel("loss (black: mean of decoders)")
    return figure


@styled
def draw_reliability(table: pd.DataFrame) -> Figure:
    """How often it was 1 where a probability was said, one line an animal.

    Parameters
    ----------
    table
        Columns animal, score, share, n_windows, as from `corticode.evaluate.metrics.reliability`.

    Returns
    -------
    Figure
        Markers grow with the windows behind them; on the dashed line words are kept.

    Examples
    --------
    >>> table = pd.DataFrame({"animal": "m1", "score": [0.1, 0.9], "share": [0, 1],
    ...     "n_windows": [5, 5]})
    >>> draw_reliability(table).axes[0].get_xlabel()
    'probability said'
    """
    check_columns(table, ("animal", "score", "share", "n_windows"), "reliabilities")
    figure, axes = new_figure(COLUMN_MM, 62)
    drawn: Axes = axes[0, 0]
    for k, animal, own in rows_by_animal(table):
        drawn.plot(own["score"], own["share"], color=colour_of(k), lw=0.8)
        sizes = 3 + 40 * own["n_windows"] / max(table["n_windows"].max(), 1)
        drawn.scatter(
            own["score"],
            own["share"],
            s=sizes,
            color=colour_of(k),
            marker=marker_of(k),
            lw=0,
            label=shortened(animal, 14),
        )
    drawn.plot([0, 1], [0, 1], color=GREY, lw=0.6, ls="--", zorder=0)
    drawn.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    drawn.set(xlabel="probability said", ylabel="share that was class 1")
    legend = drawn.legend(title="test animal", loc="center left", bbox_to_anchor=(1, 0.5))
    for handle in legend.legend_handles:
        handle.set_sizes([14])  # type: ignore[union-attr]
    return figure


@styled
def draw_onset(table: pd.DataFrame, look_ahead_s: float | None = None) -> Figure:
    """How well frames around the onset of class 1 are told from class 0.

    Parameters
    ----------
    table
        Columns animal, lag_s, auc: means over an animal's sessions.
    look_ahead_s
        What of the future the decoder sees; above 0 the figure says so, since it may then tell an
        onset before it comes.

    Examples
    --------
    >>> table = pd.DataFrame({"animal": "m1", "lag_s": [-1, 0, 1], "auc": [0.5, 0.7, 0.9]})
    >>> print(draw_onset(table, 0.5).axes[0].get_title())
    the decoder sees 0.5 s ahead:
    it may tell an onset early
    """
    check_columns(table, ("animal", "lag_s", "auc"), "AUCs around the onset")
    figure, axes = new_figure(COLUMN_MM, 58)
    drawn: Axes = axes[0, 0]
    for k, animal, own in rows_by_animal(table):
        drawn.plot(
            own["lag_s"], own["auc"], color=colour_of(k), label=shortened(animal, 14), lw=0.8
        )
    mean = table.groupby("lag_s")["auc"].mean()
    drawn.plot(mean.index, mean, color="black", lw=1.6, label="mean of animals")
    drawn.axvline(0, color=GREY, lw=0.6)
    drawn.axhline(0.5, color=GREY, lw=0.6, ls="--")
    if look_ahead_s is not None and look_ahead_s > 0:
        ahead = "the whole session" if np.isinf(look_ahead_s) else f"{look_ahead_s:.2g} s ahead"
        drawn.set_title(f"the decoder sees {ahead}:\nit may tell an onset early")
    drawn.set(xlabel="time from the onset of class 1 (s)", ylabel="AUC against steady class 0")
    drawn.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


@styled
def draw_session_traces(
    traces: Sequence[SessionTrace], titles: Sequence[str], n_frames: int = STRETCH_FRAMES
) -> Figure:
    """What was said over what was (and the speed), a stretch of each session chosen by rule.

    Parameters
    ----------
    traces
        Sessions, from top to bottom.
    titles
        One each: why it was chosen.
    n_frames
        Length of the stretch; which one, see `choose_stretch`.

    Examples
    --------
    >>> half = np.repeat([0, 1], 50).astype(np.float32)
    >>> trace = SessionTrace("gru", "m1", "a", 0, half, half, frame_rate_hz=30.0)
    >>> len(draw_session_traces([trace], ["median"]).axes)
    1
    """
    figure, axes = new_figure(PAGE_MM, 14 + 38 * len(traces), rows=len(traces))
    for drawn, trace, title in zip(axes[:, 0], traces, titles, strict=True):
        _draw_stretch(drawn, trace, choose_stretch(trace, n_frames))
        drawn.set_title(
            f"{title}: animal {shortened(trace.animal)}, session {shortened(trace.session, 40)}",
            loc="left",
        )
    unit = "s" if traces[0].frame_rate_hz else "frames"
    axes[-1, 0].set_xlabel(f"time in the session ({unit})")
    return figure


def _draw_stretch(drawn: Axes, trace: SessionTrace, stretch: slice) -> None:
    times, target = trace.times_s[stretch], trace.target[stretch]
    if trace.kind == "value":
        drawn.plot(times, target, color=GREY, lw=0.8, label="what was")
        drawn.plot(times, trace.score[stretch], color=colour_of(0), label="decoded")
        drawn.set_ylabel("value")
    else:
        is_one = np.nan_to_num(target) == 1
        drawn.fill_between(
            times, 0, 1, where=is_one, color="#d9d9d9", lw=0, step="mid", label="class 1"
        )
        drawn.plot(times, trace.score[stretch], color=colour_of(0), label="probability said")
        drawn.axhline(0.5, color=GREY, lw=0.5, ls=":")
        drawn.set(ylim=(0, 1.02), ylabel="probability")
    if trace.speed is not None:
        beside = drawn.twinx()
        beside.plot(times, trace.speed[stretch], color=colour_of(1), lw=0.7)
        beside.set_ylabel("speed", color=colour_of(1))
        beside.spines["right"].set_visible(True)
    if times.size:
        drawn.set_xlim(times[0], times[-1])
    drawn.legend(loc="lower left", bbox_to_anchor=(0.55, 1.0), ncols=2, borderaxespad=0.1)
