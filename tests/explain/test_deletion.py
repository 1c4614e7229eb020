"""Regions go in the order of a map, and in random orders."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corticode.data.session import Session
from corticode.data.targets import Target
from corticode.data.windows import WindowShape, cut_windows
from corticode.decode.fit import fit
from corticode.decode.predict import predict
from corticode.decode.settings import Network, Training
from corticode.errors import DataError, DecoderError, StudyError
from corticode.evaluate.scores import score_animals, score_sessions
from corticode.explain.contributions import draw_background
from corticode.explain.deepshap import deep_shap
from corticode.explain.deletion import count_steps, delete_regions

NAMES = tuple("abcdefghij")
# How strongly regions follow the behaviour: the true order is c, g, a, then any.
PLANTED = np.array([0.8, 0, 2.5, 0, 0, 0, 1.5, 0, 0, 0])
TRUE_ORDER = tuple("cgabdefhij")


def windows_of(n_animals=2, *, n_frames=400, target="run", seed=0, blank=()):
    rng = np.random.default_rng(seed)
    sessions = []
    for animal in range(n_animals):
        for k in range(2):
            run = np.repeat(rng.random(n_frames // 10) > 0.5, 10) * (f"s{k}" not in blank)
            traces = rng.normal(size=(n_frames, len(NAMES))) + run[:, None] * PLANTED
            behavior = {"run": run, "act": np.where(run, "walk", "rest"), "speed": run * 9.0}
            segment = np.zeros(n_frames, np.int32)
            sessions.append(Session(f"m{animal}", f"s{k}", traces, NAMES, behavior, segment))
    kind = {"run": "binary", "act": "classes", "speed": "value"}[target]
    return cut_windows(sessions, Target(target, kind=kind), WindowShape(1, 1))


@pytest.fixture(scope="module")
def windows():
    return windows_of()


@pytest.fixture(scope="module")
def decoder():
    trained = windows_of(seed=1)
    training = Training(epochs=6, batch_size=32, learning_rate=0.02)
    return fit(trained, trained, Network("gru", units=8), training)


def test_the_score_falls_fastest_along_the_true_order(decoder, windows):
    found = delete_regions(decoder, windows, TRUE_ORDER)
    assert found.counts.tolist() == list(range(11))
    assert found.random_deletion.shape == found.random_insertion.shape == (20, 11)
    assert found.area_deletion > 0.1
    assert found.area_insertion > 0.1
    # One random order in a few hundred is the true one as far as it matters.
    assert max(found.p_deletion, found.p_insertion) < 0.1
    assert found.deletion[3] < 0.65 < found.random_deletion[:, 3].mean()
    assert found.words.startswith("with regions taken away in the map's order auc lies 0.")


def test_the_false_order_is_told(decoder, windows):
    found = delete_regions(decoder, windows, TRUE_ORDER[::-1])
    assert found.area_deletion < 0
    assert min(found.p_deletion, found.p_insertion) > 0.9
    assert "higher on average than in 20 random ones" in found.words
    assert "the map's order is not shown to be that of what the decoder uses" in found.words


def test_a_map_of_the_decoder_gives_the_order(decoder, windows):
    background = draw_background(windows, 20)
    made = deep_shap(decoder, windows.where(windows.frame % 4 == 0), background)
    found = delete_regions(decoder, windows, made, n_random=1, every_n_frames=2)
    assert found.order == tuple(made.ranking()["region"])
    assert found.order[:2] == ("c", "g")
    assert "too few random orders to say, 20 are needed" in found.words


def test_ends_are_the_decoder_as_it_is_and_chance(decoder, windows):
    found = delete_regions(decoder, windows, TRUE_ORDER, n_random=2)
    table = score_sessions(predict(decoder, windows)).assign(condition="", fold="", seed=0)
    as_it_is = score_animals(table)["value"].mean()
    assert found.deletion[0] == found.insertion[-1] == pytest.approx(as_it_is)
    assert found.deletion[-1] == found.insertion[0] == 0.5
    assert (found.random_deletion[:, [0, -1]] == found.deletion[[0, -1]]).all()


def test_what_is_taken_away_enters_as_regions_that_were_left_out(decoder, windows):
    offset = decoder.network.input_offset.numpy()
    found = delete_regions(decoder, windows, TRUE_ORDER, n_random=1)
    traces = windows.traces.copy()
    traces[:, 2] = offset[2]
    said = predict(decoder, replace(windows, traces=traces))
    table = score_sessions(said).assign(condition="", fold="", seed=0)
    assert found.deletion[1] == pytest.approx(score_animals(table)["value"].mean())


def test_each_input_is_predicted_once(decoder, windows, monkeypatch):
    inputs = []

    def counted(decoder, windows, **more):
        inputs.append(windows.traces.tobytes())
        return predict(decoder, windows, **more)

    monkeypatch.setattr("corticode.explain.deletion.predict", counted)
    delete_regions(decoder, windows, TRUE_ORDER, n_random=3, n_steps=4)
    assert len(inputs) == len(set(inputs)) <= 2 + 2 * 4 * 3


@pytest.mark.parametrize("target", ["act", "speed"])
def test_other_targets(target):
    windows = windows_of(target=target)
    decoder = fit(windows, windows, "linear-window", Training(penalty=(0.01,)))
    found = delete_regions(decoder, windows, TRUE_ORDER)
    assert found.metric == ("auc" if target == "act" else "r2")
    assert found.p_deletion < 0.1


def test_table_and_findings(decoder):
    found = delete_regions(decoder, windows_of(blank=("s1",)), TRUE_ORDER, n_random=2)
    assert {finding.session for finding in found.findings} == {"s1"}
    table = found.table()
    assert list(table.columns[:5]) == [
        "n_parts",
        "deletion",
        "deletion_random",
        "deletion_random_low",
        "deletion_random_high",
    ]
    assert (table["deletion_random_low"] <= table["deletion_random_high"]).all()


@given(st.integers(1, 200), st.integers(2, 30))
def test_steps_go_from_none_to_all(n_regions, n_steps):
    counts = count_steps(n_regions, n_steps)
    assert counts[0] == 0
    assert counts[-1] == n_regions
    assert (np.diff(counts) > 0).all()
    assert counts.size <= n_steps + 1


def test_bad_input_says_the_way_out(decoder, windows):
    with pytest.raises(StudyError, match="the order lacks a, which the decoder sees"):
        delete_regions(decoder, windows, TRUE_ORDER[:2] + TRUE_ORDER[3:])
    with pytest.raises(StudyError, match="n_random is 0 and n_steps 12"):
        delete_regions(decoder, windows, TRUE_ORDER, n_random=0)
    other = replace(windows, recipe=replace(windows.recipe, window=WindowShape(2, 0)))
    with pytest.raises(DecoderError, match="another window"):
        delete_regions(decoder, other, TRUE_ORDER)
    with pytest.raises(DataError, match="no session can be scored, so none is left for the del"):
        delete_regions(decoder, windows_of(blank=("s0", "s1")), TRUE_ORDER)
