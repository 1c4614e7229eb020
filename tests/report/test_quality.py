"""The page of a preprocessed cohort: red where a limit is passed, and nowhere else."""

import json
import re

import numpy as np
import pytest

from corticode.errors import DataError
from corticode.report.quality import COLUMNS, Session, render_quality, write_quality

GOOD = {
    "n_frames": 6000,
    "n_left_out": 0,
    "frame_rate_hz": 30.0,
    "shift_most": 0.4,
    "shift_left": 0.02,
    "shift_with_run": 0.1,
    "kept_pixels": 0.7,
    "slope": 1.1,
    "odd_slopes": 0.0,
    "correlation_before": 0.6,
    "correlation_after": -0.1,
    "sustained_kept": 0.9,
}
FAULTS = {
    "left out": {"n_left_out": 200},
    "shift, largest (px)": {"shift_most": 3.0},
    "left after (px)": {"shift_left": 0.3},
    "shift with behaviour (r)": {"shift_with_run": -0.6},
    "pixels kept": {"kept_pixels": 0.05},
    "blood slope, median": {"slope": -0.5},
    "slopes outside 0 to 5": {"odd_slopes": 0.4},
    "r with reference after": {"correlation_after": -0.9},
    "sustained running kept": {"sustained_kept": 0.02},
}


def page_of(*numbers):
    sessions = [Session(f"m{k}/a", one, {}, {}) for k, one in enumerate(numbers)]
    return render_quality("made", sessions, [("dF/F, F0: mean", "whole session")])


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

    def test_a_session_without_a_number_has_an_empty_cell(self):
        page = page_of(GOOD, {"n_frames": 100, "n_left_out": 0})
        assert page.count('<td class="number"></td>') == 9

    def test_numbers_have_a_true_minus_and_nothing_has_no_sign(self):
        page = page_of(GOOD | {"correlation_before": -0.001, "correlation_after": -0.21})
        assert ">0.00<" in page and ">−0.21<" in page


class TestWriteQuality:
    @pytest.fixture
    def folder(self, tmp_path):
        (tmp_path / "quality").mkdir()
        rng = np.random.default_rng(0)
        for name in ("m1", "<m2>"):
            images = {"mean": rng.random((20, 20)), "mask": np.ones((20, 20), bool)}
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
        page = write_quality(folder).read_text("utf-8")
        assert page.count("<details") == 2 and page.count("<img src") == 4
        assert "&lt;m2&gt;/a" in page and "<m2>" not in page
        assert page.count("2 frames are dark") == 2
        assert "transductive" in page
        assert "http" not in page.split("</style>")[1]

    def test_a_folder_of_something_else(self, tmp_path):
        with pytest.raises(DataError, match="holds no session"):
            write_quality(tmp_path)
