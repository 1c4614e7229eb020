"""All sessions of a catalogue, or all that is wrong with them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from corticode.data.catalogue import Recording
from corticode.data.checks import list_faults, read_all
from corticode.data.readers.arrays import ArrayLocation
from corticode.errors import DataError


@pytest.fixture
def recordings(tmp_path):
    """Three sessions of 50 frames, the first at 30 Hz."""
    made = []
    for name in "abc":
        traces, behavior = tmp_path / f"{name}.npy", tmp_path / f"{name}.csv"
        np.save(traces, np.random.default_rng(0).normal(size=(50, 2)))
        pd.DataFrame({"run": np.arange(50) % 2}).to_csv(behavior, index=False)
        made.append(
            Recording(
                "m1",
                name,
                behavior=ArrayLocation(behavior),
                traces=ArrayLocation(traces),
                frame_rate_hz=30.0,
            )
        )
    return made


def change(recording, **changes):
    return replace(recording, **changes)


class TestReadAll:
    def test_in_their_order(self, recordings):
        sessions = read_all(recordings, signals=["run"], regions=["V1", "V2"])
        assert [session.name for session in sessions] == ["m1/a", "m1/b", "m1/c"]
        assert sessions[0].regions == ("V1", "V2")
        assert list(sessions[0].behavior) == ["run"]

    def test_trims_and_resamples(self, recordings):
        np.save(recordings[0].traces.path, np.random.default_rng(0).normal(size=(53, 2)))
        sessions = read_all(recordings, trim_frames=3, resample_hz=15.0)
        assert {session.frame_rate_hz for session in sessions} == {15.0}
        assert {session.n_frames for session in sessions} == {25}
        assert "3 frames were cut" in sessions[0].findings[0].reason

    def test_a_single_fault_stands_alone(self, recordings):
        np.save(recordings[1].traces.path, np.zeros((9, 2)))
        with pytest.raises(DataError, match=r"^session m1/b has unequal numbers of frames"):
            read_all(recordings)

    def test_all_faults_at_once(self, recordings):
        np.save(recordings[0].traces.path, np.zeros((9, 2)))
        recordings[1].traces.path.unlink()
        np.save(recordings[2].traces.path, np.full((50, 2), np.nan))
        with pytest.raises(DataError) as caught:
            read_all(recordings)
        lines = str(caught.value).splitlines()
        assert lines[0] == "the catalogue's sessions have 3 faults:"
        assert lines[1].startswith("  1. session m1/a has unequal numbers of frames")
        assert "b.npy" in lines[2]
        assert lines[3].startswith("  3. session m1/c has no finite value in any region")

    @pytest.mark.parametrize(
        ("rates", "shown"),
        [
            ((30.0, 20.0, 30.0), r"30 in 2 \(first m1/a\), 20 in 1 \(first m1/b\)"),
            ((30.0, 30.0, None), r"30 in 2 \(first m1/a\), unknown in 1 \(first m1/c\)"),
        ],
    )
    def test_unequal_frame_rates(self, recordings, rates, shown):
        given = [change(r, frame_rate_hz=rate) for r, rate in zip(recordings, rates, strict=True)]
        message = rf"frame rates \(Hz\) differ: {shown}; bring all to one with \[data\] resample_hz"
        with pytest.raises(DataError, match=message):
            read_all(given)

    def test_frame_rates_that_differ_by_rounding(self, recordings):
        given = [change(recordings[0], frame_rate_hz=30.0000001), *recordings[1:]]
        assert len(read_all(given)) == 3

    def test_of_no_recordings(self):
        assert read_all([]) == []


@pytest.mark.parametrize(
    ("faults", "message"),
    [
        (["a"], "a"),
        (["a", "b"], "two have 2 faults:\n  1. a\n  2. b"),
        (["a"] * 10, "two have 10 faults:\n" + "\n".join(f"  {k}. a" for k in range(1, 11))),
    ],
)
def test_list_faults(faults, message):
    assert list_faults("two have", faults) == message
