"""One map of one fitted decoder, start to end; nothing is trained here."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corticode.data.folds import Split, split_windows
from corticode.data.prepared import (
    PreparedSessions,
    StoredStatistics,
    attach_movies,
    load_sessions,
)
from corticode.data.regions import RegionTable
from corticode.data.windows import Windows
from corticode.decode.decoder import Decoder
from corticode.errors import NO_MAP, DataError, DecoderError, Finding, StudyError
from corticode.evaluate.region_sets import EVERY, SetsBeside, draw_beside, set_key
from corticode.explain.contributions import draw_background
from corticode.explain.deletion import (
    DELETION_FILLS,
    DeletionCurves,
    delete_regions,
    delete_squares,
)
from corticode.explain.importance_map import ImportanceMap
from corticode.explain.map_checks import (
    SIZES,
    compare_backgrounds,
    draw_backgrounds,
    input_spread,
    random_weight_maps,
)
from corticode.explain.masks import (
    Mask,
    SquareGrid,
    cells_of_squares,
    limb_squares,
    pixel_masks,
    region_masks,
    square_masks,
)
from corticode.explain.occlusion import Occlusion, occlude
from corticode.explain.settings import KINDS, OCCLUSION, MapSettings
from corticode.run.fits import (
    FitTask,
    condition_windows,
    of_trained_classes,
    stored_decoder,
)
from corticode.run.folder import FitResult, MapResult, read_result, run_once, write_table
from corticode.run.worker import machine_errors

MAP_FILES = (
    "done.json",
    "map.npz",
    "deletion.csv",
    "occlusion_sessions.csv",
    "occlusion_pooled.csv",
)
# Curves and backgrounds are compared within one decoder, for which fewer windows will do.
CURVE_WINDOWS = 4000
# Each passes the CNN about 200 times.
CURVE_IMAGES = 500
SETTLING_WINDOWS = 200
# Of sets of regions hundreds are decoded.
JUDGED_WINDOWS = 5000


@dataclass(frozen=True)
class MapTask:
    """One map: of which decoder, how, and where it goes.

    Parameters
    ----------
    folder
        The map's folder.
    fit
        The decoder's fit, which has to be finished.
    settings
        How the map is made.
    key
        Hash of the fit's key and the settings: a finished map with this key is not made again.
    is_control
        Made of a condition with permuted labels, to stand beside that of its like.
    random_seeds
        Of the decoders with random weights whose maps stand beside.
    is_first
        The first of its name: what one decoder is enough for is shown of this one.
    """

    folder: Path
    fit: FitTask
    settings: MapSettings
    key: str
    is_control: bool = False
    random_seeds: tuple[int, ...] = ()
    is_first: bool = False

    @property
    def needs(self) -> tuple[Path, ...]:
        """Folders of the tasks that come first."""
        return (self.fit.folder,)

    @property
    def movies(self) -> tuple[StoredStatistics, ...]:
        """Where movies are decoded: the files and statistics of each session."""
        return self.fit.movies

    @property
    def label(self) -> str:
        """What it is, in a line."""
        what = "" if self.settings.region_sets else "map "
        return f"{what}{self.settings.name!r} of {self.fit.label}"


def run_map(task: MapTask) -> MapResult:
    """One map, written; returns what is in its done.json.

    A map that cannot be made (no background windows enough, no session that can be scored) is no
    error: the reason is returned as ``left_out``.
    """
    with machine_errors():
        return run_once(task.folder, task.key, MapResult, lambda: _made(task), MAP_FILES[1:])


def _made(task: MapTask) -> MapResult:
    fit = task.fit
    result = MapResult(
        key=task.key,
        map={
            "condition": fit.condition.name,
            "map": task.settings.name,
            "kind": task.settings.kind,
            "fold": fit.fold.name,
            "seed": fit.seed,
            "test_animal": fit.fold.test[0].animal,
            "is_control": task.is_control,
        },
    )
    for name in MAP_FILES:
        (task.folder / name).unlink(missing_ok=True)
    fitted = read_result(fit.folder, FitResult)
    if fitted is None or fitted.left_out is not None:
        why = "it is not there" if fitted is None else fitted.left_out
        return replace(result, left_out=f"its decoder was not fitted: {why}")
    # Outside of what follows: that a file cannot be read says nothing of the map.
    decoder = stored_decoder(fit.folder)
    prepared = attach_movies(load_sessions(fit.prepared), fit.movies)
    try:
        return replace(result, **_make(task, decoder, prepared))
    except (DataError, DecoderError, StudyError) as error:
        return replace(result, left_out=str(error))


def _make(task: MapTask, decoder: Decoder, prepared: PreparedSessions) -> dict[str, Any]:
    """What a map adds to its result; its other files are written."""
    fit = task.fit
    condition = fit.condition
    if condition.selection is not None:
        kept = zip(decoder.recipe.regions, decoder.recipe.kept_regions, strict=True)
        condition = replace(condition, regions=tuple(name for name, k in kept if k))
    windows = condition_windows(prepared, condition, seed=fit.seed, table=fit.table)
    split = of_trained_classes(split_windows(windows, fit.fold))
    if task.settings.region_sets:
        return _decoded_alone(task, decoder, split)
    if task.settings.kind == OCCLUSION:
        return _occluded(task, decoder, split)
    explained, background = explained_and_background(split, task.settings, seed=fit.seed)
    found = map_of_windows(
        decoder, explained, background, task.settings, seed=fit.seed, device=fit.device
    )
    others = random_weight_maps(
        decoder,
        explained,
        background,
        task.random_seeds,
        on=task.settings.on,
        of_class=task.settings.of_class,
        device=fit.device,
    )
    found.save(task.folder / "map.npz")
    spread = input_spread(decoder, explained).tolist() if "region" in found.axes else []
    return {
        "n_windows": found.n_windows,
        "input_sd": spread,
        "details": dict(found.details),
        "random_shares": [other.by_region().tolist() for other in others],
    } | _beside(task, decoder, split, found)


def _beside(task: MapTask, decoder: Decoder, split: Split, found: ImportanceMap) -> dict[str, Any]:
    """What stands beside a Deep SHAP map of test animals: curves, and other backgrounds."""
    settings = task.settings
    told: dict[str, Any] = {}
    if not KINDS[settings.kind].is_checked or settings.windows != "test" or task.is_control:
        return {}
    if settings.n_orders:
        every = max(1, round(split.test.n_windows / CURVE_WINDOWS))
        try:
            curves = delete_regions(
                decoder,
                split.test,
                found,
                n_random=settings.n_orders,
                every_n_frames=every,
                seed=task.fit.seed,
                device=task.fit.device,
            )
        except DataError as error:
            told["findings"] = (Finding("map", f"no curves of deletion: {error}", code=NO_MAP),)
        else:
            told["deletion"] = _written(task, curves)
    if task.is_first and settings.convergence:
        told["backgrounds"] = _backgrounds(task, decoder, split)
    return told


def _written(task: MapTask, curves: DeletionCurves) -> dict[str, float]:
    """What curves come to, once they are written."""
    write_table(task.folder / "deletion.csv", curves.table())
    names = ("area_deletion", "area_insertion", "p_deletion", "p_insertion")
    return {name: getattr(curves, name) for name in names}


def _backgrounds(task: MapTask, decoder: Decoder, split: Split) -> list[dict[str, Any]]:
    """How a map settles with more background windows; empty where there are too few."""
    settings = task.settings
    from_train = settings.background_from == "train"
    # The map's own background is the largest, unless that is small.
    factor = max(1.0, settings.background / SIZES[-1])
    try:
        backgrounds = draw_backgrounds(
            split.train if from_train else split.test,
            [round(factor * size) for size in SIZES],
            balanced=from_train,
            seed=task.fit.seed,
        )
    except DataError:
        return []
    compared = compare_backgrounds(
        decoder,
        thin_evenly(split.test, min(settings.n_windows, SETTLING_WINDOWS)),
        backgrounds,
        on=settings.on,
        of_class=settings.of_class,
        device=task.fit.device,
    )
    rows = compared.table.astype(object).to_dict("records")
    return [{str(k): v for k, v in row.items()} | {"words": compared.words} for row in rows]


def map_of_windows(
    decoder: Decoder,
    explained: Windows,
    background: Windows,
    settings: MapSettings,
    *,
    seed: int = 0,
    device: str = "cpu",
) -> ImportanceMap:
    """The map of a decoder, as the settings say.

    Parameters
    ----------
    decoder
        A fitted decoder.
    explained, background
        Windows cut with its recipe, and what they are set against.
    settings
        How; of any kind but occlusion.
    seed
        Of the draws of gradients.
    device
        ``"cpu"`` or ``"cuda"``.

    Raises
    ------
    DataError, DecoderError, StudyError
        No windows; a decoder without a rule; an unknown output.
    """
    kind = KINDS[settings.kind]
    module, _, function = kind.made_by.partition(".")
    make = getattr(import_module(f"corticode.explain.{module}"), function)
    options = {name: getattr(settings, value) for name, value in kind.options.items()}
    if "seed" in signature(make).parameters:
        options["seed"] = seed
    found: ImportanceMap = make(
        decoder,
        explained,
        background,
        on=settings.on,
        of_class=settings.of_class,
        device=device,
        **options,
    )
    return found


def explained_and_background(
    split: Split, settings: MapSettings, *, seed: int = 0
) -> tuple[Windows, Windows]:
    """The windows of a fold that a map explains, and those they are set against.

    Raises
    ------
    DataError
        There are fewer background windows than asked.
    """
    explained = thin_evenly(getattr(split, settings.windows), settings.n_windows)
    from_train = settings.background_from == "train"
    background = draw_background(
        split.train if from_train else split.test,
        settings.background,
        balanced=from_train,
        seed=seed,
    )
    return explained, background


def thin_evenly(windows: Windows, n_windows: int) -> Windows:
    """At most so many windows that have a target, at even steps through all."""
    rows = np.flatnonzero(np.isfinite(windows.target))
    chosen = np.linspace(0, rows.size - 1, min(n_windows, rows.size)).round().astype(np.int64)
    return windows.where(rows[chosen])


def _occluded(task: MapTask, decoder: Decoder, split: Split) -> dict[str, Any]:
    settings = task.settings
    windows: Windows = getattr(split, settings.windows)
    found = occlude(
        decoder,
        windows,
        masks_of(settings, decoder, task.fit.table),
        fill=settings.fill,
        every_n_frames=settings.every_n_frames,
        seed=task.fit.seed,
        brain=brain_of(windows),
        device=task.fit.device,
    )
    write_table(task.folder / "occlusion_sessions.csv", found.sessions)
    write_table(task.folder / "occlusion_pooled.csv", found.pooled)
    told, findings = square_curves(task, decoder, windows, found)
    return {
        "n_windows": _count(found),
        "details": _described(found, decoder),
        "findings": (*found.findings, *findings),
    } | told


def _decoded_alone(task: MapTask, decoder: Decoder, split: Split) -> dict[str, Any]:
    """What sets of regions decode alone, by sessions of the fold's test part; written."""
    recipe, table = decoder.recipe, task.fit.table
    kept = np.flatnonzero(np.asarray(recipe.kept_regions))
    drawn: dict[str, SetsBeside] = {}
    for name, regions, n_sets in task.settings.region_sets:
        # Where the table is made, what is wrong with a set is said.
        with suppress(StudyError):
            drawn[name] = draw_beside(regions, recipe.regions, kept, table, n_sets)
    every = dict.fromkeys(
        one for sets in drawn.values() for one in (sets.chosen, *sets.random, *sets.symmetric)
    )
    if not every:
        raise StudyError("none of its sets can be judged")
    places = np.arange(len(recipe.regions))
    masks = [Mask(set_key(one), np.isin(places, np.setdiff1d(kept, one))) for one in every]
    found = occlude(
        decoder,
        split.test,
        masks,
        fill=task.settings.fill,
        every_n_frames=judged_every(
            split.test.n_windows, of_trials=split.test.recipe.target.events is not None
        ),
        seed=task.fit.seed,
        device=task.fit.device,
    )
    write_table(task.folder / "occlusion_sessions.csv", found.sessions)
    told = {"n_regions": kept.size, "sets": {name: asdict(one) for name, one in drawn.items()}}
    return {
        "n_windows": _count(found),
        "details": {**_described(found, decoder), **told},
        "findings": found.findings,
    }


def judged_every(n_windows: int, *, of_trials: bool = False) -> int:
    """Of a fold's test windows, every how many-th is decoded from each set of regions.

    Neighbouring windows are alike; trials are few, and all of them are decoded.

    Examples
    --------
    >>> judged_every(6000), judged_every(200_000), judged_every(300, of_trials=True)
    (3, 40, 1)
    """
    return max(1 if of_trials else EVERY, round(n_windows / JUDGED_WINDOWS))


def square_curves(
    task: MapTask, decoder: Decoder, windows: Windows, found: Occlusion
) -> tuple[dict[str, Any], list[Finding]]:
    """Curves of deletion along the map of squares of every other session, of the rest.

    Parameters
    ----------
    task
        The map; curves are written to its folder, for squares of test animals alone.
    decoder, windows
        What was covered.
    found
        What covering cost.

    Returns
    -------
    dict, list
        What they add to done.json, and why there are none.
    """
    settings = task.settings
    over_squares = decoder.settings.sees_movies and settings.masks in (None, "squares")
    if not over_squares or not settings.n_orders or settings.windows != "test":
        return {}, []
    names = found.sessions["session"].unique()
    if len(names) < 2:
        reason = "no curves of deletion: one session makes the map, and no other is left for them"
        return {}, [Finding("map", reason, code=NO_MAP)]
    mapped = found.sessions[found.sessions["session"].isin(names[::2])]
    score = mapped.groupby("mask", sort=False)["score"].mean().to_numpy()
    # Sessions of different animals may have one name.
    codes = {windows.session_names[k]: k for k in np.unique(windows.session)}
    judged = windows.where(np.isin(windows.session, [codes[name] for name in names[1::2]]))
    try:
        curves = delete_squares(
            decoder,
            judged,
            cells_of_squares(score, SquareGrid(decoder.recipe.image_shape or (0, 0))),
            fill=settings.fill if settings.fill in DELETION_FILLS else "shuffled",
            n_random=settings.n_orders,
            every_n_frames=max(settings.every_n_frames, round(judged.n_windows / CURVE_IMAGES)),
            seed=task.fit.seed,
            device=task.fit.device,
        )
    except (DataError, StudyError) as error:
        return {}, [Finding("map", f"no curves of deletion: {error}", code=NO_MAP)]
    return {"deletion": _written(task, curves)}, []


def _count(found: Occlusion) -> int:
    first = found.sessions[found.sessions["mask"] == found.masks[0].name]
    return int(first["n_windows"].sum())


def _described(found: Occlusion, decoder: Decoder) -> Mapping[str, Any]:
    return {
        "metric": found.metric,
        "fill": found.fill,
        "every_n_frames": found.every_n_frames,
        "cnn_passes": found.cnn_passes,
        "image_shape": decoder.recipe.image_shape,
        "masks": [mask.name for mask in found.masks],
        "network": decoder.settings.kind,
    }


def masks_of(settings: MapSettings, decoder: Decoder, table: RegionTable | None) -> list[Mask]:
    """What an occlusion covers of a decoder's input."""
    recipe = decoder.recipe
    masks = settings.masks
    if decoder.settings.sees_movies:
        shape = recipe.image_shape or (0, 0)
        if masks == "limb-squares":
            return [limb_squares(shape)]
        if isinstance(masks, tuple):
            drawn = [(name, one) for name, one in masks if not isinstance(one, tuple)]
            return pixel_masks(drawn, shape)
        return square_masks(SquareGrid(shape))
    if isinstance(masks, tuple):
        sets = {name: one for name, one in masks if isinstance(one, tuple)}
        return region_masks(sets, recipe.regions, table)
    seen = [name for name, k in zip(recipe.regions, recipe.kept_regions, strict=True) if k]
    return [Mask(name, np.array(recipe.regions) == name) for name in seen]


def brain_of(windows: Windows) -> NDArray[np.bool_] | None:
    """Pixels that are brain in some session, where preprocessing masks the rest; else None."""
    pixels = windows.recipe.pixels
    if pixels is None or pixels.mask != "brain":
        return None
    return np.asarray(np.any([np.any(m.gain != 0, axis=0) for m in windows.movies], axis=0))


def map_findings(results: Sequence[MapResult]) -> list[Finding]:
    """What was left out of maps or looks odd, each once."""
    findings = []
    for result in results:
        named = result.map
        if result.left_out is not None:
            reason = f"no map {named['map']!r} of {named['condition']!r}: {result.left_out}"
            findings.append(Finding("map", reason, item=named["fold"], code=NO_MAP))
        findings += result.findings
    return list(dict.fromkeys(findings))
