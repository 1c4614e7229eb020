import numpy as np
import pytest

from corticode.data.signals import (
    check_signals,
    holds_events,
    holds_numbers,
    speed_unit_finding,
    was_category,
)
from corticode.errors import Finding

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
