"""Which maps a study needs, and what is wrong with those it asks for."""

import json

import numpy as np
import pytest

from corticode.errors import MissingDataError, StudyError
from corticode.run.map_tasks import wanted_maps
from corticode.run.maps import MapTask
from corticode.study.study import read_study, settings_of_map

MOVIE = (
    '[[condition]]\nname = "cnn"\ninput = "movie"\npreset = "recommended"\n'
    'preprocess = { correction = "none" }\n'
)


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
        and (task.condition.name, task.fold.name) == ("linear", "test-m1_valid-m2")
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
