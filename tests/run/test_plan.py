"""What a study will cost and what it can show, before it is run."""

import json

import pytest
from tests.conftest import LINEAR_STUDY, MAP_STUDY, InlineExecutor

from corticode.errors import StudyError
from corticode.evaluate.intervals import detectable_difference
from corticode.run.execute import run_study
from corticode.run.folder import Run
from corticode.run.plan import plan_study, published_sd
from corticode.study.study import read_study

CHOSEN = """
[[condition]]
name = "started"
like = "gru"
network = { kind = "gru" }
training = { epochs = 2 }
[[condition]]
name = "after it"
like = "started"
start_from = "started"
"""
FAMILY = """
[[condition]]
name = "frame"
like = "linear"
network = { kind = "linear-frame" }
[[comparison]]
name = "both"
conditions = ["linear", "frame"]
"""


def plan_of(folder, study, **options):
    (folder / "study.toml").write_text(study, "utf-8")
    return plan_study(read_study(folder / "study.toml"), **options)


def everything(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_four_animals_by_hand(linear_cohort):
    cost = plan_of(linear_cohort, LINEAR_STUDY + FAMILY, n_seeds=2, n_workers=2, sd=0.1)
    assert (cost.n_conditions, cost.n_sessions, cost.n_animals) == (2, 12, 4)
    # 4 x 3 folds; who validates and who tests may change places.
    assert (cost.n_fits, cost.n_distinct) == (2 * 2 * 12, 2 * 2 * 6)
    assert cost.smallest_p == 2 / 2**4
    assert cost.smallest_p_families == {"both": 2 / 2**4}
    assert set(cost.smallest_p_animals.values()) == {1 / 6}
    assert cost.smallest_p_cohort == 1 / 1000
    assert cost.detectable == detectable_difference(4, 0.1)
    assert cost.hours == pytest.approx(sum(one.hours for one in cost.kinds) / 2)
    assert sum(one.n_fits for one in cost.kinds) == cost.n_fits


def test_nothing_is_written(linear_cohort):
    (linear_cohort / "study.toml").write_text(LINEAR_STUDY, "utf-8")
    study, before = read_study(linear_cohort / "study.toml"), everything(linear_cohort)
    plan_study(study)
    assert everything(linear_cohort) == before


def test_the_run_has_as_many_fits_and_maps(write_cohort, mapped):
    folder, run, _, tasks = mapped
    cost = plan_study(read_study(folder / "study.toml"))
    assert cost.n_fits + cost.n_maps == len(tasks)
    assert cost.n_fits == len(run.read_table("scores"))


def test_predictions_take_what_is_projected_at_most(linear_cohort):
    cost = plan_of(linear_cohort, LINEAR_STUDY)
    run_study(
        read_study(linear_cohort / "study.toml"), linear_cohort / "run", executor=InlineExecutor()
    )
    fits = Run(linear_cohort / "run").folder / "fits"
    stored = sum(path.stat().st_size for path in fits.rglob("predictions.npz"))
    assert 0.1 * stored < cost.disk_gb * 1e9


def test_fits_that_start_from_a_fold_are_all_distinct(own_cohort):
    text = (own_cohort / "study.toml").read_text("utf-8")
    swapped = text.replace(
        '"test-m2_valid-m3", "test-m3_valid-m4", "test-m4_valid-m1"', '"test-m2_valid-m1"'
    )
    cost = plan_of(own_cohort, swapped + CHOSEN)
    assert cost.n_fits == 4 * 2
    # gru, linear and started are trained once for both folds.
    assert cost.n_distinct == 3 + 2
    gru = next(one for one in cost.kinds if one.conditions == ("started", "after it"))
    assert gru.n_fits == 4


def test_the_assumed_sd_is_that_of_the_published_values(linear_cohort):
    cost = plan_of(linear_cohort, LINEAR_STUDY)
    assert cost.sd == published_sd()
    assert 0.003 < published_sd() < 0.06
    assert any("published" in note for note in cost.notes)
    given = plan_of(linear_cohort, LINEAR_STUDY, sd=0.02)
    assert not any("published" in note for note in given.notes)


def test_blocks_of_sessions_are_planned(linear_cohort):
    study = LINEAR_STUDY.replace('by = "animal"', 'by = "block"\nblocks = 3')
    cost = plan_of(linear_cohort, study)
    assert cost.n_animals == 4
    # Three blocks of each session.
    assert cost.n_fits == cost.n_distinct == 12 * 3


def test_no_fold(write_cohort, tmp_path):
    folder = write_cohort(tmp_path / "few", animals=2, study=LINEAR_STUDY)
    with pytest.raises(StudyError, match="3"):
        plan_study(read_study(folder / "study.toml"))


def test_the_command_tells_both_ways(command_line, linear_cohort):
    code, printed, _ = command_line("plan", linear_cohort / "study.toml", "--workers", 2)
    assert code == 0
    assert "fits        12, 6 of them distinct; 0 maps" in printed
    assert max(map(len, printed.splitlines())) <= 80
    code, printed, _ = command_line("plan", linear_cohort / "study.toml", "--json")
    assert json.loads(printed)["n_fits"] == 12


def test_maps_of_maps_are_counted(linear_cohort):
    cost = plan_of(linear_cohort, MAP_STUDY)
    # Two conditions beside the sets', of three folds.
    assert cost.n_maps % 3 == 0
    assert cost.n_conditions == 8


def test_a_shipped_study_is_refused_before_anything_is_tried(command_line, linear_cohort):
    code, _, told = command_line("plan", "paper-code")
    assert code == 2
    assert "--catalogue" in told
