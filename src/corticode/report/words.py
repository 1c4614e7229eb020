"""What a study file says, in words; passages of text for a page and a Markdown file alike."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from corticode.decode.settings import LINEAR, NETWORKS, SCIKIT_LEARN

CORRECTIONS = {
    "reference-regression": "the low-passed reference channel was regressed out, pixel by pixel",
    "done-elsewhere": "corrected for blood before the recordings came here",
    "none": "not corrected for blood",
}
ON_FRAMES = {
    "mean": "its mean over the exposure",
    "any": "its largest sample in the exposure",
    "count": "the sum of its samples in the exposure",
    "middle": "its sample in the middle of the exposure",
}
MOST_NAMES = 8
# Whatever Markdown, its tables or HTML within it could read as markup, wherever it stands.
MARKUP = re.compile(r"([\\`*_\[\]<>|&~$^#])")
# What makes a list, a heading, a quotation or a rule of a line that begins with it.
LINE_START = re.compile(r"^(\d*)([.)+=:-])")


Words = Callable[[Mapping[str, Any]], str]


def length(table: Mapping[str, Any], key: str, suffix: str = "") -> str:
    """A length as it was given; empty where it is 0 or was not.

    Examples
    --------
    >>> length({"before": 15}, "before"), length({"after_s": 0.5}, "after")
    ('15 frames', '0.5 s')
    """
    frames, seconds = table.get(f"{key}{suffix}"), table.get(f"{key}_s")
    if frames:
        return f"{frames} frame{'s' if abs(frames) != 1 else ''}"
    return f"{seconds:g} s" if seconds else ""


def label_rule(target: Mapping[str, Any]) -> str:
    """How a target is made of behaviour.

    Examples
    --------
    >>> label_rule({"signal": "speed", "kind": "binary", "above": 0.5, "minimum_bout_s": 1.0})
    '“speed” above 0.5 is class 1; stretches of 1 shorter than 1 s are 0'
    >>> label_rule({"signal": "turn", "kind": "value", "on_frames": "mean"})
    '“turn” is decoded as a value; in a frame, the signal is its mean over the exposure'
    """
    signal = f"“{target.get('signal', 'unknown')}”{_of_trial(target)}"
    if target.get("absolute"):
        signal = f"the absolute value of {signal}"
    smooth = length(target, "smooth", "_frames")
    if smooth:
        signal += f", a moving mean over {smooth}"
    kind = target.get("kind", "unknown")
    if kind == "value":
        words = [f"{signal} is decoded as a value"]
    elif kind == "classes":
        words = [f"each value of {signal} is a class"]
    elif "above" in target:
        words = [f"{signal} above {target['above']:g} is class 1"]
    else:
        words = [f"{signal} holds the two classes as recorded"]
    if target.get("on_frames"):
        words.append(f"in a frame, the signal is {ON_FRAMES[target['on_frames']]}")
    if target.get("hysteresis"):
        low = target.get("above", 0) - target["hysteresis"]
        words.append(f"1 lasts until the signal falls to {low:g}")
    for key, said in (
        ("minimum_bout", "stretches of 1 shorter than {} are 0"),
        ("minimum_gap", "stretches of 0 between two of 1 shorter than {} are 1"),
        ("exclude_transition", "frames within {} of a change have no label"),
    ):
        given = length(target, key, "_frames")
        if given:
            words.append(said.format(given))
    return "; ".join([*words, *_chosen(target)])


def _chosen(target: Mapping[str, Any]) -> Iterator[str]:
    """Which frames are left out, or drawn."""
    if exclude := target.get("exclude"):
        reach = length(exclude, "within", "_frames")
        around = f"within {reach} of " if reach else ""
        state = f"“{exclude['signal']}” above {exclude.get('above', 0.5):g}"
        where = {
            "onset": f"{around}an onset of {state}",
            "offset": f"{around}the end of {state}",
            "steady": f"more than {reach or '0 frames'} after an onset of {state}",
        }.get(exclude.get("at", "on"), f"{around}frames with {state}")
        yield f"frames {where} have no label"
    if target.get("match"):
        yield (
            f"frames are drawn so that within each session classes have the same distribution of "
            f"“{target['match']}”"
        )


def _of_trial(target: Mapping[str, Any]) -> str:
    """Where in a trial its label is taken; empty where frames are decoded."""
    if not target.get("events"):
        return ""
    after = length(target, "label_after", "_frames")
    at = f"{after} after the event" if after else "at the event"
    return f" of each trial ({at} “{target['events']}”)"


def window_words(condition: Mapping[str, Any]) -> str:
    """What a decoder sees of time."""
    window = condition.get("window", {})
    ends = [length(window, end) or "0 frames" for end in ("before", "after")]
    centre = "event" if (condition.get("target") or {}).get("events") else "decoded frame"
    words = f"window {ends[0]} before and {ends[1]} after the {centre}"
    shift = length(window, "shift")
    if shift and centre == "event":
        side = "after" if shift.startswith("-") else "before"
        return f"{words.removesuffix(centre)}time {shift.lstrip('-')} {side} the event"
    return f"{words}, target shifted by {shift} (above 0: the future)" if shift else words


def network_words(condition: Mapping[str, Any]) -> str:
    """Which decoder, of what."""
    network = condition.get("network", {})
    kind = str(network.get("kind", ""))
    known = NETWORKS[kind].words if kind in NETWORKS else kind or "a decoder"
    words = f"{known} of {condition.get('input', 'traces')}"
    others = [f"{key} {network[key]}" for key in network if key != "kind"]
    return f"{words} ({', '.join(others)})" if others else words


def preprocess_words(condition: Mapping[str, Any]) -> str:
    """What was done before."""
    preprocess = condition.get("preprocess", {})
    told = ", ".join(f"{key} {_plain(value)}" for key, value in sorted(preprocess.items()))
    return f"preprocessing: {told or 'none'}"


def training_words(condition: Mapping[str, Any]) -> str:
    """How it was fitted, and by what it was chosen."""
    training = condition.get("training", {})
    if condition.get("network", {}).get("kind") in LINEAR:
        penalties = training.get("penalty")
        if penalties == SCIKIT_LEARN:
            return "L2 penalty as scikit-learn's default (C = 1; none for values)"
        among = f" among {_plain(penalties)}" if penalties else ""
        return f"L2 penalty chosen by validation loss{among}"
    told = ", ".join(f"{key} {value}" for key, value in leaves(training) if key != "penalty")
    return f"training: {told or 'as by default'}; the epoch with the lowest validation loss kept"


def _target_words(condition: Mapping[str, Any]) -> str:
    """What is decoded."""
    target = condition.get("target") or {}
    return f"target {target.get('signal', 'unknown')} ({target.get('kind', 'unknown')})"


def region_words(condition: Mapping[str, Any]) -> str:
    """Which regions are seen."""
    regions = condition.get("regions")
    if regions in (None, "all"):
        return "all regions"
    if isinstance(regions, Mapping):
        on = "the test animals (circular)" if regions.get("on") == "test" else "training animals"
        return (
            f"the {regions.get('top')} regions that a map ({regions.get('by', 'deep-shap')}) of "
            f"“{regions.get('from')}” puts first on {on}, all others entering as 0"
        )
    return f"regions {_plain(regions)}, all others entering as 0"


def _label_words(condition: Mapping[str, Any]) -> str:
    """Whose labels."""
    permuted = condition.get("permute_labels", "none")
    if permuted in (None, "none"):
        return "labels as they are"
    return f"labels permuted between {permuted} (control)"


def _other_words(condition: Mapping[str, Any]) -> str:
    """Start weights and folds of its own."""
    words = []
    if condition.get("start_from"):
        words.append(f"weights start from those of “{condition['start_from']}”")
    if condition.get("folds"):
        words.append(f"folds {_plain(condition['folds'])}")
    return "; ".join(words)


ASPECTS: tuple[Words, ...] = (
    network_words,
    preprocess_words,
    window_words,
    _target_words,
    training_words,
    region_words,
    _label_words,
    _other_words,
)


def shared_and_own(
    conditions: Sequence[Mapping[str, Any]],
) -> tuple[list[str], list[tuple[str, str]]]:
    """What most conditions have in common, said once, and of each what it has otherwise.

    Examples
    --------
    >>> shared, own = shared_and_own([
    ...     {"name": "a", "network": {"kind": "gru"}}, {"name": "b", "network": {"kind": "gru"},
    ...     "regions": [6]}, {"name": "c", "network": {"kind": "gru"}}])
    >>> shared[0], own[1]
    ('a GRU of traces', ('b', 'regions 6, all others entering as 0'))
    """
    said = [[words(one) for words in ASPECTS] for one in conditions]
    most = [Counter(column).most_common(1)[0][0] for column in zip(*said, strict=True)]
    own = []
    for one, words in zip(conditions, said, strict=True):
        # Where nothing stands what most have would not be told otherwise.
        differs = [w or "no such setting" for w, m in zip(words, most, strict=True) if w != m]
        own.append((str(one["name"]), "; ".join(differs) or "as said above"))
    return [words for words in most if words], own


def every_setting(study: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Each key of a resolved study with its value, and the conditions (or maps) it is of.

    Returns
    -------
    list of tuple of str
        Key (dots between levels), value, and whose it is: ``"all"``, ``"all others"``, or names.

    Examples
    --------
    >>> every_setting({"condition": [{"name": "a", "window": {"before": 5}},
    ...     {"name": "b", "window": {"before": 5}, "regions": [6]}]})
    [('condition.window.before', '5', 'all'), ('condition.regions', '6', '“b”')]
    """
    rows = []
    for table, content in study.items():
        if isinstance(content, Mapping):
            rows += [(f"{table}.{key}", value, "") for key, value in leaves(content)]
        elif isinstance(content, list) and all(isinstance(one, Mapping) for one in content):
            rows += _of_several(table, content)
        else:
            rows.append((table, _plain(content), ""))
    return rows


def _of_several(table: str, several: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    names = [_name_of(one, k) for k, one in enumerate(several)]
    by_key: dict[str, dict[str, list[str]]] = {}
    for name, one in zip(names, several, strict=True):
        for key, value in leaves(one):
            if key != "name":
                by_key.setdefault(key, {}).setdefault(value, []).append(name)
    rows = []
    for key, by_value in by_key.items():
        n_told = sum(map(len, by_value.values()))
        largest = max(by_value, key=lambda value: len(by_value[value]))
        for value, whose in by_value.items():
            if len(whose) == len(names):
                of = "all"
            elif value == largest and n_told == len(names) and len(whose) > MOST_NAMES:
                of = "all others"
            else:
                of = ", ".join(f"“{name}”" for name in whose)
            rows.append((f"{table}.{key}", value, of))
    return rows


def _name_of(one: Mapping[str, Any], k: int) -> str:
    if "name" in one:
        return str(one["name"])
    return f"{one['condition']}, {one['kind']}" if "kind" in one else f"{k + 1}"


def leaves(table: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
    """Every key below a table that holds no other table, with its value in words.

    Examples
    --------
    >>> leaves({"window": {"before": 5, "causal": True}, "regions": [6, 8]})
    [('window.before', '5'), ('window.causal', 'yes'), ('regions', '6, 8')]
    """
    found = []
    for key, value in table.items():
        if isinstance(value, Mapping):
            found += leaves(value, f"{before}{key}.")
        else:
            found.append((f"{before}{key}", _plain(value)))
    return found


def _plain(value: Any) -> str:
    """A value as it is read in a sentence."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value)) or "none"
    if isinstance(value, float) and float(f"{value:g}") == value:
        return f"{value:g}"
    return str(value)


@dataclass(frozen=True)
class Passage:
    """A stretch of text below a heading; plain words without any markup.

    Parameters
    ----------
    title
        Its heading.
    paragraphs
        One after the other.
    items
        A list below them: what each is about, and what is said of it.
    heads
        Of the columns of a table below both; none: there is no table.
    rows
        Its rows, a cell a column.
    """

    title: str
    paragraphs: tuple[str, ...] = ()
    items: tuple[tuple[str, str], ...] = ()
    heads: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def to_markdown(passages: Iterable[Passage]) -> str:
    r"""Passages as Markdown: headings of level 2, pipe tables, everything else as it is written.

    Examples
    --------
    >>> print(to_markdown([Passage("Labels", ("`speed_rs` > 0.5",), heads=("a", "b|c"))]))
    ## Labels
    <BLANKLINE>
    \`speed\_rs\` \> 0.5
    <BLANKLINE>
    | a | b\|c |
    | --- | --- |
    """
    return "\n\n".join(block for passage in passages for block in _blocks(passage))


def _blocks(passage: Passage) -> Iterable[str]:
    yield f"## {escaped(passage.title)}"
    yield from (_paragraph(text) for text in passage.paragraphs if text.strip())
    if passage.items:
        lines = [f"- **{escaped(lead)}**: {escaped(text)}" for lead, text in passage.items]
        yield "\n".join(lines)
    if passage.heads:
        rule = ["---"] * len(passage.heads)
        shown = [list(map(escaped, row)) for row in (passage.heads, *passage.rows)]
        yield "\n".join(f"| {' | '.join(cells)} |" for cells in [shown[0], rule, *shown[1:]])


def _paragraph(text: str) -> str:
    return LINE_START.sub(r"\1\\\2", escaped(text))


def escaped(text: str) -> str:
    r"""Words as Markdown that reads as these words within a line: one line, no markup in it.

    Examples
    --------
    >>> print(escaped("a_b | <b>"))
    a\_b \| \<b\>
    """
    return MARKUP.sub(r"\\\1", " ".join(text.split()))
