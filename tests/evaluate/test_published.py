from importlib import resources
from io import StringIO

import numpy as np
import pandas as pd
import pytest

from corticode.evaluate.published import (
    DataIdentity,
    differing_settings,
    identify_data,
    published_means,
    set_beside_published,
    set_splits_beside_published,
)

RUNNING = {"name": "gru", "target": {"kind": "binary"}}


def packaged(name):
    text = resources.files("corticode.published").joinpath(name).read_text("utf-8")
    return pd.read_csv(StringIO(text), dtype={"animal": str})


@pytest.fixture
def session_scores():
    """The published sessions, whose mice ran as published: mean and SD."""
    table = packaged("sessions_64.csv")
    told = packaged("published_summary.csv")
    told = told[told["metric"] == "run_fraction"].set_index("condition")
    rows = []
    for number, sessions in table.groupby("animal"):
        values = np.linspace(-1, 1, len(sessions))
        values *= told.loc[f"mouse {number}", "sd"] / values.std(ddof=1)
        for session, value in zip(sessions["session"], values, strict=True):
            rate = told.loc[f"mouse {number}", "mean"] + value
            rows.append(["gru", f"m{number}", session, rate])
    return pd.DataFrame(rows, columns=["condition", "animal", "session", "base_rate"])


@pytest.fixture
def scores():
    """The published AUC of the gru by split, and of a condition without values by split."""
    table = packaged("published_by_split.csv")
    own = table[(table["condition"] == "gru") & (table["metric"] == "auc")]
    rows = own.assign(
        test_animal="m" + own["test_animal"].astype(str),
        valid_animal="m" + own["valid_animal"].astype(str),
        auc=own["value"],
        seed=0,
    ).drop(columns=["metric", "value"])
    rows["fold"] = "test-" + rows["test_animal"] + "_valid-" + rows["valid_animal"]
    # A published condition of which no split was released.
    speed = rows.assign(condition="speed gru", r2=0.5, mae=9.0, auc=np.nan)
    return pd.concat([rows, speed], ignore_index=True)


def test_the_published_recordings_are_known(session_scores):
    found = identify_data(session_scores, [RUNNING], is_simulated=False)
    assert found.data == "published"
    assert found.mice == {f"m{k}": str(k) for k in range(1, 6)}


def test_the_names_of_animals_play_no_part(session_scores):
    renamed = session_scores.assign(animal=session_scores["animal"].map(lambda name: f"x{name}"))
    assert identify_data(renamed, [RUNNING], is_simulated=False).mice["xm3"] == "3"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda t: t.assign(base_rate=t["base_rate"] + 0.02), "m1 ran 0.380 of the time"),
        (lambda t: t.assign(base_rate=0.36), "the published mouse 0.36"),
        (lambda t: t.iloc[1:], "are not those of a published mouse"),
        (lambda t: t.assign(session=t["session"] + "x"), "are not those of a published mouse"),
        (lambda t: t.assign(condition="other"), "it could not be checked"),
        (lambda t: t.iloc[:0], "no session has been scored"),
    ],
)
def test_other_recordings_are_other_data(session_scores, change, why):
    found = identify_data(change(session_scores), [RUNNING], is_simulated=False)
    assert found.data == "other data"
    assert why in found.why
    assert not found.mice


def test_each_mouse_must_be_checked(session_scores):
    other = session_scores["animal"] == "m5"
    scores = session_scores.assign(condition=np.where(other, "speed", "gru"))
    found = identify_data(scores, [RUNNING], is_simulated=False)
    assert found.why == "it could not be checked how much m5 ran"


def test_simulated_mice_have_the_same_names(session_scores):
    assert identify_data(session_scores, [RUNNING], is_simulated=True).data == "simulated"


def test_labels_permuted_tell_nothing_of_running(session_scores):
    permuted = RUNNING | {"permute_labels": "sessions"}
    assert identify_data(session_scores, [permuted], is_simulated=False).data == "other data"


MICE = {f"m{k}": str(k) for k in range(1, 6)}
IDENTITY = DataIdentity("published", "the published ones", MICE)


def test_published_numbers_reproduce_the_published_mean(scores):
    table = set_beside_published(scores, IDENTITY, {"gru": []}).set_index(["condition", "metric"])
    row = table.loc[("gru", "auc")]
    assert row["n_splits"] == 20
    assert row["difference"] == pytest.approx(0, abs=5e-4)
    assert row["ours_sd"] == pytest.approx(row["published_sd"], abs=1e-3)
    assert (row["settings"], row["data"]) == ("as in paper-code", "published")
    assert table.loc[("speed gru", "r2"), "difference"] == pytest.approx(0.06)
    assert table.loc[("speed gru", "mae_cm_per_s"), "difference"] == pytest.approx(-1.4)


def test_some_splits_are_set_beside_the_same_ones(scores):
    some = scores[scores["test_animal"] == "m1"]
    table = set_beside_published(some, IDENTITY, {}).set_index(["condition", "metric"])
    assert table.loc[("gru", "auc"), "difference"] == pytest.approx(0)
    assert "the same 4 of 20 splits" in table.loc[("gru", "auc"), "note"]
    assert np.isnan(table.loc[("speed gru", "r2"), "difference"])
    assert table.loc[("speed gru", "r2"), "note"].startswith("4 of 20 splits")


def test_other_data_has_no_difference(scores):
    for data in ("simulated", "other data"):
        table = set_beside_published(scores, DataIdentity(data, "why"), {})
        assert table["difference"].isna().all()
        assert table["ours_mean"].notna().all()
        assert set(table["note"]) == {"why"}


def test_folds_by_session_have_no_difference(scores):
    table = set_beside_published(scores.assign(valid_animal=scores["test_animal"]), IDENTITY, {})
    assert table["difference"].isna().all()
    assert "not by animal" in table["note"].iloc[0]


def test_seeds_are_averaged_within_a_split(scores):
    other = scores.assign(seed=1, auc=scores["auc"] + 0.01)
    table = set_beside_published(pd.concat([scores, other]), IDENTITY, {})
    assert table["n_splits"].iloc[0] == 20
    assert table["difference"].iloc[0] == pytest.approx(0.005, abs=5e-4)


def test_nothing_of_a_published_name(scores):
    assert set_beside_published(scores.assign(condition="mine"), IDENTITY, {}).empty
    assert set_beside_published(pd.DataFrame(), IDENTITY, {}).empty


def test_splits_of_the_published_recordings_are_those_of_the_same_mice(scores):
    some = scores[scores["test_animal"] != "m5"].assign(auc=scores["auc"] + 0.01)
    table = set_splits_beside_published(some, IDENTITY)
    assert table["condition"].unique().tolist() == ["gru"]  # of the speed gru none was released
    assert len(table) == 20
    both = table[table["ours"].notna()]
    assert len(both) == 16
    np.testing.assert_allclose(both["difference"], 0.01, atol=1e-12)
    names = "test-m" + both["test_mouse"] + "_valid-m" + both["valid_mouse"]
    assert both["fold"].tolist() == names.tolist()
    alone = table[table["ours"].isna()]
    assert set(alone["test_mouse"]) == {"5"}
    assert alone["published"].notna().all()


def test_splits_of_other_mice_stand_apart(scores):
    table = set_splits_beside_published(scores, DataIdentity("simulated", "why"))
    ours, theirs = table[table["ours"].notna()], table[table["published"].notna()]
    assert len(ours) == len(theirs) == 20
    assert len(table) == 40
    assert table["difference"].isna().all()
    assert ours["test_mouse"].isna().all()
    assert set(table["data"]) == {"simulated"}


def test_published_lengths_have_the_means_of_their_splits():
    by_split = packaged("published_by_split.csv")
    means = published_means().set_index(["condition", "metric"])
    for length in (5, 10, 20, 25, 30):
        name = f"gru, length {length}"
        own = by_split[(by_split["condition"] == name) & (by_split["metric"] == "auc")]["value"]
        row = means.loc[(name, "auc")]
        assert row["figure"] == "5B"
        assert (row["mean"], row["sd"], row["n"]) == pytest.approx(
            (np.mean(own), np.std(own, ddof=1), 20)
        )


def test_settings_that_differ():
    ours = {"name": "a", "folds": ["x"], "network": {"kind": "gru"}, "permute_labels": "frames"}
    theirs = {"name": "b", "network": {"kind": "gru", "units": 32}}
    assert differing_settings(ours, theirs) == [
        "network.units not given (paper-code: 32)",
        "permute_labels frames (paper-code: not given)",
    ]
    assert differing_settings(theirs, theirs | {"name": "c"}) == []


def test_each_published_mean_has_its_sd_and_n():
    table = published_means()
    assert table[["mean", "sd", "n"]].notna().all(axis=None)
    assert not table.duplicated(["condition", "metric"]).any()
