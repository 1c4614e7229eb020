"""What is wrong with the sessions of a catalogue, all of it at once."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corticode.data.catalogue import Recording
from corticode.data.clocks import is_same_rate
from corticode.data.movies.passes import means_over_pixels
from corticode.data.session import Session, read_session
from corticode.errors import CorticodeError, DataError, numbered, some

SHOWN_SESSIONS = 5
N_STRETCHES = 4
STRETCH_FRAMES = 500
PARITY_SDS = 5.0
PARITY_SHARE = 0.01  # a heart beat that a camera catches in turns is weaker


def read_all(
    recordings: Sequence[Recording],
    *,
    signals: Sequence[str] | None = None,
    trim_frames: int = 0,
    resample_hz: float | None = None,
    regions: Sequence[str] | None = None,
    on_frames: Mapping[str, str] | None = None,
) -> list[Session]:
    """Every session of a catalogue; where some cannot be read, what is wrong with each of them.

    Parameters are those of `corticode.data.session.open_session`.

    Raises
    ------
    DataError
        Lists every session that cannot be used as it is, movies that look like two wavelengths in
        turn (see `check_parity`), and unequal frame rates.
    """
    sessions: list[Session] = []
    faults: dict[str, list[tuple[str, str]]] = {}
    for recording in recordings:
        try:
            session = read_session(
                recording,
                signals=signals,
                trim_frames=trim_frames,
                resample_hz=resample_hz,
                regions=regions,
                on_frames=on_frames,
            )
            sessions.append(session)
            if session.movie is not None and not recording.channels:
                check_parity(np.asarray(session.movie), session.name)
        except CorticodeError as error:
            # Of one cause, or in the same words but for names.
            same = getattr(error, "cause", "") or _but_for_names(str(error), recording)
            alike = faults.setdefault(same, [])
            alike.append((str(error), recording.name))
    listed = [
        first
        + (f" (the same in {some([name for _, name in others], SHOWN_SESSIONS)})" if others else "")
        for (first, _), *others in faults.values()
    ]
    listed += _unequal_rates(sessions)
    if listed:
        raise DataError(list_faults("the catalogue's sessions have", listed))
    return sessions


def _but_for_names(fault: str, recording: Recording) -> str:
    """A session's fault without what names the session: the same where others have it too."""
    for location in (recording.behavior, recording.traces, recording.movie):
        if location is not None:
            fault = fault.replace(str(location.path), "")
    return fault.replace(recording.name, "")


def check_parity(movie: NDArray[Any], name: str) -> None:
    """Refuse a movie whose even and odd frames are of two brightnesses, as of two wavelengths.

    Up to 2,000 frames are read, in four stretches. A stretch speaks for two wavelengths where its
    frames lie above and below their neighbours in turn, by more than 5 SD of the differences
    between frames of one parity and by more than 1 % of their brightness; two of four are enough.
    Bleaching, single bright frames and a heart beat at half the frame rate do not.

    Parameters
    ----------
    movie
        (frame, row, column), of one wavelength as far as the catalogue says.
    name
        The session's, for the message.

    Raises
    ------
    DataError
        It looks like two interleaved wavelengths.

    Examples
    --------
    >>> frames = 100.0 + np.random.default_rng(0).normal(size=(100, 1, 1))
    >>> check_parity(frames, "m1/a")
    >>> frames[1::2] *= 0.6
    >>> check_parity(frames, "m1/a")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    corticode.errors.DataError: session m1/a: even and odd frames of its movie differ by 5... %; ...
    """
    n_frames = min(STRETCH_FRAMES, len(movie))
    starts = np.unique(np.linspace(0, len(movie) - n_frames, N_STRETCHES).astype(int))
    found = [_parity_difference(movie[start : start + n_frames]) for start in starts]
    apart = [abs(difference) for difference in found if difference != 0]
    if 2 * len(apart) < len(found) or not apart:
        return
    raise DataError(
        f"session {name}: even and odd frames of its movie differ by {100 * np.median(apart):.2g} "
        "%; it looks like two interleaved wavelengths: give channels = calcium,reference (or "
        "reference,calcium) in the catalogue, or split the file"
    )


def _parity_difference(frames: NDArray[Any]) -> float:
    """By what share of their brightness frames lie above and below in turn; 0: not clearly."""
    bright = means_over_pixels(frames, [np.ones(frames.shape[1:], np.bool_)])[:, 0]
    bright = bright[np.isfinite(bright)]
    if bright.size < 4:
        return 0.0
    steps = bright[1:-1] - (bright[:-2] + bright[2:]) / 2
    steps[1::2] *= -1
    # Medians, so that no single bright frame counts.
    difference = float(np.median(steps))
    same = bright[2:] - bright[:-2]
    sd = 1.4826 * float(np.median(np.abs(same - np.median(same))))
    level = abs(float(np.median(bright[1:] + bright[:-1]))) / 2
    is_clear = abs(difference) > max(PARITY_SDS * sd, PARITY_SHARE * level)
    return difference / level if is_clear and level > 0 else 0.0


def list_faults(head: str, faults: Sequence[str]) -> str:
    """Faults as one message: a single one as it is, several numbered below a heading.

    Examples
    --------
    >>> print(list_faults("the file has", ["no name", "no date"]))
    the file has 2 faults:
      1. no name
      2. no date
    """
    if len(faults) == 1:
        return faults[0]
    return f"{head} {len(faults)} faults:\n{numbered(faults)}"


def _unequal_rates(sessions: Sequence[Session]) -> list[str]:
    by_rate: dict[float | None, list[str]] = {}
    for session in sessions:
        by_rate.setdefault(session.frame_rate_hz, []).append(session.name)
    if all(is_same_rate(rate, sessions[0].frame_rate_hz) for rate in by_rate):
        return []
    shown = ", ".join(
        f"{'unknown' if rate is None else f'{rate:g}'} in {len(names)} (first {names[0]})"
        for rate, names in by_rate.items()
    )
    known = [rate for rate in by_rate if rate is not None]
    if None in by_rate and all(is_same_rate(rate, known[0]) for rate in known):
        unknown = some(by_rate[None], SHOWN_SESSIONS)
        return [f"frame rates (Hz) differ: {shown}; fill in frame_rate_hz for {unknown}"]
    return [f"frame rates (Hz) differ: {shown}; bring all to one with [data] resample_hz"]
