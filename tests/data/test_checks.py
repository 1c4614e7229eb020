"""All sessions of a catalogue, or all that is wrong with them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from corticode.data.catalogue import Recording
from corticode.data.checks import check_parity, list_faults, read_all
from corticode.data.readers.arrays import ArrayLocation
from corticode.errors import BAD, DataError, StudyError
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


def film(run, seed=0, *, base=2000.0, gain=40.0, size=12):
    """A movie whose left half brightens while the animal runs, with noise."""
    rng = np.random.default_rng(seed)
    movie = np.full((len(run), size, size), base) + rng.normal(0, 3, (len(run), size, size))
    movie += 5 * rng.normal(size=(len(run), 1, 1))
    movie[:, :, : size // 2] += gain * np.asarray(run)[:, None, None]
    return movie.clip(0, 65535).astype(np.uint16)


def in_turn(run, seed=0, *, reference=1400.0):
    both = np.empty((2 * len(run), 12, 12), np.uint16)
    both[::2] = film(run, seed)
    both[1::2] = film(0 * run, seed + 50, base=reference)
    return both


RUN = np.repeat(np.random.default_rng(3).permutation(40) % 2, 10)


class Filmed:
    """A session of a movie and running, written to files."""

    def __init__(self, folder, name="s1"):
        self.folder, self.name = folder, name

    def write(self, movie, run, *, channels=(), times=None, behavior_times=None, rate=10.0):
        paths = {k: self.folder / f"{self.name}_{k}" for k in ("m.npy", "b.csv", "t.npz")}
        np.save(paths["m.npy"], movie)
        pd.DataFrame({"run": run}).to_csv(paths["b.csv"], index=False)
        clocks = {}
        if times is not None:
            np.savez(paths["t.npz"], t=times, b=behavior_times)
            clocks = {
                "frame_times": ArrayLocation(paths["t.npz"], "t"),
                "behavior_times": ArrayLocation(paths["t.npz"], "b"),
            }
        return Recording(
            "m1",
            self.name,
            behavior=ArrayLocation(paths["b.csv"]),
            movie=ArrayLocation(paths["m.npy"]),
            frame_rate_hz=None if times is not None else rate,
            channels=channels,
            **clocks,
        )


BOTH = ("calcium", "reference")


class TestTurns:
    def test_frames_in_turn_are_read_as_they_are(self, tmp_path):
        recording = Filmed(tmp_path).write(in_turn(RUN), RUN, channels=BOTH)
        (session,) = read_all([recording])
        assert session.findings == ()
        assert session.left_out is None

    @pytest.mark.parametrize("reference", [1400.0, 1960.0, 2040.0])
    @pytest.mark.parametrize("lost", [301, 402])
    def test_a_lost_frame_is_an_error_that_names_it(self, tmp_path, reference, lost):
        movie = np.delete(in_turn(RUN, reference=reference), lost, axis=0)
        made = [
            Filmed(tmp_path, name).write(movie, RUN[:399], channels=BOTH) for name in ("s1", "s2")
        ]
        with pytest.raises(DataError) as caught:
            read_all(made)
        assert f"at frame {lost} of m1/s1, m1/s2, counted from 0" in str(caught.value)
        assert "[data] resynchronise = true" in str(caught.value)
        assert "unequal" not in str(caught.value)

    def test_one_wavelength_behind_the_other(self, tmp_path):
        both = in_turn(RUN)
        movie = np.concatenate([both[::2], both[1::2]])
        recording = Filmed(tmp_path).write(movie, RUN, channels=BOTH)
        with pytest.raises(DataError, match=r"the first 400 of its 800 frames are of one wave"):
            read_all([recording])

    @pytest.mark.parametrize("channels", [(), ("calcium",)])
    def test_one_that_is_two_in_turn(self, tmp_path, channels):
        run = np.repeat(RUN, 2)
        recording = Filmed(tmp_path).write(in_turn(RUN), run, channels=channels)
        with pytest.raises(DataError, match=r"differ by 3\d %; it looks like two interleaved"):
            read_all([recording])
        assert len(read_all([recording], examine=False)) == 1

    def test_two_as_bright_of_which_one_does_not_move(self, tmp_path):
        movie = in_turn(RUN, reference=2005.0)
        rng = np.random.default_rng(0)
        movie[::2] = movie[::2] + rng.integers(0, 60, (400, 1, 1))
        movie[1::2] = 2030
        recording = Filmed(tmp_path).write(movie, np.repeat(RUN, 2))
        with pytest.raises(DataError, match="it looks like two interleaved wavelengths"):
            read_all([recording])

    def test_two_that_are_one(self, tmp_path):
        recording = Filmed(tmp_path).write(film(RUN), RUN[:200], channels=BOTH)
        (session,) = read_all([recording])
        assert "even and odd frames of the movie look alike" in str(session.findings[0])
        recording = Filmed(tmp_path, "s2").write(film(RUN), RUN, channels=BOTH)
        with pytest.raises(DataError, match=r"leave channels blank if it is of one wavelength"):
            read_all([recording])

    def test_what_was_seen_is_seen_again_when_the_file_changes(self, tmp_path):
        whole, broken = in_turn(RUN), np.delete(in_turn(RUN), 301, axis=0)
        recording = Filmed(tmp_path).write(whole, RUN[:399], channels=BOTH)
        read_all([recording], trim_frames=1)
        np.save(recording.movie.path, broken)
        with pytest.raises(DataError, match="at frame 301 of m1/s1"):
            read_all([recording], trim_frames=1)


class TestResynchronise:
    """The camera lost frame 401, the reference of pair 200, out of 800."""

    def read(self, recording):
        (session,) = read_all([recording], resynchronise=True)
        return session

    def fits(self, session, run=RUN):
        assert session.movie.shape == session.reference.shape
        assert session.left_out.sum() == 1
        moves = np.asarray(session.movie)[:, :, :6].mean(axis=(1, 2)) > 2020
        good = ~session.left_out
        np.testing.assert_array_equal(moves[good], run[: moves.size][good] == 1)
        still = np.asarray(session.reference).mean(axis=(1, 2))
        assert still.max() < 1500
        np.testing.assert_array_equal(session.behavior["run"], run[: moves.size])

    @pytest.mark.parametrize("lost", [400, 401])
    @pytest.mark.parametrize("n_rows", [400, 399])
    def test_behaviour_row_by_row(self, tmp_path, lost, n_rows):
        movie = np.delete(in_turn(RUN), lost, axis=0)
        recording = Filmed(tmp_path).write(movie, RUN[:n_rows], channels=BOTH)
        session = self.read(recording)
        assert session.n_frames == n_rows
        assert np.flatnonzero(session.left_out).tolist() == [200]
        assert "1 frame of one wavelength is missing" in str(session.findings[0])
        self.fits(session)

    def test_times_of_every_other_frame_of_the_file(self, tmp_path):
        camera = np.delete(np.arange(800) / 20, 401)
        movie = np.delete(in_turn(RUN), 401, axis=0)
        recording = Filmed(tmp_path).write(
            movie,
            np.repeat(RUN, 10),
            channels=BOTH,
            times=camera[::2][:399],
            behavior_times=np.arange(4000) / 100,
        )
        session = self.read(recording)
        good = ~session.left_out
        moves = np.asarray(session.movie)[:, :, :6].mean(axis=(1, 2)) > 2020
        runs = session.behavior["run"] > 0.5
        # Without it every frame behind would be a pair late, in one of ten frames of a bout.
        assert (moves == runs)[good].mean() > 0.995

    def test_times_of_the_pulses_of_one_wavelength(self, tmp_path):
        movie = np.delete(in_turn(RUN), 401, axis=0)
        recording = Filmed(tmp_path).write(
            movie,
            np.repeat(RUN, 10),
            channels=BOTH,
            times=np.arange(400) / 10,
            behavior_times=np.arange(4000) / 100,
        )
        session = self.read(recording)
        assert session.n_frames == 400
        self.fits(session)

    def test_a_frame_stored_twice(self, tmp_path):
        movie = in_turn(RUN)
        movie = np.insert(movie, 401, movie[400], axis=0)
        recording = Filmed(tmp_path).write(movie, RUN, channels=BOTH)
        session = self.read(recording)
        assert not session.left_out.any()
        assert "is the one before once more" in str(session.findings[0])
        np.testing.assert_array_equal(session.movie, in_turn(RUN)[::2])
        np.testing.assert_array_equal(session.reference, in_turn(RUN)[1::2])

    def test_the_reference_first(self, tmp_path):
        movie = np.delete(in_turn(RUN)[1:], 401, axis=0)
        recording = Filmed(tmp_path).write(movie, RUN[1:], channels=BOTH[::-1])
        session = self.read(recording)
        assert np.asarray(session.reference).max() < 1500
        assert np.asarray(session.movie).min() > 1500


class TestBadFrames:
    def write(self, tmp_path):
        movie = film(RUN)
        movie[[50, 51]] = 90
        movie[300] = movie[299]
        return Filmed(tmp_path).write(movie, RUN)

    def test_are_reported(self, tmp_path):
        (session,) = read_all([self.write(tmp_path)])
        told = [str(finding).partition(": ")[2] for finding in session.findings]
        assert told == [
            "2 frames of the movie are dark, less than half as bright as the frames around (50 to "
            '51); [data] bad_frames = "exclude" leaves them out',
            '1 frame of the movie is the same as the one before (300); [data] bad_frames = "exclude'
            '" leaves it out',
        ]
        assert {finding.code for finding in session.findings} == {BAD}
        assert session.left_out is None

    def test_are_left_out(self, tmp_path):
        (session,) = read_all([self.write(tmp_path)], bad_frames="exclude")
        assert np.flatnonzero(session.left_out).tolist() == [50, 51, 300]
        assert session.findings[0].count == 2
        assert "windows avoid them" in session.findings[0].reason

    def test_of_the_reference_in_its_own_file(self, tmp_path):
        recording = self.write(tmp_path)
        other = film(0 * RUN, 9, base=1500.0)
        other[77] = 0
        np.save(tmp_path / "other.npy", other)
        recording = replace(recording, movie_reference=ArrayLocation(tmp_path / "other.npy"))
        (session,) = read_all([recording], bad_frames="exclude")
        assert np.flatnonzero(session.left_out).tolist() == [50, 51, 77, 300]

    def test_of_two_wavelengths(self, tmp_path):
        movie = in_turn(RUN)
        movie[[100, 203]] = 0
        recording = Filmed(tmp_path).write(movie, RUN, channels=BOTH)
        (session,) = read_all([recording], bad_frames="exclude")
        assert np.flatnonzero(session.left_out).tolist() == [50, 101]

    def test_unknown_choice(self, tmp_path):
        with pytest.raises(StudyError, match="bad_frames is 'drop'; it must be one of report, ex"):
            read_all([self.write(tmp_path)], bad_frames="drop")

    def test_counts_that_became_negative(self, tmp_path):
        movie = (film(RUN).astype(np.int32) * 17).astype(np.uint16).view(np.int16)
        with pytest.raises(DataError, match=r"became negative; write the movie as unsigned 16-bit"):
            read_all([Filmed(tmp_path).write(movie, RUN)])

    def test_a_movie_that_is_overexposed(self, tmp_path):
        movie = (film(RUN) * 33.0).clip(0, 65535).astype(np.uint16)
        with pytest.raises(DataError, match=r"\d\d % of its pixels stand at 65535, .* overexposed"):
            read_all([Filmed(tmp_path).write(movie, RUN)])

    def test_extreme_values_of_traces(self, recordings):
        traces = np.random.default_rng(0).normal(size=(50, 2))
        traces[7, 1] = 90
        np.save(recordings[0].traces.path, traces)
        (session, *others) = read_all(recordings)
        assert "1 frame of the traces has a value beyond 50 robust SD in region 2 (7)" in str(
            session.findings[-1]
        )
        assert [finding for other in others for finding in other.findings if finding.code] == []
        (session, *_) = read_all(recordings, bad_frames="exclude")
        assert np.flatnonzero(np.isnan(session.traces).any(axis=1)).tolist() == [7]
        assert session.left_out_traces == (7,)
        assert session.traces[6].tolist() == traces[6].tolist()
