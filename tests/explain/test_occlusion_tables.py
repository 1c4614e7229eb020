import numpy as np
import pytest

from corticode.data.session import Session
from corticode.data.targets import Target
from corticode.data.windows import WindowShape, cut_windows
from corticode.errors import DataError
from corticode.evaluate.metrics import binary_scores
from corticode.explain.masks import Mask
from corticode.explain.occlusion_tables import tables_of_scores

MASKS = [Mask("one", np.array([True, False])), Mask("two", np.array([False, True]))]
OUTSIDE = np.array([False, True])


def windows_of(*runs, kind="binary"):
    rng = np.random.default_rng(0)
    sessions = [
        Session("m1" if k < 2 else "m2", "abc"[k], rng.normal(size=(len(run), 2)), ("1", "2"),
                {"run": np.asarray(run, float)}, np.zeros(len(run), int))
        for k, run in enumerate(runs)
    ]  # fmt: skip
    return cut_windows(sessions, Target("run", kind=kind), WindowShape(0, 0))


def test_by_hand():
    windows = windows_of([0, 0, 1, 1], [0, 1, 0, 1])
    scores = np.array(
        [[1, 2, 3, 4, 1, 2, 1, 2], [1, 2, 1, 2, 1, 2, 1, 2], [1, 2, 3, 4, 2, 1, 2, 1]]
    ).astype(np.float32)
    sessions, pooled, findings = tables_of_scores(windows, scores, MASKS, outside=OUTSIDE)
    assert sessions[["mask", "session"]].to_numpy().tolist() == [
        ["one", "a"], ["two", "a"], ["one", "b"], ["two", "b"]
    ]  # fmt: skip
    assert sessions["auc"].tolist() == [1, 1, 1, 1]
    assert sessions["auc_covered"].tolist() == [0.5, 1, 1, 0]
    assert sessions["score"].tolist() == [0.5, 0, 0, 1]
    assert sessions["thinning_se"].tolist() == [0, 0, 0, 0]
    assert sessions["outside_brain"].tolist() == [False, True, False, True]
    assert findings == []
    target = windows.target
    for k, row in enumerate(pooled.itertuples()):
        assert row.n_windows == 8
        assert row.auc_covered == binary_scores(target, scores[1 + k])["auc"]


def test_values_are_scored_by_r2():
    windows = windows_of([1, 2, 3], kind="value")
    scores = np.array([[1, 2, 3], [2, 2, 2], [1, 2, 2]], np.float32)
    sessions, _, _ = tables_of_scores(windows, scores, MASKS, outside=OUTSIDE)
    assert sessions[["r2", "r2_covered", "score"]].to_numpy().tolist() == [
        [1, 0, 1], [1, 0.5, 0.5]
    ]  # fmt: skip


def test_sessions_without_a_score_are_listed():
    windows = windows_of([0, 0, 0], [0, 1, 0])
    scores = np.zeros((3, 6), np.float32)
    sessions, pooled, findings = tables_of_scores(windows, scores, MASKS, outside=OUTSIDE)
    assert set(sessions["session"]) == {"b"}
    assert pooled["n_windows"].tolist() == [3, 3]
    assert str(findings[0]) == (
        "animal 'm1', session 'a': left out of the occlusion: no auc over its 3 windows decoded"
    )
    with pytest.raises(DataError, match="lower every_n_frames"):
        only = windows.where(windows.session == 0)
        tables_of_scores(only, scores[:, :3], MASKS, outside=OUTSIDE)


class TestThinningError:
    def test_is_about_the_spread_over_other_choices(self):
        rng = np.random.default_rng(0)
        errors, found = [], []
        for _ in range(40):
            run = rng.random(200) < 0.5
            windows = windows_of(run)
            base = run + rng.normal(size=200)
            scores = np.stack([base, base + rng.normal(size=200), base]).astype(np.float32)
            table, _, _ = tables_of_scores(
                windows, scores, MASKS, outside=OUTSIDE, share_decoded=1e-6
            )
            errors.append(table["thinning_se"][0])
            found.append(table["score"][0])
            assert table["thinning_se"][1] == 0
        assert np.mean(errors) == pytest.approx(np.std(found), rel=0.35)

    def test_shrinks_with_the_share_decoded(self):
        run = np.arange(100) // 3 % 2
        noise = np.random.default_rng(0).normal(size=(3, 100))
        scores = (run + noise).astype(np.float32)
        of = {
            share: tables_of_scores(
                windows_of(run), scores, MASKS, outside=OUTSIDE, share_decoded=share
            )[0]["thinning_se"][0]
            for share in (0.25, 0.75)
        }
        assert of[0.25] / of[0.75] == pytest.approx(np.sqrt(3))

    def test_of_few_windows_is_not_known(self):
        scores = np.zeros((3, 4), np.float32)
        table, _, _ = tables_of_scores(
            windows_of([0, 1, 0, 1]), scores, MASKS, outside=OUTSIDE, share_decoded=0.5
        )
        assert table["thinning_se"].isna().all()
