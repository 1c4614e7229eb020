"""What maps say in tables."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import mannwhitneyu, spearmanr

from corticode.errors import RunError
from corticode.explain.importance_map import ImportanceMap
from corticode.run.map_tables import load_map


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
    # Inputs of one decoder differ in spread; divided by it shares still add up.
    totals = mine.groupby("fold")["share_per_sd"].sum()
    np.testing.assert_allclose(totals, 1)
    assert (mine["input_sd"] > 0).all()
    ratio = mine["share_per_sd"] * mine["input_sd"] / mine["share"]
    np.testing.assert_allclose(ratio, ratio.groupby(mine["fold"]).transform("first"))
    # One decoder an animal here: the mean over decoders is that over animals.
    means = mine.groupby("region")["share"].mean()
    np.testing.assert_allclose(own["share"], means[own["region"]])


def test_no_map_leaves_no_table(linear_cohort, run_inline, tmp_path):
    from corticode.run.folder import Run

    run_inline(linear_cohort, tmp_path / "run")
    (tmp_path / "run" / "map_regions.csv").write_text("old")
    run_inline(linear_cohort, tmp_path / "run")
    assert not Run(tmp_path / "run").table_path("map_regions").exists()


def test_a_missing_map_is_named(tmp_path):
    with pytest.raises(RunError, match=r"map\.npz is missing or damaged; delete the folder"):
        load_map(tmp_path)


def of_linear(run, name):
    table = run.read_table(name)
    return table[(table["condition"] == "linear") & (table["map"] == "deep-shap")]


def test_checks_stand_beside_each_map(mapped):
    _, run, _, _ = mapped
    own = of_linear(run, "map_checks")
    assert own["control"].value_counts().to_dict() == {"random weights": 2, "permuted labels": 2}
    drawn = own[own["control"] == "random weights"].set_index("regions")
    assert drawn[["n_trained", "n_control"]].to_numpy().tolist() == [[3, 20], [3, 20]]
    # Six regions of which two are read: the first four hold nearly all.
    assert (drawn["trained"] > 0.8).all()
    permuted = own[own["control"] == "permuted labels"]
    assert (permuted["n_control"] == 3).all()
    assert permuted["words"].str.contains("too few to say").all()
    assert set(run.read_table("map_checks")["condition"]) == {"linear", "linear, top"}


def test_regions_stand_beside_permuted_labels(mapped):
    _, run, _, _ = mapped
    table = run.read_table("map_permuted")
    # Controls have no control of their own, and of "linear, top" none is asked for.
    assert set(table["condition"]) == {"linear"}
    own = of_linear(run, "map_permuted")
    assert sorted(own["region"]) == ["1", "2", "3", "4", "5", "6"]
    assert own[["n_decoders", "n_permuted", "n_animals"]].to_numpy().tolist() == [[3, 3, 3]] * 6
    first = own.sort_values("difference")["region"].iloc[-1]
    assert first == of_linear(run, "map_regions")["region"].iloc[0]


def test_covering_has_its_pooled_scores(mapped):
    _, run, _, _ = mapped
    table = run.read_table("occlusion").set_index("mask")
    pooled = pd.concat(
        [pd.read_csv(p) for p in run.maps_folder("linear", "covered").rglob("*_pooled.csv")]
    )
    by_mask = pooled.assign(mask=pooled["mask"].astype(str)).groupby("mask")
    for name in ("auc", "auc_covered"):
        where = "whole" if name == "auc" else "covered"
        np.testing.assert_allclose(
            table[f"pooled_{where}"], by_mask[name].mean()[table.index], rtol=1e-12
        )
        np.testing.assert_allclose(table[f"sd_{where}"], by_mask[name].std()[table.index])
    assert (table["n_splits"] == 3).all()
    most = table["score"].idxmax()
    rows = by_mask.get_group(most)
    p = mannwhitneyu(rows["auc"], rows["auc_covered"], method="asymptotic").pvalue
    assert table.loc[most, "p_splits"] == pytest.approx(p)


def test_stability_deletion_and_backgrounds_stand_beside(mapped):
    _, run, _, _ = mapped
    stability = of_linear(run, "map_stability")
    assert stability[["differs", "n_pairs"]].to_numpy().tolist() == [["animal", 3]]
    assert stability["words"].str.contains("regions").all()
    deletion = of_linear(run, "map_deletion")
    assert deletion.groupby("fold").size().tolist() == [7, 7, 7]
    # The planted regions first: less is left than in random orders.
    assert (deletion["area_deletion"] > 0).all()
    backgrounds = of_linear(run, "map_backgrounds")
    assert backgrounds["n_background"].tolist() == [20, 50, 100]
    assert backgrounds["largest_change"].iloc[-1] == 0


def test_decoders_agree_in_what_covering_costs_them(mapped):
    _, run, _, _ = mapped
    table = run.read_table("map_stability")
    own = table[table["kind"] == "occlusion"]
    name = str(own["map"].iloc[0])
    assert own[["condition", "differs", "n_pairs"]].to_numpy().tolist() == [["linear", "animal", 3]]
    assert own["words"].str.startswith("costs of covering masks in 3 maps").all()
    files = sorted(run.maps_folder("linear", name).glob("*/seed-0/occlusion_sessions.csv"))
    costs = [pd.read_csv(path).groupby("mask", sort=False)["score"].mean() for path in files]
    pairs = [spearmanr(costs[a], costs[b]).statistic for a, b in ((0, 1), (0, 2), (1, 2))]
    assert own["rank_correlation"].tolist() == pytest.approx([np.mean(pairs)])
