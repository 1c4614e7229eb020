import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from corticode.decode.predictions import Predictions, join
from corticode.errors import DataError
from corticode.evaluate.metrics import binary_scores
from corticode.evaluate.references import compare_with_references, shift_references


def said(target, score=None, *, animal="m1", session="a", frame=None, part=2, kind="binary"):
    """Predictions of one session."""
    target = np.asarray(target, np.float32)
    n = target.size
    score = target if score is None else np.asarray(score, np.float32)
    frame = np.arange(n) if frame is None else np.asarray(frame)
    code = np.zeros(n, np.int16)
    part = np.full(n, part, np.int8)
    return Predictions(
        part,
        code,
        code,
        frame.astype(np.int32),
        target,
        score,
        kind,
        (animal,),
        (session,),
    )


def persistence_auc(predictions, shift, later=None):
    return shift_references(predictions, later or predictions, shift)["persistence_auc"]


def unshifted_auc(predictions, shift, later=None):
    return shift_references(predictions, later or predictions, shift)["unshifted_auc"]


def bouts(*lengths):
    """Stretches of 0 and 1 in turn."""
    return np.repeat(np.arange(len(lengths)) % 2, lengths).astype(np.float32)


# Seven bouts, from 0 to 0.
LABEL = bouts(8, 5, 3, 9, 6, 4, 10)


def test_persistence_by_hand():
    # Pairs one frame apart in 45 frames: 44; the label changes at 6 of them, 3 up and 3 down.
    # n11 = 18 - 3 = 15, n10 = n01 = 3, n00 = 23; phi = (15 * 23 - 9) / (18 * 26).
    found = persistence_auc(said(LABEL), 1)
    assert found.index.tolist() == [("m1", "a")]
    assert found.iloc[0] == pytest.approx((1 + (15 * 23 - 9) / (18 * 26)) / 2)
    # Sensitivity 15 / 18, specificity 23 / 26.
    assert found.iloc[0] == pytest.approx((15 / 18 + 23 / 26) / 2)


@pytest.mark.parametrize("shift", [-7, -1, 0, 1, 7])
def test_persistence_is_the_auc_of_the_rule_as_it_is_now(shift):
    # The ends are 0 for longer than the shift: both ends of the pairs hold the same share of 1.
    now = LABEL[max(0, -shift) : LABEL.size - max(0, shift)]
    then = LABEL[max(0, shift) : LABEL.size - max(0, -shift)]
    direct = binary_scores(then, now)["auc"]
    assert persistence_auc(said(LABEL), shift).iloc[0] == pytest.approx(direct)


@given(st.lists(st.integers(1, 12), min_size=9, max_size=15), st.integers(-9, 9))
def test_persistence_of_any_label(lengths, shift):
    label = bouts(*lengths)
    assume(label.size > abs(shift) + 5)
    now = label[max(0, -shift) : label.size - max(0, shift)]
    then = label[max(0, shift) : label.size - max(0, -shift)]
    found = persistence_auc(said(label), shift).iloc[0]
    if np.isnan(found):
        n_changes = np.count_nonzero(np.diff(then))
        assert n_changes < 6 or np.ptp(now) == 0
        return
    rho = np.corrcoef(now, then)[0, 1]
    assert found == pytest.approx((1 + rho) / 2, abs=1e-6)
    # What the rule itself scores differs by the shares of 1 at both ends alone.
    direct = binary_scores(then, now)["auc"]
    assert 2 * direct - 1 == pytest.approx(rho * now.std() / then.std(), abs=1e-6)


def test_the_unshifted_decoder_by_hand():
    score = np.random.default_rng(0).random(LABEL.size).astype(np.float32)
    for shift in (-4, 3):
        now = score[max(0, -shift) : LABEL.size - max(0, shift)]
        then = LABEL[max(0, shift) : LABEL.size - max(0, -shift)]
        expected = binary_scores(then, now)["auc"]
        found = unshifted_auc(said(LABEL, score), shift)
        assert found.index.tolist() == [("m1", "a")]
        assert found.iloc[0] == expected


def test_pairs_stay_within_their_session_and_part():
    score = np.random.default_rng(1).random((3, LABEL.size)).astype(np.float32)
    one = said(LABEL, score[0], session="a")
    other = said(1 - LABEL, score[1], session="b")
    same_name = said(LABEL, score[2], animal="m2", session="a")
    valid = said(1 - LABEL, score[1], part=1)
    both = join([valid, same_name, other, one])
    found = unshifted_auc(both, 2)
    assert found.to_dict() == {
        ("m2", "a"): unshifted_auc(same_name, 2).iloc[0],
        ("m1", "b"): unshifted_auc(other, 2).iloc[0],
        ("m1", "a"): unshifted_auc(one, 2).iloc[0],
    }


def test_frames_without_a_window_or_a_target_make_no_pair():
    score = np.random.default_rng(2).random(LABEL.size).astype(np.float32)
    kept = np.delete(np.arange(LABEL.size), [0, 10, 20, 44])
    unknown = LABEL.copy()
    unknown[30] = np.nan
    found = unshifted_auc(said(unknown[kept], score[kept], frame=kept), 3).iloc[0]
    now = np.array([t for t in kept if t + 3 in kept and 30 not in (t, t + 3)])
    assert found == binary_scores(LABEL[now + 3], score[now])["auc"]


def test_labels_of_the_shifted_decoder_keep_pairs_from_crossing_a_gap():
    score = np.random.default_rng(3).random(LABEL.size).astype(np.float32)
    unshifted = said(LABEL, score)
    # A gap before frame 20: the shifted decoder's targets at 20 to 24 would look across it.
    frames = np.delete(np.arange(5, LABEL.size), np.arange(15, 20))
    shifted = said(LABEL[frames], frame=frames)
    expected = binary_scores(LABEL[frames], score[frames - 5])["auc"]
    assert unshifted_auc(unshifted, 5, shifted).iloc[0] == expected
    assert unshifted_auc(unshifted, 5).iloc[0] != expected
    now, then = LABEL[frames - 5], LABEL[frames]
    rho = np.corrcoef(now, then)[0, 1]
    assert persistence_auc(unshifted, 5, shifted).iloc[0] == pytest.approx((1 + rho) / 2)


def test_sessions_with_few_bouts_are_blank():
    few = said(bouts(20, 20))
    assert persistence_auc(few, 1).isna().all()
    assert unshifted_auc(few, 1).isna().all()


def test_a_label_that_does_not_change_at_the_present_is_blank():
    constant = said(np.zeros(LABEL.size))
    assert persistence_auc(constant, 3, said(LABEL)).isna().all()


def test_table_is_the_mean_over_the_sessions_of_an_animal():
    rng = np.random.default_rng(4)
    parts = [
        said(np.roll(LABEL, k), rng.random(LABEL.size), animal=animal, session=session)
        for k, (animal, session) in enumerate([("m1", "a"), ("m1", "b"), ("m2", "a")])
    ]
    blank = said(bouts(20, 20), animal="m2", session="b")
    whole = join([*parts, blank])
    for shift in (0, -3):
        table = compare_with_references(whole, whole, shift)
        assert table["animal"].tolist() == ["m1", "m2"]
        assert table["shift"].tolist() == [shift, shift]
        for name, line in (("persistence_auc", persistence_auc), ("unshifted_auc", unshifted_auc)):
            by_session = [line(part, shift).iloc[0] for part in parts]
            expected = [np.mean(by_session[:2]), by_session[2]]
            np.testing.assert_allclose(table[name], expected, rtol=1e-12)
        assert shift or table["persistence_auc"].tolist() == [1.0, 1.0]


def test_above_both_lines():
    clear = np.clip(LABEL, 0.1, 0.9)
    unshifted = said(LABEL, clear)
    knows = said(LABEL[3:], frame=np.arange(3, LABEL.size))
    table = compare_with_references(unshifted, knows, 3)
    assert table.columns.tolist() == [
        "animal",
        "shift",
        "auc",
        "persistence_auc",
        "unshifted_auc",
        "above_both",
    ]
    assert table.iloc[0].to_dict() | {"above_both": bool(table["above_both"].iloc[0])} == {
        "animal": "m1",
        "shift": 3,
        "auc": 1.0,
        "persistence_auc": persistence_auc(unshifted, 3).iloc[0],
        "unshifted_auc": unshifted_auc(unshifted, 3).iloc[0],
        "above_both": True,
    }
    # A decoder that says what is, whatever its shift, stands on the lines, not above them.
    guesses = said(LABEL[3:], clear[:-3], frame=np.arange(3, LABEL.size))
    table = compare_with_references(unshifted, guesses, 3)
    assert table["auc"].iloc[0] == table["unshifted_auc"].iloc[0]
    assert not table["above_both"].iloc[0]
    few = said(bouts(20, 20))
    assert compare_with_references(few, few, 1)["above_both"].isna().all()


class TestErrors:
    def test_values(self):
        values = said(LABEL, kind="value")
        with pytest.raises(DataError, match=r"of kind 'value'; reference lines of a shift are for"):
            persistence_auc(values, 1)

    def test_two_kinds(self):
        with pytest.raises(DataError, match="with kind 'binary' and 'value' do not go into one"):
            unshifted_auc(said(LABEL), 1, said(LABEL, kind="value"))

    @pytest.mark.parametrize("shift", [45, -45])
    def test_no_pair(self, shift):
        with pytest.raises(DataError, match=f"no two test frames lie {shift} apart within a sess"):
            persistence_auc(said(LABEL), shift)

    def test_no_test_part(self):
        with pytest.raises(DataError, match="no two test frames lie 1 apart"):
            persistence_auc(said(LABEL, part=1), 1)
