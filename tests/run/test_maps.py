"""Maps of a study's decoders, from the study file to tables."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from tests.explain.test_occlusion import SIDE, movie_decoder, movie_windows

from corticode.data.session import Session
from corticode.data.targets import Target
from corticode.data.windows import WindowShape, cut_windows
from corticode.decode.decoder import load_decoder
from corticode.errors import RunError, StudyError
from corticode.explain.importance_map import ImportanceMap
from corticode.explain.masks import Circle, SquareGrid, square_masks
from corticode.explain.occlusion import occlude
from corticode.explain.settings import MapSettings
from corticode.run.execute import make_maps
from corticode.run.maps import MapTask, masks_of, square_curves, thin_evenly
from corticode.study.study import read_study


class TestRun:
    def test_maps_come_after_their_fits(self, mapped):
        _, _run, summary, tasks = mapped
        order = {task.folder: k for k, task in enumerate(tasks)}
        assert all(order[need] < k for k, task in enumerate(tasks) for need in task.needs)
        # Of 'linear' three and one for each selection; of its permuted like one; of 'top' one.
        assert sum(isinstance(task, MapTask) for task in tasks) == 3 * (3 + 2 + 1 + 1)
        assert summary.n_maps == 3 * 6
        assert summary.n_fits == 3 * 8

    def test_the_planted_region_leads(self, mapped):
        _, run, _, _ = mapped
        table = run.read_table("map_regions")
        first = table[(table["condition"] == "linear") & (table["map"] == "deep-shap")].iloc[0]
        assert (first["region"], first["rank"], first["n_animals"]) == ("1", 1, 3)
        assert 0.4 < first["low"] < first["share"] < first["high"]
        shares = run.read_table("map_shares")
        totals = shares.groupby(["condition", "map", "fold"])["share"].sum()
        np.testing.assert_allclose(totals, 1)
        frames = run.read_table("map_frames")
        assert frames["time_s"].max() == pytest.approx(0.5)
        covered = run.read_table("occlusion").set_index("mask")
        assert covered["score"].idxmax() == "1"
        assert covered.loc["1", "smallest_p"] == 0.125

    def test_all_maps_of_a_name_as_one(self, mapped):
        _, run, _, _ = mapped
        joined = ImportanceMap.load(run.maps_folder("linear", "deep-shap") / "map.npz")
        assert joined.unit == "share"
        assert [part.name for part in joined.by_animal] == ["m1", "m2", "m3"]
        covered = ImportanceMap.load(run.maps_folder("linear", "covered") / "map.npz")
        assert covered.axes == ("region",)

    def test_a_map_that_cannot_be_made_is_listed(self, mapped):
        _, run, _, _ = mapped
        excluded = run.read_table("excluded")
        lines = excluded.loc[excluded["what"] == "map", "reason"]
        assert len(lines) == 3
        assert lines.str.contains("100000 background windows need").all()

    def test_regions_are_chosen_by_maps_of_training_animals(self, mapped):
        _, run, _, _ = mapped
        for fold in ("test-m1_valid-m2", "test-m2_valid-m3"):
            decoder = load_decoder(run.fit_folder("linear, top", fold, 0))
            found = ImportanceMap.load(
                run.map_folder("linear", "deep-shap, train", fold, 0) / "map.npz"
            )
            wanted = set(found.ranking()["region"][:2])
            kept = np.array(decoder.recipe.regions)[np.array(decoder.recipe.kept_regions)]
            assert set(kept) == wanted
            test_animal = fold[5:7]
            assert test_animal not in [part.name for part in found.by_animal]
            # Of a decoder that sees two regions, the others' share is nothing.
            own = ImportanceMap.load(
                run.map_folder("linear, top", "deep-shap", fold, 0) / "map.npz"
            )
            assert set(own.ranking()["region"][own.ranking()["share"] > 0]) == wanted

    def test_a_circular_choice_is_marked(self, mapped):
        _, _run, summary, _ = mapped
        leaks = [finding for finding in summary.findings if finding.what == "leak"]
        assert [leak.item for leak in leaks] == ["linear, circular"]
        assert "circular, as in the 2024 study" in leaks[0].reason

    def test_controls_are_marked(self, mapped):
        _, _run, _, tasks = mapped
        controls = {task.fit.condition.name for task in tasks if getattr(task, "is_control", False)}
        assert controls == {"linear, permuted"}

    def test_a_second_call_makes_nothing(self, mapped, run_inline):
        folder, run, _, _ = mapped
        summary, tasks = run_inline(folder, run.folder)
        # What could not be made keeps its reason, and is not tried again.
        assert tasks == []
        assert summary.n_maps == 18

    def test_the_resolved_study_is_the_same_study(self, mapped):
        folder, run, _, _ = mapped
        given, again = read_study(folder / "study.toml"), read_study(run.study_path)
        assert again.maps == given.maps
        assert again.conditions == given.conditions


class TestExplain:
    def test_makes_maps_alone(self, mapped, command_line):
        _, run, _, _ = mapped
        path = run.map_folder("linear", "deep-shap", "test-m1_valid-m2", 0) / "map.npz"
        before = path.read_bytes()
        fitted = (run.fit_folder("linear", "test-m1_valid-m2", 0) / "done.json").stat().st_mtime_ns
        table = run.read_table("map_regions")
        path.unlink()
        code, _out, err = command_line("explain", run.folder)
        assert (code, "Traceback" in err) == (0, False)
        assert path.read_bytes() == before
        pd.testing.assert_frame_equal(run.read_table("map_regions"), table)
        done = run.fit_folder("linear", "test-m1_valid-m2", 0) / "done.json"
        assert done.stat().st_mtime_ns == fitted

    def test_never_trains(self, linear_cohort, tmp_path):
        with (linear_cohort / "study.toml").open("a") as file:
            file.write('[[map]]\ncondition = "linear"\nkind = "deep-shap"\n')
        study = read_study(linear_cohort / "study.toml")
        with pytest.raises(RunError, match=r"is not fitted, or with .*; 'corticode run'"):
            make_maps(study, tmp_path / "run")
        with pytest.raises(StudyError, match="asks for no map"):
            make_maps(replace(study, maps=()), tmp_path / "run")

    def test_a_damaged_map_is_made_again(self, mapped, run_inline):
        folder, run, _, _ = mapped
        path = run.map_folder("linear", "deep-shap", "test-m2_valid-m3", 0) / "map.npz"
        content = path.read_bytes()
        path.write_bytes(content[:100])
        summary, tasks = run_inline(folder, run.folder)
        assert [task.folder for task in tasks] == [path.parent]
        assert "map.npz: missing, or not as written" in summary.findings[0].reason
        assert ImportanceMap.load(path).absolute.shape == (11, 6)

    def test_a_damaged_decoder_is_refused(self, mapped):
        folder, run, _, _ = mapped
        path = run.fit_folder("linear", "test-m2_valid-m3", 0) / "decoder.json"
        content = path.read_bytes()
        path.write_bytes(content.replace(b'"seed": 0', b'"seed": 1'))
        with pytest.raises(RunError, match=r"decoder linear, test-m2_.* is damaged \(decoder.json"):
            make_maps(read_study(folder / "study.toml"), run.folder)
        path.write_bytes(content)


def test_windows_are_thinned_evenly():
    session = Session(
        "m1",
        "a",
        np.random.default_rng(0).normal(size=(300, 2)),
        ("1", "2"),
        {"run": np.arange(300) % 2},
        np.zeros(300, int),
    )
    windows = cut_windows([session], Target("run"), WindowShape(2, 2))
    thin = thin_evenly(windows, 5)
    assert thin.centre.tolist() == [2, 76, 150, 223, 297]
    assert thin_evenly(windows, 10_000).n_windows == windows.n_windows


def test_masks_of_movies():
    decoder = SimpleNamespace(
        recipe=SimpleNamespace(image_shape=(16, 16)), settings=SimpleNamespace(sees_movies=True)
    )
    for masks, names in (
        (None, 64),
        ("limb-squares", 1),
        ((("spot", Circle(4, 4, 2)), ("other", Circle(9, 9, 2))), 2),
    ):
        found = masks_of(MapSettings("a", "cnn", "occlusion", masks=masks), decoder, None)
        assert len(found) == names
    assert found[0].covered[4, 4] and not found[0].covered[9, 9]


def test_masks_of_traces(mapped):
    _, run, _, _ = mapped
    decoder = load_decoder(run.fit_folder("linear, top", "test-m1_valid-m2", 0))
    masks = masks_of(MapSettings("a", "linear", "occlusion"), decoder, None)
    assert len(masks) == 2
    named = MapSettings("a", "linear", "occlusion", masks=(("both", (1, 2)),))
    assert masks_of(named, decoder, None)[0].covered.tolist() == [True, True] + 4 * [False]


class TestSquareCurves:
    def made(self, folder, seen, **settings):
        decoder = movie_decoder(seen)
        found = occlude(decoder, seen, square_masks(SquareGrid((SIDE, SIDE))))
        wanted = MapSettings("a", "cnn", "occlusion", **{"n_orders": 20} | settings)
        fit = SimpleNamespace(seed=0, device="cpu")
        task = SimpleNamespace(settings=wanted, folder=folder, fit=fit)
        return square_curves(task, decoder, seen, found)

    def test_the_map_of_one_session_is_judged_by_the_other(self, tmp_path):
        told, findings = self.made(tmp_path, movie_windows())
        assert findings == []
        assert told["deletion"]["area_insertion"] > 0.1
        assert told["deletion"]["p_insertion"] < 0.1
        curves = pd.read_csv(tmp_path / "deletion.csv")
        assert curves["n_parts"].tolist() == [0, 1, 2, 5, 12, 28, 64]
        assert curves["insertion"].iloc[-1] == curves["deletion"].iloc[0]

    @pytest.mark.parametrize(
        "settings", [{"n_orders": 0}, {"windows": "train"}, {"masks": "limb-squares"}]
    )
    def test_there_are_none_where_none_are_asked_for(self, tmp_path, settings):
        assert self.made(tmp_path, movie_windows(), **settings) == ({}, [])

    def test_one_session_leaves_none_to_judge_by(self, tmp_path):
        told, findings = self.made(tmp_path, movie_windows(1))
        assert told == {}
        assert str(findings[0]) == (
            "no curves of deletion: one session makes the map, and no other is left for them"
        )
