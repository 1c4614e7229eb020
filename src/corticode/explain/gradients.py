"""Expected and integrated gradients: maps of any decoder, by sampling, CNNs included."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from corticode.data.windows import Windows
from corticode.decode.decoder import Decoder
from corticode.decode.movie_batches import IMAGE_FRAMES, MovieFrames, images_of
from corticode.decode.networks.movies import MovieNetwork
from corticode.errors import StudyError
from corticode.explain.contributions import (
    additivity_error,
    average_contributions,
    check_windows,
    describe_explanation,
    explained_output,
)
from corticode.explain.importance_map import ImportanceMap

# Windows that pass the network at once.
TRACES_BATCH = 1024
MOVIES_BATCH = 4

# For some windows: step by step, what each is set against, and how far the point of the line
# from there to the window lies, (window,).
Steps = Callable[[int], Iterator[tuple[Tensor, Tensor]]]


def expected_gradients(
    decoder: Decoder,
    explained: Windows,
    background: Windows,
    *,
    n_draws: int = 100,
    on: str = "logit",
    of_class: str | None = None,
    seed: int = 0,
    device: str = "cpu",
) -> ImportanceMap:
    """The map of any decoder by expected gradients.

    For each window, background windows are drawn, and on the straight line from each to the window
    a point; contributions are means of gradient times difference. Their sums approach the
    difference of the outputs with the number of draws; ``details["additivity_error"]`` says how
    near they came.

    Parameters
    ----------
    decoder
        A fitted decoder of traces or movies.
    explained
        Windows cut with the decoder's recipe.
    background
        What they are set against, such as `draw_background` gives.
    n_draws
        Background windows, and points, a window: the cost is windows times draws. Each background
        window is drawn as often as another, as far as that comes out even.
    on
        ``"logit"`` or ``"probability"``; a value is explained in the target's unit.
    of_class
        Which class, of a decoder of several.
    seed
        Fixes the draws.
    device
        ``"cpu"`` or ``"cuda"``.

    Returns
    -------
    ImportanceMap
        Over frame and region, or, of movies, frame (of the normalised movie), row and column.

    Raises
    ------
    StudyError
        There is no such scale or class, or no draw.
    DataError
        There are no windows.
    DecoderError
        The windows were not cut with the decoder's recipe.

    References
    ----------
    Erion et al. (2021), doi:10.1038/s42256-021-00343-w.
    """
    _check_number("n_draws", n_draws)
    gradients = _Gradients(decoder, explained, background, on, of_class, device)
    rng = np.random.default_rng(seed)

    def steps(n_windows: int) -> Iterator[tuple[Tensor, Tensor]]:
        turn = rng.integers(background.n_windows, size=n_windows)
        order = rng.permutation(background.n_windows)
        # One point in each of n_draws equal parts of the line: less chance than points anywhere.
        for part in rng.permutation(n_draws):
            share = (part + rng.random(n_windows)) / n_draws
            rows = order[turn % background.n_windows]
            turn += 1
            yield gradients.inputs(background, rows), gradients.tensor(share)

    details = {"n_draws": n_draws, "draw_seed": seed}
    baseline = gradients.mean_output(background)
    return gradients.map_of("expected-gradients", steps, n_draws, baseline, details)


def integrated_gradients(
    decoder: Decoder,
    explained: Windows,
    background: Windows,
    *,
    n_steps: int = 50,
    on: str = "logit",
    of_class: str | None = None,
    device: str = "cpu",
) -> ImportanceMap:
    """The map of any decoder by integrated gradients, from the mean background window.

    Contributions are the mean gradient along the straight line from the mean of the background to
    the window, times the difference. ``details["additivity_error"]`` says how near their sums came
    to the difference of the outputs.

    Parameters
    ----------
    decoder, explained, on, of_class, device
        As in `expected_gradients`.
    background
        Windows whose mean is where the lines start.
    n_steps
        Points on each line, at the middles of equal parts.

    Returns
    -------
    ImportanceMap
        As of `expected_gradients`; its baseline is the output for the mean background window.

    Raises
    ------
    StudyError, DataError, DecoderError
        As in `expected_gradients`.

    References
    ----------
    Sundararajan et al. (2017), "Axiomatic attribution for deep networks", ICML.
    """
    _check_number("n_steps", n_steps)
    gradients = _Gradients(decoder, explained, background, on, of_class, device)
    start = gradients.mean_input(background)

    def steps(n_windows: int) -> Iterator[tuple[Tensor, Tensor]]:
        for k in range(n_steps):
            yield start, gradients.tensor(np.full(n_windows, (k + 0.5) / n_steps))

    baseline = float(gradients.outputs(start)[0])
    return gradients.map_of("integrated-gradients", steps, n_steps, baseline, {"n_steps": n_steps})


class _Gradients:
    """A decoder's inputs, outputs and gradients of one by the other."""

    def __init__(
        self,
        decoder: Decoder,
        explained: Windows,
        background: Windows,
        on: str,
        of_class: str | None,
        device: str,
    ) -> None:
        self.output = explained_output(decoder, on, of_class)
        check_windows(decoder, explained, background)
        self.explained, self.device = explained, device
        self.described = describe_explanation(decoder, background, on, of_class)
        # A copy, as the decoder's own network stays where it is.
        self.network = deepcopy(decoder.network).to(device).eval().requires_grad_(False)
        self.is_movie = decoder.settings.sees_movies
        self.batch = MOVIES_BATCH if self.is_movie else TRACES_BATCH
        self.dtype = next(self.network.parameters()).dtype

    def map_of(
        self, kind: str, steps: Steps, n_steps: int, baseline: float, details: dict[str, int]
    ) -> ImportanceMap:
        """The map of all windows, from steps along lines to them."""
        sums: list[NDArray[np.float64]] = []
        outputs: list[NDArray[np.float64]] = []

        def blocks() -> Iterator[NDArray[np.float32]]:
            for rows in self._rows(self.explained):
                inputs = self.inputs(self.explained, rows)
                found = torch.zeros_like(inputs)
                for start, share in steps(rows.size):
                    difference = inputs - start
                    share = share.reshape(-1, *[1] * (inputs.ndim - 1))
                    found += self._gradient(start + share * difference) * difference
                values = (found / n_steps).cpu().numpy().astype(np.float32, copy=False)
                sums.append(values.sum(axis=tuple(range(1, values.ndim)), dtype=np.float64))
                outputs.append(self.outputs(inputs))
                yield values

        found = average_contributions(
            blocks(),
            self.explained,
            kind=kind,
            unit=self.output.unit,
            baseline=baseline,
            details={},
        )
        error = additivity_error(np.concatenate(sums), np.concatenate(outputs) - baseline)
        return replace(found, details=self.described | details | {"additivity_error": error})

    def inputs(self, windows: Windows, rows: NDArray[np.int64]) -> Tensor:
        """What the decoder sees, (window, frame, region) or (window, frame, row, column)."""
        if not self.is_movie:
            return torch.from_numpy(windows.values(rows)).to(self.device, self.dtype)
        frames = MovieFrames(windows.movies, self.device)
        seen = []
        for first in windows.start[rows]:
            of_window = np.arange(first, first + windows.recipe.n_frames)
            seen.append(frames.normalise(of_window, frames.read(of_window)))
        return torch.stack(seen).to(self.dtype)

    def outputs(self, inputs: Tensor) -> NDArray[np.float64]:
        """The number explained, (window,)."""
        with torch.no_grad():
            return np.asarray(self._explained(inputs).double().cpu().numpy())

    def mean_output(self, windows: Windows) -> float:
        """Mean of the number explained over windows."""
        batches = [self.outputs(self.inputs(windows, rows)) for rows in self._rows(windows)]
        return float(np.concatenate(batches).mean())

    def mean_input(self, windows: Windows) -> Tensor:
        """The mean window, (1, frame, ...)."""
        batches = [self.inputs(windows, rows).sum(0) for rows in self._rows(windows)]
        return (torch.stack(batches).sum(0) / windows.n_windows)[None]

    def tensor(self, values: NDArray[np.float64]) -> Tensor:
        """Values where, and as, the inputs are."""
        return torch.from_numpy(values).to(self.device, self.dtype)

    def _explained(self, inputs: Tensor) -> Tensor:
        if not self.is_movie:
            return self.output.of(self.network(inputs))
        inner = cast(MovieNetwork, self.network.inner)
        n_windows, n_frames = inputs.shape[:2]
        read = torch.tensor(inner.places(n_frames - IMAGE_FRAMES + 1))
        n_images = len(read)
        image = read[:, None] + torch.arange(IMAGE_FRAMES)
        triples = torch.arange(n_windows)[:, None, None] * n_frames + image
        images = images_of(
            inner.shrink(inputs.flatten(0, 1)),
            triples.reshape(-1, IMAGE_FRAMES).to(inputs.device),
        )
        index = torch.arange(n_windows * n_images, device=inputs.device)
        return self.output.of(self.network(images, index.reshape(n_windows, n_images)))

    def _gradient(self, points: Tensor) -> Tensor:
        points = points.detach().requires_grad_()
        # cuDNN has no gradients of recurrent layers in evaluation mode; PyTorch's own code has.
        with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
            total = self._explained(points).sum()
        (gradient,) = torch.autograd.grad(total, points)
        return gradient

    def _rows(self, windows: Windows) -> list[NDArray[np.int64]]:
        rows = np.arange(windows.n_windows)
        return np.split(rows, range(self.batch, windows.n_windows, self.batch))


def _check_number(name: str, number: int) -> None:
    if number < 1:
        raise StudyError(f"{name} = {number}; give at least 1")
