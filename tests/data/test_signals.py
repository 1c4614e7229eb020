import numpy as np
import pytest

from corticode.data.signals import (
    check_signals,
    extreme_finding,
    holds_events,
    holds_numbers,
    speed_unit_finding,
    was_category,
    wrap_finding,
)
from corticode.errors import BAD, Finding

NAN = np.nan


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array(["walk", "rest"]), True),
        (np.array([True, False]), True),
        (np.array([0.0, 1.0, NAN]), True),
        (np.arange(20), True),
        (np.arange(21), False),
        (np.array([0.0, 0.5]), False),
        (np.array([], float), True),
    ],
)
def test_categories_are_text_truth_values_or_few_whole_numbers(values, expected):
    assert was_category(values) is expected


def test_numbers_and_text():
    assert [holds_numbers(np.array([x])) for x in (1, 0.5, True, "a", None)] == [True] * 3 + [
        False
    ] * 2


def test_odd_signals_are_found_by_name():
    behavior = {
        "speed": np.linspace(0, 0.4, 100),
        "speed_left": np.linspace(0, 40, 100),
        "turn": np.linspace(0, 0.4, 100),
        "speed_class": np.array(["fast", "slow"]),
    }
    (finding,) = check_signals(behavior, "m1", "a")
    assert (finding.what, finding.animal, finding.session, finding.item) == (
        "unit",
        "m1",
        "a",
        "speed",
    )
    assert "is 0.396; between 3 and 120 is expected for cm/s" in finding.reason
    assert isinstance(finding, Finding)


def test_units_of_speed():
    assert speed_unit_finding(np.linspace(0, 40, 100), "speed") is None
    assert speed_unit_finding(np.linspace(0, 0.4, 100), "Speed_rs") == (
        "99th percentile of |Speed_rs| is 0.396; between 3 and 120 is expected for cm/s "
        "(metres per second, or encoder counts?)"
    )
    assert "is 4e+03;" in str(speed_unit_finding(np.full(9, -4000), "speed"))
    assert speed_unit_finding(np.full(9, 4000), "turn") is None
    assert speed_unit_finding(np.full(9, 0.4), "speed_norm") is None
    assert speed_unit_finding(np.full(9, NAN), "speed") is None
    assert speed_unit_finding(np.array(["fast"]), "speed") is None


def test_frames_without_a_value_are_told():
    speed = np.full(10, 30.0)
    speed[2:5] = np.nan
    [finding] = check_signals({"speed": speed, "trial": np.arange(10)}, "m1", "a")
    assert str(finding) == (
        "animal 'm1', session 'a', frames 'speed': 3 of 10 frames have no value; windows avoid them"
    )
    assert finding.count == 3


def test_events_are_0_and_1():
    for values in ([0, 1], [True], [0.0, np.nan, 1.0]):
        assert holds_events(np.array(values))
    for values in ([0, 2], [0.5], ["0", "1"]):
        assert not holds_events(np.array(values))


class TestExtremes:
    def test_a_spike_is_named_and_a_bout_is_not(self):
        speed = np.abs(np.random.default_rng(0).normal(size=2000)).cumsum() % 30
        assert check_signals({"v": speed}, "m1", "a") == []
        speed[[400, 401]] = 65_000
        (finding,) = check_signals({"v": speed}, "m1", "a")
        assert "2 frames hold values beyond 20 times" in finding.reason
        assert "(400 to 401)" in finding.reason
        assert (finding.count, finding.item, finding.code) == (2, "v", BAD)

    def test_rare_events_and_names_have_none(self):
        rare = np.zeros(2000)
        rare[[5, 900]] = 3.5
        names = np.array(["rest", "run"] * 1000)
        assert check_signals({"lick": rare, "state": names}, "m1", "a") == []
        assert extreme_finding(np.array([1.0, 900])) is None


class TestWraps:
    @pytest.mark.parametrize("period", [2 * np.pi, 360, 2**12, 2**16])
    def test_an_encoder_that_begins_anew(self, period):
        path = np.abs(np.random.default_rng(0).normal(size=3000)).cumsum() * period / 700
        wrapped = path % period
        (finding,) = check_signals({"x": wrapped}, "m1", "a")
        assert finding.count == int(path[-1] // period)
        first = int(np.argmax(path >= period))
        assert f"(frames {first}, " in finding.reason
        # A frame in which it happened is the mean of both sides.
        assert wrap_finding((wrapped[::2] + wrapped[1::2]) / 2)[1] == finding.count
        assert check_signals({"x": path}, "m1", "a") == []
        centred = (path + period / 2) % period - period / 2
        assert wrap_finding(centred)[1] in (finding.count, finding.count + 1)

    def test_a_corridor_that_ends_and_angles_at_random_do_not(self):
        assert wrap_finding(np.arange(3000.0) % 200) is None
        assert wrap_finding(np.random.default_rng(0).uniform(0, 360, 3000)) is None
