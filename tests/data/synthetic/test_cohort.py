import csv
import json

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from scipy.io import loadmat
from scipy.ndimage import uniform_filter1d
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score

from corticode.data.synthetic.activity import LIMB_REGIONS, resolve_dials
from corticode.data.synthetic.cohort import simulate_cohort, simulate_session
from corticode.errors import DataError, StudyError

PUBLISHED_RUN_FRACTIONS = (0.36, 0.66, 0.65, 0.58, 0.80)
AROUSED_REGIONS = {1, 2, 13, 17, 26, 27, 38, 42}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return simulate_cohort(tmp_path_factory.mktemp("simulated") / "cohort")


@pytest.fixture(scope="module")
def sessions():
    return simulate_all()


def simulate_all(seed=0, **dials):
    values = resolve_dials(dials)
    return [simulate_session(m, k, 3000, seed, values) for m in range(1, 6) for k in range(3)]


def correlations(sessions):
    """Mean Pearson r of each region with running, over sessions."""
    by_session = [
        np.corrcoef(np.column_stack([s.behavior.is_running, s.traces]).T)[0, 1:] for s in sessions
    ]
    return np.mean(by_session, axis=0)


def test_the_files_are_the_study_s(cohort):
    assert sorted(path.name for path in cohort.iterdir()) == [
        "data_15_5mice.csv",
        "data_of_behavior_15_5mice",
        "data_of_traces_15_5mice",
        "truth.json",
    ]
    with (cohort / "data_15_5mice.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["Mouse_#"] for row in rows].count("5") == 3
    by_mouse = {row["Data_ID"]: row["Mouse_#"] for row in rows}
    assert by_mouse["20180125_Emx1G6_LR_1"] == "1"
    assert {by_mouse[name] for name in by_mouse if "_non_" in name} == {"2", "5"}
    for name in by_mouse:
        behavior = loadmat(cohort / "data_of_behavior_15_5mice" / f"{name}_behavior.mat")
        assert behavior["runrest"].shape == behavior["speed_rs"].shape == (1, 3000)
        assert set(np.unique(behavior["runrest"])) == {0, 1}
        traces = loadmat(cohort / "data_of_traces_15_5mice" / f"{name}.mat")["dat_roi"]
        assert traces.shape == (50, 3000)
        assert traces.dtype == np.float32


def test_the_truth_is_told(cohort):
    truth = json.loads((cohort / "truth.json").read_text())
    assert truth["data"] == "simulated"
    assert truth["limb_regions"] == [6, 8, 31, 33]
    assert truth["dials"]["limb"] == 1
    assert np.shape(truth["animals"]["m3"]["weights"]["limb, left"]) == (50,)
    assert 0.95 < truth["ideal_auc"] < 1
    means = [
        np.mean([s["ideal_auc"] for s in truth["sessions"] if s["animal"] == animal])
        for animal in truth["animals"]
    ]
    assert truth["ideal_auc"] == pytest.approx(np.mean(means))
    first = truth["sessions"][0]
    behavior = loadmat(cohort / "data_of_behavior_15_5mice" / f"{first['session']}_behavior.mat")
    assert first["run_fraction"] == pytest.approx(behavior["runrest"].mean())


def test_the_same_seed_gives_the_same_bytes(cohort, tmp_path):
    again = simulate_cohort(tmp_path / "again")
    other = simulate_cohort(tmp_path / "other", seed=1)
    for path in sorted(path for path in cohort.rglob("*") if path.is_file()):
        inside = path.relative_to(cohort)
        assert (again / inside).read_bytes() == path.read_bytes()
        assert path.suffix == ".csv" or (other / inside).read_bytes() != path.read_bytes()


def test_a_session_does_not_depend_on_the_dials_of_others(sessions):
    quiet = simulate_session(2, 1, 3000, 0, resolve_dials({"signal": 0}))
    np.testing.assert_array_equal(
        quiet.behavior.speed_cm_per_s, sessions[4].behavior.speed_cm_per_s
    )
    assert quiet.session == sessions[4].session


def test_mice_run_as_published(sessions):
    for mouse, published in enumerate(PUBLISHED_RUN_FRACTIONS, start=1):
        own = [s.behavior.is_running.mean() for s in sessions if s.mouse == mouse]
        assert abs(np.mean(own) - published) < 0.08


def test_one_component_is_shared_by_all_regions(sessions):
    shares = []
    for session in sessions:
        covariance = np.cov(session.traces.T)
        shares.append(np.linalg.eigvalsh(covariance)[-1] / np.trace(covariance))
    assert 0.4 < np.mean(shares) < 0.7


@pytest.mark.parametrize("seed", [0, 3])
def test_correlation_points_to_arousal_and_not_to_the_limbs(seed):
    r = correlations(simulate_all(seed))
    assert set((1 + np.argsort(-np.abs(r))[:8]).tolist()) == AROUSED_REGIONS
    limbs = r[np.array(LIMB_REGIONS) - 1]
    assert 0.14 < limbs.min() < limbs.max() < 0.4


def test_limb_regions_alone_can_be_decoded_in_a_mouse_never_seen(sessions):
    windows, labels, mice = [], [], []
    for session in sessions:
        traces = session.traces[:, np.array(LIMB_REGIONS) - 1].astype(np.float64)
        traces -= uniform_filter1d(traces, 1000, axis=0)
        windows.append(sliding_window_view(traces, 31, axis=0)[::5].reshape(-1, 4 * 31))
        labels.append(session.behavior.is_running[15:-15:5])
        mice.append(np.full(len(labels[-1]), session.mouse))
    windows, labels, mice = (np.concatenate(part) for part in (windows, labels, mice))
    scores = []
    for mouse in range(1, 6):
        decoder = Ridge(alpha=100).fit(windows[mice != mouse], labels[mice != mouse])
        scores.append(roc_auc_score(labels[mice == mouse], decoder.predict(windows[mice == mouse])))
    assert np.mean(scores) > 0.75


def test_without_signal_traces_do_not_follow_behaviour(tmp_path):
    assert np.abs(correlations(simulate_all(signal=0))).max() < 0.12
    folder = simulate_cohort(tmp_path / "cohort", dials={"signal": 0})
    truth = json.loads((folder / "truth.json").read_text())
    assert abs(truth["ideal_auc"] - 0.5) < 0.06


def test_what_cannot_be_simulated_is_refused(tmp_path):
    with pytest.raises(StudyError, match="no size 'huge'; sizes are tiny"):
        simulate_cohort(tmp_path / "a", size="huge")
    with pytest.raises(StudyError, match="seed is -1"):
        simulate_cohort(tmp_path / "a", seed=-1)
    with pytest.raises(StudyError, match="no dial 'limbs'"):
        simulate_cohort(tmp_path / "a", dials={"limbs": 0})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    kept = tmp_path / "results.txt"
    kept.write_text("mine")
    for destination in (tmp_path, kept):
        with pytest.raises(DataError, match="is not an empty folder; name a folder"):
            simulate_cohort(destination)
    assert kept.read_text() == "mine"
    empty = tmp_path / "empty"
    empty.mkdir()
    assert (simulate_cohort(empty) / "truth.json").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "results.txt"]
