"""All sessions of a catalogue, or all that is wrong with them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from corticode.data.catalogue import Recording
from corticode.data.checks import check_parity, list_faults, read_all
from corticode.data.readers.arrays import ArrayLocation
from corticode.errors import DataError
from corticode.simulate.dials import resolve_dials
from corticode.simulate.movie import bad_pixels, movie_blocks
from corticode.simulate.session import simulate_mouse, simulate_session, stream


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

    def test_the_same_fault_is_told_once(self, recordings):
        with pytest.raises(DataError) as caught:
            read_all(recordings, signals=["speed"])
        message = str(caught.value)
        assert message.count("has no signal 'speed'; its signals are run") == 1
        assert message.endswith(" (the same in m1/b, m1/c)")

    def test_faults_that_differ_are_each_told(self, recordings):
        for recording, n_frames in zip(recordings, (9, 9, 8), strict=True):
            np.save(recording.traces.path, np.zeros((n_frames, 2)))
        with pytest.raises(DataError) as caught:
            read_all(recordings)
        lines = str(caught.value).splitlines()
        assert len(lines) == 3
        assert lines[1].endswith("(the same in m1/b)")
        assert "traces 8" in lines[2]

    @pytest.mark.parametrize(
        ("rates", "shown"),
        [
            (
                (30.0, 20.0, 30.0),
                r"30 in 2 \(first m1/a\), 20 in 1 \(first m1/b\); bring all to one with \[data\]",
            ),
            (
                (30.0, None, 20.0),
                r"30 in 1 .* unknown in 1 .* 20 in 1 .*; bring all to one with \[data\]",
            ),
            (
                (30.0, 30.0000001, None),
                r"unknown in 1 \(first m1/c\); fill in frame_rate_hz for m1/c$",
            ),
            ((None, 30.0, None), r"; fill in frame_rate_hz for m1/a, m1/c$"),
        ],
    )
    def test_unequal_frame_rates(self, recordings, rates, shown):
        given = [change(r, frame_rate_hz=rate) for r, rate in zip(recordings, rates, strict=True)]
        with pytest.raises(DataError, match=rf"frame rates \(Hz\) differ: .*{shown}"):
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


class TestParity:
    @staticmethod
    def simulate(number, seed, dials=None, reference_channel=False):
        own = resolve_dials(dials)
        mouse = simulate_mouse(number, 3, seed, own)
        session = simulate_session(mouse, 1, 1000, 32, seed)
        blocks = movie_blocks(
            stream(seed, number, 10, 1),
            session.physiology,
            session.scene,
            own,
            bad=bad_pixels(stream(seed, number, 11), 32, 1.0),
            reference_channel=reference_channel,
        )
        return np.concatenate(list(blocks))

    @pytest.mark.parametrize("number", [1, 2, 5])
    @pytest.mark.parametrize("seed", [0, 1])
    def test_simulated_movies(self, number, seed):
        check_parity(self.simulate(number, seed), "m/s")
        both = self.simulate(number, seed, reference_channel=True)
        with pytest.raises(DataError, match=r"session m/s: even and odd .* differ by [3-5]\d %"):
            check_parity(both, "m/s")
        check_parity(both[::2], "m/s")
        check_parity(both[1::2], "m/s")

    def test_strong_artefacts(self):
        strong = {"motion": 3, "heart": 3, "flicker": 5, "bleaching": 5, "jumps": 3}
        for seed in range(3):
            check_parity(self.simulate(2, seed, strong), "m/s")

    @staticmethod
    def brightness(course):
        noise = np.random.default_rng(0).normal(0, 0.02, (len(course), 4, 4))
        return 1000 * np.asarray(course)[:, None, None] + noise

    @pytest.mark.parametrize("rest", [0.0, 0.001, 0.01, 0.07])
    def test_a_heart_beat_at_half_the_frame_rate(self, rest):
        frame = np.arange(3000)
        beat = 0.004 * np.cos(2 * np.pi * (0.5 - rest) * frame)
        check_parity(self.brightness(1 + beat), "m/s")

    def test_bleaching_and_single_bright_frames(self):
        frame = np.arange(3000)
        check_parity(self.brightness(1 + np.exp(-frame / 100)), "m/s")
        course = np.ones(3000)
        course[::50] = 1.5
        course[7] = 40
        check_parity(self.brightness(course), "m/s")

    def test_a_step_half_way(self):
        check_parity(self.brightness(np.repeat([1.0, 1.6], 1500)), "m/s")

    def test_turns_that_swap_at_a_dropped_frame(self):
        course = np.tile([1.0, 0.6], 1500)
        course = np.delete(course, 1700)
        with pytest.raises(DataError, match=r"differ by 5\d %; it looks like two interleaved"):
            check_parity(self.brightness(course), "m/s")

    @pytest.mark.parametrize("n_frames", [1, 3, 5])
    def test_few_frames(self, n_frames):
        check_parity(np.ones((n_frames, 2, 2)), "m/s")
        with_holes = np.full((n_frames, 2, 2), np.nan)
        check_parity(with_holes, "m/s")
