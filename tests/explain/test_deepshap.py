from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from tests.conftest import again

from corticode.data.preprocess import Preprocessing
from corticode.data.targets import Target
from corticode.data.windows import WindowShape, cut_windows
from corticode.decode.fit import fit
from corticode.decode.predict import predict
from corticode.decode.settings import Network, Training
from corticode.errors import DataError, DecoderError, StudyError
from corticode.explain import deepshap
from corticode.explain.contributions import draw_background
from corticode.explain.deepshap import deep_shap
from corticode.explain.gradients import expected_gradients
from corticode.explain.importance_map import ImportanceMap

SHORT = Training(epochs=3, batch_size=32, learning_rate=0.02, penalty=(0.01,))


@pytest.fixture
def fitted(simulate):
    """A decoder of two animals, windows to explain and a background."""

    def make(kind="gru", target=None, regions=None):
        windows = cut_windows(
            [simulate(name, "a", n_frames=200, n_regions=5) for name in ("m1", "m2")],
            target or Target("run"),
            WindowShape(4, 3),
            preprocessing=Preprocessing(scale_over="training"),
            regions=regions,
        )
        units = {} if kind.startswith(("linear", "speed")) else {"units": 8}
        decoder = fit(windows, again(windows), Network(kind, **units), SHORT)
        return (
            decoder,
            windows.where(np.arange(0, windows.n_windows, 3)),
            draw_background(windows, 12),
        )

    return make


def contributions(decoder, windows, background, **asked):
    """What is added to the output of each window, (window, frame, region): a map of each alone."""
    alone = [windows.where(np.array([k])) for k in range(windows.n_windows)]
    return np.stack([deep_shap(decoder, one, background, **asked).signed for one in alone])


def logits(decoder, windows):
    with torch.no_grad():
        return decoder.network(torch.from_numpy(windows.values()))[:, 0].numpy()


@pytest.mark.parametrize("kind", ["bi-lstm", "gru", "gru-keras", "linear-window"])
@pytest.mark.parametrize("on", ["logit", "probability"])
def test_contributions_add_up_to_what_predict_says(fitted, kind, on):
    decoder, windows, background = fitted(kind)
    found = deep_shap(decoder, windows, background, on=on)
    values = contributions(decoder, windows, background, on=on)
    said, unseen = (predict(decoder, w, part=None).score for w in (windows, background))
    if on == "logit":
        # Not from probabilities: those near 1 hold too few digits of their logit.
        said, unseen = (logits(decoder, w) for w in (windows, background))
    np.testing.assert_allclose(values.sum(axis=(1, 2)), said - unseen.mean(), atol=2e-5, rtol=1e-4)
    assert found.baseline == pytest.approx(unseen.mean(), abs=1e-5)
    assert found.details["additivity_error"] < 1e-5


def test_values_are_explained_in_the_targets_unit(fitted):
    decoder, windows, background = fitted("speed", Target("speed", kind="value"))
    values = contributions(decoder, windows, background)
    said, unseen = (predict(decoder, w, part=None).score for w in (windows, background))
    np.testing.assert_allclose(values.sum(axis=(1, 2)), said - unseen.mean(), atol=1e-4)
    assert deep_shap(decoder, windows, background).unit == "value"


def test_a_class_of_several_by_its_logit(fitted):
    decoder, windows, background = fitted(target=Target("act", kind="classes"))
    found = deep_shap(decoder, windows, background, of_class="walk")
    assert [part.name for part in found.by_class] == list(decoder.recipe.classes)
    assert found.details["additivity_error"] < 1e-5
    with pytest.raises(StudyError, match="no rule for the probabilities of several classes"):
        deep_shap(decoder, windows, background, of_class="walk", on="probability")


def test_the_map_is_the_average_of_its_windows(fitted, monkeypatch, tmp_path):
    decoder, windows, background = fitted()
    values = contributions(decoder, windows, background)
    # Blocks that end within animals, and a background that is walked through again.
    for name, size in (
        ("PAIRS", 15),
        ("BACKGROUND_BLOCK", 5),
        ("WINDOW_BLOCK", 19),
        ("KEPT_BLOCKS", 1),
    ):
        monkeypatch.setattr(deepshap, name, size)
    found = deep_shap(decoder, windows, background)
    np.testing.assert_allclose(found.signed, values.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(found.absolute, np.abs(values).mean(axis=0), atol=1e-6)
    for part, chosen in zip(
        (*found.by_class, *found.by_animal),
        (windows.target == 0, windows.target == 1, windows.animal == 0, windows.animal == 1),
        strict=True,
    ):
        assert part.n_windows == chosen.sum()
        np.testing.assert_allclose(part.signed, values[chosen].mean(axis=0), atol=1e-6)
    assert [part.name for part in found.by_class] == ["run = 0", "run = 1"]
    assert (found.kind, found.unit, found.n_windows) == ("deep-shap", "logit", windows.n_windows)
    assert found.frames == (-4, -3, -2, -1, 0, 1, 2, 3)
    found.save(tmp_path / "map.npz")
    assert ImportanceMap.load(tmp_path / "map.npz").details == found.details


def test_the_region_that_follows_the_behaviour_leads(fitted):
    decoder, windows, background = fitted()
    ranking = deep_shap(decoder, windows, background).ranking()
    assert ranking["region"][0] == "1"
    assert ranking["share"][0] > 0.5


def test_regions_that_are_left_out_add_nothing(fitted):
    decoder, windows, background = fitted(regions=["not", 2])
    shares = deep_shap(decoder, windows, background).by_region()
    assert shares[1] == 0
    assert np.all(np.delete(shares, 1) > 0)


def test_expected_gradients_of_many_steps_rank_alike(fitted):
    decoder, windows, background = fitted()
    few = windows.where(np.arange(0, windows.n_windows, 2))
    exact = deep_shap(decoder, few, background)
    errors = []
    for n_draws in (60, 960):
        sampled = expected_gradients(decoder, few, background, n_draws=n_draws)
        errors.append(sampled.details["additivity_error"])
    # What is missed is chance, and shrinks with the draws.
    assert errors[1] < min(0.05, errors[0] / 2)
    assert spearmanr(exact.absolute.ravel(), sampled.absolute.ravel()).statistic > 0.98
    assert np.corrcoef(exact.signed.ravel(), sampled.signed.ravel())[0, 1] > 0.99


def test_each_background_is_walked_through_once(fitted, monkeypatch):
    decoder, windows, background = fitted()
    monkeypatch.setattr(deepshap, "WINDOW_BLOCK", 40)
    walked = []
    forward_pass = deepshap._Explanation._forward_pass
    monkeypatch.setattr(
        deepshap._Explanation,
        "_forward_pass",
        lambda self, x: walked.append(len(x)) or forward_pass(self, x),
    )
    deep_shap(decoder, windows, background)
    assert sum(walked) == windows.n_windows + background.n_windows


def test_the_decoder_stays_as_it_is(fitted):
    decoder, windows, background = fitted()
    before = predict(decoder, windows, part=None).score
    deep_shap(decoder, windows, background)
    assert all(p.requires_grad for p in decoder.network.parameters())
    np.testing.assert_array_equal(predict(decoder, windows, part=None).score, before)


def test_bad_input_says_the_way_out(fitted):
    decoder, windows, background = fitted()
    with pytest.raises(DataError, match="no windows in the background; give at least one"):
        deep_shap(decoder, windows, background.where(np.arange(0)))
    with pytest.raises(StudyError, match="one of logit, probability"):
        deep_shap(decoder, windows, background, on="odds")
    with pytest.raises(StudyError, match="this decoder has one output"):
        deep_shap(decoder, windows, background, of_class="walk")
    other = replace(windows, recipe=replace(windows.recipe, window=WindowShape(3, 4)))
    with pytest.raises(DecoderError, match="another window"):
        deep_shap(decoder, other, background)
    movies = replace(decoder, settings=Network("cnn-gru"))
    with pytest.raises(DecoderError, match=r"decoder of movies of kind 'cnn-gru'; it has .* Take"):
        deep_shap(movies, windows, background)


def test_contributions_that_do_not_add_up_are_an_error(fitted, monkeypatch):
    decoder, windows, background = fitted()
    monkeypatch.setattr(deepshap, "rules_of", lambda inner, n: _Wrong(_rules_of(inner, n)))
    with pytest.raises(DecoderError, match="miss the outputs by"):
        deep_shap(decoder, windows, background)
    monkeypatch.undo()
    # A window that is its own background differs by nothing but rounding.
    one = windows.where(np.array([5]))
    assert deep_shap(decoder, one, one).absolute.max() < 1e-6


_rules_of = deepshap.rules_of


class _Wrong:
    def __init__(self, rules):
        self.rules, self.forward_pass = rules, rules.forward_pass

    def contributions(self, *given):
        return self.rules.contributions(*given) * torch.tensor(1.001)
