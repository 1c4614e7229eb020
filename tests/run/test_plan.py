"""What a study will cost and what it can show, before it is run."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import LINEAR_STUDY, MAP_STUDY, STUDY, InlineExecutor

from corticode.data.prepared import prepare_sessions
from corticode.decode.settings import Network, Training
from corticode.errors import StudyError
from corticode.evaluate.intervals import detectable_difference
from corticode.run import plan
from corticode.run.execute import execute_study
from corticode.run.folder import Run
from corticode.run.plan import (
    KindCost,
    Speed,
    StudyCost,
    cost_text,
    kind_of,
    measure_speed,
    plan_study,
    published_sd,
)
from corticode.study.study import read_study, resolve

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
SPEED = Speed(0.002, 0.001, 10)
COST = StudyCost(
    n_conditions=2,
    n_sessions=64,
    n_animals=5,
    n_fits=1040,
    n_distinct=520,
    n_maps=20,
    kinds=(KindCost("gru", 31, ("gru", "gru, raw"), 1040, 9358.4, 1234.56),),
    n_workers=2,
    hours=617.28,
    disk_gb=1.234,
    memory_gb=0.51,
    smallest_p=0.0625,
    smallest_p_families={"Fig. 4E": 0.1875},
    smallest_p_animals={"m1": 0.001, "m2": 1 / 6, "m3": 0.001},
    smallest_p_cohort=0.001,
    sd=0.02,
    detectable=0.0336,
    notes=("A note that is much longer than a line of the terminal can be, so that it wraps.",),
)


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
    execute_study(
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


def test_judging_sets_of_regions_is_told(own_cohort):
    sets = '[[region_set]]\nname = "one"\ncondition = "gru"\nregions = [1, 2]\nn_sets = 10\n'
    cost = plan_of(own_cohort, STUDY + sets)
    # Two conditions of the study, two of the set, and the one that judges.
    assert (cost.n_conditions, cost.n_maps) == (5, 0)
    (told,) = (note for note in cost.notes if note.startswith("Sets of regions"))
    # The set, ten random ones and ten of mirrored pairs.
    assert "by the decoders of 'gru: region dropout', whose fits are counted above" in told
    assert "each given at most 21 sets alone" in told


def test_a_shipped_study_is_refused_before_anything_is_tried(command_line, linear_cohort):
    code, _, told = command_line("plan", "paper-code")
    assert code == 2
    assert "--catalogue" in told


@pytest.fixture
def condition(cohort):
    return resolve(read_study(cohort / "study.toml").conditions[0], 10.0)


def test_by_hand():
    # Two epochs over half of 1000 windows; 100 checked as often, twice an epoch; 400 predicted.
    training = Training(epochs=2, share=0.5, validations=2)
    assert SPEED.seconds(Network("gru"), training, 1000, 100, 300) == pytest.approx(
        1000 * 0.002 + 200 * 0.001 + 400 * 0.001
    )
    assert SPEED.seconds(Network("linear-frame"), training, 1000, 100, 300) == 2.0


@given(st.integers(1, 100), st.integers(1, 10**7), st.integers(1, 10**7))
def test_more_windows_and_epochs_take_longer(epochs, n_train, n_valid):
    def seconds(epochs, n_train):
        return SPEED.seconds(Network("gru"), Training(epochs=epochs), n_train, n_valid, 1)

    assert seconds(epochs + 1, n_train) > seconds(epochs, n_train)
    assert seconds(epochs, n_train + 1) > seconds(epochs, n_train)


def test_kinds_are_told_apart_by_what_takes_time(condition):
    assert kind_of(condition) == kind_of(replace(condition, name="b", regions=(1,)))
    longer = replace(condition, window=replace(condition.window, after=6))
    assert kind_of(condition) != kind_of(longer)
    assert kind_of(condition) != kind_of(replace(condition, network=Network("lstm")))


@pytest.mark.parametrize("kind", ["gru", "linear-window"])
def test_windows_of_one_class_do_for_the_time(condition, simulate, kind):
    session = simulate(n_frames=200)
    rest = replace(session, behavior={"run": 0 * session.behavior["run"]})
    condition = replace(condition, network=Network(kind))
    speed = measure_speed([rest], prepare_sessions([rest]), condition)
    assert speed.train_s > 0
    # 11 frames of 3 regions and a constant, beside scales; or a gru.
    assert speed.n_weights > 30


def test_words_by_hand():
    lines = cost_text(COST).splitlines()
    assert lines[2] == "fits        1,040, 520 of them distinct; 20 maps"
    assert lines[3] == "time        617.28 hours at most, workers: 2"
    assert lines[5] == "memory      0.5 GB a worker"
    assert lines[8].split() == ["gru", "31", "2", "1,040", "9,358", "1,234.56"]
    assert "- a comparison over 5 animals: 0.0625, cannot reach 0.05" in lines
    assert "- adjusted over the family 'Fig. 4E': 0.188, cannot reach 0.05" in lines
    assert "- against its own labels in other orders, m1, m3: 0.001" in lines
    assert max(map(len, lines)) <= 80


def test_one_animal_shows_nothing_of_animals():
    text = cost_text(
        replace(COST, smallest_p=None, smallest_p_families={}, detectable=None, memory_gb=None)
    )
    assert "- a comparison over animals: none, one animal is tested" in text
    assert "detectable" not in text
    assert "memory      unknown a worker" in text


def test_what_compressed_movies_take_is_said(cohort, monkeypatch):
    monkeypatch.setattr(plan, "room_taken", lambda movies: (len(movies), 3_210_000_000))
    monkeypatch.setattr(plan, "unpacked_folder", lambda: Path("/cache/movies"))
    notes = plan_study(read_study(cohort / "study.toml")).notes
    assert notes[0].startswith(
        "24 compressed movies were unpacked, 3.21 GB, to /cache/movies, once"
    )
