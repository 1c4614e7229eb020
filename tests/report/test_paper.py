"""Tests."""

from dataclasses import replace
from importlib.resources import files
from itertools import combinations, pairwise

import numpy as np
import pandas as pd
import pytest

from corticode.data.layouts.study2024 import read_published_regions
from corticode.evaluate.comparisons import compare_pair, with_families
from corticode.evaluate.published import published_attributions, published_correlations
from corticode.explain.importance_map import ImportanceMap, MapPart
from corticode.report.paper import LABELS, PANELS, PaperRun, draw_panels, render_paper
from corticode.report.values import CurveTables, RunValues, SessionTrace
from corticode.report.write import beside_published, write_paper
from corticode.run.execute import execute_study
from corticode.study.shipped import open_study, shipped

KINDS = LABELS["Fig. 4F"]
MOVIES, PERMUTED = "cnn-gru, length 5", "gru, permuted labels"
SESSIONS = tuple(f"m{a}/s{s}" for a in (1, 2) for s in range(1, 11))


def panel(run, name):
    """What came of one panel."""
    return next(one for one in draw_panels(run, [name]))


def published_scores(conditions):
    """The published AUCs of splits as a run's scores.csv."""
    with files("corticode.published").joinpath("published_by_split.csv").open("r") as file:
        table = pd.read_csv(file, dtype={"test_animal": str, "valid_animal": str})
    own = table[(table["metric"] == "auc") & table["condition"].isin(conditions)]
    fold = "test-" + own["test_animal"] + "_valid-" + own["valid_animal"]
    return own.rename(columns={"value": "auc"}).assign(fold=fold, seed=0)


def with_comparisons(scores, families):
    """The tables of a run whose animals' values are the means of their splits."""
    animals = scores.groupby(["condition", "test_animal"], sort=False)["auc"].mean()
    animals = animals.rename("value").reset_index().rename(columns={"test_animal": "animal"})
    pairs = [
        compare_pair(animals.assign(metric="auc"), name, pair, split_scores=scores)
        for name, family in families.items()
        for pair in family
    ]
    return {"scores": scores, "comparisons": with_families(pd.concat(pairs, ignore_index=True))}


@pytest.fixture(scope="module")
def networks():
    """A run with the six networks of Fig. 4F, its splits those that were published."""
    names = ["gru", "lstm", "rnn", "bi-gru", "bi-lstm", "bi-rnn"]
    tables = with_comparisons(published_scores(names), {"Fig. 4F": list(combinations(names, 2))})
    values = RunValues("run", tables, {"condition": [{"name": one} for one in names]})
    return PaperRun(values, beside_published(values))


class TestFamilies:
    def test_splits_boxes_and_published_means(self, networks):
        found = panel(networks, "Fig. 4F").drawn
        above = found.figure.axes[0]
        assert [text.get_text() for text in above.get_xticklabels()] == list(KINDS.values())
        drawn = {
            (round(x), round(float(y), 9))
            for line in above.lines
            if len(line.get_ydata()) == 4 and line.get_linestyle() == "None"
            for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
        }
        scores = networks.values.table("scores")
        places = {name: k for k, name in enumerate(KINDS)}
        assert drawn == {(places[row.condition], round(row.auc, 9)) for row in scores.itertuples()}
        medians = [line for line in above.lines if line.get_color() == "black"]
        of_gru = scores.loc[scores["condition"] == "gru", "auc"].to_numpy()
        assert any(np.allclose(line.get_ydata(), np.median(of_gru)) for line in medians)
        row = found.numbers.set_index("condition").loc["gru"]
        assert row.tolist() == pytest.approx(
            [0.974, 0.014, 0.973775, np.std(of_gru, ddof=1), 20], abs=1e-9
        )

    def test_the_published_star_and_the_verdict_of_the_animals(self, networks):
        # Rank sum over splits: Holm over 15 pairs 0.0419; animals: 0.0208 [-0.008, 0.050].
        figure = panel(networks, "Fig. 4F").drawn.figure
        above, below = figure.axes
        stars = [text for text in above.texts if text.get_text() == "*"]
        places = [list(KINDS).index(name) for name in ("rnn", "gru")]
        assert [text.get_position()[0] for text in stars] == [sum(places) / 2]
        rows = [text.get_text() for text in below.get_yticklabels()]
        assert len(rows) == 15
        cells = {
            text.get_text() for text in below.texts if text.xy[1] == rows.index("GRU minus RNN")
        }
        assert cells == {
            "+0.021 [−0.008, 0.050]", "0.0625 (0.0625)", "5 of 5 animals", "0.042 * †",
        }  # fmt: skip
        points = {
            (round(float(x), 6), int(y))
            for line in below.lines
            if line.get_marker() == "o"
            for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
        }
        table = networks.values.table("comparisons")
        effects = table[table["method"] == "paired t over animals"]["effect"]
        assert points == {(round(effect, 6), k) for k, effect in enumerate(effects)}

    def test_thirteen_shifts_have_room(self):
        names = list(LABELS["Fig. 5C"])
        gru = published_scores(["gru"])
        parts = [
            gru.assign(condition=name, auc=gru["auc"] - 0.02 * abs(k - 6))
            for k, name in enumerate(names)
        ]
        pairs = [(name, "gru") for name in names if name != "gru"]
        tables = with_comparisons(pd.concat(parts), {"Fig. 5C": pairs})
        values = RunValues("run", tables, {"condition": [{"name": one} for one in names]})
        figure = panel(PaperRun(values), "Fig. 5C").drawn.figure
        above, below = figure.axes
        # One star over each shift that differs from none; they stand over their own boxes.
        stars = sorted(text.get_position()[0] for text in above.texts)
        assert stars == [k for k in range(13) if k != 6]
        assert len(below.get_yticklabels()) == 12
        figure.canvas.draw()
        boxes = [text.get_window_extent() for text in above.get_xticklabels()]
        assert all(a.x1 < b.x0 for a, b in pairwise(boxes))
        cells = [text.get_window_extent() for text in below.texts]
        assert not any(a.overlaps(b) for a, b in combinations(cells, 2))

    def test_what_is_not_there_is_named(self, networks):
        table = networks.values.table("scores")
        some = {"scores": table[table["condition"].isin(["gru", "lstm"])]}
        values = replace(networks.values, tables=some)
        found = panel(PaperRun(values), "Fig. 4F").drawn.caption
        assert "comparisons.csv has no family 'Fig. 4F'" in found
        assert "not scored yet: 'rnn', 'bi-rnn', 'bi-lstm', 'bi-gru'" in found

    def test_seeds_are_one_value_a_split(self, networks):
        table = networks.values.table("scores")
        twice = pd.concat([table, table.assign(seed=1, auc=table["auc"] - 0.02)])
        values = replace(networks.values, tables={"scores": twice})
        numbers = panel(PaperRun(values), "Fig. 4F").drawn.numbers.set_index("condition")
        assert numbers.loc["gru", "splits"] == 20
        assert numbers.loc["gru", "this run: mean"] == pytest.approx(0.963775)


def test_a_run_with_nothing_says_why_for_each():
    found = draw_panels(PaperRun(RunValues("run")))
    assert [one.panel for one in found] == list(PANELS)
    assert all(one.drawn is None and one.missing for one in found)
    for one in found:
        assert "corticode" in one.missing or "study file" in one.missing, one.panel.name


def test_another_target_under_a_published_name_is_not_drawn():
    scores = pd.DataFrame(
        {"condition": ["gru", "lstm"], "fold": "f", "seed": 0, "test_animal": "m1", "r2": 0.4}
    )
    sessions = pd.DataFrame({"condition": ["gru"], "animal": "m1", "session": "a", "r2": 0.4})
    study = {"condition": [{"name": "gru"}, {"name": "lstm"}]}
    run = PaperRun(RunValues("run", {"scores": scores, "session_scores": sessions}, study))
    assert "another kind of target" in panel(run, "Fig. 4F").missing
    assert "no base_rate of 'gru'" in panel(run, "Fig. 1C").missing
    assert panel(run, "S1 Table").drawn.numbers["score"].tolist() == ["R²", "R²"]


def test_conditions_that_were_left_out_say_so():
    excluded = pd.DataFrame(
        {"what": "condition", "item": list(LABELS["Fig. 2E"]), "reason": "no weights"}
    )
    study = {"condition": [{"name": "gru"}]}
    values = RunValues("run", {"excluded": excluded}, study)
    assert "left out of this run: 'cnn' (no weights)" in panel(PaperRun(values), "Fig. 2E").missing
    assert "not scored yet: 'gru'" in panel(PaperRun(values), "Fig. 4D").missing


@pytest.fixture
def maps():
    """A run with a map of squares of twenty sessions and one by Deep SHAP, as published."""
    cells = np.zeros((8, 8))
    cells[3, 1], cells[3, 6] = 0.05, 0.02
    parts = tuple(MapPart(f"m{a}", 1, cells + 0.01 * a, abs(cells)) for a in (-1, 1))
    squares = ImportanceMap(
        "occlusion", "AUC", ("row", "column"), abs(cells), cells, by_animal=parts
    )
    names = tuple(str(k) for k in range(1, 51))
    shares = np.zeros((31, 50))
    shares[15, 5], shares[15, 30] = 0.75, 0.25
    shap = ImportanceMap(
        "deep-shap", "share", ("frame", "region"), shares, names=names,
        frames=tuple(range(-15, 16)), frame_rate_hz=30.0,
    )  # fmt: skip
    rows = [
        {"condition": condition, "map": "deep-shap", "test_animal": animal, "region": region,
         "share": share}
        for condition, level in (("gru", shares.sum(axis=0)), (PERMUTED, np.full(50, 0.02)))
        for animal in ("m1", "m2")
        for region, share in zip(names, level, strict=True)
    ]  # fmt: skip
    scores = pd.DataFrame(
        {"condition": ["gru", MOVIES], "fold": "f", "seed": 0, "test_animal": "m1", "auc": 0.9}
    )
    study = {
        "condition": [
            {"name": "gru"}, {"name": PERMUTED, "permute_labels": "sessions"},
            {"name": MOVIES, "input": "movie"},
        ]
    }  # fmt: skip
    values = RunValues(
        "run",
        {"scores": scores, "map_shares": pd.DataFrame(rows)},
        study,
        maps={(MOVIES, "occlusion"): squares, ("gru", "deep-shap"): shap},
        session_maps={(MOVIES, "occlusion"): dict.fromkeys(SESSIONS, cells)},
        mean_images={name: np.arange(64.0).reshape(8, 8) for name in SESSIONS},
    )
    return PaperRun(values)


class TestMaps:
    def test_the_two_limb_cells_beside_the_published(self, maps):
        numbers = panel(maps, "Fig. 3B").drawn.numbers
        assert numbers["cell"].tolist() == [
            "largest on the left (row 4, column 2)", "its mirror image (row 4, column 7)",
        ]  # fmt: skip
        assert numbers["published mean"].tolist() == [0.054, 0.024]
        assert numbers["this run: mean"].tolist() == [0.05, 0.02]
        # The animals' parts are 0.01 below and above.
        assert numbers["SD over animals"].tolist() == pytest.approx([0.02 / 2**0.5] * 2)
        image = panel(maps, "Fig. 3B").drawn.figure.axes[0].images[0].get_array()
        assert image[3, 1] == 0.05
        assert len(panel(maps, "Fig. 3C").drawn.figure.axes[0].images) == 2

    def test_every_session_is_drawn_over_its_mean_image(self, maps):
        figure = panel(maps, "S1 Fig").drawn.figure
        shown = [one for one in figure.axes if len(one.images) == 2]
        assert len(shown) == len(SESSIONS)
        titles = [one.get_title().replace("\n", "/") for one in shown]
        assert titles == list(SESSIONS)

    def test_attributions_beside_the_published(self, maps):
        heat = panel(maps, "Fig. 6A").drawn
        assert [one.get_title() for one in heat.figure.axes[:2]] == ["this run", "published (2024)"]
        own = published_attributions()
        own = own / own.sum(axis=(1, 2), keepdims=True)
        drawn = heat.figure.axes[1].images[0].get_array()
        assert np.allclose(drawn, own.mean(axis=0).T)
        row = heat.numbers.iloc[0]
        assert (row["region"], row["this run: fraction of the total"]) == ("6", 0.75)
        assert row["published"] == pytest.approx(own.mean(axis=0)[:, 5].sum())
        bars = panel(maps, "Fig. 6B").drawn
        heights = [bar.get_height() for bar in bars.figure.axes[0].patches[:50]]
        assert (heights[5], heights[30], sum(heights)) == (0.75, 0.25, 1.0)
        assert "decoders of permuted labels" in bars.caption

    def test_regions_against_permuted_labels(self, maps):
        value = np.full(50, 0.1)
        table = pd.DataFrame(
            {"condition": "gru", "map": "deep-shap", "region": [str(k) for k in range(1, 51)],
             "value": value, "permuted_value": 0.05, "p_splits_holm": 1.0, "difference": 0.05,
             "low": -0.01, "high": 0.11, "p_holm": 1.0}
        )  # fmt: skip
        table.loc[[5, 30], "p_splits_holm"] = 0.01, 0.049
        table.loc[5, "low"] = 0.01
        shap = replace(
            maps.values.maps["gru", "deep-shap"], details={"unit_of_decoders": "probability"}
        )
        values = replace(
            maps.values,
            tables={**maps.values.tables, "map_permuted": table},
            maps={("gru", "deep-shap"): shap},
        )
        found = panel(PaperRun(values), "Fig. 6B").drawn
        above, below = found.figure.axes
        assert [round(text.get_position()[0]) for text in above.texts] == [5, 30]
        filled = [line for line in below.lines if line.get_markerfacecolor() == "black"]
        assert [line.get_xdata().tolist() for line in filled if line.get_marker() == "o"] == [[5]]
        told = published_attributions().sum(axis=1).mean(axis=0)
        assert np.allclose(found.numbers["published"], told)

    def test_both_limb_areas_covered(self, maps):
        row = {"condition": MOVIES, "map": "limb squares", "mask": "limb squares", "metric": "auc",
               "score": 0.05, "low": -0.01, "high": 0.11, "n_animals": 5}  # fmt: skip
        occlusion = pd.DataFrame([row])
        values = replace(maps.values, tables={**maps.values.tables, "occlusion": occlusion})
        assert "has no pooled scores" in panel(PaperRun(values), "S3 Fig").missing
        pooled = {"pooled_whole": 0.95, "sd_whole": 0.03, "pooled_covered": 0.9,
                  "sd_covered": 0.05, "p_splits": 0.01}  # fmt: skip
        tables = {**maps.values.tables, "occlusion": occlusion.assign(**pooled)}
        found = panel(PaperRun(replace(maps.values, tables=tables)), "S3 Fig").drawn
        scores, cost, mask = found.figure.axes
        assert scores.get_title() == "splits, as published:\np = 0.010 *"
        assert scores.lines[0].get_ydata().tolist() == [0.95, 0.9]
        assert cost.lines[0].get_markerfacecolor() == "white"
        covered = np.ma.masked_invalid(mask.images[1].get_array()).filled(0)
        assert np.argwhere(covered).tolist() == [[3, 1], [3, 6], [4, 1], [4, 6]]

    def test_other_regions_have_no_published_numbers(self, maps):
        key = ("gru", "deep-shap")
        found = maps.values.maps[key]
        other = replace(found, absolute=found.absolute[:, :4], names=("a", "b", "c", "d"))
        values = replace(maps.values, maps={key: other})
        assert panel(PaperRun(values), "Fig. 6A").drawn.numbers["published"].isna().all()


def test_curves_sessions_and_correlations():
    scores = pd.DataFrame(
        {"condition": ["gru"], "fold": "f", "seed": 0, "test_animal": "m1", "auc": 0.9}
    )
    sessions = pd.DataFrame(
        {"condition": "gru", "animal": ["m1", "m1", "m2"], "session": ["a", "b", "a"],
         "base_rate": [0.2, 0.4, 0.7], "auc": 0.9}
    )  # fmt: skip
    told = published_correlations()
    correlations = pd.DataFrame(
        {"animal": "m1", "session": "a", "region": told.index, "pearson_r": 0.1}
    )
    target = np.repeat([0, 1], 600).astype(np.float32)
    roc = pd.DataFrame(
        {"part": ["valid", "test", "test"], "decoder": ["a", "a", "b"], "animal": "m1",
         "false_share": 0.5, "true_share": 0.5, "auc": [0.8, 0.9, 0.7]}
    )  # fmt: skip
    history = pd.DataFrame(
        {"decoder": "a", "epoch": [1, 2], "train_loss": [0.6, 0.5], "valid_loss": [0.7, 0.65],
         "train_accuracy": [0.7, 0.8], "valid_accuracy": [0.6, 0.75], "is_best": [False, True]}
    )  # fmt: skip
    values = RunValues(
        "run",
        {"scores": scores, "session_scores": sessions, "region_correlations": correlations},
        traces=[SessionTrace("gru", "m1", "a", 15, target, target, frame_rate_hz=30.0, auc=1.0)],
        curves=CurveTables(roc=roc),
    )
    run = PaperRun(values, histories={"gru": history})
    running = panel(run, "Fig. 1C").drawn.numbers
    assert running.iloc[:2, 1].tolist() == pytest.approx([0.3, 0.7])
    assert running["animal"].tolist()[2:] == [f"published mouse {k}" for k in range(1, 6)]
    curves = panel(run, "Fig. 4B").drawn
    assert curves.numbers.iloc[0].tolist() == ["gru", 0.5, 0.65, 0.8, 0.75, 1]
    assert [one.get_ylabel()[:8] for one in curves.figure.axes[::2]] == ["loss (bl", "accuracy"]
    assert panel(run, "Fig. 4C").drawn.numbers.iloc[0].tolist() == ["m1", "a", 1.0]
    found = panel(run, "Fig. 4D").drawn
    assert found.numbers.set_index("windows of").loc["test", "AUC: mean"] == pytest.approx(0.8)
    assert "keep_train" in found.caption
    s6 = panel(run, "S6 Fig").drawn
    assert s6.numbers.set_index("region").loc["27", "published r"] == 0.387
    assert "0.10 here, 0.21 ± 0.10 as published" in s6.caption
    assert panel(run, "S1 Table").drawn.numbers.iloc[0]["this run: mean"] == 0.9


def test_page_in_the_articles_order(networks):
    run = replace(networks, values=replace(networks.values, provenance={"simulated": True}))
    page = render_paper(run, draw_panels(run))
    places = [page.index(f'<h2 id="{one.stem}"') for one in PANELS]
    assert places == sorted(places)
    assert "Simulated animals." in page
    assert page.count("Not in this run.") == len(PANELS) - 2
    assert len({one.stem for one in PANELS}) == len(PANELS)


def test_files_of_an_unfinished_run(finished_run, tmp_path):
    page, panels = write_paper(finished_run.folder, ["svg"], tmp_path / "paper.html")
    assert page.read_text("utf-8").count("Not in this run.") == sum(
        one.drawn is None for one in panels
    )
    drawn = {one.panel.stem for one in panels if one.drawn is not None}
    written = {path.stem for path in (tmp_path / "figures" / "paper").glob("*.*")}
    assert written == drawn


def test_paper_is_of_one_run_without_a_movie(finished_run, command_line):
    for more in ([finished_run.folder], ["--minute", 1]):
        code, _, err = command_line("report", finished_run.folder, *more, "--paper")
        assert code == 2
        assert "--paper draws one run" in err


def write_mouse(folder, animal, session, n_frames=600, side=32):
    """A session of 50 traces and a movie in which two regions, or corners, tell of running."""
    rng = np.random.default_rng([animal, session])
    run = (np.sin(np.arange(n_frames) / 14 + rng.uniform(0, 6)) > 0).astype(int)
    traces = rng.normal(size=(n_frames, 50))
    traces[:, [5, 30]] += 1.5 * run[:, None]
    movie = rng.normal(1000, 30, (n_frames, side, side))
    movie[:, 12:20, 4:8] += 100 * run[:, None, None]
    name = f"m{animal}_s{session}"
    np.save(folder / f"{name}_traces.npy", traces.astype(np.float32))
    np.save(folder / f"{name}_movie.npy", movie.astype(np.uint16))
    speed = 8.0 * run + rng.random(n_frames)
    pd.DataFrame({"runrest": run, "speed_rs": speed}).to_csv(folder / f"{name}.csv", index=False)
    return [f"m{animal}", f"s{session}", f"{name}.csv", f"{name}_traces.npy", f"{name}_movie.npy"]


def reduced_study(folder):
    """The study paper-code with every condition, of small networks that hardly train."""
    raw = shipped("paper-code")
    raw["data"] = {
        "catalogue": str(folder / "sessions.csv"),
        "regions": str(folder / "regions.csv"),
    }
    raw["folds"]["only"] = ["test-m1_valid-m2", "test-m2_valid-m3"]
    for one in raw["condition"]:
        if one.get("input") == "movie":
            kind = one.get("network", {}).get("kind", "cnn")
            one["network"] = {"kind": kind, "backbone": "grid", "weights": "none"}
            one["training"] = {"epochs": 1, "batch_size": 64}
        elif one["name"] == "gru":
            one["training"] = {"epochs": 2, "keep_train": True}
    for one in raw["map"]:
        few = {"n_windows": 20, "background": 10} if one["kind"] == "deep-shap" else {}
        one.update(few or {"every_n_frames": 10})
    return raw


@pytest.mark.study
def test_one_command_draws_every_panel_of_a_reduced_paper_code(tmp_path, command_line):
    rows = [write_mouse(tmp_path, animal, session) for animal in (1, 2, 3) for session in (1, 2)]
    columns = ["animal", "session", "behavior", "traces", "movie"]
    table = pd.DataFrame(rows, columns=columns).assign(frame_rate_hz=30)
    table.to_csv(tmp_path / "sessions.csv", index=False)
    known = read_published_regions()
    groups = [";".join(of_one) for of_one in known.groups]
    regions = {"name": known.names, "group": groups, "row": known.rows, "column": known.columns}
    pd.DataFrame(regions).to_csv(tmp_path / "regions.csv", index=False)
    execute_study(open_study(reduced_study(tmp_path)), tmp_path / "run")
    code, out, err = command_line("report", tmp_path / "run", "--paper")
    assert (code, err) == (0, "")
    assert f"({len(PANELS)} of {len(PANELS)} panels)" in out
    page = (tmp_path / "run" / "paper.html").read_text("utf-8")
    assert "Not in this run." not in page
    made = {path.name for path in (tmp_path / "run" / "figures" / "paper").iterdir()}
    for one in PANELS:
        if one.name != "S1 Table":
            assert {f"{one.stem}.png", f"{one.stem}.svg"} <= made
