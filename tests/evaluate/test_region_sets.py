"""Sets of regions through a linear decoder of the window, beside others of their size."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from corticode.data.regions import RegionTable
from corticode.data.session import Session
from corticode.data.targets import Target
from corticode.data.windows import WindowShape, cut_windows
from corticode.errors import DataError, StudyError
from corticode.evaluate.metrics import binary_scores
from corticode.evaluate.region_sets import compare_region_sets

NAMES = tuple("abcdefgh")
MIRRORS = RegionTable(NAMES, mirrors=tuple("efghabcd"))
PLANTED = np.array([0, 1.5, 0, 0, 0, 1.5, 0, 0])


def windows_of(design=(1, 1, 1), *, signal=PLANTED, n_frames=300, seed=0, target="run", reach=3):
    """Sessions of animals in which regions b and f follow the behaviour."""
    rng = np.random.default_rng(seed)
    sessions = []
    for animal, n_sessions in enumerate(design):
        for k in range(n_sessions):
            run = np.repeat(rng.random(n_frames // 10) > 0.5, 10)
            traces = rng.normal(size=(n_frames, len(NAMES))) + run[:, None] * signal
            behavior = {"run": run, "speed": run * 1.5}
            segment = np.zeros(n_frames, np.int32)
            sessions.append(Session(f"m{animal}", f"s{k}", traces, NAMES, behavior, segment))
    kind = Target("run") if target == "run" else Target("speed", kind="value")
    return cut_windows(sessions, kind, WindowShape(reach, reach))


def test_the_planted_set_leads_the_others():
    found = compare_region_sets(windows_of(), ["b", "f"], MIRRORS)
    assert found.regions == ("b", "f")
    # 28 pairs of eight regions, the given one not among them; 4 mirrored pairs.
    assert (found.random.size, found.symmetric.size) == (27, 3)
    assert found.percentile == found.percentile_symmetric == 100
    assert found.symmetric_sets == (("a", "e"), ("c", "g"), ("d", "h"))
    assert found.value > 0.9
    assert found.value_of_all > 0.9
    assert np.mean(list(found.by_animal.values())) == pytest.approx(found.value)
    assert "27 of 27 random sets of the same size read less" in found.words
    assert "3 of 3 mirror-symmetric sets" in found.words


def test_the_others_lack_it():
    found = compare_region_sets(windows_of(), ["not", "b", "f"], MIRRORS)
    assert found.percentile == 0
    assert found.value < 0.65


def test_a_random_set_is_one_of_many():
    windows = windows_of(signal=0 * PLANTED)
    places = [
        compare_region_sets(windows, pair).percentile for pair in (["a", "b"], ["c", "d"], "gh")
    ]
    assert 0 < np.mean(places) < 100
    assert "no mirror-symmetric set was drawn" in compare_region_sets(windows, ["a"], None).words


@settings(max_examples=5, deadline=None)
@given(st.sampled_from([1, 2, 3, 7, 9]), st.sampled_from([0.01, 1.0]))
def test_each_set_is_a_ridge_regression(block, penalty):
    windows = windows_of((1, 2), n_frames=200)
    found = compare_region_sets(windows, "bc", every=2, block_frames=block, penalty=penalty)
    chosen = windows.where(windows.frame % 2 == 0)
    inputs, labels = [], []
    for k in range(3):
        own = chosen.where(chosen.session == k)
        values = own.values()[:, :, [1, 2]]
        edges = range(0, 7, block)
        means = np.concatenate([values[:, e : e + block].mean(axis=1) for e in edges], axis=1)
        inputs.append((means - means.mean(axis=0)) / means.std(axis=0))
        labels.append(own.target)
    aucs = []
    for test, train in ((0, [1, 2]), (1, [0]), (2, [0])):
        x = np.concatenate([inputs[k] for k in train])
        model = Ridge(alpha=penalty * np.sum(x**2) / x.shape[1], fit_intercept=False)
        model.fit(x, np.concatenate([labels[k] - labels[k].mean() for k in train]))
        aucs.append(binary_scores(labels[test], model.predict(inputs[test]))["auc"])
    assert found.by_animal["m0"] == pytest.approx(aucs[0], abs=2e-3)
    assert found.by_animal["m1"] == pytest.approx(np.mean(aucs[1:]), abs=2e-3)


def test_a_test_animals_labels_change_no_other_animals_value():
    windows = windows_of((2, 2))
    turned = replace(
        windows, target=np.where(windows.animal == 0, 1 - windows.target, windows.target)
    )
    before, after = (compare_region_sets(given, "bf").by_animal for given in (windows, turned))
    assert after["m0"] == pytest.approx(1 - before["m0"])


def test_one_animal_leaves_sessions_out():
    found = compare_region_sets(windows_of((3,)), "bf")
    assert found.held_out == "session"
    assert found.percentile == 100


def test_flat_regions_and_blank_sessions_are_no_obstacle():
    windows = windows_of((2, 2))
    windows.traces[:, 7] = 0.3
    rest = replace(windows, target=np.where(windows.session == 0, 0, windows.target))
    found = compare_region_sets(rest, "bf")
    assert [f.session for f in found.findings] == ["s0"]
    assert "region sets" in str(found.findings[0])
    assert found.percentile == 100


def test_what_cannot_be():
    windows = windows_of()
    with pytest.raises(StudyError, match="the set holds all 8 regions, so there is no other"):
        compare_region_sets(windows, NAMES)
    with pytest.raises(StudyError, match="every 0, block_frames 3"):
        compare_region_sets(windows, "bf", every=0)
    kept = (*(True,) * 4, *(False,) * 4)
    few = replace(windows, recipe=replace(windows.recipe, kept_regions=kept))
    with pytest.raises(StudyError, match="holds f, which the windows do not keep; take some of a"):
        compare_region_sets(few, "bf")
    with pytest.raises(
        DataError, match="a target of kind 'value'; comparing sets of regions needs"
    ):
        compare_region_sets(windows_of(target="speed"), "bf")
    with pytest.raises(DataError, match="one session can be scored, and a decoder"):
        compare_region_sets(windows_of((1,)), "bf")
