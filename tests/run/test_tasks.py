"""From a study to its fits, and what `check` finds."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tests.conftest import LINEAR_STUDY

from corticode.data.catalogue import read_catalogue
from corticode.data.targets import Target
from corticode.decode.settings import Augment
from corticode.errors import DataError, MissingDataError, StudyError
from corticode.run.check import check_study
from corticode.run.folder import Run
from corticode.run.maps import MapTask
from corticode.run.study_files import read_files
from corticode.run.tasks import (
    fit_key,
    groups_of,
    lay_out,
    make_folds,
    recording_key,
    rules_of_target,
    wanted_maps,
)
from corticode.study.study import read_study, resolve, settings_of_map

MOVIE = (
    '[[condition]]\nname = "cnn"\ninput = "movie"\npreset = "recommended"\n'
    'preprocess = { correction = "none" }\n'
)


def change_study(folder, *pairs):
    """Replace pieces of the study's text and read it."""
    path = folder / "study.toml"
    text = path.read_text("utf-8")
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, "utf-8")
    return read_study(path)


class TestReadFiles:
    def test_in_the_order_of_the_catalogue(self, cohort):
        content = read_files(read_study(cohort / "study.toml"))
        assert [r.name for r in content.recordings] == [s.name for s in content.sessions]
        assert content.sessions[4].name == "m2/s2"
        assert content.sessions[4].traces.shape == (400, 6)
        assert content.frame_rate_hz == 10.0
        assert content.table is None

    def test_reads_the_signals_that_are_decoded(self, cohort):
        content = read_files(read_study(cohort / "study.toml"))
        assert {tuple(session.behavior) for session in content.sessions} == {("run",)}

    def test_with_a_region_table(self, own_cohort):
        table = "name,side\nV1,left\nV2,right\nS1,left\nS2,right\nM1,left\nM2,right\n"
        (own_cohort / "regions.csv").write_text(table, "utf-8")
        named = 'catalogue = "sessions.csv"\nregions = "regions.csv"'
        study = change_study(own_cohort, ('catalogue = "sessions.csv"', named))
        assert read_files(study).sessions[0].regions == ("V1", "V2", "S1", "S2", "M1", "M2")

    def test_an_image_of_regions_that_holds_none_is_refused(self, own_cohort):
        np.save(own_cohort / "atlas.npy", np.zeros((4, 4), np.uint8))
        named = 'catalogue = "sessions.csv"\nregion_image = "atlas.npy"'
        study = change_study(own_cohort, ('catalogue = "sessions.csv"', named))
        with pytest.raises(DataError, match="the label image is 0 everywhere"):
            read_files(study)


def test_a_study_of_traces_opens_no_movie(linear_cohort, run_inline):
    table = pd.read_csv(linear_cohort / "sessions.csv", dtype=str)
    names = [f"damaged-{k}.npy" for k in range(len(table))]
    for name in names:
        (linear_cohort / name).write_bytes(f"{name} is no movie at all".encode())
    table.assign(movie=names).to_csv(linear_cohort / "sessions.csv", index=False)
    summary, _ = run_inline(linear_cohort, linear_cohort / "run")
    assert summary.animal_scores["value"].notna().all()
    # `check` looks at whatever the catalogue names.
    report = check_study(read_study(linear_cohort / "study.toml"))
    assert "damaged-0.npy" in report.faults[0]


class TestLayOut:
    @pytest.fixture
    def plan(self, cohort, tmp_path):
        return lay_out(read_study(cohort / "study.toml"), Run(tmp_path), n_seeds=2)

    def test_conditions_by_folds_by_seeds(self, plan):
        told = [(task.condition.name, task.fold.name, task.seed) for task in plan.tasks]
        assert told[:3] == [
            ("gru", "test-m1_valid-m2", 0),
            ("gru", "test-m1_valid-m2", 1),
            ("gru", "test-m2_valid-m3", 0),
        ]
        assert len(told) == len(set(told)) == 2 * 4 * 2
        assert len({task.key for task in plan.tasks}) == 16
        assert len({task.folder for task in plan.tasks}) == 16

    def test_conditions_share_what_is_prepared_alike(self, plan):
        assert len({task.prepared for task in plan.tasks}) == 1

    def test_names_each_recording_by_its_content(self, plan):
        assert list(plan.content.recordings)[:2] == ["m1/s1", "m1/s2"]
        assert len(set(plan.content.recordings.values())) == 12

    def test_faults_of_a_condition_come_before_any_fit(self, own_cohort, tmp_path):
        study = change_study(own_cohort, ('name = "linear"', 'name = "few"\nregions = ["V1"]'))
        message = "condition 'few': regions holds 'V1', which is no region, group or side"
        with pytest.raises(StudyError, match=message):
            lay_out(study, Run(tmp_path / "run"))
        assert not (tmp_path / "run" / "fits").exists()

    def test_of_sessions_that_are_too_short(self, own_cohort, tmp_path):
        study = change_study(own_cohort, ("after = 5", "after = 500"))
        message = r"condition 'gru': session 'm1/s1' has 400 frames; a window needs 506 \(5 before"
        with pytest.raises(DataError, match=message):
            lay_out(study, Run(tmp_path / "run"))

    def test_of_a_gap_that_is_too_small(self, own_cohort, tmp_path):
        only = 'only = ["test-m1_valid-m2", "test-m2_valid-m3", "test-m3_valid-m4", '
        only += '"test-m4_valid-m1"]'
        study = change_study(own_cohort, (only, 'by = "block"\ngap_frames = 3'))
        message = r"condition 'gru': fold 'm1_s1_test-0_valid-1': .* gap_frames of at least 11"
        with pytest.raises(StudyError, match=message):
            lay_out(study, Run(tmp_path / "run"))


class TestMakeFolds:
    @pytest.fixture
    def content(self, cohort):
        study = read_study(cohort / "study.toml")
        return study, read_files(study).sessions, resolve(study.conditions[0], 10.0)

    def folds(self, content, **keys):
        study, sessions, condition = content
        folds = study.folds.model_copy(update={"only": None} | keys)
        return make_folds(replace(study, folds=folds), sessions, condition)

    def test_by_animal(self, content):
        assert len(self.folds(content)) == 12

    def test_by_session(self, content):
        assert len(self.folds(content, by="session")) == 12

    def test_by_block(self, content):
        folds = self.folds(content, by="block", blocks=4)
        assert len(folds) == 12 * 4
        first, second = folds[0].test[0], folds[0].valid[0]
        assert second.first_frame - first.stop_frame == 11  # the window's length

    def test_by_block_with_a_gap_in_seconds(self, content):
        folds = self.folds(content, by="block", gap_s=2.0)
        assert folds[0].valid[0].first_frame - folds[0].test[0].stop_frame == 20

    def test_those_that_are_named(self, content):
        folds = self.folds(content, only=["test-m4_valid-m1", "test-m1_valid-m4"])
        assert [fold.name for fold in folds] == ["test-m1_valid-m4", "test-m4_valid-m1"]

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("test-m1_vaild-m2", "no fold; did you mean 'test-m1_valid-m2'"),
            ("zzz", "no fold; there are test-m1_valid-m2, test-m1_valid-m3, test-m1_valid-m4, ..."),
        ],
    )
    def test_that_do_not_exist(self, content, name, message):
        with pytest.raises(StudyError, match=message):
            self.folds(content, only=[name])


def test_train_on_one_animal_and_test_on_the_other(write_cohort, tmp_path, run_inline):
    """Two animals, sessions of the training one validating: check, run and the animals' values."""
    folder = write_cohort(tmp_path / "two", animals=2, sessions=2, study=LINEAR_STUDY)
    change_study(folder, ('by = "animal"', 'validate = "session"'))
    report = check_study(folder / "study.toml")
    assert (report.faults, report.findings) == ([], [])
    summary, tasks = run_inline(folder, folder / "run")
    names = [task.fold.name for task in tasks]
    assert names == ["test-m1_valid-sessions", "test-m2_valid-sessions"]
    assert summary.animal_scores["animal"].tolist() == ["m1", "m2"]
    assert summary.animal_scores["value"].min() > 0.9
    again = read_study(folder / "run" / "study.toml")
    assert again.folds.validate_by == "session"


def test_an_animal_that_cannot_be_tested_is_named(own_cohort):
    table = pd.read_csv(own_cohort / "sessions.csv")
    table[(table["animal"] == "m1") | (table["session"] == "s1")].to_csv(
        own_cohort / "sessions.csv", index=False
    )
    (own_cohort / "study.toml").write_text(LINEAR_STUDY, "utf-8")
    change_study(own_cohort, ('by = "animal"', 'validate = "session"'))
    report = check_study(own_cohort / "study.toml")
    assert report.faults == []
    assert [str(finding) for finding in report.findings] == [
        "animal 'm1': is never tested: no other animal has two sessions, one to train and one to "
        "validate"
    ]


def test_groups_of_animals(cohort):
    study = read_study(cohort / "study.toml")
    sessions, condition = read_files(study).sessions, resolve(study.conditions[0], 10.0)
    folds = make_folds(study, sessions, condition)
    assert [members for members, _ in groups_of(sessions, folds, "animal")] == [list(range(12))]
    by_session = study.folds.model_copy(update={"by": "session", "only": None})
    study = replace(study, folds=by_session)
    folds = [fold for fold in make_folds(study, sessions, condition) if fold.animals != ("m2",)]
    groups = list(groups_of(sessions, folds, "session"))
    assert [members for members, _ in groups] == [[0, 1, 2], [6, 7, 8], [9, 10, 11]]
    assert [len(own) for _, own in groups] == [3, 3, 3]


class TestKeys:
    @pytest.fixture
    def recording(self, own_cohort):
        return read_catalogue(own_cohort / "sessions.csv")[0]

    def test_a_recording_is_its_content(self, recording, tmp_path):
        key = recording_key(recording)
        moved = shutil.copy(recording.traces.path, tmp_path / "other name.npy")
        traces = replace(recording.traces, path=tmp_path / "other name.npy")
        assert recording_key(replace(recording, traces=traces)) == key
        assert recording_key(replace(recording, group="wild type", date="2024-05-31")) == key
        np.save(moved, np.load(moved) + 1)
        assert recording_key(replace(recording, traces=traces)) != key

    @pytest.mark.parametrize(
        "change",
        [
            {"frame_rate_hz": 30.0},
            {"session": "other"},
            {"segment": "trial"},
            {"traces_axes": ("region", "time")},
            {"history": "detrended-1000"},
        ],
    )
    def test_a_recording_is_what_its_row_says(self, recording, change):
        assert recording_key(replace(recording, **change)) != recording_key(recording)

    def test_a_fit_is_all_that_it_depends_on(self, cohort):
        study = read_study(cohort / "study.toml")
        condition = resolve(study.conditions[0], 10.0)
        content = read_files(study)
        folds = make_folds(study, content.sessions, condition)
        recordings = [recording_key(recording) for recording in content.recordings]

        def key(condition=condition, fold=folds[0], seed=0, recordings=recordings):
            return fit_key(study, recordings, condition, fold, seed, None)

        keys = {
            key(),
            key(seed=1),
            key(fold=folds[1]),
            key(recordings=recordings[1:]),
            key(replace(condition, window=replace(condition.window, shift=1))),
            key(replace(condition, training=replace(condition.training, epochs=3))),
            key(replace(condition, permute_labels="frames")),
            key(replace(condition, regions=(1, 2))),
            key(replace(condition, keep_train=True)),
            key(replace(condition, training=replace(condition.training, drop_last=True))),
            key(replace(condition, training=replace(condition.training, penalty="scikit-learn"))),
            key(with_dropout(condition, 1.0)),
        }
        assert len(keys) == 12
        assert key(replace(condition, name="another name")) == key()
        assert key(with_dropout(condition, 0.0)) == key()


class TestCheck:
    def test_clean(self, cohort):
        report = check_study(read_study(cohort / "study.toml"))
        assert report.faults == []
        assert report.findings == []
        assert report.facts == [
            "12 sessions of 4 animals, 4,800 frames at 10 Hz",
            "gru: 4 folds",
            "linear: 4 folds",
        ]

    def test_trains_nothing_and_writes_nothing(self, own_cohort):
        before = sorted(own_cohort.rglob("*"))
        check_study(read_study(own_cohort / "study.toml"))
        assert sorted(own_cohort.rglob("*")) == before

    def test_every_fault_of_the_files(self, own_cohort):
        (own_cohort / "m1_s1.npy").write_bytes(b"no array")
        pd.DataFrame({"speed": np.zeros(400)}).to_csv(own_cohort / "m2_s2.csv", index=False)
        np.save(own_cohort / "m3_s3.npy", np.zeros((390, 6)))
        report = check_study(read_study(own_cohort / "study.toml"))
        (fault,) = report.faults
        assert fault.startswith("the catalogue's sessions have 3 faults:\n  1. ")
        assert "m1_s1.npy" in fault
        assert "has no signal 'run'; its signals are speed" in fault
        assert "session m3/s3 has unequal numbers of frames: traces 390" in fault

    def test_every_fault_of_the_conditions(self, own_cohort):
        study = change_study(
            own_cohort,
            ("after = 5", "after = 500"),
            ('name = "linear"', 'name = "few"\nwindow = { after = 5 }\nregions = ["V1"]'),
        )
        report = check_study(study)
        assert len(report.faults) == 2
        assert report.faults[0].startswith("condition 'gru': session 'm1/s1' has 400 frames; a")
        assert report.faults[1].startswith("condition 'few': regions holds 'V1'")

    def test_the_same_recording_under_two_animals(self, own_cohort):
        shutil.copy(own_cohort / "m1_s2.npy", own_cohort / "m3_s1.npy")
        report = check_study(read_study(own_cohort / "study.toml"))
        (fault,) = report.faults  # once, though both conditions have it
        assert fault.startswith("recordings m1/s2 and m3/s1 hold the same data; fold 'test-m1")
        assert fault.endswith("correct the catalogue")

    def test_detrending_twice(self, own_cohort):
        catalogue = pd.read_csv(own_cohort / "sessions.csv")
        catalogue.assign(history="detrended-1000").to_csv(own_cohort / "sessions.csv", index=False)
        study = change_study(own_cohort, ("detrend_frames = 0", "detrend_frames = 1000"))
        (fault,) = check_study(study).faults
        assert fault.startswith("session m1/s1 was detrended before it was read (detrended-1000)")

    def test_leaks_between_blocks(self, own_cohort):
        only = 'only = ["test-m1_valid-m2", "test-m2_valid-m3", "test-m3_valid-m4", '
        only += '"test-m4_valid-m1"]'
        study = change_study(
            own_cohort, (only, 'by = "block"'), ("detrend_frames = 0", "detrend_frames = 50")
        )
        report = check_study(study)
        assert report.faults == []
        told = [finding.reason for finding in report.findings if finding.what == "leak"]
        assert "min-max scaling uses the whole session" in told[0]
        assert "detrending over 50 frames" in told[1]

    def test_folds_of_one_class(self, own_cohort):
        for path in own_cohort.glob("m1_*.csv"):
            pd.read_csv(path).assign(run=0).to_csv(path, index=False)
        report = check_study(read_study(own_cohort / "study.toml"))
        assert report.faults == []
        assert [str(finding) for finding in report.findings] == [
            "fold 'test-m1_valid-m2': its test part has one class; AUC is empty",
            "fold 'test-m4_valid-m1': its validation part has one class; the epoch is chosen by "
            "training loss",
        ]

    def test_lengths_in_seconds_without_a_frame_rate(self, own_cohort):
        catalogue = pd.read_csv(own_cohort / "sessions.csv").drop(columns="frame_rate_hz")
        catalogue.to_csv(own_cohort / "sessions.csv", index=False)
        study = change_study(own_cohort, ("before = 5", "before_s = 0.5"))
        report = check_study(study)
        assert report.facts == ["12 sessions of 4 animals, 4,800 frames"]
        assert report.faults[0].startswith("condition 'gru': before_s is in seconds, but the")


def test_a_condition_without_any_fold_is_a_fault(own_cohort):
    text = (own_cohort / "study.toml").read_text("utf-8")
    text = text.replace('signal = "run"', 'signal = "speed"\nabove = 500')
    (own_cohort / "study.toml").write_text(text, "utf-8")
    report = check_study(read_study(own_cohort / "study.toml"))
    assert len(report.faults) == 2
    fault = report.faults[0]
    assert "condition 'gru': none of its 4 folds can be fitted: its training part has one" in fault
    assert "'speed' runs from" in fault
    assert fault.endswith("and the target is above 500")


class TestFaults:
    def faults(self, linear_cohort, text):
        path = linear_cohort / "study.toml"
        path.write_text(path.read_text("utf-8") + text, "utf-8")
        with pytest.raises(StudyError) as caught:
            read_study(path)
        return str(caught.value)

    def test_of_names(self, linear_cohort):
        told = self.faults(
            linear_cohort,
            '[[map]]\ncondition = "liner"\nkind = "deep-shap"\n'
            '[[map]]\ncondition = "linear"\nkind = "occlusion"\nname = "a"\n'
            '[[map]]\ncondition = "linear"\nkind = "deep-shap"\nname = "a"\n',
        )
        assert "map 'deep-shap' is of 'liner', which is no condition; did you mean 'linear'" in told
        assert "several maps of 'linear' are named 'a'" in told

    @pytest.mark.parametrize(
        ("keys", "message"),
        [
            ('kind = "shap"', "map 1: kind = \"shap\": it must be 'deep-shap'"),
            ('kind = "occlusion"\nmasks = "squares"', "squares and the fill 'neighbours' are for"),
            ('kind = "occlusion"\nfill = "neighbours"', "are for movies; take masks = 'regions'"),
            ('kind = "deep-shap"\nbackgrund = 3', "did you mean 'background'?"),
        ],
    )
    def test_of_keys(self, linear_cohort, keys, message):
        told = self.faults(linear_cohort, f'[[map]]\ncondition = "linear"\n{keys}\n')
        assert message in told

    @pytest.mark.parametrize(
        ("masks", "message"),
        [
            ("{ a = { row = 1, column = 2, radius = 3 } }", "circles and images are for movies"),
            ("{ a = { row = 1, column = 2, radius = 0 } }", "masks"),
            ("{}", "there is no mask to cover with; give one at least"),
        ],
    )
    def test_of_masks(self, linear_cohort, masks, message):
        told = self.faults(
            linear_cohort,
            f'[[map]]\ncondition = "linear"\nkind = "occlusion"\nmasks = {masks}\n',
        )
        assert message in told

    def test_a_drawn_mask_lies_beside_the_study(self, linear_cohort):
        path = linear_cohort / "study.toml"
        own = '[[map]]\ncondition = "cnn"\nkind = "occlusion"\nmasks = { a = "drawn.npy" }\n'
        path.write_text(path.read_text("utf-8") + MOVIE + own, "utf-8")
        with pytest.raises(MissingDataError, match=r"drawn.npy does not exist; give the path"):
            read_study(path)
        np.save(linear_cohort / "drawn.npy", np.eye(8))
        ((_, drawn),) = settings_of_map(read_study(path).maps[-1]).masks
        assert drawn.covered.sum() == 8

    def test_regions_do_not_cover_movies(self, linear_cohort):
        told = self.faults(
            linear_cohort,
            MOVIE + '[[map]]\ncondition = "cnn"\nkind = "occlusion"\nmasks = { a = [1] }\n',
        )
        assert "sets of regions are for traces; take squares, circles or images" in told

    def test_no_rule_for_movies(self, linear_cohort):
        told = self.faults(
            linear_cohort,
            MOVIE + '[[map]]\ncondition = "cnn"\nkind = "deep-shap"\n',
        )
        assert "Deep SHAP has no rule for CNNs; take kind = 'expected-gradients'" in told

    @pytest.mark.parametrize(
        ("regions", "message"),
        [
            ('{ top = 2, from = "linea" }', "from 'linea', which is no condition; did you mean"),
            ('{ top = 2, from = "top" }', "takes regions from 'top': a circle"),
            ("{ top = 2 }", "regions = "),
            ('{ top = 2, from = "linear", bye = 3 }', "regions = "),
            ('{ top = 0, from = "linear" }', "regions = "),
        ],
    )
    def test_of_selections(self, linear_cohort, regions, message):
        told = self.faults(
            linear_cohort, f'[[condition]]\nname = "top"\nlike = "linear"\nregions = {regions}\n'
        )
        assert message in told

    def test_start_and_selection_in_a_circle(self, linear_cohort):
        told = self.faults(
            linear_cohort,
            '[[condition]]\nname = "a"\nlike = "linear"\nregions = { top = 2, from = "b" }\n'
            '[[condition]]\nname = "b"\nlike = "linear"\nstart_from = "a"\n',
        )
        assert "start or take regions from each other in a circle" in told


def test_settings_change_the_key_and_names_do_not(mapped):
    _, _, _, tasks = mapped
    keys = {
        task.settings.name: json.dumps(task.key)
        for task in tasks
        if isinstance(task, MapTask)
        and (task.fit.condition.name, task.fit.fold.name) == ("linear", "test-m1_valid-m2")
    }
    assert len(set(keys.values())) == len(keys) == 5


def test_wanted_maps_name_each_once(mapped):
    folder, _, _, _ = mapped
    wanted = wanted_maps(read_study(folder / "study.toml"))
    names = [settings.name for settings, _ in wanted["linear"]]
    assert names == ["deep-shap", "covered", "too much", "deep-shap, train", "deep-shap, test"]
    assert [(s.name, s.n_random, c) for s, c in wanted["linear, permuted"]] == [
        ("deep-shap", 0, True),
    ]


def with_dropout(condition, share):
    augment = Augment(region_dropout=share)
    return replace(condition, training=replace(condition.training, augment=augment))


class TestRulesThatAreNewer:
    """Numbers that differ from those of 60f4e28 have another key; all others keep theirs."""

    def plan_key(self, folder, tmp_path):
        tasks = lay_out(read_study(folder / "study.toml"), Run(tmp_path / "run")).tasks
        return tasks[0].prepared.name, tasks[0].key

    def with_trials(self, folder):
        table = pd.read_csv(folder / "sessions.csv").assign(segment="trial")
        table.to_csv(folder / "sessions.csv", index=False)

    @pytest.mark.parametrize(
        ("pairs", "which"),
        [
            ([], (True, True)),
            ([("detrend_frames = 0", "detrend_frames = 9")], (True, True)),
            ([("detrend_frames = 0", "smooth_frames = 9, detrend_frames = 0")], (False, False)),
            (
                [('signal = "run"', 'signal = "run"\nabove = 0.5\nsmooth_frames = 5')],
                (True, False),
            ),
        ],
    )
    def test_where_trials_are_smoothed(self, own_cohort, tmp_path, monkeypatch, pairs, which):
        (own_cohort / "study.toml").write_text(LINEAR_STUDY, "utf-8")
        change_study(own_cohort, *pairs)
        self.with_trials(own_cohort)
        now = self.plan_key(own_cohort, tmp_path)
        monkeypatch.setattr("corticode.run.tasks.rules_at_gaps", lambda *_: ())
        monkeypatch.setattr("corticode.run.tasks.rules_of_target", lambda *_: ())
        then = self.plan_key(own_cohort, tmp_path)
        assert tuple(a == b for a, b in zip(now, then, strict=True)) == which

    def test_where_values_keep_their_digits(self, simulate):
        session = simulate()
        target = Target("speed", kind="value")
        assert rules_of_target(target, [session]) == ()
        far = replace(session, behavior={"speed": session.behavior["speed"] + 1e8})
        assert rules_of_target(target, [session, far]) == ("values in float64",)
        assert rules_of_target(replace(target, kind="binary", above=1.0), [far]) == ()


class TestMixUps:
    """Slips of a catalogue that agree in length come first, from check and run alike."""

    def first(self, folder):
        (folder / "study.toml").write_text(LINEAR_STUDY, "utf-8")
        report = check_study(folder / "study.toml")
        plan = lay_out(read_study(folder / "study.toml"), Run(folder / "run"))
        assert plan.findings[0] == report.findings[0]
        assert report.findings[0].what == "leak"
        return report.findings[0].reason

    def test_one_behavior_file_for_all_sessions(self, own_cohort):
        table = pd.read_csv(own_cohort / "sessions.csv").assign(behavior="m1_s1.csv")
        table.to_csv(own_cohort / "sessions.csv", index=False)
        told = self.first(own_cohort)
        assert told.startswith("signal 'run' is the same, frame by frame, in m1/s1, m1/s2, m1/s3,")
        assert "and 7 more" in told

    def test_the_target_among_the_regions(self, own_cohort):
        for path in own_cohort.glob("m*.npy"):
            traces = np.load(path)
            traces[:, 4] = pd.read_csv(path.with_suffix(".csv"))["run"]
            np.save(path, traces)
        assert self.first(own_cohort).startswith("region '5' follows the target 'run' in 12 of 12")

    def test_one_recording_in_two_formats(self, own_cohort):
        traces = np.load(own_cohort / "m1_s1.npy")
        np.save(own_cohort / "m2_s1.npy", np.asarray(traces * 2, np.float64))
        (own_cohort / "study.toml").write_text(LINEAR_STUDY, "utf-8")
        pd.read_csv(own_cohort / "m1_s1.csv").to_csv(own_cohort / "m2_s1.csv", index=False)
        [fault] = check_study(own_cohort / "study.toml").faults
        assert fault.startswith("recordings m1/s1 and m2/s1 hold the same data; fold 'test-m1_")
        with pytest.raises(DataError, match="m1/s1 and m2/s1 hold the same data"):
            lay_out(read_study(own_cohort / "study.toml"), Run(own_cohort / "run"))

    def test_sessions_of_alike_names(self, own_cohort):
        table = pd.read_csv(own_cohort / "sessions.csv")
        table["session"] = table["session"].replace({"s3": "S-2"})
        table.to_csv(own_cohort / "sessions.csv", index=False)
        assert self.first(own_cohort).startswith("sessions 's2', 'S-2' differ in case, blanks,")


def test_sessions_that_permutation_shortens_are_counted(own_cohort, tmp_path):
    """A session that gets the labels of a shorter one is decoded over what these cover."""
    for path in own_cohort.glob("m1_s1.*"):
        if path.suffix == ".npy":
            np.save(path, np.load(path)[:100])
        else:
            pd.read_csv(path)[:100].to_csv(path, index=False)
    permuted = LINEAR_STUDY + 'permute_labels = "sessions"\n'
    (own_cohort / "study.toml").write_text(permuted, "utf-8")
    report = check_study(own_cohort / "study.toml")
    [found] = [one for one in report.findings if "shorter" in one.reason]
    assert found.count == 1
    assert found.reason.startswith(
        "permuted labels of 'linear' leave 1 of 12 sessions shorter: 300 of their 400 frames have "
        "no label (most in m1/s"
    )
    plan = lay_out(read_study(own_cohort / "study.toml"), Run(tmp_path / "run"), n_seeds=4)
    [over_seeds] = [one for one in plan.findings if "shorter" in one.reason]
    assert over_seeds.count == 2
    (own_cohort / "study.toml").write_text(LINEAR_STUDY, "utf-8")
    assert not [f for f in check_study(own_cohort / "study.toml").findings if "shorter" in f.reason]


class TestGroupsOfAnimals:
    def test_one_trains_and_the_other_is_tested(self, linear_cohort, tmp_path):
        path = linear_cohort / "sessions.csv"
        catalogue = pd.read_csv(path)
        catalogue["group"] = ["wt"] * 6 + ["ko"] * 6
        catalogue.to_csv(path, index=False)
        before = lay_out(read_study(linear_cohort / "study.toml"), Run(tmp_path / "run")).tasks
        more = '[[condition]]\nname = "wt to ko"\nlike = "linear"\n'
        more += 'train_groups = ["wt"]\ntest_groups = ["ko"]\n'
        study = linear_cohort / "study.toml"
        study.write_text(study.read_text("utf-8") + more, "utf-8")
        tasks = lay_out(read_study(study), Run(tmp_path / "run")).tasks
        own = [task.fold for task in tasks if task.condition.name == "wt to ko"]
        assert {part.animal for fold in own for part in fold.test} == {"m3", "m4"}
        assert {p.animal for fold in own for p in (*fold.train, *fold.valid)} == {"m1", "m2"}
        # What others are fitted with does not change.
        assert [task.key for task in before] == [task.key for task in tasks][: len(before)]
        study.write_text(study.read_text("utf-8").replace('"ko"', '"KO"'), "utf-8")
        with pytest.raises(StudyError, match="'wt to ko': no animal is of group 'KO'"):
            lay_out(read_study(study), Run(tmp_path / "run"))
