import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corticode.errors import DataError, MissingDataError
from corticode.explain.importance_map import ImportanceMap, MapPart, centre_of_frames


def make_map(absolute=((3.0, 1.0), (0.0, 4.0)), **more):
    absolute = np.array(absolute)
    given = {
        "signed": -absolute,
        "baseline": 0.25,
        "n_windows": 7,
        "names": tuple(str(k + 1) for k in range(absolute.shape[1])),
        "frames": tuple(range(-1, absolute.shape[0] - 1)),
        "frame_rate_hz": 10.0,
        "by_class": (MapPart("run = 1", 3, absolute / 3, absolute / 2),),
        "by_animal": (MapPart("m1", 7, None, absolute),),
        "details": {"additivity_error": 1e-7, "animals": ["m1"]},
        "findings": ("one thing looked odd",),
    }
    return ImportanceMap("deep-shap", "logit", ("frame", "region"), absolute, **given | more)


def test_shares_and_ranking_by_hand():
    found = make_map()
    assert found.by_region().tolist() == [0.375, 0.625]
    assert found.by_frame().tolist() == [0.5, 0.5]
    assert found.ranking()["region"].tolist() == ["2", "1"]
    assert found.ranking()["cumulative"].tolist() == [0.625, 1.0]
    assert found.top_share(1) == 0.625
    # Of two equal frames the first.
    assert (found.peak_frame, found.peak_s) == (-1, -0.1)
    assert replace(found, frame_rate_hz=None).peak_s is None


def test_the_centre_is_of_the_largest_stretch_above_an_even_share():
    # An even share of 10 frames is 0.1: 0.1 + 0.2 + 0.1 lie above at 4 to 6, 0.1 at 0.
    shares = np.array([0.2, 0.1, 0.0, 0.0, 0.2, 0.3, 0.2, 0.0, 0.0, 0.0])
    assert centre_of_frames(shares) == pytest.approx(5)
    assert centre_of_frames(7 * shares) == pytest.approx(5)
    # It moves as the peak does, between frames too, whatever lies beside it.
    lopsided = np.array([0.2, 0.1, 0.0, 0.0, 0.2, 0.2, 0.3, 0.0, 0.0, 0.0])
    assert centre_of_frames(lopsided) == pytest.approx((4 + 5 + 2 * 6) / 4)


@given(st.integers(12, 40), st.integers(0, 2**32 - 1))
def test_a_planted_peak_is_found_to_a_frame(place, seed):
    frames = np.arange(61)
    profile = 0.5 + 3 * np.exp(-(((frames - place) / 5) ** 2))
    noise = np.random.default_rng(seed).uniform(0.9, 1.1, 61)
    assert centre_of_frames(profile * noise) == pytest.approx(place, abs=1)


def test_a_flat_map_has_no_centre():
    assert np.isnan(centre_of_frames(np.ones(9)))
    assert np.isnan(centre_of_frames(np.zeros(9)))
    assert np.isnan(centre_of_frames(np.linspace(0.9, 1.1, 9)))


@given(st.lists(st.floats(0, 1e6), min_size=6, max_size=6))
def test_shares_add_up_to_one_or_nothing(values):
    found = make_map(np.reshape(values, (2, 3)))
    total = found.top_share(3)
    assert total == pytest.approx(1 if sum(values) > 0 else 0)
    assert found.by_frame().sum() == pytest.approx(total)


def test_saved_and_loaded_is_the_same(tmp_path):
    made = make_map()
    made.save(tmp_path / "map.npz")
    again = ImportanceMap.load(tmp_path / "map.npz")
    for name in ("kind", "unit", "axes", "baseline", "n_windows", "names", "frames", "findings"):
        assert getattr(again, name) == getattr(made, name)
    assert again.details == dict(made.details)
    np.testing.assert_array_equal(again.signed, made.signed)
    np.testing.assert_array_equal(again.by_class[0].signed, made.by_class[0].signed)
    np.testing.assert_array_equal(again.by_animal[0].absolute, made.absolute)
    assert again.by_animal[0].signed is None
    assert (again.by_class[0].name, again.by_class[0].n_windows) == ("run = 1", 3)
    assert again.by_decoder == ()


def test_maps_over_pixels_have_no_regions(tmp_path):
    pixels = ImportanceMap("occlusion", "AUC", ("row", "column"), np.ones((3, 4)))
    pixels.save(tmp_path / "map.npz")
    assert ImportanceMap.load(tmp_path / "map.npz").absolute.shape == (3, 4)
    with pytest.raises(DataError, match="a map over row, column has no shares by region"):
        pixels.ranking()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"signed": np.zeros((2, 3))}, "signed of the map has shape (2, 3)"),
        ({"absolute": np.array([[np.nan, 1.0], [0.0, 1.0]])}, "1 values that are not finite"),
        ({"names": ("1",)}, "the map has 2 regions and 1 labels; give one a region"),
        ({"frames": ()}, "the map has 2 frames and 0 labels"),
        ({"axes": ("region", "frame")}, "is not known; give one of"),
        ({"axes": ("frame", "row", "column")}, "the map has shape (2, 2), its axes are frame, row"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    with pytest.raises(DataError, match=re.escape(message)):
        replace(make_map(), **change)


def test_missing_and_damaged_files_say_the_way_out(tmp_path):
    path = tmp_path / "map.npz"
    with pytest.raises(MissingDataError, match="make it again with `corticode explain`"):
        ImportanceMap.load(path)
    make_map().save(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="is damaged or holds no importance map"):
        ImportanceMap.load(path)
    np.savez(path, description=np.array('{"format": 99}'))
    with pytest.raises(DataError, match="written by another corticode"):
        ImportanceMap.load(path)
    np.savez(path, other=np.zeros(3))
    with pytest.raises(DataError, match="delete it and make the map again"):
        ImportanceMap.load(path)


def test_no_torch_is_loaded():
    code = "import sys, corticode.explain.importance_map; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
