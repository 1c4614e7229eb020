"""Deep SHAP of decoders of traces: exact sums, product rule included, in bounded memory."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from corticode.data.windows import Windows
from corticode.decode.decoder import Decoder
from corticode.errors import DecoderError, StudyError
from corticode.explain.contributions import (
    additivity_error,
    average_contributions,
    check_windows,
    describe_explanation,
    explained_output,
)
from corticode.explain.deepshap_rules import ForwardPass, no_rule, rules_of, slope_between
from corticode.explain.importance_map import ImportanceMap

LARGEST_ADDITIVITY_ERROR = 1e-4
# Pairs of a window and a background that are worked on at once: their tensors fit a core's cache.
PAIRS = 1024
BACKGROUND_BLOCK = 128
WINDOW_BLOCK = 2048
# Of a larger background, what happened on it is found again for each block of windows.
KEPT_BLOCKS = 4
# Differences of outputs below so many units in the last place of the outputs are rounding.
ROUNDING_UNITS = 64


def deep_shap(
    decoder: Decoder,
    explained: Windows,
    background: Windows,
    *,
    on: str = "logit",
    of_class: str | None = None,
    device: str = "cpu",
) -> ImportanceMap:
    """The map of a decoder of traces: mean contributions and mean |contributions|, by Deep SHAP.

    The contributions to a window's output add up to its difference from the mean output over the
    background. Multipliers are found for every pair of a window and a background, by hand and
    exactly (`corticode.explain.deepshap_rules`), and contributions are means over the background.

    Parameters
    ----------
    decoder
        A fitted decoder of traces.
    explained
        Windows cut with the decoder's recipe; memory does not grow with their number.
    background
        What they are set against, such as `draw_background` gives; the cost is windows times
        backgrounds.
    on
        ``"logit"``, or ``"probability"`` (as published) of decoders of one class. A value is
        explained in the target's unit.
    of_class
        Which class, of a decoder of several.
    device
        ``"cpu"`` or ``"cuda"``.

    Returns
    -------
    ImportanceMap
        Over frame and region, whole and apart for each class and animal; ``details`` holds the
        additivity error and what the background was.

    Raises
    ------
    DecoderError
        The decoder's form has no rule, the windows are not its own, or the contributions do not
        add up.
    DataError
        There are no windows.
    StudyError
        There is no such scale or class.

    References
    ----------
    Lundberg and Lee (2017), "A unified approach to interpreting model predictions", NeurIPS.

    Examples
    --------
    >>> from corticode.data.session import Session
    >>> from corticode.data.targets import Target
    >>> from corticode.data.windows import WindowShape, cut_windows
    >>> from corticode.decode.fit import fit
    >>> from corticode.decode.settings import Training
    >>> from corticode.explain.contributions import draw_background
    >>> run = np.arange(400) % 40 > 20
    >>> traces = np.random.default_rng(0).normal(size=(400, 3)) + run[:, None] * [0, 0, 2]
    >>> session = Session("m1", "a", traces, ("1", "2", "3"), {"run": run}, np.zeros(400, np.int32))
    >>> windows = cut_windows([session], Target("run"), WindowShape(3, 3))
    >>> early, late = windows.where(windows.frame < 200), windows.where(windows.frame > 210)
    >>> decoder = fit(early, late, "gru", Training(epochs=5, learning_rate=0.01))
    >>> found = deep_shap(decoder, windows, draw_background(windows, 20))
    >>> found.absolute.shape, found.ranking()["region"][0]
    ((7, 3), '3')
    >>> found.details["additivity_error"] < 1e-4
    True
    """
    explanation = _Explanation(decoder, explained, background, on, of_class, device)
    details = describe_explanation(decoder, background, on, of_class)
    found = average_contributions(
        explanation.blocks(),
        explained,
        kind="deep-shap",
        unit=explanation.output.unit,
        baseline=explanation.baseline,
        details=details,
    )
    return replace(found, details=details | {"additivity_error": explanation.error()})


class _Explanation:
    """Deep SHAP of some windows, in the course of being computed, block by block."""

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
        if decoder.settings.sees_movies:
            raise no_rule(f"a decoder of movies of kind {decoder.settings.kind!r}")
        if decoder.kind == "classes" and on == "probability":
            raise StudyError(
                "Deep SHAP has no rule for the probabilities of several classes; explain the logit "
                "of one class, or take expected_gradients"
            )
        check_windows(decoder, explained, background)
        # A copy, as the decoder's own network stays where it is.
        self.network = deepcopy(decoder.network).to(device).eval()
        self.rules = rules_of(self.network.inner, decoder.recipe.window.n_frames)
        self.explained, self.background, self.device = explained, background, device
        self.dtype = next(self.network.parameters()).dtype
        self.outputs: list[NDArray[np.float64]] = []
        self.sums: list[NDArray[np.float64]] = []
        self.forward_passes: list[ForwardPass] = []
        parts = [self._outputs(self._inputs(background, rows)) for rows in self._background_rows()]
        self.baseline = float(np.concatenate(parts).mean())

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Contributions to one block of windows after the other, (window, frame, region)."""
        for rows in _blocks_of(self.explained.n_windows, WINDOW_BLOCK):
            # Not around the loop: whoever asks for blocks keeps an own mode.
            with torch.inference_mode():
                inputs = self._inputs(self.explained, rows)
                values = self._contributions(inputs).cpu().numpy()
            self.outputs.append(self._outputs(inputs))
            self.sums.append(values.sum(axis=(1, 2), dtype=np.float64))
            yield values

    def error(self) -> float:
        """The additivity error of all blocks; above 1e-4 it is a `DecoderError`."""
        outputs, sums = np.concatenate(self.outputs), np.concatenate(self.sums)
        differences = outputs - self.baseline
        error = additivity_error(sums, differences)
        largest = max(float(np.abs(outputs).max()), abs(self.baseline))
        rounding = ROUNDING_UNITS * torch.finfo(self.dtype).eps * largest
        if error > LARGEST_ADDITIVITY_ERROR and np.abs(sums - differences).max() > rounding:
            raise DecoderError(
                f"the contributions miss the outputs by {error:.2g} of the largest difference from "
                f"the background, where {LARGEST_ADDITIVITY_ERROR:g} is allowed: the map would not "
                "be true. Check that the weights are finite and of ordinary size, or take "
                "expected_gradients"
            )
        return error

    def _contributions(self, inputs: Tensor) -> Tensor:
        """Means over the background for a block of windows, (window, frame, region)."""
        summed = torch.zeros_like(inputs)
        for background in self._background_passes():
            n_background = background.outputs.shape[0]
            step = max(1, PAIRS // n_background)
            for first in range(0, inputs.shape[0], step):
                rows = slice(first, first + step)
                forward_pass = self._forward_pass(inputs[rows])
                summed[rows] += self.rules.contributions(
                    forward_pass, background, self._multiplier(forward_pass, background)
                )
        return summed / self.background.n_windows

    def _background_passes(self) -> Iterator[ForwardPass]:
        """What happened on each block of the background; few blocks are walked through once."""
        if self.forward_passes:
            yield from self.forward_passes
            return
        blocks = self._background_rows()
        for rows in blocks:
            forward_pass = self._forward_pass(self._inputs(self.background, rows))
            if len(blocks) <= KEPT_BLOCKS:
                self.forward_passes.append(forward_pass)
            yield forward_pass

    def _background_rows(self) -> list[slice]:
        return _blocks_of(self.background.n_windows, BACKGROUND_BLOCK)

    def _multiplier(self, window: ForwardPass, background: ForwardPass) -> Tensor:
        """From the number explained to the network's outputs, (window, background, output)."""
        output = self.output
        shape = (window.outputs.shape[0], background.outputs.shape[0], output.n_outputs)
        multiplier = window.outputs.new_zeros(shape)
        multiplier[..., output.index] = output.gain
        if output.unit == "probability":
            said = output.of(window.outputs)
            multiplier[..., :] = slope_between(
                (window.outputs, said[:, None]),
                (background.outputs, output.of(background.outputs)[:, None]),
                (said * (1 - said))[:, None],
            )
        return multiplier

    def _inputs(self, windows: Windows, rows: slice) -> Tensor:
        """Windows as the decoder gets them, (window, frame, region)."""
        return torch.from_numpy(windows.values(rows)).to(self.device, self.dtype)

    def _outputs(self, inputs: Tensor) -> NDArray[np.float64]:
        """The number explained, from the network itself, (window,)."""
        with torch.inference_mode():
            return self.output.of(self.network(inputs)).double().cpu().numpy()

    def _forward_pass(self, inputs: Tensor) -> ForwardPass:
        scaled = (inputs - self.network.input_offset) * self.network.input_gain
        return self.rules.forward_pass(scaled.transpose(0, 1))


def _blocks_of(n_windows: int, size: int) -> list[slice]:
    return [slice(k, min(k + size, n_windows)) for k in range(0, n_windows, size)]
