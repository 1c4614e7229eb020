"""False alarms in clean movies, traces and behaviour: simulated cohorts, real recordings.

`python benchmarks/odd_frames.py --data SHARED/data` writes results/odd_frames.md. Simulated mice at
the simulation's defaults and with strong artefacts, one wavelength and two in turn; where there
are real recordings, those. Nothing is wrong with any of them: whatever is found is a false alarm.
Beside these: 2 % of brightness between two wavelengths, and a frame lost at random.
"""

import argparse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import results_file
from numpy.typing import NDArray

from corticode.data.catalogue import Recording
from corticode.data.checks import read_all
from corticode.data.movies.alternation import find_turns
from corticode.data.movies.frames import find_bad_frames, look_at_frames
from corticode.data.readers.arrays import ArrayLocation
from corticode.errors import BAD, Finding
from corticode.simulate.dials import resolve_dials
from corticode.simulate.movie import bad_pixels, movie_blocks
from corticode.simulate.session import simulate_mouse, simulate_session, stream

STRONG = {"motion": 3, "heart": 3, "flicker": 5, "bleaching": 5, "jumps": 3}
N_PIXELS = 32
LOST_AT = (0.1, 0.9)


def movie_of(
    number: int, seed: int, dials: dict[str, float] | None, n_frames: int, *, both: bool
) -> NDArray[Any]:
    """A simulated session's movie, (frame, row, column)."""
    own = resolve_dials(dials)
    mouse = simulate_mouse(number, 3, seed, own)
    session = simulate_session(mouse, 1, n_frames, N_PIXELS, seed)
    blocks = movie_blocks(
        stream(seed, number, 10, 1),
        session.physiology,
        session.scene,
        own,
        bad=bad_pixels(stream(seed, number, 11), N_PIXELS, 1.0),
        reference_channel=both,
    )
    return np.concatenate(list(blocks))


def simulated(n_movies: int, n_frames: int) -> Iterator[dict[str, Any]]:
    """What is found in clean movies, and whether a lost frame is, movie by movie."""
    for seed in range(n_movies):
        number, rng = 1 + seed % 5, np.random.default_rng(seed)
        for name, dials in (("as simulated", None), ("strong artefacts", STRONG)):
            single = movie_of(number, seed, dials, n_frames, both=False)
            both = movie_of(number, seed, dials, n_frames, both=True)
            dim = single.copy()
            dim[1::2] = np.rint(0.98 * dim[1::2])
            found: Counter[str] = Counter()
            for movie in (single, both[::2], both[1::2]):
                for kind, frames in find_bad_frames(look_at_frames(movie)).items():
                    found[kind] += frames.size
            lost = int(rng.uniform(*LOST_AT) * len(both))
            alone = find_turns(look_at_frames(single).cells)
            row = {
                "movies": name,
                "frames": 3 * n_frames,
                "bad frames": sum(found.values()),
                "kinds": dict(found),
                "one taken for two": int(alone.are_clear),
            }
            for label, movie, at in (("both", both, lost), ("2 %", dim, lost // 2)):
                clean = find_turns(look_at_frames(movie).cells)
                broken = find_turns(look_at_frames(np.delete(movie, at, axis=0)).cells)
                row[f"{label}: seen in turn"] = int(clean.are_clear)
                row[f"{label}: false flips"] = len(clean.flips)
                row[f"{label}: exact"] = int(broken.flips == (at,))
                row[f"{label}: within 1"] = int(
                    len(broken.flips) == 1 and abs(broken.flips[0] - at) <= 1
                )
            yield row


def real(folder: Path) -> Iterator[dict[str, Any]]:
    """What is found in each of the real recordings."""
    movie = folder / "s1_movie"
    recordings = [
        Recording(
            "s1",
            "movie",
            behavior=ArrayLocation(movie / "behavior.csv"),
            movie=ArrayLocation(movie / "movie.tif"),
        )
    ]
    for path in sorted((folder / "v1_running").glob("*_traces.npy")):
        mouse = path.name.removesuffix("_traces.npy")
        recordings.append(
            Recording(
                mouse,
                "v1",
                behavior=ArrayLocation(path.with_name(f"{mouse}_behavior.csv")),
                traces=ArrayLocation(path),
            )
        )
    for recording in recordings:
        (session,) = read_all([recording])
        told: list[Finding] = [one for one in session.findings if one.code == BAD]
        yield {
            "recording": session.name,
            "frames": session.n_frames,
            "bad frames": sum(one.count for one in told),
            "found": "; ".join(one.reason for one in told),
        }


def main() -> None:
    """Look at all of them and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--movies", type=int, default=50)
    parser.add_argument("--frames", type=int, default=3000)
    parser.add_argument("--data", type=Path)
    given = parser.parse_args()
    table = pd.DataFrame(list(simulated(given.movies, given.frames)))
    rows: list[list[object]] = []
    for name, part in table.groupby("movies", sort=False):
        kinds = Counter[str]()
        for one in part["kinds"]:
            kinds.update(one)
        n_frames = int(part["frames"].sum())
        bad = f"{sum(kinds.values())} of {n_frames:,}" + (f" ({dict(kinds)})" if kinds else "")
        alone = f"{part['one taken for two'].sum()} of {len(part)}"
        rows += [
            [f"{name}: frames called bad", bad, "<= 1 in 100,000"],
            [f"{name}: movies of one wavelength taken for two", alone, "0"],
        ]
        for label, words in (
            ("both", "two wavelengths in turn"),
            ("2 %", "one image at two brightnesses, 2 % apart"),
        ):
            for what, bar in (
                ("seen in turn", "all"),
                ("false flips", "0"),
                ("exact", ""),
                ("within 1", "all"),
            ):
                said = {"exact": "lost frame named", "within 1": "lost frame named within 1"}
                count = f"{part[f'{label}: {what}'].sum()} of {len(part)}"
                rows.append([f"{name}, {words}: {said.get(what, what)}", count, bar])
    if given.data is not None:
        rows += [
            [
                f"{one['recording']} (real): frames called bad",
                f"{one['bad frames']} of {one['frames']:,} {one['found']}".strip(),
                "<= 1 in 100,000",
            ]
            for one in real(given.data)
        ]
    results_file.write_result("odd_frames", ["what", "measured", "bar"], rows)


if __name__ == "__main__":
    main()
