"""Confounds measured twice, and removed as if measured without error."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from corticode.data.confounds import (
    check_columns,
    least_reliable,
    measure_twice,
    reliability,
    remove_confounds,
    without_confounds,
)
from corticode.data.cues import MOTION_TERMS, regress_out
from corticode.data.session import Session
from corticode.data.targets import Target
from corticode.errors import DataError, MissingDataError

HZ = 30.0


def planted(seed, *, noise, n=20_000):
    """A label, a confound that follows it, two measurements of it, and fresh noise for traces."""
    rng = np.random.default_rng(seed)
    label = (np.cumsum(rng.random(n) < 0.02) % 2).astype(float)[:, None]
    amount = rng.gamma(4, 0.25, n)[:, None]
    confound = gaussian_filter1d(label * amount, 3, axis=0) + 0.3 * rng.normal(size=(n, 1))
    twice = [confound + noise * rng.normal(size=confound.shape) for _ in range(2)]
    return label, confound, twice, rng.normal(size=confound.shape)


def correlation(a, b):
    return float(np.corrcoef(a[:, 0], b[:, 0])[0, 1])


@pytest.mark.parametrize("noise", [0.0, 0.2, 0.4])
def test_an_artefact_is_removed_however_noisy_its_measurements(noise):
    label, confound, twice, own = planted(0, noise=noise)
    traces = 3 * confound + own
    assert correlation(traces, label) > 0.5
    (left,) = remove_confounds([traces], [twice[0]], [twice[1]], [label], HZ)
    assert abs(correlation(left, label)) < 0.08


@pytest.mark.parametrize("noise", [0.0, 0.2, 0.4])
def test_cortex_that_a_confound_follows_stays(noise):
    label, _, twice, own = planted(1, noise=noise)
    traces = label + own
    (left,) = remove_confounds([traces], [twice[0]], [twice[1]], [label], HZ)
    assert correlation(left, label) == pytest.approx(correlation(traces, label), abs=0.06)
    # Regressing out takes most of it, though the confound never touched the traces.
    assert correlation(regress_out(traces, twice[0], HZ), label) < correlation(left, label) - 0.1


def test_sessions_are_taken_together_and_frames_without_values_left_out():
    parts = [planted(seed, noise=0.4) for seed in (2, 3)]
    traces = [3 * confound + own for _, confound, _, own in parts]
    traces[0][100:120] = np.nan
    parts[1][2][0][50:60] = np.nan
    left = remove_confounds(
        traces, [p[2][0] for p in parts], [p[2][1] for p in parts], [p[0] for p in parts], HZ
    )
    assert [one.shape for one in left] == [(20_000, 1), (20_000, 1)]
    known = [np.isfinite(one[:, 0]) for one in left]
    assert (~known[0]).sum() == 20
    for one, part, which in zip(left, parts, known, strict=True):
        assert abs(correlation(one[which], part[0][which])) < 0.1


def test_too_few_frames():
    label, _, twice, own = planted(4, noise=0.3, n=200)
    with pytest.raises(DataError, match="200 frames of the animal are too few"):
        remove_confounds([own], [twice[0]], [twice[1]], [label], HZ)


def test_reliability_by_construction():
    rng = np.random.default_rng(0)
    label = (rng.random((4000, 1)) > 0.5).astype(float)
    true = rng.normal(size=(4000, 3))
    # Behaviour that both share is no agreement about the confound.
    sides = [np.hstack([true[:, :1] + rng.normal(size=(4000, 1)), 5 * label + rng.normal(
        size=(4000, 1)), true[:, 2:]]) for _ in range(2)]  # fmt: skip
    found = reliability(*sides, label, HZ)
    assert found[:2].tolist() == pytest.approx([0.5, 0.0], abs=0.05)
    # One measurement is none of two.
    assert np.isnan(found[2])


def test_the_worst_measured_confound_counts():
    measured = {"motion rows": 0.2, "motion columns": 0.9, "motion rows squared": 0.1}
    assert least_reliable(measured | {"outside brain": 0.6}) == ("outside brain", 0.6)
    assert least_reliable(measured | {"outside brain": 0.95}) == ("motion columns", 0.9)
    once = dict.fromkeys(measured, np.nan)
    name, value = least_reliable(once | {"outside brain": 0.6})
    assert name.startswith("motion")
    assert np.isnan(value)


def filmed(n_columns, n_frames=300):
    rng = np.random.default_rng(0)
    row, column = np.mgrid[:24, :n_columns]
    image = np.where(np.hypot(row - 11.5, column - n_columns / 2) < 8, 3000.0, 300.0)
    movie = image * (1 + 0.2 * rng.random(image.shape)) + rng.normal(size=(n_frames, *image.shape))
    zeros = np.zeros(n_frames, np.int32)
    return Session("m1", "a", rng.normal(size=(n_frames, 2)), ("1", "2"), {"run": zeros % 2}, zeros,
                   HZ, movie)  # fmt: skip


def test_measured_in_disjoint_parts_of_the_image():
    session = filmed(40)
    twice = measure_twice(session)
    assert twice.names == (*MOTION_TERMS, "outside brain")
    assert twice.first.shape == twice.second.shape == (300, 9)
    # The image is still: the measurements hold noise alone, which is not shared.
    errors = np.corrcoef(twice.first[:, 8], twice.second[:, 8])[0, 1]
    assert abs(errors) < 0.2
    assert (twice.first[:, 0] != twice.second[:, 0]).any()


def test_small_images_measure_motion_once():
    twice = measure_twice(filmed(30))
    np.testing.assert_array_equal(twice.first[:, :8], twice.second[:, :8])
    assert (twice.first[:, 8] != twice.second[:, 8]).any()


def test_what_is_missing_is_named():
    session = filmed(40)
    with pytest.raises(MissingDataError, match="session m1/a has no movie"):
        measure_twice(Session("m1", "a", session.traces, session.regions, {}, session.segment, HZ))
    no_rate = Session("m1", "a", session.traces, session.regions, session.behavior,
                      session.segment, None, session.movie)  # fmt: skip
    with pytest.raises(DataError, match="m1/a have no frame rate"):
        without_confounds([no_rate], Target("run"))


def behaved(n_sessions=3, **columns):
    """Sessions that run in bouts, with columns made of running."""
    sessions = []
    for k in range(n_sessions):
        rng = np.random.default_rng(k)
        run = (np.cumsum(rng.random(600) < 0.05) % 2).astype(int)
        made = {name: make(run, rng, k) for name, make in columns.items()}
        sessions.append(
            Session("m1", str(k), None, (), {"run": run} | made, np.zeros(600, int), HZ)
        )
    return sessions


def test_columns_that_are_the_target_or_contain_it_are_refused_at_once():
    sessions = behaved(
        copy=lambda run, rng, k: 3.0 * run + 1,
        turned=lambda run, rng, k: -run + 0.05 * rng.normal(size=run.size),
        near=lambda run, rng, k: run + 0.3 * rng.normal(size=run.size),
        # What goes with it in one of three sessions does not contain it.
        once=lambda run, rng, k: run * 1.0 if k == 0 else rng.normal(size=run.size),
        still=lambda run, rng, k: np.ones(run.size),
        state=lambda run, rng, k: np.where(run, "run", "rest"),
    )
    check_columns(sessions, ["near", "once"], Target("run"))
    with pytest.raises(DataError) as caught:
        check_columns(sessions, ["copy", "near", "turned", "still", "state"], Target("run"))
    told = str(caught.value)
    assert "'copy' contains what is decoded (correlation 1.000 in the median session" in told
    assert "'turned' contains" in told
    assert "'still' varies in no session; 'state' holds text" in told
    assert "'near'" not in told


def test_what_a_threshold_makes_of_a_signal_is_contained_in_it():
    sessions = behaved(speed=lambda run, rng, k: 10 * run + rng.random(run.size))
    speed = Target("speed", above=5)
    # 1 where the speed is above 5: the label itself under another name.
    with pytest.raises(DataError, match="'run' contains what is decoded"):
        check_columns(sessions, ["run"], speed)
    classes = behaved(
        state=lambda run, rng, k: np.where(
            run, "run", np.where(rng.random(run.size) < 0.5, "a", "b")
        )
    )
    with pytest.raises(DataError, match="'run' contains what is decoded"):
        check_columns(classes, ["run"], Target("state", kind="classes"))
