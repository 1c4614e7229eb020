"""What is wrong with the sessions of a catalogue, all of it at once."""

from collections.abc import Sequence

from corticode.data.catalogue import Recording
from corticode.data.clocks import is_same_rate
from corticode.data.session import Session, read_session
from corticode.errors import CorticodeError, DataError


def read_all(
    recordings: Sequence[Recording],
    *,
    signals: Sequence[str] | None = None,
    trim_frames: int = 0,
    resample_hz: float | None = None,
    regions: Sequence[str] | None = None,
) -> list[Session]:
    """Every session of a catalogue; where some cannot be read, what is wrong with each of them.

    Parameters are those of `corticode.data.session.open_session`.

    Raises
    ------
    DataError
        Lists every session that cannot be used as it is, and unequal frame rates.
    """
    sessions, faults = [], []
    for recording in recordings:
        try:
            sessions.append(
                read_session(
                    recording,
                    signals=signals,
                    trim_frames=trim_frames,
                    resample_hz=resample_hz,
                    regions=regions,
                )
            )
        except CorticodeError as error:
            faults.append(str(error))
    faults += _unequal_rates(sessions)
    if faults:
        raise DataError(list_faults("the catalogue's sessions have", faults))
    return sessions


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
    lines = [f"  {k}. {fault}" for k, fault in enumerate(faults, start=1)]
    return "\n".join([f"{head} {len(faults)} faults:", *lines])


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
    return [f"frame rates (Hz) differ: {shown}; bring all to one with [data] resample_hz"]
