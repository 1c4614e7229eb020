"""Keys that a study file itself gives and that do nothing there, with the reason."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from corticode.decode.settings import GRID, LINEAR, MOVIE
from corticode.errors import Finding, some
from corticode.explain.settings import KINDS, OCCLUSION
from corticode.study.keys import ConditionKeys, FoldKeys, MapKeys, NetworkKeys, TargetKeys

SHOWN_CONDITIONS = 3
TWO_STATES = (
    "above",
    "hysteresis",
    "minimum_bout_frames",
    "minimum_bout_s",
    "minimum_gap_frames",
    "minimum_gap_s",
)
TRANSITIONS = ("exclude_transition_frames", "exclude_transition_s")
OF_NUMBERS = ("absolute", "smooth_frames", "smooth_s")
OF_EPOCHS = (
    "epochs",
    "batch_size",
    "learning_rate",
    "label_smoothing",
    "optimiser",
    "schedule",
    "validations",
    "patience",
    "drop_last",
    "augment",
)
OF_MOVIES = ("windows", "run_windows", "share", "freeze_batch_norm", "mixed_precision")
OF_CNN = ("backbone", "flavour", "weights", "drop_connect")
OF_BLOCKS = ("blocks", "gap_frames", "gap_s")
# Of maps: what each kind passes over.
OF_OCCLUSION = ("masks", "fill", "every_n_frames")
OF_ATTRIBUTION = ("n_windows", "on", "of_class", "background", "background_from")
OF_DEEP_SHAP = ("n_random", "convergence")

# Keys and why they do nothing.
_Unused = Iterator[tuple[Sequence[str], str]]


def unused_keys(
    raw: Mapping[str, Any],
    conditions: Sequence[ConditionKeys],
    folds: FoldKeys,
    maps: Sequence[MapKeys],
) -> list[Finding]:
    """Keys that the file gives and that do nothing, each with the reason.

    What a preset gives, or comes through `like`, is no word of the file's own and is passed over,
    as is a 0 or false, which says that a step is left out. A key of ``[target]`` counts where no
    condition that takes it uses it.

    Parameters
    ----------
    raw
        The file's content.
    conditions
        Its conditions with presets and `like` worked in.
    folds, maps
        Its folds and maps.
    """
    found: dict[tuple[str, str], list[str]] = {}
    given = {one["name"]: one for one in raw["condition"]}
    for keys in conditions:
        for table, rule in _RULES.items():
            own = _given(given[keys.name].get(table))
            for unused, reason in rule(keys):
                for key in (key for key in own if key in unused):
                    found.setdefault((f"{table}.{key}", reason), []).append(keys.name)
    for key in _given(raw.get("target")):
        reasons = [_reason_against(keys, key) for keys in conditions]
        if reasons[0] is not None and None not in reasons:
            found.setdefault((f"target.{key}", reasons[0]), [])
    alike: dict[tuple[str, str], list[str]] = {}
    for (key, reason), names in found.items():
        alike.setdefault((_in_conditions(names), reason), []).append(key)
    for key, reason in _of_folds(_given(raw.get("folds")), folds, conditions):
        alike.setdefault(("", reason), []).append(f"folds.{key}")
    for key, where in _of_maps(maps):
        alike.setdefault((where, ""), []).append(key)
    return [
        _finding(keys, f"{where}{': ' * bool(reason)}{reason}")
        for (where, reason), keys in alike.items()
    ]


def _finding(keys: Sequence[str], where_and_why: str) -> Finding:
    several = len(keys) > 1
    words = f"{'have' if several else 'has'} no effect{where_and_why}; leave "
    return Finding("key", f"{words}{'them' if several else 'it'} out", item=", ".join(keys))


def _given(table: object) -> list[str]:
    """The keys of a table that ask for something: a 0 or false says that a step is left out."""
    if not isinstance(table, Mapping):
        return []
    # A threshold of 0 is one.
    return [k for k, v in table.items() if k == "above" or (v is not False and v != 0)]


def _in_conditions(names: Sequence[str]) -> str:
    shown = [repr(name) for name in names]
    return f" in {some(shown, SHOWN_CONDITIONS)}" if names else ""


def _reason_against(keys: ConditionKeys, key: str) -> str | None:
    """Why a key of the target does nothing in a condition; None where it does something."""
    return next((reason for unused, reason in _of_target(keys) if key in unused), None)


def _of_target(keys: ConditionKeys) -> _Unused:
    target = keys.target or TargetKeys()
    if target.kind == "value":
        yield (*TWO_STATES, *TRANSITIONS), "a target of kind 'value' has no states"
    elif target.kind == "classes":
        reason = "classes are taken as the signal names them"
        yield (*TWO_STATES, *OF_NUMBERS), reason


def _of_preprocess(keys: ConditionKeys) -> _Unused:
    if keys.preprocess is None:
        return
    preprocess = keys.preprocess
    if keys.input == "movie":
        if preprocess.correction != "reference-regression":
            yield (
                ("lowpass_frames", "lowpass_s"),
                "it smooths the reference channel, which correction = 'reference-regression' takes",
            )
        return
    if preprocess.scale == "none":
        yield ("scale_over",), "scale = 'none' takes no statistics"
    lengths = (
        preprocess.detrend_frames,
        preprocess.detrend_s,
        preprocess.smooth_frames,
        preprocess.smooth_s,
    )
    if not any(lengths):
        yield ("causal",), "there is no moving mean (detrend, smooth) that could look ahead"


def _of_network(keys: ConditionKeys) -> _Unused:
    network = keys.network or NetworkKeys()
    if network.kind in LINEAR or network.kind == "cnn":
        yield ("units",), f"a {network.kind!r} has no recurrent layer"
    if network.kind not in MOVIE:
        yield OF_CNN, f"a {network.kind!r} has no CNN"
    elif network.backbone == GRID:
        yield ("flavour", "weights", "drop_connect"), "backbone 'grid' has no CNN"
    elif keys.start_from is not None:
        yield ("weights",), "start_from gives the CNN's start weights"


def _of_training(keys: ConditionKeys) -> _Unused:
    network, target = keys.network or NetworkKeys(), keys.target or TargetKeys()
    if network.kind in MOVIE:
        yield ("augment",), "region_dropout leaves out regions of traces, and movies have none"
    if network.kind in LINEAR:
        yield OF_EPOCHS, f"a {network.kind!r} is fitted in one go, without epochs"
    else:
        yield ("penalty",), "linear decoders alone choose a penalty"
        if target.kind == "value":
            yield ("label_smoothing",), "a target of kind 'value' has no labels"
    if network.kind not in MOVIE:
        yield OF_MOVIES, f"a {network.kind!r} decodes traces, not movies"
        return
    if keys.training is not None and keys.training.windows == "independent":
        yield ("run_windows",), "windows = 'independent' are drawn one by one"
    if network.backbone == GRID:
        yield ("freeze_batch_norm",), "backbone 'grid' has no CNN"


_RULES = {
    "target": _of_target,
    "preprocess": _of_preprocess,
    "network": _of_network,
    "training": _of_training,
}


def _of_folds(
    given: Sequence[str], folds: FoldKeys, conditions: Sequence[ConditionKeys]
) -> Iterator[tuple[str, str]]:
    """Keys of ``[folds]``, and why each does nothing."""
    used = {keys.folds_by or folds.by for keys in conditions}
    if "block" not in used:
        reason = f"folds are by {folds.by!r}, not by 'block'"
        yield from ((key, reason) for key in OF_BLOCKS if key in given)
    if "animal" not in used and "validate" in given:
        yield "validate", f"folds are by {folds.by!r}, not by 'animal'"


def _of_maps(maps: Sequence[MapKeys]) -> Iterator[tuple[str, str]]:
    """Keys of maps that the map's kind passes over, and in which."""
    for keys in maps:
        kind = KINDS[keys.kind]
        unused = {*(OF_ATTRIBUTION if keys.kind == OCCLUSION else OF_OCCLUSION)}
        unused |= {*(() if kind.is_checked else OF_DEEP_SHAP)}
        unused |= {*(() if kind.options else ("n_draws",))}
        unused |= {*(() if kind.is_checked or keys.kind == OCCLUSION else ("n_orders",))}
        where = f" in the map {keys.name or keys.kind!r}, of kind {keys.kind!r}"
        for key in sorted(unused & keys.model_fields_set):
            if getattr(keys, key):
                yield f"map.{key}", where
