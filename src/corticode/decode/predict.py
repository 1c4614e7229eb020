"""The prediction loop: what a fitted decoder says of windows of traces or of movies."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from corticode.data.folds import sees_some
from corticode.data.windows import Windows
from corticode.decode.decoder import (
    Decoder,
    ScaledNetwork,
    check_device,
    count_outputs,
    roles_of_animals,
)
from corticode.decode.movie_batches import (
    IMAGE_FRAMES,
    MovieFrames,
    Read,
    images_of,
    images_of_windows,
    read_ahead,
)
from corticode.decode.networks.movies import MovieNetwork
from corticode.decode.predictions import PART_NAMES, Predictions
from corticode.decode.trace_batches import iterate_batches
from corticode.errors import DataError, DecoderError, Finding, some, warn_about

PREDICT_BATCH = 2048
IMAGES_BATCH = 64
MOVIE_WINDOWS_BATCH = 256
SHOWN_SESSIONS = 3

# Normalised frames (frame, row, column), their rows, and where others can be read -> the versions
# of them that are decoded.
Versions = Callable[[Tensor, NDArray[np.int64], MovieFrames], Iterable[Tensor]]


def predict(
    decoder: Decoder, windows: Windows, *, part: str | None = "test", device: str = "cpu"
) -> Predictions:
    """What a decoder says of each window.

    Each frame of a movie passes the CNN once, however many windows hold it.

    Parameters
    ----------
    decoder
        A fitted decoder.
    windows
        Windows cut with the decoder's recipe.
    part
        The role of these windows: ``"train"``, ``"valid"`` or ``"test"``. None: what each was when
        the decoder was fitted: ``"train"`` or ``"valid"`` where it sees a frame that trained or
        validated, or an animal that did where others are tested; ``"test"`` otherwise.
    device
        ``"cpu"`` or ``"cuda"``.

    Returns
    -------
    Predictions
        One row a window: a probability, or a value in the target's unit. Classes that did not
        train the decoder have no target.

    Raises
    ------
    DecoderError
        The windows were not cut with the decoder's recipe.
    DataError
        There is no part of that name.
    StudyError
        There is no such device here.

    Warns
    -----
    CorticodeWarning
        Windows said to be ``"test"`` trained or validated the decoder, or are of animals that did;
        windows are of classes that did not train it.
    """
    check_device(device)
    windows = in_known_classes(decoder, windows)
    check_recipe(decoder, windows)
    parts, seen = _parts(decoder, windows, part)
    network = decoder.network.to(device)
    try:
        with torch.inference_mode():
            score = _scores_of_all(network, decoder, windows, device)
    finally:
        network.to("cpu")
    return Predictions(
        part=parts,
        animal=windows.animal,
        session=windows.session,
        frame=windows.frame,
        target=windows.target,
        score=score if decoder.kind == "classes" else score[:, 0],
        kind=decoder.kind,
        animal_names=windows.animal_names,
        session_names=windows.session_names,
        classes=decoder.recipe.classes,
        frame_rate_hz=windows.recipe.frame_rate_hz,
        seen=seen,
        train_mean=float(network.output_offset) if decoder.kind == "value" else None,
        train_sd=float(network.output_gain) if decoder.kind == "value" else None,
        of_trials=windows.recipe.target.events is not None,
    )


def _parts(
    decoder: Decoder, windows: Windows, part: str | None
) -> tuple[NDArray[np.int8], NDArray[np.int8] | None]:
    """The code of each window's part, and what it was to the decoder where that is another."""
    known = _known_roles(decoder, windows)
    if part is None:
        return known, None
    if part not in PART_NAMES:
        raise DataError(f"part {part!r} is none of {', '.join(PART_NAMES)}; name one of these")
    given = np.full(windows.n_windows, PART_NAMES.index(part), dtype=np.int8)
    if part != "test" or np.all(known == given):
        return given, None
    warn_about([Finding("session", _seen_words(decoder, windows, known))])
    return given, known


def _known_roles(decoder: Decoder, windows: Windows) -> NDArray[np.int8]:
    """What each window was to the decoder: code into `PART_NAMES`, test where it was nothing."""
    roles = roles_of_animals(decoder)
    codes = [PART_NAMES.index(roles.get(name, "test")) for name in windows.animal_names]
    known = np.array(codes, dtype=np.int8)[windows.animal]
    for role in ("valid", "train"):
        known[sees_some(windows, decoder.roles.get(role, ()))] = PART_NAMES.index(role)
    return known


def _seen_words(decoder: Decoder, windows: Windows, known: NDArray[np.int8]) -> str:
    """That windows to be tested trained or validated the decoder."""
    way_out = "give part = 'train' or 'valid', or None for what each was"
    was_seen = known != PART_NAMES.index("test")
    roles = roles_of_animals(decoder)
    seen = [windows.animal_names[k] for k in np.unique(windows.animal[was_seen])]
    if all(name in roles for name in seen):
        return (
            f"{', '.join(seen)} trained or validated this decoder: how well it predicts them says "
            f"nothing of new animals; {way_out}"
        )
    names = [
        f"{windows.animal_names[windows.animal[windows.session == k][0]]}/"
        f"{windows.session_names[k]}"
        for k in np.unique(windows.session[was_seen])
    ]
    return (
        f"{np.count_nonzero(known == 0)} of {windows.n_windows} windows trained this decoder and "
        f"{np.count_nonzero(known == 1)} chose its epoch ({some(names, SHOWN_SESSIONS)}): how well "
        f"it predicts them says nothing of new sessions; {way_out}"
    )


def in_known_classes(decoder: Decoder, windows: Windows) -> Windows:
    """The windows with their classes as the decoder numbers them; others have no target.

    Warns
    -----
    CorticodeWarning
        Windows are of classes that did not train the decoder.
    """
    names, wanted = windows.recipe.classes, decoder.recipe.classes
    if decoder.kind != "classes" or windows.recipe.target.kind != "classes" or not names:
        return windows
    trained = decoder.trained_classes or wanted
    others = [k for k, name in enumerate(names) if name not in trained]
    n_others = int(np.isin(windows.target, others).sum())
    if not n_others and names == wanted:
        return windows
    indices = [wanted.index(name) if name in trained else np.nan for name in names]
    table = np.array([*indices, np.nan], dtype=np.float32)
    at = np.where(np.isnan(windows.target), len(names), windows.target).astype(np.intp)
    if n_others:
        found = [names[k] for k in others if (windows.target == k).any()]
        reason = (
            f"{n_others} windows are of {', '.join(map(repr, found))}, and the decoder was trained "
            f"on {', '.join(trained)} alone: they are predicted, have no target and enter no score"
        )
        warn_about([Finding("session", reason)])
    return replace(windows, target=table[at], recipe=replace(windows.recipe, classes=wanted))


def check_recipe(decoder: Decoder, windows: Windows) -> None:
    """Refuse, with a `DecoderError`, windows that were not cut as the decoder's own."""
    fitted, given = decoder.recipe, windows.recipe
    for name in (
        "input",
        "regions",
        "preprocessing",
        "window",
        "classes",
        "pixels",
        "image_shape",
    ):
        # Windows of unknown behaviour know of no classes.
        if getattr(given, name) != getattr(fitted, name) and getattr(given, name) != ():
            raise DecoderError(
                f"the windows have another {name} than the decoder was fitted with "
                f"({getattr(given, name)}, fitted with {getattr(fitted, name)}); "
                "cut them with the decoder's recipe"
            )


def _scores_of_all(
    network: ScaledNetwork, decoder: Decoder, windows: Windows, device: str
) -> NDArray[np.floating[Any]]:
    n_outputs = count_outputs(decoder.kind, decoder.recipe.classes)
    dtype = np.float64 if decoder.kind == "value" and network.says_float64 else np.float32
    score = np.empty((windows.n_windows, n_outputs), dtype=dtype)
    outputs = outputs_of_movies if decoder.settings.sees_movies else _outputs_of_traces
    for where, given in outputs(network, windows, device):
        n_windows = where.stop - where.start
        score[where] = scores_of(network, given, decoder.kind)[:n_windows].cpu().numpy()
    return score


def _outputs_of_traces(
    network: ScaledNetwork, windows: Windows, device: str
) -> Iterator[tuple[slice, Tensor]]:
    # Matrix products round the rows of a shorter batch differently: all batches are full ones, so
    # that a window's score is the same whatever it is predicted with.
    n_batches = -(-windows.n_windows // PREDICT_BATCH)
    order = np.resize(np.arange(windows.n_windows), n_batches * PREDICT_BATCH)
    first = 0
    for inputs, _ in iterate_batches(windows.where(order), PREDICT_BATCH, device=device):
        stop = min(first + PREDICT_BATCH, windows.n_windows)
        yield slice(first, stop), network(inputs)
        first = stop


def outputs_of_movies(
    network: ScaledNetwork,
    windows: Windows,
    device: str = "cpu",
    *,
    versions: Versions | None = None,
) -> Iterator[tuple[slice, Tensor]]:
    """A network's outputs for windows of movies, in constant memory, each frame's features once.

    Parameters
    ----------
    network, windows, device
        What decodes, what, and where.
    versions
        Makes several movies of one, with a part of each covered, say: frames are read and
        normalised once, and each version of a frame passes the CNN once. None: as they are.

    Yields
    ------
    slice
        Which windows.
    Tensor
        Outputs, shape (window, output); with `versions`, (version, window, output).
    """
    inner = cast(MovieNetwork, network.inner)
    frames = MovieFrames(windows.movies, device)
    length = windows.recipe.window.n_frames
    image_rows, first_image = images_of_windows(windows)
    places = torch.tensor(inner.places(length))
    done = n_passed = 0
    kept = torch.empty(0)
    for features in _features(inner, frames, image_rows, versions):
        kept = torch.cat([kept, features]) if kept.numel() else features
        n_passed += features.shape[0]
        n_whole = int(np.searchsorted(first_image, n_passed - length, side="right"))
        n_dropped = n_passed - kept.shape[0]
        for at in range(done, n_whole, MOVIE_WINDOWS_BATCH):
            here = slice(at, min(at + MOVIE_WINDOWS_BATCH, n_whole))
            first = torch.from_numpy(first_image[here] - n_dropped)
            index = (first[:, None] + places).to(kept.device)
            outputs = [inner.decide(each, index) for each in kept.unbind(1)]
            yield here, outputs[0] if versions is None else torch.stack(outputs)
        done = n_whole
        if done < windows.n_windows:
            kept = kept[min(first_image[done], n_passed) - n_dropped :]


def _features(
    inner: MovieNetwork,
    frames: MovieFrames,
    image_rows: NDArray[np.int64],
    versions: Versions | None = None,
) -> Iterator[Tensor]:
    """Features of images by their first frames, batch by batch, shape (image, version, feature).

    Batches are full whether or not images follow each other: single ones would pass the CNN at a
    quarter of the speed.
    """
    batches = range(0, image_rows.size, IMAGES_BATCH)
    parts = [image_rows[first : first + IMAGES_BATCH] for first in batches]

    def read(part: NDArray[np.int64]) -> tuple[NDArray[np.int64], Tensor, Read]:
        wanted = part[:, None] + np.arange(IMAGE_FRAMES)
        rows, places = np.unique(wanted, return_inverse=True)
        triples = torch.from_numpy(places.reshape(wanted.shape))
        return rows, triples, frames.read(rows)

    for rows, triples, found in read_ahead(iter(parts), read):
        normalised = frames.normalise(rows, found)
        triples = triples.to(normalised.device)
        given = [normalised] if versions is None else versions(normalised, rows, frames)
        yield torch.stack(
            [inner.features(images_of(inner.shrink(each), triples)) for each in given], dim=1
        )


def scores_of(network: ScaledNetwork, outputs: Tensor, kind: str) -> Tensor:
    """Probabilities, or values in the target's unit, of outputs of shape (..., output)."""
    if kind == "binary":
        return torch.sigmoid(outputs)
    if kind == "classes":
        return torch.softmax(outputs, dim=-1)
    if network.says_float64:
        outputs = outputs.double()
    return outputs * network.output_gain + network.output_offset
