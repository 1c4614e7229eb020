"""How much is simulated: the sizes a cohort comes in."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True)
class CohortSize:
    """How much of each mouse is simulated.

    Parameters
    ----------
    n_sessions
        Number of sessions of each mouse.
    n_frames
        Frames a session.
    n_pixels
        Side of a movie's frames.
    has_movies
        Whether movies are written unless traces alone are asked for.
    """

    n_sessions: tuple[int, ...]
    n_frames: int
    n_pixels: int
    has_movies: bool


SIZES: Mapping[str, CohortSize] = {
    "tiny": CohortSize((3, 3, 3, 3, 3), 3_000, 64, has_movies=False),
    "small": CohortSize((4, 4, 4, 4, 4), 6_000, 64, has_movies=True),
    "study": CohortSize((11, 12, 14, 15, 12), 18_000, 128, has_movies=True),
    "grid": CohortSize((3, 3, 3, 3, 3), 1_000, 64, has_movies=False),
}


@cache
def published_sessions() -> Mapping[int, tuple[str, ...]]:
    """Ids of the study's 64 sessions by number of the mouse, in the order of days.

    References
    ----------
    Ajioka T, Nakai N, Yamashita O, Takumi T (2024), PLoS Comput Biol 20(3): e1011074,
    https://doi.org/10.1371/journal.pcbi.1011074

    Examples
    --------
    >>> {mouse: len(ids) for mouse, ids in published_sessions().items()}
    {1: 11, 2: 12, 3: 14, 4: 15, 5: 12}
    """
    text = resources.files("corticode.published").joinpath("sessions_64.csv").read_text("utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    mice = sorted({int(row["animal"]) for row in rows})
    return {m: tuple(row["session"] for row in rows if int(row["animal"]) == m) for m in mice}
