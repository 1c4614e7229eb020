"""What a paper should report: what the run says of it, and what only its authors know."""

from collections.abc import Callable

from corticode.report.headline import permuted_twins
from corticode.report.page_values import RunValues, headline_condition
from corticode.report.passages import Passage
from corticode.report.study_words import label_rule

TO_FILL_IN = "to be filled in"
NOT_DONE = "not done"
# What no run folder can tell.
AUTHORS = (
    ("Animals", "strain, sex, age, how many were recorded and how many are shown; ethics"),
    ("Indicator", "which, how it was brought in, in which cells"),
    (
        "Imaging",
        "wavelengths, exposure, field of view, size of a pixel, camera, light on the brain",
    ),
    ("Head plate, window, treadmill", "how, and how long before the first recording"),
    ("Behaviour", "the sensor, its rate, how it was brought onto the clock of the frames"),
    ("Registration", "how images of one animal, and of all, were brought onto one another"),
    ("Deviation from plan", "what was registered beforehand, and what was decided later"),
)


def checklist(values: RunValues) -> Passage:
    """The reporting checklist: item, what the run says of it, and whether that is done.

    Examples
    --------
    >>> checklist(RunValues("run")).heads
    ('item', 'state', 'where, or what')
    """
    name = headline_condition(values)
    rows = [(item, *_state(said(values, name) if name else "")) for item, said in ITEMS]
    rows += [(item, TO_FILL_IN, what) for item, what in AUTHORS]
    return Passage(
        "Reporting checklist",
        ("“To be filled in” is what no run folder can tell.",),
        heads=("item", "state", "where, or what"),
        rows=tuple(rows),
    )


def _state(said: str) -> tuple[str, str]:
    return ("reported", said) if said else (NOT_DONE, "")


def _n_tested(values: RunValues, name: str) -> str:
    table = values.table("animal_scores")
    own = table[(table["condition"] == name) & table["value"].notna()]
    return f"{len(own)} animals, {int(own['n_sessions'].sum())} sessions: animal_scores.csv"


def _rule(values: RunValues, name: str) -> str:
    target = values.condition(name).get("target")
    return label_rule(target) if target else ""


def _excluded(values: RunValues, name: str) -> str:
    table = values.tables.get("excluded")
    return "" if table is None else f"{len(table)} findings: excluded.csv"


def _blood(values: RunValues, name: str) -> str:
    condition = values.condition(name)
    if condition.get("input") == "movie":
        return str(condition.get("preprocess", {}).get("correction", ""))
    return ""


def _controls(values: RunValues, name: str) -> str:
    return ", ".join(permuted_twins(values, name))


def _has(table: str, words: str) -> Callable[[RunValues, str], str]:
    return lambda values, name: "" if values.table(table).empty else f"{words}: {table}.csv"


def _versions(values: RunValues, name: str) -> str:
    found = values.provenance.get("versions", {})
    return f"corticode {found['corticode']}: provenance.json" if "corticode" in found else ""


def _seeds(values: RunValues, name: str) -> str:
    n = len(values.provenance.get("seeds", []))
    return f"{n} seeds: scores.csv has a row for each" if n > 1 else ""


def _by(values: RunValues, name: str) -> str:
    folds = values.study.get("folds", {})
    return f"by {folds['by']}: scores.csv names each" if "by" in folds else ""


ITEMS: tuple[tuple[str, Callable[[RunValues, str], str]], ...] = (
    ("Animals and sessions tested", _n_tested),
    ("How labels were made", _rule),
    ("What was left out, and why", _excluded),
    ("Folds", _by),
    ("Score of every session", _has("session_scores", "with bouts of each class")),
    ("Score of every animal", _has("animal_scores", "the unit of inference")),
    ("More than one seed", _seeds),
    ("A control with permuted labels", _controls),
    ("Each animal against its own labels in other orders", _has("nulls", "a p each")),
    ("Correction for blood (movies)", _blood),
    ("Cues that are not cortex", _has("artefacts", "with a verdict")),
    ("Comparisons with adjusted p-values", _has("comparisons", "Holm's rule")),
    ("Maps beside decoders that learnt nothing", _has("map_checks", "with their limits")),
    ("Whether maps agree between decoders", _has("map_stability", "seeds, folds, animals")),
    ("Software and its versions", _versions),
)
