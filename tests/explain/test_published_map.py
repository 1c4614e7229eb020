from pathlib import Path

import numpy as np
import pytest

from corticode.errors import DataError, MissingDataError
from corticode.explain.importance_map import ImportanceMap
from corticode.explain.published_map import from_published

REFERENCE = Path(__file__).parents[3] / "shared" / "reference" / "shap_published.npz"


@pytest.mark.skipif(not REFERENCE.is_file(), reason="no ../shared")
def test_published_array_gives_the_published_ranking(tmp_path):
    found = from_published(REFERENCE)
    assert found.ranking()["region"][:4].tolist() == ["8", "31", "33", "6"]
    assert found.top_share(4) == pytest.approx(0.327, abs=5e-4)
    assert (found.peak_frame, found.peak_s) == (3, pytest.approx(0.1))
    assert len(found.by_decoder) == 20
    assert [part.name for part in found.by_animal] == ["1", "2", "3", "4", "5"]
    found.save(tmp_path / "map.npz")
    assert ImportanceMap.load(tmp_path / "map.npz").top_share() == found.top_share()


def test_splits_are_pairs_with_the_validation_animal_first(tmp_path):
    values = np.zeros((20, 3, 2), np.float32)
    values[0] = 4.0  # validation animal 1, test animal 2
    np.save(tmp_path / "shap.npy", values)
    found = from_published(tmp_path / "shap.npy")
    assert found.by_decoder[0].name == "test-2_valid-1"
    assert [part.absolute.max() for part in found.by_animal] == [0, 1, 0, 0, 0]
    assert found.frames == (-1, 0, 1)
    assert found.signed is None


def test_other_files_are_refused(tmp_path):
    with pytest.raises(MissingDataError, match="mean_abs_shap"):
        from_published(tmp_path / "none.npz")
    np.savez(tmp_path / "other.npz", something=np.zeros(3))
    with pytest.raises(DataError, match="holds no such array; needed is 'mean_abs_shap'"):
        from_published(tmp_path / "other.npz")
    np.savez(tmp_path / "short.npz", mean_abs_shap=np.zeros((6, 31, 50)))
    with pytest.raises(DataError, match="with 20 splits"):
        from_published(tmp_path / "short.npz")
