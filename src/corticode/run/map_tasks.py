"""From a study's maps to tasks: of which decoders, in which order, and beside which controls."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

from corticode.data.folds import Fold
from corticode.errors import Finding, StudyError
from corticode.explain.settings import MapSettings, Selection
from corticode.run.fits import FitTask
from corticode.run.folder import Run, hash_of
from corticode.run.maps import MapTask
from corticode.study.keys import ConditionKeys, SelectionKeys
from corticode.study.study import Condition, Study, settings_of_map

# Kinds whose maps of decoders with permuted labels stand beside them.
CHECKED = ("deep-shap",)
# Of what is kept beside a map; maps with less are made again.
MAP_FORMAT = 2


def wanted_maps(study: Study) -> dict[str, list[tuple[MapSettings, bool]]]:
    """The maps of each condition by its name, and whether each is a control.

    Those that the study names; those that choose regions; and, as controls, those of conditions
    that differ from a map's own in nothing but permuted labels.
    """
    wanted: dict[str, list[tuple[MapSettings, bool]]] = {}

    def add(settings: MapSettings, is_control: bool = False) -> None:
        there = wanted.setdefault(settings.condition, [])
        if settings.name not in [one.name for one, _ in there]:
            there.append((settings, is_control))

    named = [settings_of_map(keys) for keys in study.maps]
    for settings in named:
        add(settings)
    for settings in named:
        if settings.kind in CHECKED and settings.n_random:
            for name in permuted_likes(settings.condition, study.conditions):
                control = replace(
                    settings, condition=name, n_random=0, n_orders=0, convergence=False
                )
                add(control, is_control=True)
    for condition in study.conditions:
        if isinstance(condition.regions, SelectionKeys):
            add(Selection(**condition.regions.model_dump()).map_settings)
    return wanted


def permuted_likes(name: str, conditions: Sequence[ConditionKeys]) -> list[str]:
    """Conditions that differ from one in nothing but permuted labels."""
    own = next((c for c in conditions if c.name == name), None)
    if own is None or own.permute_labels not in (None, "none"):
        return []
    return [
        c.name
        for c in conditions
        if c.permute_labels not in (None, "none")
        and c.model_copy(update={"name": name, "permute_labels": own.permute_labels}) == own
    ]


def maps_of_fits(
    fits: Sequence[FitTask], wanted: Sequence[tuple[MapSettings, bool]], run: Run
) -> list[MapTask]:
    """The maps of a condition's decoders, one a decoder and settings."""
    tasks = []
    for settings, is_control in wanted:
        n_random = settings.n_random if settings.kind in CHECKED else 0
        for k, fit in enumerate(fits):
            # Dealt out: so many of all folds and seeds together.
            seeds = tuple(range(k, n_random, len(fits)))
            tasks.append(
                MapTask(
                    run.map_folder(fit.condition.name, settings.name, fit.fold.name, fit.seed),
                    fit.folder,
                    fit.prepared,
                    fit.condition,
                    fit.fold,
                    fit.seed,
                    settings,
                    map_key(fit, settings, seeds, k == 0 and not is_control),
                    fit.table,
                    fit.device,
                    fit.movies,
                    is_control,
                    seeds,
                    k == 0,
                )
            )
    return tasks


def map_key(
    fit: FitTask, settings: MapSettings, random_seeds: Sequence[int], is_first: bool
) -> str:
    """The key of a map: that of its fit, how it is made, and what stands beside."""
    plain: Mapping[str, object] = {
        k: v for k, v in asdict(settings).items() if k not in ("name", "condition", "n_random")
    }
    content = {"fit": fit.key, "map": plain, "random": list(random_seeds), "first": is_first}
    return hash_of(content | {"format": MAP_FORMAT})


def maps_chosen_from(
    condition: Condition, fold: Fold, seed: int, maps: Sequence[MapTask]
) -> list[MapTask]:
    """The maps by which regions are chosen: of the same fold's training animals, or of all folds.

    Raises
    ------
    StudyError
        The condition that is asked is not decoded in this fold.
    """
    selection = condition.selection
    if selection is None:
        return []
    name = selection.map_settings.name
    found = [
        task
        for task in maps
        if (task.condition.name, task.settings.name, task.seed) == (selection.source, name, seed)
        and (selection.on == "test" or task.fold.name == fold.name)
    ]
    if not found:
        raise StudyError(
            f"condition {condition.name!r} takes regions from {selection.source!r}, which has no "
            f"fold {fold.name!r}; give both the same folds"
        )
    return found


def selection_leaks(condition: Condition) -> list[Finding]:
    """That regions chosen on test animals make a circle."""
    if condition.selection is None or condition.selection.on != "test":
        return []
    reason = (
        "its regions are chosen by maps of the test animals: circular, as published; its scores "
        "say nothing of new animals"
    )
    return [Finding("leak", reason, item=condition.name)]
