"""Cortex beside confounds: description, and the verdict that may claim."""

import numpy as np
import pandas as pd
import pytest

from corticode.data.session import Session
from corticode.data.targets import Target
from corticode.data.windows import WindowShape, cut_windows
from corticode.decode.predictions import Predictions
from corticode.errors import DataError
from corticode.evaluate.confounds import (
    CAVEAT,
    CLAIMED,
    NONE_BEYOND,
    NOT_SEPARABLE,
    analyse_confounds,
    confound_rows,
    confounds_within_animals,
    control_names,
    describe_beside,
    judge,
)
from corticode.evaluate.intervals import Interval

NAN = np.nan


def ends(low, high, n=5):
    return Interval((low + high) / 2, low, high, n, "")


@pytest.mark.parametrize(
    ("cleaned", "gain", "reliability", "verdict"),
    [
        (ends(0.60, 0.80), ends(0.01, 0.05), 0.9, CLAIMED),
        (ends(0.521, 0.80), ends(0.001, 0.05), 0.3, CLAIMED),
        # Each of the three that a claim needs, missed alone.
        (ends(0.519, 0.80), ends(0.01, 0.05), 0.9, NOT_SEPARABLE),
        (ends(0.60, 0.80), ends(-0.01, 0.05), 0.9, NOT_SEPARABLE),
        (ends(0.60, 0.80), ends(0.01, 0.05), 0.29, NOT_SEPARABLE),
        (ends(0.60, 0.80), ends(0.01, 0.05), NAN, NOT_SEPARABLE),
        (ends(0.60, 0.80, n=2), ends(0.01, 0.05, n=2), 0.9, NOT_SEPARABLE),
        (ends(0.46, 0.54), ends(-0.01, 0.02), 0.9, NONE_BEYOND),
        (ends(0.46, 0.56), ends(-0.01, 0.02), 0.9, NOT_SEPARABLE),
        (ends(0.505, 0.54), ends(-0.01, 0.02), 0.9, NOT_SEPARABLE),
        (ends(0.46, 0.54), ends(-0.01, 0.02), 0.2, NOT_SEPARABLE),
        (ends(NAN, NAN, n=0), ends(0.01, 0.05), 0.9, NOT_SEPARABLE),
    ],
)
def test_verdicts(cleaned, gain, reliability, verdict):
    assert judge(cleaned, gain, reliability) == verdict


def test_values_are_judged_on_the_same_share_of_what_can_be():
    assert judge(ends(0.05, 0.3), ends(0.01, 0.1), 0.9, chance=0.0) == CLAIMED
    assert judge(ends(0.03, 0.3), ends(0.01, 0.1), 0.9, chance=0.0) == NOT_SEPARABLE
    assert judge(ends(-0.05, 0.09), ends(-0.01, 0.1), 0.9, chance=0.0) == NONE_BEYOND


def cohort(noise, seed, *, kind="binary", n_sessions=3):
    """Predictions of one decoder, sessions of validation and of test."""
    rng = np.random.default_rng(9)
    n = 400
    run = (np.cumsum(rng.random(n_sessions * n) < 0.05) % 2).astype(np.float32)
    own = np.random.default_rng(seed)
    raw = 2 * run - 1 + noise * own.normal(size=run.size)
    score = raw if kind == "value" else 1 / (1 + np.exp(-raw))
    return Predictions(
        part=np.repeat([1, 2, 2], n).astype(np.int8),
        animal=np.repeat([0, 1, 1], n).astype(np.int16),
        session=np.repeat([0, 1, 2], n).astype(np.int16),
        frame=np.tile(np.arange(n), n_sessions).astype(np.int32),
        target=run,
        score=score.astype(np.float32),
        kind=kind,
        animal_names=("m1", "m2"),
        session_names=("a", "b", "c"),
    )


def test_two_that_know_different_things_are_better_together():
    cortex, confounds = cohort(2.0, 1), cohort(2.0, 2)
    found = describe_beside(cortex, confounds)
    assert found[["animal", "session"]].to_numpy().tolist() == [["m2", "b"], ["m2", "c"]]
    assert (found["stack"] > found[["cortex", "confounds"]].max(axis=1)).all()
    # Among moments that confounds score alike cortex still tells its own.
    assert (found["strata"] > 0.65).all()


def test_one_that_repeats_the_confounds_adds_nothing():
    confounds = cohort(2.0, 2)
    found = describe_beside(confounds, confounds)
    np.testing.assert_allclose(found["stack"], found["confounds"], atol=1e-6)


def test_windows_are_matched_by_name_and_frame():
    cortex, confounds = cohort(2.0, 1), cohort(2.0, 2)
    shuffled = confounds.where(np.random.default_rng(0).permutation(confounds.n_windows)[:900])
    found = describe_beside(cortex, shuffled)
    by_hand = describe_beside(
        *(one.where(np.sort(np.random.default_rng(0).permutation(1200)[:900]))
          for one in (cortex, confounds)))  # fmt: skip
    pd.testing.assert_frame_equal(found, by_hand)
    assert found["n_windows"].sum() < 800


def test_values():
    found = describe_beside(cohort(1.0, 1, kind="value"), cohort(1.0, 2, kind="value"))
    assert (found["stack"] > found[["cortex", "confounds"]].max(axis=1)).all()
    assert found["strata"].isna().all()


def test_classes():
    def of_classes(noise, seed):
        binary = cohort(noise, seed)
        rng = np.random.default_rng(3)
        target = (rng.integers(0, 3, 60).repeat(20)).astype(np.float32)
        raw = np.eye(3)[target.astype(int)] * 2 + noise * np.random.default_rng(seed).normal(
            size=(1200, 3)
        )
        score = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
        fields = {name: getattr(binary, name) for name in ("part", "animal", "session", "frame")}
        return Predictions(**fields, target=target, score=score.astype(np.float32), kind="classes",
                           animal_names=("m1", "m2"), session_names=("a", "b", "c"),
                           classes=("groom", "rest", "run"))  # fmt: skip

    found = describe_beside(of_classes(1.5, 1), of_classes(1.5, 2))
    assert (found["stack"] > found[["cortex", "confounds"]].max(axis=1) + 0.02).all()
    assert (found["strata"] > 0.6).all()


def test_what_cannot_be_set_side_by_side():
    cortex = cohort(2.0, 1)
    with pytest.raises(DataError, match="decode other targets"):
        describe_beside(cortex, cohort(2.0, 1, kind="value"))
    with pytest.raises(DataError, match="share no window"):
        describe_beside(cortex.of_part("test"), cohort(2.0, 2).of_part("valid"))


def scores(cleaned):
    names = ("gru", control_names("gru")[1])
    rows = [
        [name, f"m{k}", "auc", value]
        for name, values in zip(names, ([0.9] * len(cleaned), cleaned), strict=True)
        for k, value in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=["condition", "animal", "metric", "value"])


def described(n=4, gain=0.05):
    rows = [
        {"animal": f"m{k}", "session": "a", "confounds": 0.7 + 0.01 * k, "cortex": 0.9,
         "stack": 0.7 + 0.01 * k + gain + 0.002 * k, "strata": 0.6, "fold": f"f{k}", "seed": 0}
        for k in range(n)
    ]  # fmt: skip
    return [pd.DataFrame([row]) for row in rows]


def test_the_table_and_its_words():
    found = analyse_confounds(
        described(), scores([0.80, 0.82, 0.81, 0.84]), "gru", 0.7, "outside brain"
    )
    assert found.verdict == CLAIMED
    assert found.words.startswith("Decoding exceeds the measured confounds: with confounds removed")
    assert (
        "measurements of outside brain agree (partial correlation 0.70; 4 animals)" in found.words
    )
    assert found.words.endswith(CAVEAT)
    table = confound_rows(found, "gru")
    cohort_rows = table[table["animal"] == "cohort"].set_index("input")
    assert cohort_rows.loc["confounds only", "value"] == pytest.approx(0.715)
    assert cohort_rows.loc["cortex, confounds removed and refitted", "value"] == pytest.approx(
        0.8175
    )
    assert len(table) == 7 * 5
    for word in ("neural", "explained", "artefact"):
        assert word not in found.words


def test_without_refits_nothing_is_claimed():
    table = scores([0.8] * 4)
    found = analyse_confounds(described(), table[table["condition"] == "gru"], "gru", 0.7)
    assert found.verdict == NOT_SEPARABLE
    assert "no decoder was refitted" in found.words
    with pytest.raises(DataError, match="no score of 'lstm'"):
        analyse_confounds(described(), table, "lstm", 0.7)


def test_behaviour_columns_are_measured_once_and_claim_nothing():
    table = scores([0.80, 0.82, 0.81, 0.84])
    found = analyse_confounds(described(), table, "gru", columns=("whisking", "pupil"))
    assert (found.confounds, found.verdict) == ("whisking, pupil", NOT_SEPARABLE)
    # Decoders of traces that other confounds were removed from say nothing of these.
    assert found.animals["cleaned"].isna().all()
    assert "whisking and pupil are each measured once, and a claim needs two" in found.words
    assert "AUC is 0.715 (95 % CI" in found.words
    assert confound_rows(found, "gru")["confounds"].unique().tolist() == ["whisking, pupil"]


def of_sessions(make, *, target=None, n_sessions=2, animals=("m1", "m2"), rate=None):
    """Windows of confounds; `make` gives a session's (frame, confound) from running and an rng."""
    sessions = []
    for animal in animals:
        for k in range(n_sessions):
            rng = np.random.default_rng([k, *animal.encode()])
            run = (np.cumsum(rng.random(1500) < 0.03) % 2).astype(float)
            state = np.where(run > 0, "run", np.where(np.arange(1500) // 40 % 2, "groom", "rest"))
            behavior = {"run": run, "speed": run * 4 + 0.2 * rng.normal(size=1500), "state": state}
            traces = make(animal, behavior, rng)
            names = tuple(map(str, range(traces.shape[1])))
            sessions.append(Session(animal, f"s{k}", traces, names, behavior,
                                    np.zeros(1500, int), rate))  # fmt: skip
    return cut_windows(sessions, target or Target("run"), WindowShape(1, 1))


def opposite(animal, behavior, rng):
    """Light that rises with running in one animal and falls in the other."""
    sign = 1 if animal == "m1" else -1
    return (sign * behavior["run"] + 0.5 * rng.normal(size=1500))[:, None]


def test_within_an_animal_confounds_tell_what_no_other_animal_teaches():
    found = confounds_within_animals(of_sessions(opposite), every=3).set_index("animal")["value"]
    assert found.index.tolist() == ["m1", "m2"]
    assert (found > 0.95).all()
    nothing = of_sessions(lambda animal, behavior, rng: rng.normal(size=(1500, 3)))
    none = confounds_within_animals(nothing, every=3)["value"]
    np.testing.assert_allclose(none, 0.5, atol=0.1)


def test_within_an_animal_of_one_session_parts_of_it_are_left_out():
    one = confounds_within_animals(of_sessions(opposite, n_sessions=1), every=3)["value"]
    assert (one > 0.95).all()
    nothing = of_sessions(lambda animal, behavior, rng: rng.normal(size=(1500, 3)), n_sessions=1)
    np.testing.assert_allclose(confounds_within_animals(nothing, every=3)["value"], 0.5, atol=0.12)


@pytest.mark.parametrize("target", [Target("speed", "value"), Target("state", "classes")])
def test_within_an_animal_of_values_and_classes(target):
    def confounds(animal, behavior, rng):
        state = (behavior["state"] == "groom") + 0.3 * rng.normal(size=1500)
        return np.column_stack([opposite(animal, behavior, rng)[:, 0], state])

    found = confounds_within_animals(of_sessions(confounds, target=target), every=3)["value"]
    # Of the values, noise over three frames leaves 0.75 to explain.
    assert (found > (0.65 if target.kind == "value" else 0.95)).all()


def test_within_an_animal_sessions_that_hardly_vary_have_no_r2():
    def still(animal, behavior, rng):
        if animal == "m2":
            behavior["speed"] = 1e-3 * behavior["speed"]
        return opposite(animal, behavior, rng)

    windows = of_sessions(still, target=Target("speed", "value"))
    found = confounds_within_animals(windows, every=3).set_index("animal")["value"]
    assert found["m1"] > 0.65
    assert np.isnan(found["m2"])


def test_within_an_animal_without_a_score_there_is_none():
    # Five seconds of both classes are needed where the frame rate is known.
    windows = of_sessions(opposite, rate=5000.0)
    assert confounds_within_animals(windows)["value"].isna().all()
