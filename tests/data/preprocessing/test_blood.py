import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage, signal

from corticode.data.preprocessing.blood import (
    VARIANTS,
    BloodFit,
    CausalBlood,
    align_reference,
    blur_frames,
    check_variant,
    correct_blood,
    finish_coefficients,
    fit_blood,
    solve_products,
    sum_products,
)
from corticode.data.preprocessing.dff import Baseline, dff, fit_f0
from corticode.errors import DataError, StudyError

VECTOR = Path(__file__).parents[4] / "shared" / "formats" / "files" / "haemo"
RATE = 30.0
CAUSAL = [name for name, row in VARIANTS.items() if row.has_causal]
FITTED = [name for name, row in VARIANTS.items() if row.fitted != "none"]


def two_channels(n_frames=400, n_columns=3, seed=0):
    """dF/F of both channels: blood that shows 1.3 times as strongly in the calcium channel."""
    rng = np.random.default_rng(seed)
    time = np.arange(n_frames)[:, None] / RATE
    beat = 0.004 * np.sin(2 * np.pi * 10.5 * time) * np.ones(n_columns)
    slow = ndimage.gaussian_filter1d(rng.normal(size=(n_frames, n_columns)), 20, axis=0) * 0.05
    noise = 1e-4 * rng.normal(size=(2, n_frames, n_columns))
    return 1.3 * (beat + slow) + noise[0] + 0.002, beat + slow + noise[1]


def fitted(name, b, v, on="session", **how):
    coefficients = fit_blood(name, b, v, frame_rate_hz=RATE, **how)
    return BloodFit(
        name, finish_coefficients(name, coefficients), on, RATE, how.get("causal", False)
    )


@pytest.mark.skipif(not VECTOR.is_dir(), reason="no ../shared/formats/files/haemo")
@pytest.mark.parametrize(
    ("name", "right", "column"),
    [
        ("none", "none", None),
        ("difference", "difference of dF/F", "difference"),
        ("ratio", "ratio", "ratio"),
        ("regression-ramp", "OLS + ramp, blurred reference (Umit)", "umit_regression"),
        ("wfield", "wfield (high-pass 0.1 Hz both, low-pass 14 Hz reference)", "wfield"),
        ("braidyn", "BraiDyn-BC (0.01-10 Hz both, half-frame shift, OLS)", "braidyn"),
    ],
)
def test_as_the_reference_implementations_correct(name, right, column):
    vector = np.load(VECTOR / "vector.npz")
    rights = json.loads((VECTOR / "right.json").read_text())
    movie, reference = vector["B"].astype(float), vector["V"].astype(float)
    if VARIANTS[name].blur_pixels:
        reference = np.stack(
            [ndimage.gaussian_filter(frame, VARIANTS[name].blur_pixels) for frame in reference]
        )
    baseline = Baseline(VARIANTS[name].baseline)
    b, v = (
        dff(one, fit_f0(one, baseline)).reshape(len(one), -1).astype(float)
        for one in (movie, reference)
    )
    corrected = correct_blood(fitted(name, b, v), b, v)
    with_calcium = [np.corrcoef(trace, vector["calcium"])[0, 1] for trace in corrected.T]
    np.testing.assert_allclose(
        np.mean(with_calcium), rights["correlation_with_calcium"][right], atol=1e-5
    )
    if column is not None:
        value = corrected.reshape(movie.shape)[300, 2, 3]
        np.testing.assert_allclose(value, rights["frame300_row2_col3"][column], atol=3e-7)
        # BraiDyn's filter of order 10 in one piece loses four digits; ours is in pieces of order 2.
        np.testing.assert_allclose(corrected.reshape(movie.shape), vector[column], atol=5e-6)


@pytest.mark.skipif(not VECTOR.is_dir(), reason="no ../shared/formats/files/haemo")
@pytest.mark.parametrize(
    ("name", "column"), [("wfield", "wfield_rcoeffs"), ("braidyn", "braidyn_slope")]
)
def test_slopes_are_those_of_the_reference_implementations(name, column):
    vector = np.load(VECTOR / "vector.npz")
    b, v = (
        dff(vector[key], fit_f0(vector[key], Baseline(VARIANTS[name].baseline))).reshape(600, -1)
        for key in "BV"
    )
    slope = fit_blood(name, b, v, frame_rate_hz=RATE)[0]
    np.testing.assert_allclose(slope, vector[column].ravel(), atol=2e-4)


@pytest.mark.parametrize("name", FITTED)
def test_finds_the_planted_slope(name):
    b, v = two_channels()
    if VARIANTS[name].half_frame:
        b = 1.3 * np.concatenate([v[:1], (v[1:] + v[:-1]) / 2])
    # The heart beat's is drawn towards 1 by 256 frames' worth of a beat, of the 400 there are.
    right = (1.3 * 400 + 256) / (400 + 256) if name == "heartbeat" else 1.3
    np.testing.assert_allclose(fitted(name, b, v).coefficients[0], right, atol=0.01)


def test_a_slope_by_hand():
    b, v = np.array([[1.0], [2.0], [6.0]]), np.array([[0.0], [1.0], [2.0]])
    # Least squares: slope (1 * 0 ... ) = cov 5/3 over var 2/3, intercept 3 - 2.5.
    np.testing.assert_allclose(fit_blood("regression", b, v), [[2.5], [0.5]])


def test_ramp_is_that_of_least_squares():
    b, v = two_channels()
    b = b - 0.01 * np.linspace(0, 1, len(b))[:, None]
    design = np.column_stack([v[:, 0], np.ones(len(b)), np.arange(len(b)) / 10_000])
    right = np.linalg.lstsq(design, b[:, 0], rcond=None)[0]
    np.testing.assert_allclose(fit_blood("regression-ramp", b, v)[:, 0], right, rtol=1e-6)
    fit = fitted("regression-ramp", b, v)
    whole = correct_blood(fit, b, v)
    np.testing.assert_allclose(whole[:, 0], b[:, 0] - design @ right, atol=1e-9)
    np.testing.assert_allclose(correct_blood(fit, b[90:], v[90:], first_frame=90), whole[90:])


@pytest.mark.parametrize("name", ["regression", "regression-ramp", "heartbeat", "mean-reference"])
def test_sums_add_up_over_blocks_of_frames(name):
    b, v = two_channels(512)
    halves = [
        sum_products(name, b[rows], v[rows], frame_rate_hz=RATE, first_frame=rows.start)
        for rows in (slice(0, 256), slice(256, 512))
    ]
    np.testing.assert_allclose(
        solve_products(name, halves[0] + halves[1]),
        fit_blood(name, b, v, frame_rate_hz=RATE),
        rtol=1e-6,
    )


@pytest.mark.parametrize("name", FITTED)
def test_other_frames_have_no_say_in_a_fit(name):
    b, v = two_channels(600)
    frames = np.zeros(600, bool)
    frames[100:400] = True
    other = np.where(frames[:, None], b, 7.0), np.where(frames[:, None], v, -3.0)
    np.testing.assert_array_equal(
        fit_blood(name, b, v, frame_rate_hz=RATE, frames=frames),
        fit_blood(name, *other, frame_rate_hz=RATE, frames=frames),
    )


@pytest.mark.parametrize("name", CAUSAL)
def test_frame_by_frame_equals_batch(name):
    b, v = two_channels()
    b[50, 0], v[51, 1], b[0, 2] = np.nan, np.nan, np.nan
    fit = fitted(name, b, v, "warm-up", frames=np.arange(400) < 200, causal=True)
    batch, stream = correct_blood(fit, b, v), CausalBlood(fit)
    by_frame = np.concatenate([stream.correct(b[k : k + 1], v[k : k + 1]) for k in range(len(b))])
    np.testing.assert_allclose(by_frame, batch, atol=1e-6)
    assert np.isnan(batch).sum() == (2 if name == "none" else 3)
    # No frame depends on a later one.
    assert fit.look_ahead_frames == 0
    np.testing.assert_allclose(correct_blood(fit, b[:200], v[:200]), batch[:200], atol=1e-12)


def test_causal_high_pass_takes_what_is_slow():
    time = np.arange(1800) / RATE
    v = 0.01 * np.sin(2 * np.pi * time)[:, None]
    b = 1.5 * v + 0.05
    fit = fitted("wfield", b, v, "warm-up", causal=True)
    np.testing.assert_allclose(fit.coefficients, 1.5, atol=1e-4)
    np.testing.assert_allclose(correct_blood(fit, b, v)[900:], 0, atol=1e-5)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_missing_sample_costs_itself_alone(name):
    b, v = two_channels()
    holed = [b.copy(), v.copy()]
    holed[0][120, 0] = np.nan
    holed[1][121, 1] = np.inf
    whole = correct_blood(fitted(name, b, v), b, v)
    corrected = correct_blood(fitted(name, *holed), *holed)
    lost = np.argwhere(np.isnan(corrected)).tolist()
    assert lost == [[120, 0], *([[121, 1]] if name != "none" else [])]
    # A straight line over a frame is not the heart beat of 0.5 % that was there.
    off = np.nan_to_num(corrected - whole)
    if VARIANTS[name].half_frame:
        off[122, 1] = 0  # the reference's frame as it is, not brought half a frame forward
    np.testing.assert_allclose(off, 0, atol=1e-3)
    np.testing.assert_allclose(off[150:], 0, atol=2e-4)


@pytest.mark.parametrize("name", FITTED)
def test_a_flat_reference_has_slope_0_and_a_masked_pixel_none(name):
    b, v = two_channels()
    v[:, 1] = 0.0
    v[:, 2] = np.nan
    fit = fitted(name, b, v)
    # In the heart beat a single pixel without blood has what its neighbours have, less itself.
    assert fit.coefficients[0, 1] == pytest.approx(0, abs=1e-6) or name == "heartbeat"
    assert np.isnan(fit.coefficients[:, 2]).all()
    corrected = correct_blood(fit, b, v)
    assert np.isfinite(corrected[:, :2]).all() and np.isnan(corrected[:, 2]).all()


@pytest.mark.parametrize(("name", "pad"), [("wfield", 50), ("braidyn", 33)])
def test_a_session_shorter_than_its_filters_is_refused(name, pad):
    b, v = two_channels(pad)
    message = rf"needs more than {pad} frames in one piece .* there are {pad}\. .*regression"
    with pytest.raises(DataError, match=message):
        fit_blood(name, b, v, frame_rate_hz=RATE)
    with pytest.raises(DataError, match=message):
        correct_blood(BloodFit(name, np.ones((2, 3)), "training", RATE), b, v)
    longer = two_channels(pad + 1)
    assert np.isfinite(fit_blood(name, *longer, frame_rate_hz=RATE)).all()


@pytest.mark.parametrize("name", ["heartbeat", "mean-reference"])
def test_fast_fluctuations_need_64_frames(name):
    with pytest.raises(DataError, match=r"needs 64 frames .*'difference'"):
        fit_blood(name, *two_channels(63), frame_rate_hz=RATE)
    assert np.isfinite(fit_blood(name, *two_channels(64), frame_rate_hz=RATE)).all()


def test_stretches_shorter_than_the_filters_are_left_out():
    b, v = two_channels(300)
    frames = np.arange(300) < 200
    more = frames.copy()
    more[220:260] = True
    slopes = [fit_blood("wfield", b, v, frame_rate_hz=RATE, frames=x) for x in (frames, more)]
    np.testing.assert_array_equal(*slopes)


def test_what_cannot_be_is_refused():
    with pytest.raises(StudyError, match=r"'blod'.*none, difference, ratio"):
        check_variant("blod")
    with pytest.raises(StudyError, match=r"needs a reference channel .* blood = 'none'$"):
        check_variant("regression", has_reference=False)
    check_variant("none", has_reference=False)
    with pytest.raises(StudyError, match="needs frame_rate_hz"):
        check_variant("wfield")
    with pytest.raises(StudyError, match=r"above 0.1 Hz; at 0.2 frames"):
        check_variant("wfield", frame_rate_hz=0.2)
    with pytest.raises(StudyError, match="no causal form; with one are none, difference"):
        BloodFit("regression-ramp", np.zeros((3, 1)), causal=True)
    with pytest.raises(StudyError, match="fitted_on is 'test'"):
        BloodFit("difference", np.ones((1, 1)), "test")
    with pytest.raises(DataError, match=r"\(9, 2\) and the reference \(9, 3\)"):
        fit_blood("regression", np.zeros((9, 2)), np.zeros((9, 3)))
    with pytest.raises(DataError, match=r"mask has shape \(3,\).*\(2,\)"):
        finish_coefficients("regression", np.ones((2, 2)), mask=np.ones(3, bool))


def test_a_fit_over_the_session_is_transductive():
    b, v = two_channels()
    assert fitted("regression", b, v).is_transductive
    assert fitted("regression", b, v).look_ahead_frames == np.inf
    assert fitted("regression", b, v, "training").look_ahead_frames == 0
    assert fitted("wfield", b, v, "training").look_ahead_frames == np.inf
    assert not fitted("ratio", b, v).is_transductive


def test_heart_beat_slopes_are_smoothed_over_the_image_and_masked():
    b, v = two_channels(2048, 12)
    means = np.stack([b.mean(axis=1), v.mean(axis=1)], axis=1)
    # In two bands of pixels, with the means of all of them.
    bands = [
        fit_blood("heartbeat", b[:, c], v[:, c], frame_rate_hz=RATE, means=means)
        for c in (slice(0, 5), slice(5, 12))
    ]
    images = np.concatenate(bands, axis=1).reshape(-1, 3, 4)
    mask = np.ones((3, 4), bool)
    mask[0, 0] = False
    slope = finish_coefficients("heartbeat", images, mask=mask)
    assert slope.shape == (1, 3, 4)
    assert np.isnan(slope[0, 0, 0])
    np.testing.assert_allclose(slope[0][mask], (1.3 * 2048 + 256) / (2048 + 256), atol=0.02)


def test_without_a_heart_beat_in_common_the_slope_is_1():
    rng = np.random.default_rng(0)
    b, v = rng.normal(size=(2, 512, 2)) / 1000
    np.testing.assert_array_equal(fitted("heartbeat", b, v).coefficients, 1)


def test_edges_above_half_the_frame_rate_are_dropped():
    time = np.arange(400) / 15.0
    v = np.sin(2 * np.pi * 2 * time)[:, None] / 100
    for name in ("wfield", "braidyn"):
        shifted = 1.2 * v if name == "wfield" else 1.2 * np.r_[v[:1], (v[1:] + v[:-1]) / 2]
        slope = fit_blood(name, shifted, v, frame_rate_hz=15.0)[0]
        np.testing.assert_allclose(slope, 1.2, atol=0.01)


def test_the_filters_are_scipys():
    b, v = two_channels()
    high = signal.butter(2, 0.1, "high", fs=RATE)
    low = signal.butter(2, 14.0, "low", fs=RATE)
    x = signal.filtfilt(*high, b, axis=0, padlen=50)
    y = signal.filtfilt(*low, signal.filtfilt(*high, v, axis=0, padlen=50), axis=0, padlen=50)
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    slope = (x * y).sum(axis=0) / ((y * y).sum(axis=0) + 1e-10)
    np.testing.assert_allclose(
        correct_blood(fitted("wfield", b, v), b, v), x - slope * y, atol=1e-8
    )


def test_float32_stays_float32():
    b, v = (x.astype(np.float32) for x in two_channels())
    assert correct_blood(fitted("regression", b, v), b, v).dtype == np.float32


def test_scipy_is_loaded_when_a_filter_is_made():
    code = (
        "import sys, corticode.data.preprocessing.blood\n"
        "print([m for m in ('scipy.signal', 'scipy.ndimage', 'pandas') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_blur_is_scipys_and_takes_nothing_from_outside_the_mask():
    frames = np.random.default_rng(0).normal(size=(3, 8, 9))
    right = np.stack([ndimage.gaussian_filter(frame, 1.0) for frame in frames])
    np.testing.assert_allclose(blur_frames(frames, 1.0), right)
    np.testing.assert_array_equal(blur_frames(frames, 0), frames)
    mask = np.ones((8, 9), bool)
    mask[:, 5:] = False
    blurred = blur_frames(np.where(mask, 3.0, 1e6)[None], 1.0, mask=mask)[0]
    np.testing.assert_allclose(blurred[mask], 3.0)
    assert np.isnan(blurred[~mask]).all()


def test_noise_of_single_pixels_does_not_lower_the_slope_of_the_mean_reference():
    rng = np.random.default_rng(0)
    b, v = two_channels(1500, 400)
    b, v = (x + 0.008 * rng.normal(size=x.shape) for x in (b, v))
    slopes = {name: fitted(name, b, v).coefficients[0] for name in ("regression", "mean-reference")}
    np.testing.assert_allclose(np.median(slopes["mean-reference"]), 1.3, atol=0.05)
    assert np.median(slopes["regression"]) < 0.7


@pytest.mark.parametrize("name", ["regression", "heartbeat", "mean-reference"])
@pytest.mark.parametrize("delay", [0.5, -0.5])
def test_a_reference_exposed_half_a_frame_later_or_earlier(name, delay):
    time = np.arange(2048)[:, None] / RATE
    slow = np.sin(2 * np.pi * 0.1 * time) / 100

    def fast(at):
        return np.sin(2 * np.pi * 10.5 * at) / 100 + np.sin(2 * np.pi * 3.5 * at) / 200

    share = 0 if name == "regression" else 1
    b = (1.3 * (share * fast(time) + slow)).repeat(2, axis=1)
    v = (share * fast(time + delay / RATE) + slow).repeat(2, axis=1)
    fit = BloodFit(
        name,
        finish_coefficients(name, fit_blood(name, b, v, frame_rate_hz=RATE, delay_frames=delay)),
        "training",
        RATE,
        delay_frames=delay,
    )
    right = (1.3 * 2048 + 256) / (2048 + 256) if name == "heartbeat" else 1.3
    np.testing.assert_allclose(fit.coefficients[0], right, atol=0.005)
    assert fit.look_ahead_frames == (1 if delay < 0 else 0)
    # What is slow goes as the slope says.
    corrected = correct_blood(fit, b, v)
    slow_part = slow[:, 0] @ corrected[:, 0] / (slow[:, 0] @ slow[:, 0])
    np.testing.assert_allclose(slow_part, 1.3 - right, atol=0.01)


def test_a_delay_that_is_not_stated_is_found_in_the_heart_beat():
    time = np.arange(2048)[:, None] / RATE
    beat, later = (np.sin(2 * np.pi * 10.5 * (time + x / RATE)) / 100 for x in (0, 0.5))
    for name, right in (("heartbeat", 1.27), ("mean-reference", 1.3)):
        slope = fitted(name, (1.3 * beat).repeat(2, axis=1), later.repeat(2, axis=1))
        np.testing.assert_allclose(slope.coefficients, right, atol=0.01)


def test_a_delay_frame_by_frame_equals_batch():
    b, v = two_channels(60)
    v[30, 0] = np.nan
    fit = BloodFit("difference", np.ones((1, 3)), "warm-up", RATE, True, 0.5)
    stream = CausalBlood(fit)
    by_frame = np.concatenate([stream.correct(b[k : k + 1], v[k : k + 1]) for k in range(60)])
    np.testing.assert_allclose(by_frame, correct_blood(replace(fit, causal=False), b, v))
    early = replace(fit, delay_frames=-0.5)
    np.testing.assert_array_equal(correct_blood(early, b, v), b - v)
    with pytest.raises(StudyError, match=r"delay is -2 frames"):
        replace(fit, delay_frames=-2.0)


def test_aligned_by_hand():
    v = np.array([[0.0], [4.0], [8.0]])
    assert align_reference(v, 0.25).ravel().tolist() == [0, 3, 7]
    assert align_reference(v, -0.25).ravel().tolist() == [1, 5, 8]
    assert align_reference(v, 0).ravel().tolist() == [0, 4, 8]
    holed = np.array([[0.0], [np.nan], [8.0]])
    np.testing.assert_array_equal(align_reference(holed, 0.25).ravel(), [0, np.nan, 8])
    with pytest.raises(StudyError, match=r"1\.5 frames"):
        align_reference(v, 1.5)


def test_a_pixel_without_a_value_in_one_stretch_is_fitted_on_the_others():
    b, v = two_channels(768)
    b[256:512, 1] = np.nan
    for name in ("heartbeat", "mean-reference", "regression"):
        assert np.isfinite(fitted(name, b, v).coefficients).all()
