"""Which animals, sessions or stretches of time train, validate and test; proved disjoint."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from corticode.data.windows import Windows
from corticode.errors import FoldError, StudyError

ROLES = ("train", "valid", "test")
VERBS = {"train": "train", "valid": "validate", "test": "test"}


@dataclass(frozen=True)
class Part:
    """A whole animal, one of its sessions, or a stretch of frames of a session.

    `session` None means every session; `stop_frame` None means to the end. The stretch is that of
    the windows' centres.
    """

    animal: str
    session: str | None = None
    first_frame: int = 0
    stop_frame: int | None = None


@dataclass(frozen=True)
class Fold:
    """What trains, what chooses the epoch, what is tested.

    Parameters
    ----------
    name
        As in the tables, for example ``test-m1_valid-m2``.
    train, valid, test
        Parts that share nothing.

    Raises
    ------
    StudyError
        A role is empty, or the same part has two roles.
    """

    name: str
    train: tuple[Part, ...]
    valid: tuple[Part, ...]
    test: tuple[Part, ...]

    def __post_init__(self) -> None:
        for role in ROLES:
            if not getattr(self, role):
                raise StudyError(f"fold {self.name!r} has nothing to {VERBS[role]}")
        twice = (set(self.train) & set(self.valid)) | (
            (set(self.train) | set(self.valid)) & set(self.test)
        )
        if twice:
            part = sorted(twice, key=str)[0]
            session = "" if part.session is None else f", session {part.session!r}"
            raise StudyError(
                f"fold {self.name!r} gives animal {part.animal!r}{session} two roles; "
                "a part trains, validates or tests"
            )

    @property
    def animals(self) -> tuple[str, ...]:
        """All animals that take part."""
        parts = (*self.train, *self.valid, *self.test)
        return tuple(dict.fromkeys(part.animal for part in parts))


@dataclass(frozen=True)
class Split:
    """The windows of a fold, by role."""

    train: Windows
    valid: Windows
    test: Windows


def leave_animals_out(
    animals: Sequence[str], sessions: Sequence[str] | None = None, *, validate: str = "animal"
) -> list[Fold]:
    """Each animal is tested by decoders of the others.

    Parameters
    ----------
    animals
        The animal of each session.
    sessions
        The name of each session, in the order of days; needed where sessions validate.
    validate
        ``"animal"``: all ordered pairs of a test and a validation animal, the others train.
        ``"session"``: all animals but one train, and the last session of each of them (of those
        that have two or more) validates in place of training: one fold a test animal. Two animals
        are enough for this; the epoch is then chosen in animals that train, not in a new one. An
        animal without whom no other has two sessions has no fold.

    Raises
    ------
    StudyError
        Too few animals, or no training animal has a second session to validate.

    References
    ----------
    Ajioka et al. (2024), doi:10.1371/journal.pcbi.1011074.

    Examples
    --------
    >>> folds = leave_animals_out(["m1", "m2", "m3"])
    >>> len(folds), folds[0].name
    (6, 'test-m1_valid-m2')
    >>> fold = leave_animals_out(["m1", "m2", "m2"], ["a", "a", "b"], validate="session")[0]
    >>> fold.name, fold.train[0].session, fold.valid[0].session
    ('test-m1_valid-sessions', 'a', 'b')
    """
    names = list(dict.fromkeys(animals))
    if validate == "session" and sessions is not None:
        return _validated_by_sessions(names, list(zip(animals, sessions, strict=True)))
    if validate != "animal":
        raise StudyError(
            f"validate is {validate!r}; give 'animal', or 'session' with the name of each session"
        )
    if len(names) < 3:
        raise StudyError(
            f"folds by animal need at least 3 animals (train, valid, test), got {len(names)}; "
            + (
                "with two, [folds] validate = 'session' trains on one animal, its last session "
                "validating, and tests on the other; or "
                if len(names) == 2
                else ""
            )
            + "use [folds] by = 'session' or 'block' to decode within animals"
        )
    return [
        Fold(
            f"test-{test}_valid-{valid}",
            tuple(Part(name) for name in names if name not in (test, valid)),
            (Part(valid),),
            (Part(test),),
        )
        for test, valid in permutations(names, 2)
    ]


def _validated_by_sessions(names: Sequence[str], sessions: Sequence[tuple[str, str]]) -> list[Fold]:
    """One fold a test animal; the last session of each other animal validates."""
    if len(names) < 2:
        raise StudyError(
            f"folds by animal with validate = 'session' need at least 2 animals, got {len(names)}; "
            "use [folds] by = 'session' or 'block' to decode within animals"
        )
    own = {name: [session for animal, session in sessions if animal == name] for name in names}
    folds = []
    for test in names:
        others = [name for name in names if name != test]
        chosen = {name: own[name][-1] for name in others if len(own[name]) > 1}
        if not chosen:
            continue
        train = [
            Part(name, session)
            for name in others
            for session in own[name]
            if session != chosen.get(name)
        ]
        valid = [Part(name, session) for name, session in chosen.items()]
        folds.append(Fold(f"test-{test}_valid-sessions", tuple(train), tuple(valid), (Part(test),)))
    if not folds:
        raise StudyError(
            "folds by animal with validate = 'session' need a training animal with two sessions, "
            "one to train and one to validate, and no animal has as many; "
            + ("leave out validate" if len(names) > 2 else "use [folds] by = 'block'")
        )
    return folds


def leave_sessions_out(animals: Sequence[str], sessions: Sequence[str]) -> list[Fold]:
    """Within each animal: each session tests once, the next one validates, the others train.

    Animals with fewer than three sessions have no fold.

    Parameters
    ----------
    animals, sessions
        Names, one pair a session, in the order of days.

    Raises
    ------
    StudyError
        No animal has three sessions.

    Examples
    --------
    >>> leave_sessions_out(["m1"] * 3, ["a", "b", "c"])[2].name
    'm1_test-c_valid-a'
    """
    folds = []
    for animal in dict.fromkeys(animals):
        own = [s for a, s in zip(animals, sessions, strict=True) if a == animal]
        if len(own) < 3:
            continue
        for k, test in enumerate(own):
            valid = own[(k + 1) % len(own)]
            folds.append(
                Fold(
                    f"{animal}_test-{test}_valid-{valid}",
                    tuple(Part(animal, name) for name in own if name not in (test, valid)),
                    (Part(animal, valid),),
                    (Part(animal, test),),
                )
            )
    if not folds:
        raise StudyError(
            "folds by session need at least 3 sessions of an animal (train, valid, test); no "
            "animal has as many: use [folds] by = 'block'"
        )
    return _named_apart(folds)


def leave_days_out(
    animals: Sequence[str], sessions: Sequence[str], days: Sequence[str]
) -> list[Fold]:
    """Within each animal: the sessions of each day test once, those of the next validate.

    Animals with fewer than three days have no fold.

    Parameters
    ----------
    animals, sessions, days
        Names and ISO dates, one a session.

    Raises
    ------
    StudyError
        A session has no date, or no animal has sessions on three days.

    Examples
    --------
    >>> days = ["2024-05-01", "2024-05-01", "2024-05-02", "2024-05-04"]
    >>> folds = leave_days_out(["m1"] * 4, list("abcd"), days)
    >>> folds[0].name, [part.session for part in folds[0].test]
    ('m1_test-2024-05-01_valid-2024-05-02', ['a', 'b'])
    """
    if not all(days):
        raise StudyError(
            "folds by day need the date of each session; fill the catalogue's column 'date'"
        )
    folds = []
    for animal in dict.fromkeys(animals):
        own: dict[str, list[Part]] = {}
        for name, session, day in zip(animals, sessions, days, strict=True):
            if name == animal:
                own.setdefault(day, []).append(Part(animal, session))
        in_order = sorted(own)
        if len(in_order) < 3:
            continue
        for k, test in enumerate(in_order):
            valid = in_order[(k + 1) % len(in_order)]
            folds.append(
                Fold(
                    f"{animal}_test-{test}_valid-{valid}",
                    tuple(p for day in in_order if day not in (test, valid) for p in own[day]),
                    tuple(own[valid]),
                    tuple(own[test]),
                )
            )
    if not folds:
        raise StudyError(
            "folds by day need sessions of an animal on at least 3 days (train, valid, test); no "
            "animal has as many: use [folds] by = 'session'"
        )
    return _named_apart(folds)


def leave_blocks_out(
    animals: Sequence[str],
    sessions: Sequence[str],
    n_frames: Sequence[int],
    *,
    blocks: int = 5,
    gap_frames: int,
    trials: Sequence[NDArray[np.integer]] | None = None,
) -> list[Fold]:
    """Within each session: contiguous blocks, each tests once, the next one validates.

    Between blocks of different roles `gap_frames` frames are left out, half from each side. Of
    trials each block has as many, give or take one, and ends midway between two.

    Parameters
    ----------
    animals, sessions, n_frames
        Names and lengths, one a session.
    blocks
        Equal contiguous blocks a session, at least 3.
    gap_frames
        The window's length + |shift| keeps the parts free of common frames.
    trials
        Where trials are decoded: the frames on which the windows of each session's trials are
        centred, rising.

    Raises
    ------
    StudyError
        Too few blocks or trials, or blocks no longer than the gap.

    Examples
    --------
    >>> fold = leave_blocks_out(["m1"], ["a"], [500], gap_frames=10)[0]
    >>> fold.name, fold.test
    ('m1_a_test-0_valid-1', (Part(animal='m1', session='a', first_frame=0, stop_frame=95),))
    """
    if blocks < 3:
        raise StudyError(f"[folds] blocks = {blocks}; train, valid and test need at least 3")
    folds = []
    for number, (animal, session, length) in enumerate(
        zip(animals, sessions, n_frames, strict=True)
    ):
        if length // blocks <= gap_frames and trials is None:
            raise StudyError(
                f"session {animal}/{session}: {blocks} blocks of {length // blocks} frames leave "
                f"nothing beside a gap of {gap_frames} frames; use fewer blocks"
            )
        edges = [length * k // blocks for k in range(blocks + 1)]
        if trials is not None:
            edges = _between_trials(trials[number], length, blocks, f"{animal}/{session}")
        for test in range(blocks):
            valid = (test + 1) % blocks
            role = [
                "test" if k == test else "valid" if k == valid else "train" for k in range(blocks)
            ]
            parts: dict[str, list[Part]] = {name: [] for name in ROLES}
            for k in range(blocks):
                opens = k > 0 and role[k - 1] != role[k]
                closes = k < blocks - 1 and role[k + 1] != role[k]
                first = edges[k] + (gap_frames - gap_frames // 2 if opens else 0)
                stop = edges[k + 1] - (gap_frames // 2 if closes else 0)
                parts[role[k]].append(Part(animal, session, first, stop))
            folds.append(
                Fold(
                    f"{animal}_{session}_test-{test}_valid-{valid}",
                    *(tuple(parts[name]) for name in ROLES),
                )
            )
    return _named_apart(folds)


def between_groups(
    folds: Sequence[Fold],
    groups: Mapping[str, str],
    *,
    train: Sequence[str] | None = None,
    test: Sequence[str] | None = None,
) -> list[Fold]:
    """Folds that train and validate on animals of some groups, and test animals of some groups.

    Parameters
    ----------
    folds
        By animal.
    groups
        The group of each animal, as of the catalogue's column.
    train, test
        Names of groups; None: every animal.

    Returns
    -------
    list of Fold
        Those whose test and validation animals are of these groups, with the training animals
        that are.

    Raises
    ------
    StudyError
        A group does not exist, or no fold is left.

    Examples
    --------
    >>> folds = leave_animals_out(["m1", "m2", "m3", "m4"])
    >>> groups = {"m1": "wt", "m2": "wt", "m3": "ko", "m4": "ko"}
    >>> for fold in between_groups(folds, groups, train=["wt"], test=["ko"])[:2]:
    ...     print(fold.name, [part.animal for part in fold.train])
    test-m3_valid-m1 ['m2']
    test-m3_valid-m2 ['m1']
    """
    known = sorted({one for one in groups.values() if one})
    for name in (*(train or ()), *(test or ())):
        if name not in known:
            raise StudyError(
                f"no animal is of group {name!r}; the catalogue's column group holds "
                f"{', '.join(map(repr, known)) or 'nothing'}"
            )
    found = []
    for fold in folds:
        kept = [part for part in fold.train if train is None or groups.get(part.animal) in train]
        validates = train is None or all(groups.get(one.animal) in train for one in fold.valid)
        is_tested = test is None or all(groups.get(one.animal) in test for one in fold.test)
        if kept and validates and is_tested:
            found.append(Fold(fold.name, tuple(kept), fold.valid, fold.test))
    if not found:
        raise StudyError(
            "no fold is left: beside the test animal, one animal of a training group has to train "
            "and another to validate"
        )
    return found


def with_less_training(
    folds: Sequence[Fold],
    sessions: Sequence[tuple[str, str, int]],
    *,
    n_animals: int | None = None,
    n_frames: int | None = None,
) -> list[Fold]:
    """Folds that train on some of their training animals, or on the first frames of each.

    Parameters
    ----------
    folds
        With all their training animals.
    sessions
        Animal, name and frames of each session, in the order of the catalogue.
    n_animals
        How many of a fold's training animals are kept: those that follow the test animal in the
        catalogue, the first after the last, so that over folds each trains about as often. None:
        all of them.
    n_frames
        How many frames of each training animal are kept, from its first training session on.
        None: all of them.

    Returns
    -------
    list of Fold
        With the same names, validation and test parts.

    Raises
    ------
    StudyError
        A fold has fewer training animals, or one of them fewer frames.

    Examples
    --------
    >>> folds = leave_animals_out(["m1", "m2", "m3", "m4"])
    >>> sessions = [(f"m{k}", "a", 100) for k in (1, 2, 3, 4)]
    >>> with_less_training(folds, sessions, n_animals=1, n_frames=30)[0].train
    (Part(animal='m3', session='a', first_frame=0, stop_frame=30),)
    """
    order = list(dict.fromkeys(animal for animal, _, _ in sessions))
    found = []
    for fold in folds:
        animals = [name for name in order if name in {part.animal for part in fold.train}]
        if n_animals is not None:
            if n_animals > len(animals):
                raise StudyError(
                    f"{n_animals} training animals are asked for, and fold {fold.name!r} has "
                    f"{len(animals)}; ask for fewer"
                )
            at = order.index(fold.test[0].animal)
            following = [name for name in order[at:] + order[:at] if name in animals]
            animals = following[:n_animals]
        train = [part for part in fold.train if part.animal in animals]
        if n_frames is not None:
            train = [
                part for name in animals for part in _first_frames(fold, name, sessions, n_frames)
            ]
        found.append(Fold(fold.name, tuple(train), fold.valid, fold.test))
    return found


def _first_frames(
    fold: Fold, animal: str, sessions: Sequence[tuple[str, str, int]], n_frames: int
) -> list[Part]:
    """The first frames of what an animal trains with, session by session."""
    left, parts = n_frames, []
    for name, session, length in sessions:
        for part in fold.train:
            if name != animal or part.animal != name or part.session not in (None, session):
                continue
            stop = length if part.stop_frame is None else part.stop_frame
            stop = min(stop, part.first_frame + left)
            if stop > part.first_frame:
                parts.append(Part(animal, session, part.first_frame, stop))
                left -= stop - part.first_frame
    if left > 0:
        raise StudyError(
            f"{n_frames} frames of each training animal are asked for, and animal {animal!r} of "
            f"fold {fold.name!r} trains with {n_frames - left}; ask for less"
        )
    return parts


def _between_trials(
    centres: NDArray[np.integer], length: int, blocks: int, session: str
) -> list[int]:
    """Ends of blocks of equally many trials, midway between two of them, shape (blocks + 1,)."""
    if centres.size < blocks:
        raise StudyError(
            f"session {session} has {centres.size} trials; [folds] by = 'block' needs at least "
            f"one for each of {blocks} blocks: use fewer blocks, or leave the session out"
        )
    first = [centres.size * k // blocks for k in range(1, blocks)]
    middles = [(int(centres[k - 1]) + int(centres[k]) + 1) // 2 for k in first]
    return [0, *(min(max(middle, 0), length) for middle in middles), length]


def split_windows(windows: Windows, fold: Fold) -> Split:
    """The windows that train, validate and test in a fold; no frame serves two roles.

    Raises
    ------
    FoldError
        A role has no window.
    StudyError
        Parts share frames (a gap that is too small).
    """
    by_role = {role: windows.where(_belongs(windows, getattr(fold, role))) for role in ROLES}
    for role, part in by_role.items():
        if part.n_windows == 0:
            raise FoldError(f"fold {fold.name!r} has no window to {VERBS[role]}")
    _refuse_shared_frames(by_role, fold)
    return Split(**by_role)


def frames_seen(windows: Windows) -> tuple[Part, ...]:
    """The stretches of frames, session by session, that windows see or whose target they say.

    Examples
    --------
    >>> from corticode.data.session import Session
    >>> from corticode.data.targets import Target
    >>> from corticode.data.windows import WindowShape, cut_windows
    >>> noise = np.random.default_rng(0).normal(size=(100, 2))
    >>> one = Session("m1", "a", noise, ("1", "2"), {"x": np.arange(100.0)}, np.zeros(100, int))
    >>> windows = cut_windows([one], Target("x", kind="value"), WindowShape(5, 5))
    >>> frames_seen(windows.where(slice(0, 10)))
    (Part(animal='m1', session='a', first_frame=0, stop_frame=20),)
    """
    parts = []
    for k in np.unique(windows.session):
        own = windows.where(windows.session == k)
        spans = [np.stack(span) for span in _spans(own)]
        first, stop = np.concatenate(spans, axis=1)
        order = np.argsort(first, kind="stable")
        first, reach = first[order], np.maximum.accumulate(stop[order])
        begins = np.append(True, first[1:] > reach[:-1])
        name, session = own.animal_names[own.animal[0]], own.session_names[k]
        parts += [
            Part(name, session, int(one), int(other))
            for one, other in zip(first[begins], reach[np.append(begins[1:], True)], strict=True)
        ]
    return tuple(parts)


def sees_some(windows: Windows, parts: Sequence[Part]) -> NDArray[np.bool_]:
    """Which windows see, or say the target of, a frame of some stretch, shape (window,).

    Sessions are known by their names and their animal's.
    """
    by_session: dict[tuple[str, str | None], list[tuple[int, int | None]]] = {}
    for part in parts:
        own_parts = by_session.setdefault((part.animal, part.session), [])
        own_parts.append((part.first_frame, part.stop_frame))
    seen = np.zeros(windows.n_windows, np.bool_)
    for k in np.unique(windows.session):
        rows = np.flatnonzero(windows.session == k)
        name = windows.animal_names[windows.animal[rows[0]]]
        given = by_session.get((name, windows.session_names[k]), [])
        given = sorted(given + by_session.get((name, None), []), key=lambda one: one[0])
        for span_first, span_stop in _spans(windows.where(rows)) if given else ():
            first = np.array([one for one, _ in given])
            last = np.iinfo(np.int64).max
            stop = np.maximum.accumulate([last if one is None else one for _, one in given])
            at = np.searchsorted(stop, span_first, side="right")
            inside = at < len(first)
            seen[rows[inside]] |= first[at[inside]] < span_stop[inside]
    return seen


def _spans(windows: Windows) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """First frame and frame after the last of each window, and of its target, in its session."""
    recipe = windows.recipe
    frame = windows.frame.astype(np.int64)
    first = frame - (recipe.margin + recipe.window.before + recipe.window.shift)
    return [(first, first + recipe.n_frames), (frame, frame + 1)]


def _named_apart(folds: list[Fold]) -> list[Fold]:
    """The folds; two of one name would overwrite each other's fits."""
    named: dict[str, Fold] = {}
    for fold in folds:
        other = named.setdefault(fold.name, fold)
        if other is not fold:
            one, two = (f"{f.test[0].animal}/{f.test[0].session}" for f in (other, fold))
            raise StudyError(
                f"folds of {one} and of {two} would both be named {fold.name!r}; "
                "rename an animal or a session"
            )
    return folds


def _belongs(windows: Windows, parts: Sequence[Part]) -> NDArray[np.bool_]:
    chosen = np.zeros(windows.n_windows, dtype=np.bool_)
    centre = windows.centre
    for part in parts:
        if part.animal not in windows.animal_names:
            continue
        mine = windows.animal == windows.animal_names.index(part.animal)
        if part.session is not None:
            codes = [k for k, name in enumerate(windows.session_names) if name == part.session]
            mine &= np.isin(windows.session, codes)
        if part.first_frame or part.stop_frame is not None:
            stop = np.iinfo(np.int32).max if part.stop_frame is None else part.stop_frame
            mine &= (centre >= part.first_frame) & (centre < stop)
        chosen |= mine
    return chosen


def _refuse_shared_frames(by_role: dict[str, Windows], fold: Fold) -> None:
    uses = {}
    for role, windows in by_role.items():
        covered = windows.covered()
        covered[windows.target_row] = True
        uses[role] = covered
    for one, other in (("train", "test"), ("valid", "test"), ("train", "valid")):
        n_shared = int((uses[one] & uses[other]).sum())
        if n_shared:
            recipe = by_role[one].recipe
            raise StudyError(
                f"fold {fold.name!r}: {one} and {other} share {n_shared} frames; give [folds] "
                f"gap_frames of at least {recipe.n_frames + abs(recipe.window.shift)} (window + "
                "|shift|)"
            )
