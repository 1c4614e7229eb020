"""Tests."""

from dataclasses import replace
from itertools import permutations
from math import factorial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import lfilter

from corticode.decode.predictions import Predictions
from corticode.errors import DataError
from corticode.evaluate.intervals import holm
from corticode.evaluate.metrics import binary_scores, score_windows
from corticode.evaluate.nulls import (
    FEWEST_BLOCKS,
    autocorrelation_time,
    day_of,
    day_trends,
    draw_derangements,
    draw_orders,
    draw_trial_orders,
    mean_known,
    n_orders,
    n_trial_orders,
    order_blocks,
    order_p,
    permute_blocks,
    permute_test_labels,
    score_orders,
    short_findings,
    short_sessions,
    slope_over_frames,
    smallest_p,
    usable_sessions,
)

BLOCKS = st.lists(st.integers(0, 3), min_size=1, max_size=9)
BOUTS = np.tile([0, 0, 1, 1], 5)


def label_of(n, rng, stay=0.9):
    """A label that stays as it is for a while, with several bouts."""
    while True:
        label = np.cumsum(rng.random(n) > stay) % 2
        if np.count_nonzero(np.diff(label)) > 7:
            return label.astype(np.float32)


def said(labels, scores, *, animal="m1", frames=None, kind="binary"):
    """Test predictions of sessions of one animal."""
    lengths = [len(label) for label in labels]
    frames = [np.arange(n) for n in lengths] if frames is None else frames
    n = sum(lengths)
    return Predictions(
        np.full(n, 2, np.int8),
        np.zeros(n, np.int16),
        np.repeat(np.arange(len(labels)), lengths).astype(np.int16),
        np.concatenate(frames).astype(np.int32),
        np.concatenate(labels).astype(np.float32),
        np.concatenate(scores).astype(np.float32),
        kind,
        (animal,),
        tuple(f"s{k}" for k in range(len(labels))),
    )


def noisy(labels, rng, noise):
    return [
        np.clip(0.5 + 0.2 * (label - 0.5) + noise * rng.normal(size=label.size), 0, 1)
        for label in labels
    ]


def auc(label, score):
    return binary_scores(label, score.astype(np.float32))["auc"]


def test_all_orders_by_brute_force():
    rng = np.random.default_rng(0)
    lengths = (60, 50, 55, 44)
    labels = [label_of(n, rng) for n in lengths]
    # Rounded scores have ties.
    decoders = [[s.round(1) for s in noisy(labels, rng, 0.2)] for _ in range(2)]
    found = permute_test_labels([said(labels, scores) for scores in decoders])
    values = []
    for order in permutations(range(4)):
        aucs = []
        for scores in decoders:
            for i, j in enumerate(order):
                n = min(lengths[i], lengths[j])
                aucs.append(auc(labels[j][:n], scores[i][:n]))
        values.append(np.mean(aucs))
    row = found.animals.iloc[0]
    assert row["value"] == pytest.approx(values[0])
    deranged = [
        value
        for order, value in zip(permutations(range(4)), values, strict=True)
        if all(i != j for i, j in enumerate(order))
    ]
    assert row["permuted_mean"] == pytest.approx(np.mean(deranged))
    assert row["p"] == np.mean(np.array(values) >= values[0] - 1e-12)
    assert (row["n_orders"], row["smallest_p"]) == (24, 1 / 24)
    assert "with 4 sessions, exchangeability of days cannot be checked" in row["note"]


def test_frames_are_matched_by_their_number():
    # The second decoder tests other frames: labels of another session come from the same frames.
    rng = np.random.default_rng(1)
    labels = [label_of(80, rng) for _ in range(2)]
    scores = noisy(labels, rng, 0.1)
    halves = [
        said(
            [label[part] for label in labels],
            [score[part] for score in scores],
            frames=[np.arange(80)[part]] * 2,
        )
        for part in (slice(0, 40), slice(40, 80))
    ]
    found = permute_test_labels(halves).animals.iloc[0]
    parts = (slice(0, 40), slice(40, 80))
    own = [[auc(labels[k][part], scores[k][part]) for part in parts] for k in (0, 1)]
    other = [[auc(labels[1 - k][part], scores[k][part]) for part in parts] for k in (0, 1)]
    assert found["value"] == pytest.approx(np.mean(own))
    assert found["permuted_mean"] == pytest.approx(np.mean(other))
    assert "cannot reach 0.05: with 2 sessions the smallest p is 0.5" in found["note"]


def test_planted_labels_are_found_and_others_are_not():
    rng = np.random.default_rng(2)
    labels = [label_of(100, rng) for _ in range(7)]
    true = permute_test_labels([said(labels, noisy(labels, rng, 0.2))])
    # The observed order may be drawn again.
    assert true.animals["p"].iloc[0] <= 0.003
    assert str(true) == (
        "1 of 1 animals with p < 0.05 by permuting whole sessions (expected by chance: 0.05)"
    )
    p = []
    for _ in range(30):
        others = [label_of(60, rng) for _ in range(4)]
        scores = noisy([label_of(60, rng) for _ in range(4)], rng, 0.1)
        p.append(permute_test_labels([said(others, scores)]).animals["p"].iloc[0])
    assert np.mean(p) == pytest.approx(0.5, abs=0.2)
    assert np.mean(np.array(p) < 0.05) < 0.2


def test_values_are_tested_by_their_correlation():
    rng = np.random.default_rng(12)
    values = [np.cumsum(rng.normal(size=60)) for _ in range(4)]
    scores = [one + 3 * rng.normal(size=60) for one in values]
    row = permute_test_labels([said(values, scores, kind="value")]).animals.iloc[0]
    found = [
        np.mean([np.corrcoef(scores[i], values[j])[0, 1] for i, j in enumerate(order)])
        for order in permutations(range(4))
    ]
    assert row["metric"] == "pearson_r"
    assert row["value"] == pytest.approx(found[0], abs=1e-6)
    assert row["p"] == np.mean(np.array(found) >= found[0] - 1e-9)


def test_classes_are_tested_by_the_mean_over_classes():
    rng = np.random.default_rng(13)
    labels = [rng.integers(0, 3, 20).repeat(4) for _ in range(5)]

    def predicted(noise):
        raw = np.eye(3)[np.concatenate(labels)] + noise * rng.normal(size=(400, 3))
        score = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
        like = said(labels, [np.full(80, 0.5)] * 5, kind="value")
        return replace(like, kind="classes", classes=("a", "b", "c"),
                       score=score.astype(np.float32))  # fmt: skip

    true = permute_test_labels([predicted(0.5)]).animals.iloc[0]
    assert (true["metric"], true["p"]) == ("auc", true["smallest_p"])
    assert true["value"] > 0.8
    assert true["permuted_mean"] == pytest.approx(0.5, abs=0.06)
    trends = permute_test_labels([predicted(0.5)]).trends
    assert set(trends["quantity"]) >= {"class_fraction", "mean_score"}
    nothing = permute_test_labels([predicted(50.0)]).animals.iloc[0]
    assert nothing["p"] > 0.05


def trending(rng, n_sessions=8):
    """Labels that run more from session to session."""
    return [(rng.random(120) < 0.15 + 0.09 * k).astype(np.float32) for k in range(n_sessions)]


def test_trends_keep_labels_between_neighbours():
    rng = np.random.default_rng(3)
    labels = trending(rng)
    said_of = [said(labels, noisy(labels, rng, 0.3))]
    found = permute_test_labels(said_of)
    trend = found.trends.set_index("quantity")
    assert trend.index.tolist() == ["run_fraction", "mean_score", "label_slope", "score_slope"]
    assert trend.loc["run_fraction", "pearson_r"] > 0.9
    assert trend.loc["run_fraction", "trends"]
    row = found.animals.iloc[0]
    assert (row["exchanged"], row["n_orders"]) == ("pairs of neighbouring sessions", 16)
    assert "sessions trend over days" in row["note"]
    assert row["note"].endswith(
        "; cannot reach 0.05: with 8 sessions in pairs the smallest p is 0.0625"
    )


def test_days_order_the_sessions():
    rng = np.random.default_rng(4)
    labels = trending(rng)
    days = {("m1", f"s{k}"): day for k, day in enumerate([3, 6, 1, 8, 2, 7, 4, 5])}
    found = permute_test_labels([said(labels, noisy(labels, rng, 0.3))], days=days)
    assert not found.trends.set_index("quantity").loc["run_fraction", "trends"]
    with pytest.raises(DataError, match="has no day"):
        permute_test_labels([said(labels, labels)], days={})


def test_each_animal_is_tested_alone():
    rng = np.random.default_rng(5)
    by_animal = {}
    for animal in ("m1", "m2"):
        labels = [label_of(70, rng) for _ in range(4)]
        by_animal[animal] = said(labels, noisy(labels, rng, 0.2), animal=animal)
    both = permute_test_labels(list(by_animal.values())).animals
    for k, one in enumerate(by_animal.values()):
        alone = permute_test_labels([one]).animals
        pd.testing.assert_series_equal(both.iloc[k], alone.iloc[0], check_names=False)


def test_nothing_to_test():
    found = permute_test_labels([said([np.zeros(30)] * 3, [np.zeros(30)] * 3)])
    assert found.animals.empty
    assert len(found.findings) == 3
    assert str(found).startswith("0 of 0 animals")


@pytest.mark.parametrize(
    ("predictions", "message"),
    [
        ([], "no predictions were given"),
        (
            [said([np.ones(3)], [np.ones(3)], kind=kind) for kind in ("value", "binary")],
            "of kinds binary, value",
        ),
    ],
)
def test_errors(predictions, message):
    with pytest.raises(DataError, match=message):
        permute_test_labels(predictions)


def test_blocks_by_hand():
    animals = ["m1", "m2", "m1", "m1", "m2", "m1", "m1"]
    days = [5, 1, 1, 2, 2, 4, 3]
    # m1 by day: sessions 2, 3, 6, 5, 0; pairs (2, 3), (6, 5), and 0 stays.
    assert order_blocks(animals, days, ["m1"]).tolist() == [2, 3, 0, 0, 3, 1, 1]
    assert order_blocks(animals, days).tolist() == [0, 1, 0, 0, 1, 0, 0]


def test_a_day_is_missing():
    with pytest.raises(DataError, match="2 sessions came with days of shape"):
        order_blocks(["m1", "m1"], [1])


def test_all_orders_are_given_where_few():
    orders = draw_orders(["m1", "m2", "m1", "m1"], 999)
    assert orders[0].tolist() == [0, 1, 2, 3]
    assert len(orders) == 6
    assert len({tuple(order) for order in orders}) == 6
    assert (orders[:, 1] == 1).all()


@given(BLOCKS, st.integers(1, 60), st.integers(0, 5))
def test_orders_stay_in_their_blocks(blocks, n_draws, seed):
    orders = draw_orders(blocks, n_draws, seed=seed)
    codes = np.array(blocks)
    assert orders[0].tolist() == list(range(len(blocks)))
    assert (np.sort(orders, axis=1) == np.arange(len(blocks))).all()
    assert (codes[orders] == codes).all()
    assert len(orders) == min(n_orders(blocks), n_draws + 1)


def test_drawn_orders_are_all_as_likely_with_fixed_points():
    orders = draw_orders([0] * 4, 22, seed=1)
    assert len(orders) == 23
    many = np.concatenate([draw_orders([0] * 4, 22, seed=k)[1:] for k in range(300)])
    _, counts = np.unique(many, axis=0, return_counts=True)
    assert counts.size == 24
    assert counts.min() > 0.75 * many.shape[0] / 24
    assert (many == np.arange(4)).mean() == pytest.approx(0.25, abs=0.02)


def test_smallest_p_by_hand():
    assert smallest_p([0] * 3 + [1] * 2) == 1 / 12
    assert smallest_p([0] * 12) == 1 / factorial(12)
    assert smallest_p([0] * 12, 999) == 0.001
    assert smallest_p([0, 1, 2]) == 1


def test_p_counts_the_observed_order():
    assert order_p([3, 1, 2, 2]) == 0.25
    assert order_p([2, 3, 2 + 1e-15, 1]) == 0.75
    assert order_p([1]) == 1
    assert order_p([1, np.nan, 0, 0]) == 0.5
    assert np.isnan(order_p([np.nan, 1]))


def sessions(n, **quantities):
    return pd.DataFrame({"animal": "m1", "session": range(n), "day": range(n), **quantities})


def test_trends_are_tested_from_six_sessions_on():
    found = day_trends(sessions(5, run_fraction=[1, 2, 3, 4, 5.0])).iloc[0]
    assert found["pearson_r"] == pytest.approx(1)
    assert np.isnan(found["p"])
    assert not found["trends"]
    # Of 720 orders, the observed one and its mirror image are as large.
    found = day_trends(sessions(6, run_fraction=[6, 5, 4, 3, 2, 1.0])).iloc[0]
    assert found["pearson_r"] == pytest.approx(-1)
    assert found["p"] == 2 / 720
    assert found["trends"]


def test_trend_without_spread_or_values():
    found = day_trends(sessions(7, flat=1.0, gaps=[np.nan] * 2 + [1, 3, 2, 5, 4]))
    assert np.isnan(found["pearson_r"].iloc[0])
    assert not found["trends"].any()
    assert found["n_sessions"].tolist() == [7, 5]
    assert day_trends(sessions(0, flat=[])).empty


def test_trends_are_found_by_chance_as_often_as_said():
    rng = np.random.default_rng(0)
    tables = [sessions(8, x=rng.normal(size=8)).assign(animal=f"m{k}") for k in range(300)]
    found = day_trends(pd.concat(tables), n_draws=199)
    assert (found["p"] < 0.05).mean() == pytest.approx(0.05, abs=0.03)
    # One family: three hundred tests of nothing find nothing.
    assert not found["trends"].any()
    assert found["p_holm"].tolist() == holm(found["p"]).tolist()


def test_derangements_move_every_session_that_can_move():
    orders = draw_derangements([0, 0, 0, 1, 1, 2], 50, seed=3)
    assert orders.shape == (50, 6)
    assert (orders[:, :5] != np.arange(5)).all()
    assert (orders[:, 5] == 5).all()
    assert (np.sort(orders, axis=1) == np.arange(6)).all()
    assert draw_derangements([0, 1, 2]).shape == (0, 3)


def test_from_ten_sessions_on_the_p_of_pairs_stands_beside():
    rng = np.random.default_rng(8)
    labels = [label_of(80, rng) for _ in range(10)]
    row = permute_test_labels([said(labels, noisy(labels, rng, 0.2))]).animals.iloc[0]
    assert row["exchanged"] == "all sessions"
    assert row["p"] <= 0.003
    # Five pairs give 32 orders.
    assert row["p_pairs"] == 1 / 32
    assert "exchangeability" not in row["note"]
    nine = permute_test_labels([said(labels[:9], noisy(labels[:9], rng, 0.2))]).animals.iloc[0]
    assert np.isnan(nine["p_pairs"])
    assert "with 9 sessions, exchangeability of days cannot be checked" in nine["note"]


def test_trends_need_a_day():
    with pytest.raises(DataError, match="no column day"):
        day_trends(sessions(6).drop(columns="day"))


def said_of_days(targets, animals=None):
    """Predictions of a session for each target trace, all scores alike."""
    animals = animals or ["m1"] * len(targets)
    names = tuple(dict.fromkeys(animals))
    lengths = [len(target) for target in targets]
    n = sum(lengths)
    return Predictions(
        np.full(n, 2, np.int8),
        np.repeat([names.index(a) for a in animals], lengths).astype(np.int16),
        np.repeat(np.arange(len(targets)), lengths).astype(np.int16),
        np.concatenate([np.arange(k) for k in lengths]).astype(np.int32),
        np.concatenate(targets).astype(np.float32),
        np.full(n, 0.5, np.float32),
        "binary",
        names,
        tuple(f"s{k}" for k in range(len(targets))),
    )


def test_short_and_blank_sessions_are_left_out_and_listed():
    targets = [BOUTS, BOUTS, BOUTS[:11], np.repeat([0, 1], 10), BOUTS]
    names, findings = usable_sessions([said_of_days(targets)])
    assert names == [("m1", "s0"), ("m1", "s1"), ("m1", "s4")]
    assert [finding.session for finding in findings] == ["s2", "s3"]
    assert "has 11 windows, under 60% of the median" in findings[0].reason
    assert "1 bout of 0" in findings[1].reason


def test_a_session_that_one_decoder_can_score_takes_part():
    blank = said_of_days([np.zeros(20), BOUTS])
    assert len(usable_sessions([blank])[0]) == 1
    assert len(usable_sessions([blank, said_of_days([BOUTS, BOUTS])])[0]) == 2


def test_sessions_come_animal_by_animal():
    names, _ = usable_sessions([said_of_days([BOUTS] * 4, ["m1", "m2", "m1", "m2"])])
    assert names == [("m1", "s0"), ("m1", "s2"), ("m2", "s1"), ("m2", "s3")]


def test_the_median_is_of_the_animal():
    lengths = {("m1", "a"): 10, ("m1", "b"): 10, ("m2", "a"): 100, ("m2", "b"): 100}
    assert short_sessions(lengths) == []
    lengths["m2", "c"] = 59
    assert short_sessions(lengths) == [("m2", "c")]
    assert short_findings(lengths)[0].animal == "m2"


def test_days():
    assert day_of(("m1", "a"), 3, None) == 3
    assert day_of(("m1", "a"), 3, {("m1", "a"): 7}) == 7
    with pytest.raises(DataError, match="session 'a' of animal 'm1' has no day"):
        day_of(("m1", "a"), 3, {})


def test_slope_and_mean():
    frame = np.array([0, 1, 3])
    assert slope_over_frames(frame, 2.0 * frame + 1) == pytest.approx(2)
    assert np.isnan(slope_over_frames(frame[:1], np.ones(1)))
    found = mean_known(np.array([[1, np.nan, 3], [np.nan] * 3]))
    assert found[0] == 2
    assert np.isnan(found[1])


def slow(n, time, rng):
    """An autoregressive signal of unit variance whose autocorrelation falls to 1/e in some time."""
    stays = np.exp(-1 / time)
    return lfilter([1], [1, -stays], rng.normal(size=n + 500) * np.sqrt(1 - stays**2))[500:]


class TestOneSession:
    def test_time_of_known_signals(self):
        rng = np.random.default_rng(0)
        assert autocorrelation_time(slow(40_000, 12, rng)) == pytest.approx(12, abs=2)
        assert autocorrelation_time(rng.normal(size=500)) == 1
        assert autocorrelation_time(np.ones(30)) == 30
        assert autocorrelation_time(np.full(30, np.nan)) == 30
        # A gap neither lengthens nor shortens it.
        with_gap = slow(40_000, 12, rng)
        with_gap[5000:9000] = np.nan
        assert autocorrelation_time(with_gap) == pytest.approx(12, abs=2)

    def test_permutations_by_brute_force(self):
        rng = np.random.default_rng(1)
        label = (slow(1500, 4, rng) > 0).astype(float)
        score = (label + rng.normal(size=1500)).round(1)
        # A gap without predictions, as between the parts of folds, and one without labels.
        frames = np.r_[0:700, 720:1500]
        label[900:910] = np.nan
        found = permute_blocks(label, [(frames, score[frames])], n_draws=19)
        length = found.block_frames
        assert length % 5 == 0
        assert found.n_blocks == 1500 // length >= FEWEST_BLOCKS
        n = found.n_blocks * length
        blocks, values = label[:n].reshape(-1, length), []
        for order in draw_orders(np.zeros(found.n_blocks, int), 19):
            permuted = np.full(1500, np.nan)
            permuted[:n] = blocks[order].ravel()
            values.append(binary_scores(permuted[frames], score[frames])["auc"])
        assert found.p == order_p(values) == found.smallest_p == 1 / 20
        assert found.permuted_mean == pytest.approx(np.mean(values[1:]))
        assert found.value == binary_scores(label[frames], score[frames])["auc"]
        assert found.p_shift <= 2 / 20

    def test_the_longer_time_counts(self):
        rng = np.random.default_rng(2)
        label = (rng.random(4000) > 0.5).astype(float)
        score = slow(4000, 20, rng)
        found = permute_blocks(label, [(np.arange(4000), score)], n_draws=9)
        assert found.block_frames == 5 * autocorrelation_time(score)

    def test_few_blocks_give_no_p(self):
        rng = np.random.default_rng(3)
        label = (slow(600, 20, rng) > 0).astype(float)
        found = permute_blocks(label, [(np.arange(600), label)], n_draws=9)
        assert np.isnan(found.p)
        assert found.n_orders == 0
        assert "20 are needed: record for longer, or several sessions" in found.reason

    def test_a_drift_gives_no_p(self):
        drift = np.linspace(-1, 1, 3000)
        reasons = []
        for seed in range(5):
            rng = np.random.default_rng(seed)
            label = (slow(3000, 3, rng) + drift > 0).astype(float)
            score = slow(3000, 3, rng) + drift
            found = permute_blocks(label, [(np.arange(3000), score)], n_draws=9)
            # Circular shifts find what is not there.
            assert np.isnan(found.p)
            assert found.p_shift <= 0.2
            reasons.append(found.reason)
        assert any("the label drifts over the session (r with time +0." in one for one in reasons)

    def test_levels_of_decoders_of_blocks_are_their_own(self):
        rng = np.random.default_rng(4)
        label = (slow(2000, 4, rng) > 0).astype(float)
        score = label + rng.normal(size=2000)
        parts = [np.arange(k, k + 500) for k in range(0, 2000, 500)]
        same = permute_blocks(label, [(part, score[part]) for part in parts], n_draws=19)
        moved = [(part, score[part] + 10 * k) for k, part in enumerate(parts)]
        assert permute_blocks(label, moved, n_draws=19) == same

    @pytest.mark.parametrize("kind", ["classes", "value"])
    def test_other_targets(self, kind):
        rng = np.random.default_rng(5)
        state = slow(1500, 3, rng)
        label = np.digitize(state, [-0.5, 0.5]).astype(float) if kind == "classes" else state
        score = np.eye(3)[label.astype(int)] if kind == "classes" else state + rng.normal(size=1500)
        found = permute_blocks(label, [(np.arange(1500), score)], kind, n_draws=19)
        assert (found.p, found.reason) == (1 / 20, "")

    def test_a_row_of_the_table(self):
        rng = np.random.default_rng(6)
        label = (slow(1500, 3, rng) > 0).astype(np.float32)
        score = np.clip(0.5 + 0.2 * (label - 0.5) + 0.2 * rng.normal(size=1500), 0, 1)
        halves = [
            said([label[part]], [score[part]], frames=[np.arange(1500)[part]])
            for part in (slice(0, 740), slice(760, 1500))
        ]
        row = permute_test_labels(halves).animals.iloc[0]
        assert row["p"] == row["smallest_p"] == 0.001
        assert row["n_blocks"] >= FEWEST_BLOCKS
        assert row["exchanged"].startswith("blocks of ")
        assert "p_shift is of circular shifts: too liberal" in row["note"]

    def test_a_session_is_judged_over_all_its_blocks(self):
        # Two bouts of each class in a block are too few, four in a session are not.
        half = np.tile([0.0, 1.0], 2).repeat(5)
        whole = [said([half], [half], frames=[np.arange(k, k + 20)]) for k in (0, 20)]
        names, findings = usable_sessions(whole)
        assert (names, findings) == ([("m1", "s0")], [])
        names, [finding] = usable_sessions(whole[:1])
        assert names == []
        assert "2 bouts of 0" in finding.reason

    @pytest.mark.study
    def test_false_positives_with_slow_signals_and_none_under_drift(self):
        """Blocks by the time of the label alone give 0.17 where scores are slower."""
        rng = np.random.default_rng(7)
        drift, p, n_without = np.linspace(-1.5, 1.5, 3000), [], 0
        for _ in range(120):
            label = (slow(3000, 5, rng) > 0.3).astype(float)
            score = slow(3000, 15, rng)
            p.append(permute_blocks(label, [(np.arange(3000), score)], n_draws=99).p)
        for _ in range(20):
            label = (slow(3000, 5, rng) + drift > 0.3).astype(float)
            score = slow(3000, 15, rng) + drift
            n_without += permute_blocks(label, [(np.arange(3000), score)], n_draws=99).reason != ""
        known = np.array(p)[~np.isnan(p)]
        assert known.size > 95
        assert np.mean(known <= 0.05) == pytest.approx(0.05, abs=0.05)
        assert n_without == 20


def trials(labels, scores):
    """Predictions of trials: their events lie 30 frames apart."""
    frames = [30 * np.arange(len(label)) for label in labels]
    return replace(said(labels, scores, frames=frames), of_trials=True)


class TestTrials:
    @pytest.mark.parametrize("kind", ["binary", "classes", "value"])
    def test_each_order_is_scored_as_by_itself(self, kind):
        rng = np.random.default_rng(0)
        n_classes = {"binary": 2, "classes": 3, "value": 20}[kind]
        label = rng.integers(0, n_classes, 30).astype(float)
        # Rounded, so that some are tied.
        score = rng.random((30, 3) if kind == "classes" else 30).round(1)
        orders = draw_trial_orders(label, 6, rng)
        assert np.array_equal(orders[:, 0], label)
        assert np.array_equal(np.sort(orders, axis=0), np.sort(label)[:, None].repeat(7, 1))
        name = {"binary": "auc", "classes": "auc", "value": "pearson_r"}[kind]
        one_by_one = [score_windows(order, score, kind)[name] for order in orders.T]
        np.testing.assert_allclose(score_orders(score, orders, kind), one_by_one)

    def test_find_what_is_there_in_a_single_session(self):
        rng = np.random.default_rng(1)
        label = rng.permutation(np.arange(60) % 2)
        found = permute_test_labels([trials([label], [0.3 + 0.4 * label + 0.1 * rng.random(60)])])
        (row,) = found.animals.to_dict("records")
        assert (row["value"], row["p"], row["smallest_p"]) == (1.0, 0.001, 0.001)
        assert (row["n_orders"], row["exchanged"]) == (1000, "trials within sessions")
        assert row["permuted_mean"] == pytest.approx(0.5, abs=0.01)
        assert "by permuting trials within sessions" in str(found)
        assert found.trends.empty

    def test_levels_of_sessions_are_no_decoding(self):
        # Sessions differ in the share of class 1 and in the level of scores.
        rng = np.random.default_rng(2)
        labels = [(rng.random(80) < share).astype(float) for share in (0.2, 0.5, 0.8)]
        scores = [0.3 * k + 0.2 * rng.random(80) for k in range(3)]
        (row,) = permute_test_labels([trials(labels, scores)]).animals.to_dict("records")
        assert row["p"] > 0.05

    def test_p_is_uniform_without_decoding(self):
        rng = np.random.default_rng(3)
        p = []
        for _ in range(60):
            label = [rng.permutation(np.arange(24) % 2) for _ in range(2)]
            score = [rng.random(24) for _ in range(2)]
            p.append(permute_test_labels([trials(label, score)]).animals["p"].iloc[0])
        assert 0.35 < np.mean(p) < 0.65 and np.mean(np.array(p) < 0.2) < 0.4

    def test_runs_of_like_labels_are_told_of(self):
        rng = np.random.default_rng(4)
        label = np.repeat([0, 1] * 5, 8)
        (row,) = permute_test_labels([trials([label], [rng.random(80)])]).animals.to_dict("records")
        assert "labels of neighbouring trials are more alike than by chance" in row["note"]

    def test_few_trials_of_a_class_and_how_many_orders_there_are(self):
        label = np.array([1.0] * 4 + [0.0] * 40)
        found = permute_test_labels([trials([label], [np.linspace(0, 1, 44)])])
        assert found.animals.empty
        (finding,) = found.findings
        assert finding.reason == "has 4 trials of 1: left out of the permutations"
        assert n_trial_orders(label, "binary") == 135751
        assert n_trial_orders(np.arange(40.0), "value") == np.inf
