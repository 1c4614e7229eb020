from itertools import permutations

import numpy as np
import pytest

from corticode.decode.predictions import Predictions
from corticode.errors import DataError, StudyError
from corticode.evaluate.metrics import binary_scores
from corticode.evaluate.nulls import permute_test_labels


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
    assert row["chance"] == pytest.approx(np.mean(values))
    assert row["p"] == np.mean(np.array(values) >= values[0] - 1e-12)
    assert (row["n_orders"], row["smallest_p"]) == (24, 1 / 24)
    assert "exchangeability could not be checked with 4 sessions" in row["note"]


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
    assert found["chance"] == pytest.approx(np.mean([own, other]))
    assert "cannot reach 0.05: with 2 sessions the smallest p is 0.5" in found["note"]


def test_planted_labels_are_found_and_others_are_not():
    rng = np.random.default_rng(2)
    labels = [label_of(100, rng) for _ in range(7)]
    true = permute_test_labels([said(labels, noisy(labels, rng, 0.2))], within="all")
    # The observed order may be drawn again.
    assert true.animals["p"].iloc[0] <= 0.003
    assert str(true) == "1 of 1 animals above chance (p < 0.05 each, labels permuted)"
    p = []
    for _ in range(30):
        others = [label_of(60, rng) for _ in range(4)]
        scores = noisy([label_of(60, rng) for _ in range(4)], rng, 0.1)
        p.append(permute_test_labels([said(others, scores)]).animals["p"].iloc[0])
    assert np.mean(p) == pytest.approx(0.5, abs=0.2)
    assert np.mean(np.array(p) < 0.05) < 0.2


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
    assert permute_test_labels(said_of, within="all").animals["n_orders"].iloc[0] == 1000
    asked = permute_test_labels(said_of, within="pairs").animals.iloc[0]
    assert asked["n_orders"] == 16
    assert asked["note"] == "cannot reach 0.05: with 8 sessions in pairs the smallest p is 0.0625"


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
        assert both.iloc[k].to_dict() == alone.iloc[0].to_dict()


def test_nothing_to_test():
    found = permute_test_labels([said([np.zeros(30)] * 3, [np.zeros(30)] * 3)])
    assert found.animals.empty
    assert len(found.findings) == 3
    assert str(found).startswith("0 of 0 animals")


@pytest.mark.parametrize(
    ("predictions", "within", "error", "message"),
    [
        ([], "auto", DataError, "no predictions were given"),
        ([said([np.ones(3)], [np.ones(3)], kind="value")], "auto", DataError, "of kind value"),
        ([], "blocks", StudyError, "within is 'blocks'; it must be one of auto, all, pairs"),
    ],
)
def test_errors(predictions, within, error, message):
    with pytest.raises(error, match=message):
        permute_test_labels(predictions, within=within)
