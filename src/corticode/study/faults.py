"""What is wrong with a study file, in words: every fault, where it stands, and the way out."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

# pydantic's kinds of error; {…} are what it says the limit is.
NEEDED = {
    "int_type": "a whole number is needed",
    "float_type": "a number is needed",
    "finite_number": "a finite number is needed",
    "string_type": "text in quotes is needed",
    "string_too_short": "it must not be empty",
    "bool_type": "true or false is needed",
    "list_type": "a list in [brackets] is needed",
    "too_short": "at least {min_length} {are} needed",
    "too_long": "no more than {max_length} may be given",
    "model_type": "a table is needed, as in {{ key = value }}",
    "greater_than_equal": "it must be {ge:g} or more",
    "greater_than": "it must be above {gt:g}",
    "less_than": "it must be below {lt:g}",
    "literal_error": "it must be {expected}",
}
LONGEST_VALUE = 60
LARGEST = 2**53
# What a key is called elsewhere, for words that are not alike.
OTHER_NAMES = {
    "threshold": "above",
    "model": "network",
    "lr": "learning_rate",
    "shuffle_labels": "permute_labels",
}
DECIMAL_COMMA = re.compile(r"=\s*([+-]?\d+),(\d+)")


def schema_faults(
    error: ValidationError, raw: Mapping[str, Any], model: type[BaseModel]
) -> list[str]:
    """One sentence for each key that is unknown, missing or of the wrong type or size.

    Parameters
    ----------
    error
        What pydantic found.
    raw
        The file's content.
    model
        The model of the whole file; its fields' descriptions enter the sentences.
    """
    faults = [_in_words(detail, raw, model) for detail in error.errors(include_url=False)]
    return list(dict.fromkeys(faults))


def toml_fault(text: str, error: ValueError) -> str:
    r"""Why a file is no TOML, and where a decimal comma may be the reason.

    Examples
    --------
    >>> toml_fault("[target]\nabove = 0,5\n", ValueError("Expected newline"))
    'Expected newline; line 2 has a decimal comma: write 0.5'
    """
    for number, line in enumerate(text.splitlines(), start=1):
        found = DECIMAL_COMMA.search(line.partition("#")[0])
        if found:
            return f"{error}; line {number} has a decimal comma: write {'.'.join(found.groups())}"
    return str(error)


def number_faults(raw: Mapping[str, Any], place: str = "") -> Iterator[str]:
    """Whole numbers that are too large to count anything with.

    Examples
    --------
    >>> list(number_faults({"folds": {"blocks": 10**20}}))
    ['folds.blocks is too large; whole numbers up to 9,007,199,254,740,992 are read']
    """
    for key, value in raw.items():
        if isinstance(value, int) and abs(value) > LARGEST:
            # Python does not write out a number of more than 4,300 digits.
            yield f"{place}{key} is too large; whole numbers up to {LARGEST:,} are read"
        elif isinstance(value, Mapping):
            yield from number_faults(value, f"{place}{key}.")
        elif isinstance(value, list):
            yield from number_faults({f"{key} {k}": v for k, v in enumerate(value, 1)}, place)


def name_faults(raw: Mapping[str, Any]) -> Iterator[str]:
    """Conditions of one name, and `like` that leads nowhere or in a circle."""
    conditions = _named_conditions(raw)
    names = [str(condition["name"]) for condition in conditions]
    for name in dict.fromkeys(n for n in names if names.count(n) > 1):
        yield f"{names.count(name)} conditions are named {name!r}; names must differ"
    likes: dict[str, str] = {}
    for name, condition in zip(names, conditions, strict=True):
        if "like" in condition and "preset" in condition:
            yield f"condition {name!r} gives like and preset; only one can be the start"
        like = condition.get("like")
        if isinstance(like, str):
            likes[name] = like
            if like not in names:
                yield (
                    f"condition {name!r} is like {like!r}, which is no condition"
                    f"{guess(like, names)}"
                )
    yield from _circles(likes, "is like")


def start_faults(starts: Mapping[str, str | None], permuted: Mapping[str, str]) -> Iterator[str]:
    """Conditions that start from one that does not exist, in a circle, or from other labels.

    Parameters
    ----------
    starts
        What each condition starts from, by name.
    permuted
        How each condition's labels are permuted, by name.
    """
    given = {name: start for name, start in starts.items() if start is not None}
    for name, start in given.items():
        if start not in starts:
            yield (
                f"condition {name!r} starts from {start!r}, which is no condition"
                f"{guess(start, list(starts))}"
            )
        elif permuted[name] != permuted[start]:
            yield (
                f"condition {name!r} has permute_labels = {permuted[name]!r} and starts from "
                f"{start!r}, which has {permuted[start]!r}; a decoder may not start from one that "
                "saw other labels: give both the same"
            )
    yield from _circles(given, "starts from")


def map_faults(
    maps: Sequence[tuple[str, str]], sources: Mapping[str, str], inputs: Mapping[str, str]
) -> Iterator[str]:
    """Maps and selections of conditions that do not exist, or that cannot be made.

    Parameters
    ----------
    maps
        Name and condition of each map.
    sources
        The condition that each selection of regions asks, by the condition's name.
    inputs
        The input of each condition, by name.
    """
    for name, condition in maps:
        if condition not in inputs:
            near = guess(condition, list(inputs))
            yield f"map {name!r} is of {condition!r}, which is no condition{near}"
    for name, condition in dict.fromkeys(m for m in maps if maps.count(m) > 1):
        yield f"several maps of {condition!r} are named {name!r}; give each its own name"
    for name, source in sources.items():
        if source not in inputs:
            near = guess(source, list(inputs))
            yield f"condition {name!r} takes regions from {source!r}, which is no condition{near}"
        elif inputs[source] != "traces":
            yield (
                f"condition {name!r} takes regions from {source!r}, whose input is "
                f"{inputs[source]!r}; a map over regions needs a condition of traces"
            )
    yield from _circles(sources, "takes regions from")


def unit_faults(raw: Mapping[str, Any], groups: Sequence[str]) -> Iterator[str]:
    """Lengths that are given twice in one table, in seconds and in frames."""
    tables = [(f"[{name}]", raw.get(name)) for name in ("target", "folds", "trials")]
    for condition in _named_conditions(raw):
        tables += [(f"condition {condition['name']!r}, {g}", condition.get(g)) for g in groups]
    tables += [(f"{w}, exclude", t.get("exclude")) for w, t in tables if isinstance(t, Mapping)]
    for where, table in tables:
        given = set(table) if isinstance(table, Mapping) else set()
        for key in sorted(given):
            stem = key.removesuffix("_s")
            for twin in sorted({stem, f"{stem}_frames"} & given - {key}):
                if key.endswith("_s"):
                    yield f"{where}: {key} and {twin} say the same thing; give one"


def listed(path: Path, faults: Sequence[str]) -> str:
    """A message that names the file and every fault.

    Examples
    --------
    >>> print(listed(Path("study.toml"), ["one thing", "another"]))
    study.toml has 2 faults:
      1. one thing
      2. another
    """
    if len(faults) == 1:
        return f"{path}: {faults[0]}"
    lines = [f"  {k}. {fault}" for k, fault in enumerate(faults, start=1)]
    return "\n".join([f"{path} has {len(faults)} faults:", *lines])


def guess(word: str, known: Sequence[str]) -> str:
    """What may have been meant, as the end of a sentence; empty where nothing is near.

    Examples
    --------
    >>> guess("befor", ["before", "after"])
    "; did you mean 'before'?"
    """
    near = get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _named_conditions(raw: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    given = raw.get("condition")
    return [
        condition
        for condition in (given if isinstance(given, list) else [])
        if isinstance(condition, Mapping) and isinstance(condition.get("name"), str)
    ]


def _circles(likes: Mapping[str, str], verb: str) -> Iterator[str]:
    told: set[str] = set()
    for name in likes:
        path = [name]
        while path[-1] in likes and likes[path[-1]] not in path:
            path.append(likes[path[-1]])
        if likes.get(path[-1]) == name and name not in told:
            told.update(path)
            shown = f" {verb} ".join(repr(one) for one in [*path, name])
            yield f"condition {shown}: a circle; one of them must stand alone"


def _place_in_file(loc: Sequence[int | str], raw: Any) -> tuple[int | str, ...]:
    """The keys and numbers that lead to a value; pydantic adds the branches of a union to them."""
    place: list[int | str] = []
    for part in loc:
        try:
            raw = raw[part]
        except (KeyError, IndexError, TypeError):
            break
        place.append(part)
    return tuple(place)


def _value_at(place: Sequence[int | str], raw: Any) -> Any:
    for part in place:
        raw = raw[part]
    return raw


def _where(place: Sequence[int | str], raw: Mapping[str, Any]) -> str:
    """The table that holds the last key of a place, as the start of a sentence."""
    if len(place) < 2:
        return ""
    if not isinstance(place[1], int):
        return f"[{place[0]}]: "
    table = _value_at(place[:2], raw)
    name = table.get("name") if isinstance(table, Mapping) else None
    parts = [f"{place[0]} {place[1] + 1}" + (f" ({name!r})" if isinstance(name, str) else "")]
    return ", ".join([*parts, *map(str, place[2:-1])]) + ": "


def _model_at(place: Sequence[int | str], model: type[BaseModel]) -> type[BaseModel]:
    for part in place:
        if isinstance(part, str):
            model = _model_in(_fields_of(model)[part].annotation) or model
    return model


def _fields_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of a model by the names they have in a file."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for a in get_args(annotation) if (found := _model_in(a))), None)


def _in_words(detail: ErrorDetails, raw: Mapping[str, Any], model: type[BaseModel]) -> str:
    place = _place_in_file(detail["loc"], raw)
    # Within a branch of a union, the place in the file ends before the error's.
    n_branches = len(detail["loc"]) - len(place)
    if detail["type"] == "missing" and n_branches == 1:
        return _missing(detail["loc"], raw, model)
    if detail["type"] == "extra_forbidden" and n_branches == 0:
        known = list(_fields_of(_model_at(place[:-1], model)))
        key = str(place[-1])
        near = guess(OTHER_NAMES[key] if OTHER_NAMES.get(key) in known else key, known)
        return f"{_where(place, raw)}unknown key {place[-1]!r}{near} (known: {', '.join(known)})"
    if place == ("condition",) and detail["type"] == "list_type":
        return "conditions are written [[condition]], in double brackets, each with a name"
    return _wrong(place, detail, raw, model)


def _missing(loc: Sequence[int | str], raw: Mapping[str, Any], model: type[BaseModel]) -> str:
    key = str(loc[-1])
    field = _fields_of(_model_at(loc[:-1], model))[key]
    shown = key if len(loc) > 1 else "[[condition]]" if key == "condition" else f"[{key}]"
    return f"{_where(loc, raw)}{shown} is missing ({_as_clause(field.description)})"


def _wrong(
    place: tuple[int | str, ...],
    detail: ErrorDetails,
    raw: Mapping[str, Any],
    model: type[BaseModel],
) -> str:
    value = _value_at(place, raw)
    shown = json.dumps(value, default=str)
    shown = shown if len(shown) <= LONGEST_VALUE else f"{shown[:LONGEST_VALUE]}..."
    is_entry = isinstance(place[-1], int)
    named = place[:-1] if is_entry else place
    entry = f", entry {int(place[-1]) + 1}," if is_entry else ""
    context = detail.get("ctx", {})
    if len(place) < len(detail["loc"]):
        # Each branch of a union complains in its own way; what the field is for says more.
        field = _fields_of(_model_at(named[:-1], model))[str(named[-1])]
        needed = f"this is not possible ({_as_clause(field.description)})"
    elif detail["type"] == "model_type" and place[-1] == "network" and isinstance(value, str):
        needed = f"a table is needed, as in network = {{ kind = {shown} }}"
    else:
        is_one = context.get("min_length") == 1
        words = context | {"are": "is" if is_one else "are"}
        words |= {"min_length": "one"} if is_one else {}
        needed = NEEDED.get(detail["type"], _as_clause(detail["msg"])).format(**words)
        if detail["type"] == "literal_error":
            needed += guess(str(value), str(context["expected"]).split("'"))
    return f"{_where(named, raw)}{named[-1]}{entry} = {shown}: {needed}"


def _as_clause(sentence: str | None) -> str:
    text = (sentence or "").rstrip(".")
    return text[:1].lower() + text[1:]
