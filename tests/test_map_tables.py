"""What maps say in tables."""

import numpy as np
import pytest

from corticode.errors import RunError
from corticode.explain.importance_map import ImportanceMap
from corticode.map_tables import load_map


def test_regions_over_animals_are_those_of_the_joined_map(mapped):
    _, run, _, _ = mapped
    table = run.read_table("map_regions")
    own = table[(table["condition"] == "linear") & (table["map"] == "deep-shap")]
    joined = ImportanceMap.load(run.maps_folder("linear", "deep-shap") / "map.npz")
    by_region = dict(zip(joined.names, joined.by_region(), strict=True))
    np.testing.assert_allclose(own["share"], [by_region[name] for name in own["region"]])
    assert own["share"].is_monotonic_decreasing
    shares = run.read_table("map_shares")
    mine = shares[(shares["condition"] == "linear") & (shares["map"] == "deep-shap")]
    # One decoder an animal here: the mean over decoders is that over animals.
    means = mine.groupby("region")["share"].mean()
    np.testing.assert_allclose(own["share"], means[own["region"]])


def test_no_map_leaves_no_table(linear_cohort, run_inline, tmp_path):
    from corticode.runs import Run

    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "map_regions.csv").write_text("old")
    run_inline(linear_cohort, tmp_path / "run")
    assert not Run(tmp_path / "run").table_path("map_regions").exists()


def test_a_missing_map_is_named(tmp_path):
    with pytest.raises(RunError, match=r"map\.npz is missing or damaged; delete the folder"):
        load_map(tmp_path)


def test_checks_stand_beside_each_map(mapped):
    _, run, _, _ = mapped
    checks = run.read_table("map_checks")
    own = checks[(checks["condition"] == "linear") & (checks["map"] == "deep-shap")]
    rows = own.set_index("control")
    assert rows.loc["random weights", ["n_trained", "n_control"]].tolist() == [3, 20]
    # Six regions of which two are read: the first four hold nearly all, and in random ones less.
    assert rows.loc["random weights", "trained"] > 0.8
    assert rows.loc["permuted labels", "n_control"] == 3
    assert "too few to say" in rows.loc["permuted labels", "words"]
    assert set(checks["condition"]) == {"linear", "linear, top"}
