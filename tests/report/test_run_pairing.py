import numpy as np
import pytest

from corticode.errors import StudyError
from corticode.evaluate.comparisons import PAIRED_T, SIGN_FLIP
from corticode.report.run_differences import Difference
from corticode.report.run_pairing import pair_runs

A = {"m1": 0.90, "m2": 0.80, "m3": 0.70, "m4": 0.60}
B = {"m1": 0.80, "m2": 0.75, "m3": 0.70, "m4": 0.55}


def test_numbers_by_hand(make_run):
    pairing = pair_runs(make_run(conditions={"gru": A}), make_run(conditions={"gru": B}))
    (found,) = pairing.paired
    assert (found.name, found.metric, found.settings) == ("gru", "auc", ())
    assert found.animals["animal"].tolist() == ["m1", "m2", "m3", "m4"]
    assert found.animals["difference"].tolist() == pytest.approx([0.10, 0.05, 0.0, 0.05])
    t, flip = (found.tests.set_index("method").loc[one] for one in (PAIRED_T, SIGN_FLIP))
    # Mean 0.05; SD sqrt(0.005 / 3), over sqrt(4); 97.5 % of t with 3 degrees of freedom: 3.18245.
    reach = 3.182446 * np.sqrt(0.005 / 3) / 2
    assert t["effect"] == pytest.approx(0.05)
    assert (t["low"], t["high"]) == pytest.approx((0.05 - reach, 0.05 + reach))
    # t = sqrt(6), 3 degrees of freedom.
    assert t["p"] == pytest.approx(0.09172, abs=1e-5)
    # Of the 8 signs of three differences, all + and all - reach the sum 0.2.
    assert flip["p"] == pytest.approx(0.25)
    assert flip["smallest_p"] == pytest.approx(0.125)
    assert t["n"] == 4


def test_p_values_are_adjusted_over_the_paired_conditions(make_run):
    a = make_run(conditions={"gru": A, "rnn": A, "lstm": A})
    b = make_run(conditions={"gru": B, "rnn": B})
    pairing = pair_runs(a, b)
    assert [one.name for one in pairing.paired] == ["gru", "rnn"]
    assert pairing.only_a == ("lstm",)
    tests = pairing.paired[1].tests
    assert tests["p_holm"].tolist() == pytest.approx((2 * tests["p"]).tolist())


def test_other_settings_are_paired_and_named(make_run):
    b = make_run(conditions={"gru": B}, settings={"training": {"epochs": 10}}, seeds=[0, 1])
    (found,) = pair_runs(make_run(conditions={"gru": A}), b).paired
    assert found.settings == (
        Difference("training.epochs", "30", "10"),
        Difference("seeds", "0", "0, 1"),
    )


def test_what_differs_stands_apart_with_both_values(make_run):
    b = make_run(conditions={"gru": B}, settings={"target": {"signal": "groom"}})
    pairing = pair_runs(make_run(conditions={"gru": A}), b)
    assert pairing.paired == ()
    (found,) = pairing.apart
    assert found.values_a == pytest.approx((0.9, 0.8, 0.7, 0.6))
    assert found.values_b == pytest.approx((0.8, 0.75, 0.7, 0.55))
    assert found.reasons[0].startswith("the target differs (target.signal run in A, groom in B")
    assert [one.key for one in found.settings] == ["target.signal", "target.kind"]


def test_an_animal_without_a_value_in_both_is_left_out(make_run):
    a = make_run(conditions={"gru": A | {"m4": np.nan}})
    b = make_run(conditions={"gru": B | {"m4": np.nan}})
    (found,) = pair_runs(a, b).paired
    assert found.animals["difference"].isna().tolist() == [False, False, False, True]
    assert set(found.tests["n"]) == {3}


def test_one_animal_has_no_interval(make_run):
    a, b = make_run(conditions={"gru": {"m1": 0.9}}), make_run(conditions={"gru": {"m1": 0.8}})
    (found,) = pair_runs(a, b).paired
    first = found.tests.iloc[0]
    assert first["effect"] == pytest.approx(0.1)
    assert np.isnan(first["low"])
    assert "an interval needs 2" in first["note"]


def test_nothing_in_common(make_run):
    a = make_run("first", {"gru": A})
    b = make_run("second", {"rnn": B, "lstm": B})
    with pytest.raises(StudyError) as told:
        pair_runs(a, b)
    assert str(told.value) == (
        "first and second have no condition in common: the first has scores of “gru”, the second "
        "of “rnn”, “lstm”; conditions are matched by name, so call those alike that are to be "
        "compared, or compare them within one study by [[comparison]]"
    )


def test_a_run_without_a_score(make_run):
    blank = make_run("blank", {"gru": {"m1": np.nan}})
    with pytest.raises(StudyError, match="blank has no score yet; let 'corticode run' finish"):
        pair_runs(make_run(), blank)


def test_a_run_against_itself_differs_by_nothing(make_run):
    (found,) = pair_runs(make_run(), make_run()).paired
    assert found.tests["effect"].tolist() == [0, 0]
    assert found.tests.iloc[0]["note"] == "all animals differ by the same: no spread to judge by"
