"""The page of a preprocessed cohort: red where a limit is passed, and nowhere else."""

import json
import re
from functools import cache

import numpy as np
import pytest

from corticode.data.catalogue import Recording
from corticode.data.preprocessing import motion
from corticode.data.preprocessing.steps import Motion, Steps
from corticode.data.readers.arrays import ArrayLocation
from corticode.errors import DataError
from corticode.report.quality import (
    COLUMNS,
    Session,
    read_sessions,
    render_quality,
    write_quality,
)
from corticode.run.preprocess import Wanted, preprocess_catalogue
from corticode.simulate.dials import resolve_dials
from corticode.simulate.movie import bad_pixels, movie_blocks
from corticode.simulate.session import simulate_mouse, simulate_session

# The camera of the simulator gives 100 counts without light.
GOOD_STEPS = Steps(dark=100.0)
SHAKEN = {"motion": 40}
GOOD = {
    "n_frames": 6000,
    "n_left_out": 0,
    "frame_rate_hz": 30.0,
    "look_ahead_frames": float("inf"),
    "shift_rms": 0.1,
    "shift_most": 0.4,
    "shift_left": 0.02,
    "sd_over_mean_before": 0.03,
    "sd_over_mean_after": 0.02,
    # A shift that goes with running, too small to be read; calcium and blood that mirror it.
    "shift_with_run": -0.9,
    "shift_locked_run": 0.02,
    "kept_pixels": 0.7,
    "slope": 1.1,
    "odd_slopes": 0.0,
    "variance_taken": -0.2,
    "correlation_before": -0.6,
    "correlation_after": -0.8,
    "sustained_kept": 0.9,
}
FAULTS = {
    "left out": {"n_left_out": 200},
    "shift, rms (px)": {"shift_rms": 0.3, "was_corrected": 1.0},
    "shift, largest (px)": {"shift_most": 3.0},
    "left after (px)": {"shift_left": 0.3},
    "SD/mean, before → after motion": {"sd_over_mean_after": 0.0396},
    "shift with behaviour, px (r)": {"shift_locked_run": 0.2},
    "pixels kept": {"kept_pixels": 0.05},
    "blood slope, median": {"slope": -0.5},
    "slopes outside 0 to 5": {"odd_slopes": 0.4},
    "variance taken": {"variance_taken": -1.4},
    "r with reference, before → after": {"correlation_after": 0.7},
    "sustained running kept": {"sustained_kept": 0.02},
}


def page_of(*numbers):
    sessions = [Session(f"m{k}/a", one, {}, {}) for k, one in enumerate(numbers)]
    return render_quality("made", sessions, [("dF/F, F0: mean", "whole session")])


def cells_of(page):
    return re.findall(r'<td class="number( bad)?">(.*?)(?:<span|</td>)', page)


class TestLimits:
    def test_a_good_session_has_nothing_red(self):
        page = page_of(GOOD)
        assert 'class="number bad"' not in page
        assert "nothing is beyond a limit" in page

    @pytest.mark.parametrize("title", FAULTS)
    def test_each_fault_is_red_and_says_what_to_do(self, title):
        page = page_of(GOOD, GOOD | FAULTS[title])
        assert page.count('class="number bad"') == 1
        means = next(one.means for one in COLUMNS if one.title == title)
        warning = re.search(r'<p class="warning"><b>(.*?)</p>', page).group(1)
        assert title in warning and "m1/a" in warning and "m0/a" not in warning
        assert means[:40] in page
        assert "1 of 2 sessions is beyond a limit" in page

    def test_every_column_that_can_be_red_is_tried(self):
        able = {one.title for one in COLUMNS if one.means} - {"frames"}
        assert able == set(FAULTS)

    def test_frames_that_lie_further_off_than_before_are_red(self):
        assert 'class="number bad"' in page_of(GOOD | {"shift_rms": 0.06, "shift_left": 0.07})
        assert 'class="number bad"' not in page_of(GOOD | {"shift_rms": 0.01})

    def test_the_signal_with_which_most_of_the_shift_goes_is_named(self):
        more = {"shift_with_lick": 0.2, "shift_locked_lick": 0.5}
        assert (" bad", "0.20 (−0.90, run)") in cells_of(page_of(GOOD | {"shift_locked_run": 0.2}))
        # A weak correlation is none, however far the brain moves.
        assert ("", "0.50 (0.20, lick)") in cells_of(page_of(GOOD | more))

    def test_a_session_without_a_number_has_an_empty_cell(self):
        page = page_of(GOOD, {"n_frames": 100, "n_left_out": 0})
        assert cells_of(page).count(("", "")) == len(COLUMNS) - 2

    def test_numbers_have_a_true_minus_and_nothing_has_no_sign(self):
        page = page_of(GOOD | {"correlation_before": -0.001, "correlation_after": -0.21})
        assert ">0.00 → −0.21<" in page

    @pytest.mark.parametrize(
        ("frames", "shown"), [(float("inf"), "whole session"), (0, "none"), (30, "30 frames")]
    )
    def test_look_ahead_in_words(self, frames, shown):
        assert ("", shown) in cells_of(page_of(GOOD | {"look_ahead_frames": frames}))


class TestWriteQuality:
    @pytest.fixture
    def folder(self, tmp_path):
        (tmp_path / "quality").mkdir()
        rng = np.random.default_rng(0)
        for name in ("m1", "<m2>"):
            images = {"mean": rng.random((20, 20)), "mask": np.ones((20, 20), bool)}
            images["regions"] = np.zeros((20, 20), np.int16)
            images["regions"][5:9, 5:9] = 3
            courses = {
                "shift": rng.normal(size=(300, 2)),
                "calcium": rng.normal(size=300),
                "corrected": rng.normal(size=300),
                "onset_corrected": rng.normal(size=120),
            }
            arrays = {f"image_{k}": v for k, v in images.items()}
            arrays |= {f"course_{k}": v for k, v in courses.items()}
            np.savez(tmp_path / "quality" / f"{len(name)}.npz", **arrays)
            state = {
                "animal": name,
                "session": "a",
                "numbers": GOOD | {"n_onsets": 12, "onset_before": 30},
                "findings": [{"reason": "2 frames are dark"}],
                "state": "run",
            }
            (tmp_path / "quality" / f"{len(name)}.json").write_text(json.dumps(state))
        words = {"words": [["dff", "dF/F, F0: mean", "whole session"]]}
        (tmp_path / "preprocess.json").write_text(json.dumps(words))
        return tmp_path

    def test_holds_every_session_its_warnings_and_pictures(self, folder):
        path, headline = write_quality(folder)
        page = path.read_text("utf-8")
        assert headline in page
        assert page.count("<details") == 2 and page.count("<img src") == 4
        assert "&lt;m2&gt;/a" in page and "<m2>" not in page
        assert page.count("2 frames are dark") == 2
        assert "transductive" in page
        assert "http" not in page.split("</style>")[1]

    def test_a_folder_of_something_else(self, tmp_path):
        with pytest.raises(DataError, match="holds no session"):
            write_quality(tmp_path)


@cache
def simulated(number, **dials):
    """The movie of two wavelengths of a simulated mouse's minute, and its behaviour."""
    values = resolve_dials(dials)
    session = simulate_session(simulate_mouse(number, 3, 3, values), 0, 1800, 64, 3)
    blocks = movie_blocks(
        np.random.default_rng(0),
        session.physiology,
        session.scene,
        values,
        bad=bad_pixels(np.random.default_rng(1), 64, values["bad_pixels"]),
        reference_channel=True,
    )
    behavior = {"run": session.behavior.is_running, "speed": session.behavior.speed_cm_per_s}
    return np.concatenate(list(blocks)), behavior


class TestSimulated:
    """A session of the simulator, as the camera would have written it, through all steps."""

    @pytest.fixture
    def look(self, tmp_path):
        """Write a session, preprocess it, and give the columns that are red."""

        def red(
            steps=GOOD_STEPS, dials=None, history="", channels=("calcium", "reference"), number=2
        ):
            movie, behavior = simulated(number, **(dials or {}))
            np.save(tmp_path / "m.npy", movie)
            np.savez(tmp_path / "b.npz", **behavior)
            recording = Recording(
                "m1",
                "a",
                movie=ArrayLocation(tmp_path / "m.npy"),
                behavior=ArrayLocation(tmp_path / "b.npz"),
                frame_rate_hz=30.0,
                channels=channels,
                history=history,
            )
            preprocess_catalogue([recording], tmp_path / "made", steps, Wanted())
            (found,) = read_sessions(tmp_path / "made")
            return {one.title for one in COLUMNS if one.is_bad(found)}

        return red

    def test_a_good_session_has_no_red_cell(self, look, tmp_path):
        assert look() == set()
        # base64 of both pictures, the style and the table: less than 150 kB a session.
        assert len(write_quality(tmp_path / "made")[0].read_bytes()) < 150_000

    def test_large_motion_with_running(self, look):
        assert look(dials=SHAKEN) == {"shift with behaviour, px (r)"}

    def test_large_motion_that_is_left(self, look):
        still = Steps(dark=100.0, motion=Motion("none"))
        assert look(still, dials=SHAKEN) == {"left after (px)"}

    def test_motion_that_was_corrected_before_and_is_there(self, look):
        red = look(dials=SHAKEN, history="motion corrected by another tool")
        assert "shift, rms (px)" in red

    def test_shifts_in_the_wrong_direction(self, look, monkeypatch):
        """As a widely used tool applies them: SD over mean of 0.0324 became 0.0396."""
        right = motion.move_frames

        def wrong(frames, shifts, *place):
            return right(frames, -shifts, *place)

        monkeypatch.setattr(motion, "move_frames", wrong)
        red = look(dials=SHAKEN)
        assert {"left after (px)", "SD/mean, before → after motion"} <= red

    def test_wavelengths_in_the_wrong_order(self, look):
        assert "variance taken" in look(channels=("reference", "calcium"), number=3)

    def test_a_dark_level_above_much_of_the_image(self, look):
        with pytest.raises(DataError, match="darker than without light"):
            look(Steps(dark=2500.0))
