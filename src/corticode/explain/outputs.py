"""Which number of a decoder is explained: a logit, a probability or a value."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from corticode.data.windows import Windows
from corticode.decode.decoder import Decoder, count_outputs
from corticode.decode.predict import check_recipe
from corticode.errors import DataError, DecoderError, StudyError

SCALES = ("logit", "probability")


@dataclass(frozen=True)
class ExplainedOutput:
    """One number a window of a network's outputs.

    Parameters
    ----------
    kind
        That of the decoder: ``binary``, ``classes`` or ``value``.
    on
        ``"logit"`` or ``"probability"``; a value is what it is.
    index
        Which of the network's outputs: 0, or that of a class.
    n_outputs
        How many there are.
    gain, offset
        From the network's scale to the target's unit; 1 and 0 for classes.
    """

    kind: str
    on: str
    index: int
    n_outputs: int
    gain: float
    offset: float

    @property
    def unit(self) -> str:
        """``"logit"``, ``"probability"`` or ``"value"``."""
        return "value" if self.kind == "value" else self.on

    def of(self, outputs: Tensor) -> Tensor:
        """The number, shape (window,), of outputs of shape (window, output)."""
        if self.kind == "value":
            return outputs[:, 0] * self.gain + self.offset
        if self.on == "logit":
            return outputs[:, self.index]
        if self.kind == "classes":
            return torch.softmax(outputs, dim=1)[:, self.index]
        return torch.sigmoid(outputs[:, 0])


def explained_output(decoder: Decoder, on: str, of_class: str | None) -> ExplainedOutput:
    """The number of a decoder that is to be explained.

    Parameters
    ----------
    decoder
        A fitted decoder.
    on
        ``"logit"`` or ``"probability"``.
    of_class
        Which class, of a decoder of several.

    Raises
    ------
    StudyError
        There is no such scale or class, or a class is needed and not named.
    """
    if on not in SCALES:
        raise StudyError(f"on = {on!r}; contributions are to one of {', '.join(SCALES)}")
    classes = decoder.recipe.classes
    index = 0
    if decoder.kind == "classes":
        if of_class not in classes:
            raise StudyError(
                f"of_class = {of_class!r}; this decoder has several outputs, name the class to "
                f"explain: {', '.join(classes)}"
            )
        index = classes.index(of_class)
    elif of_class is not None:
        raise StudyError(
            f"of_class = {of_class!r}, and this decoder has one output; leave of_class out"
        )
    is_value = decoder.kind == "value"
    return ExplainedOutput(
        decoder.kind,
        on,
        index,
        count_outputs(decoder.kind, classes),
        float(decoder.network.output_gain) if is_value else 1.0,
        float(decoder.network.output_offset) if is_value else 0.0,
    )


def check_windows(decoder: Decoder, explained: Windows, background: Windows) -> None:
    """Refuse windows that are not the decoder's, or none.

    Raises
    ------
    DataError
        There is nothing to explain, or nothing to set it against.
    DecoderError
        The windows were not cut with the decoder's recipe.
    """
    for name, windows in (("to explain", explained), ("in the background", background)):
        if windows.n_windows == 0:
            raise DataError(f"there are no windows {name}; give at least one")
        check_recipe(decoder, windows)
        if windows.traces.shape[1] != len(decoder.recipe.regions):
            raise DecoderError(
                f"the windows {name} have {windows.traces.shape[1]} regions, the decoder "
                f"{len(decoder.recipe.regions)}; cut them with the decoder's recipe"
            )


def describe_explanation(
    decoder: Decoder, background: Windows, on: str, of_class: str | None
) -> dict[str, Any]:
    """What a map keeps of how it was made: plain values only."""
    return {
        "on": on,
        "of_class": of_class,
        "n_background": background.n_windows,
        "background_animals": sorted({background.animal_names[k] for k in background.animal}),
        "network": decoder.settings.kind,
        "seed": decoder.seed,
        "train_animals": list(decoder.train_animals),
    }
