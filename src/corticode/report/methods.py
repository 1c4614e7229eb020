"""A methods text: what was done, with the numbers of the study file, to be edited and cited."""

from collections.abc import Mapping
from typing import Any

from corticode.report.headline import SIMULATED
from corticode.report.page_values import RunValues

NETWORKS = {
    "rnn": "a simple recurrent network",
    "lstm": "an LSTM",
    "gru": "a GRU",
    "bi-rnn": "a bidirectional simple recurrent network",
    "bi-lstm": "a bidirectional LSTM",
    "bi-gru": "a bidirectional GRU",
    "gru-keras": "a GRU (Keras cell)",
    "linear-frame": "a linear decoder of the centre frame",
    "linear-window": "a linear decoder of the whole window",
    "speed": "a network of two GRU and three dense layers",
    "cnn": "a convolutional network of single three-frame images",
    "cnn-gru": "a convolutional network followed by a GRU",
    "cnn-lstm": "a convolutional network followed by an LSTM",
}


def methods_text(values: RunValues) -> str:
    """Paragraphs in Markdown: data, decoders, testing, statistics, software.

    Examples
    --------
    >>> methods_text(RunValues("run")).splitlines()[0]
    '# Methods'
    """
    parts = ["# Methods", "", "A draft made from the run's own settings; edit it, and check it."]
    if values.is_simulated:
        parts += ["", f"**{SIMULATED}**"]
    for title, text in (
        ("Recordings", _recordings(values)),
        ("Decoders", _decoders(values)),
        ("Testing", _testing(values)),
        ("Statistics", _statistics()),
        ("Software", _software(values)),
    ):
        parts += ["", f"## {title}", "", text]
    return "\n".join(parts) + "\n"


def _recordings(values: RunValues) -> str:
    scores = values.table("session_scores")
    if scores.empty:
        return "No session has been scored yet."
    sessions = scores[["animal", "session"]].drop_duplicates()
    data = values.study.get("data", {})
    text = f"{len(sessions)} sessions of {sessions['animal'].nunique()} animals were tested."
    if data.get("resample_hz"):
        text += f" Traces were resampled to {data['resample_hz']:g} Hz."
    if data.get("trim_frames"):
        text += (
            f" Recordings whose lengths differed were cut by up to {data['trim_frames']} frames."
        )
    n_excluded = len(values.table("excluded"))
    return f"{text} {n_excluded} findings about what was left out or looked odd are listed."


def _decoders(values: RunValues) -> str:
    lines = [f"- **{one['name']}**: {_describe(one)}." for one in values.conditions]
    return "\n".join(lines) if lines else "The study file is missing."


def _describe(condition: Mapping[str, Any]) -> str:
    kind = condition.get("network", {}).get("kind", "")
    window = condition.get("window", {})
    target = condition.get("target", {})
    words = [f"{NETWORKS.get(kind, kind or 'a decoder')} of {condition.get('input', 'traces')}"]
    span = [_length(window, end) for end in ("before", "after")]
    words.append(f"window {span[0]} before and {span[1]} after the decoded frame")
    shift = window.get("shift") or window.get("shift_s")
    if shift:
        words.append(f"target shifted by {_length(window, 'shift')}")
    words.append(f"target {target.get('signal', 'unknown')} ({target.get('kind', 'unknown')})")
    preprocess = ", ".join(
        f"{key} {value}" for key, value in sorted(condition.get("preprocess", {}).items())
    )
    words.append(f"preprocessing: {preprocess or 'none'}")
    if not str(kind).startswith("linear"):
        training = condition.get("training", {})
        given = ("epochs", "batch_size", "learning_rate", "label_smoothing")
        told = ", ".join(f"{key} {training[key]}" for key in given if key in training)
        words.append(f"training: {told}; the epoch with the lowest validation loss was kept")
    else:
        words.append("L2 penalty chosen by validation loss")
    if condition.get("regions") not in (None, "all"):
        words.append(f"regions {condition['regions']}, all others entering as 0")
    if condition.get("permute_labels", "none") != "none":
        words.append(f"labels permuted between {condition['permute_labels']} (control)")
    return "; ".join(words)


def _length(window: Mapping[str, Any], key: str) -> str:
    if window.get(key) is not None:
        return f"{window[key]} frames"
    return f"{window[f'{key}_s']:g} s" if window.get(f"{key}_s") is not None else "0 frames"


def _testing(values: RunValues) -> str:
    by = values.study.get("folds", {}).get("by", "animal")
    scores = values.table("scores")
    n_folds = 0 if scores.empty else scores["fold"].nunique()
    seeds = values.provenance.get("seeds", [])
    way = {
        "animal": "The tested animal and the one that chose the epoch or penalty were kept out of "
        "training",
        "session": "Of each animal, one session was tested and one chose the epoch or penalty",
        "block": "Of each session, one block of time was tested and one chose the epoch or "
        "penalty, with a gap between blocks",
    }
    return f"{way.get(str(by), 'Folds are unknown')} ({n_folds} folds, {len(seeds) or 1} seeds)."


def _statistics() -> str:
    return (
        "A session's score is left blank below 3 bouts or 5 s of either class. An animal's value "
        "is the mean over its sessions, then over decoders and seeds; the animal is the unit of "
        "inference. Intervals are Student's t over animals (95 %). Scores pooled over sessions are "
        "listed and carry no p-value."
    )


def _software(values: RunValues) -> str:
    versions = values.provenance.get("versions", {})
    told = ", ".join(f"{name} {version}" for name, version in versions.items())
    commit = values.provenance.get("commit")
    return f"{told or 'Versions are unknown'}{f'; commit {commit}' if commit else ''}."
