"""How much blood the reference channel takes out of a simulated movie, and how much calcium.

Of every simulated mouse one session of 6,000 frames of 64 x 64 pixels is made, calcium and
reference in turn. The slope is fitted on the movie as it would be recorded: with noise, heart beat,
breathing, motion, bleaching, flicker, bad pixels. What it does is measured on the same session with
blood alone and with calcium alone, without noise: variance over time, summed over the brain's
pixels. "Least squares" is the plain regression of the movie on the low-passed reference, "ratio"
the ratio of both channels' mean brightness, "corticode" `corticode.data.movies.reference`, fitted
on the whole session or (causal) on its first 256 frames.
Results on simulated mice prove the arithmetic, not the biology.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from results_file import write_result

from corticode.data.movies.brain import find_brain
from corticode.data.movies.passes import smoothed_frames
from corticode.data.movies.statistics import measure_movie
from corticode.simulate.dials import resolve_dials
from corticode.simulate.movie import bad_pixels, movie_blocks
from corticode.simulate.optics import Physiology
from corticode.simulate.session import simulate_mouse, simulate_session, stream

N_FRAMES, N_PIXELS, LOWPASS_FRAMES = 6_000, 64, 9
QUIET = {"shot_noise": 0.0, "read_noise": 0.0}


@dataclass
class Parts:
    """Movie and reference of a session: as recorded, with blood alone, with calcium alone."""

    recorded: NDArray[np.uint16]
    blood: NDArray[np.uint16]
    calcium: NDArray[np.uint16]


def simulate_parts(number: int, seed: int) -> Parts:
    """One session of a mouse, frames of both channels in turn."""
    dials = resolve_dials(None)
    mouse = simulate_mouse(number, 4, seed, dials)
    session = simulate_session(mouse, 0, N_FRAMES, N_PIXELS, seed)

    def show(physiology: Physiology, own: dict[str, float], n_bad: float) -> NDArray[np.uint16]:
        bad = bad_pixels(stream(seed, number, 11), N_PIXELS, n_bad)
        rng = stream(seed, number, 10, 0)
        blocks = movie_blocks(
            rng, physiology, session.scene, dials | own, bad=bad, reference_channel=True
        )
        return np.concatenate(list(blocks))

    whole = session.physiology
    still = replace(
        whole,
        body=replace(whole.body, heart=0 * whole.body.heart, breathing=0 * whole.body.breathing),
        movement=replace(
            whole.movement, shift=0 * whole.movement.shift, blur=0 * whole.movement.blur
        ),
        light=0 * whole.light,
    )
    blood = whole.blood
    bloodless = replace(
        blood,
        neural=0 * blood.neural,
        locomotion=0 * blood.locomotion,
        vasomotion=0 * blood.vasomotion,
    )
    return Parts(
        show(whole, {}, dials["bad_pixels"]),
        show(replace(still, calcium=0 * whole.calcium), QUIET, 0),
        show(replace(still, blood=bloodless), QUIET, 0),
    )


def left_over(
    part: NDArray[np.uint16], slope: NDArray[np.floating], brain: NDArray[np.bool_]
) -> float:
    """Share of a part's variance that is left when the reference is subtracted."""
    movie, reference = part[::2], part[1::2]
    smooth = smoothed_frames(reference, slice(0, N_FRAMES), LOWPASS_FRAMES)
    after = (movie - slope * smooth).var(axis=0)[brain].sum()
    return float(after / movie.var(axis=0)[brain].sum())


def least_squares(recorded: NDArray[np.uint16]) -> NDArray[np.float64]:
    """Slopes of the plain regression on the low-passed reference."""
    smooth = smoothed_frames(recorded[1::2], slice(0, N_FRAMES), LOWPASS_FRAMES)
    smooth -= smooth.mean(axis=0)
    power = (smooth**2).sum(axis=0)
    product = np.einsum("trc,trc->rc", smooth, recorded[::2].astype(np.float64))
    return np.divide(product, power, out=np.zeros(power.shape), where=power > 0)


def rows_of(number: int, seed: int) -> list[list[object]]:
    """A row a method."""
    parts = simulate_parts(number, seed)
    movie, reference = parts.recorded[::2], parts.recorded[1::2]
    brain, _ = find_brain(movie.mean(axis=0))
    whole = measure_movie(movie, reference, lowpass_frames=LOWPASS_FRAMES)
    causal = measure_movie(movie, reference, lowpass_frames=LOWPASS_FRAMES, causal=True)
    mean = reference.mean(axis=0)
    slopes = {
        "least squares": least_squares(parts.recorded),
        "ratio": np.divide(movie.mean(axis=0), mean, out=np.zeros(mean.shape), where=mean > 0),
        "corticode": whole.slope[0],
        "corticode, first 256 frames": causal.slope[0],
    }
    return [
        [
            f"simulated m{number}",
            seed,
            name,
            f"{1 / left_over(parts.blood, slope, brain):.1f}",
            f"{100 * (1 - left_over(parts.calcium, slope, brain)):.0f} %",
            f"{whole.coherence[0]:.2f}" if name == "corticode" else "",
        ]
        for name, slope in slopes.items()
    ]


def main() -> None:
    """Measure all mice of two cohorts."""
    rows = [row for seed in (0, 1) for number in range(1, 6) for row in rows_of(number, seed)]
    heads = ["mouse", "seed", "slope", "blood variance divided by", "calcium variance lost"]
    write_result("reference_correction", [*heads, "coherence"], rows)


if __name__ == "__main__":
    main()
