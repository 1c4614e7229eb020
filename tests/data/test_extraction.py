import numpy as np
import pytest

from corticode.data.catalogue import Recording, read_catalogue
from corticode.data.extraction import extract_catalogue
from corticode.data.readers.arrays import ArrayLocation
from corticode.data.regions import RegionTable
from corticode.data.session import read_session
from corticode.errors import DataError, StudyError


@pytest.fixture
def recordings(tmp_path):
    """Two sessions whose left column brightens by 10 % at the end; one interleaves wavelengths."""
    made = []
    for k, channels in enumerate([(), ("calcium", "reference")]):
        movie = np.full((8, 4, 4), 100, np.uint16)
        movie[4:, :, 0] = 110
        if channels:
            movie = np.stack([movie, np.full_like(movie, 50)], axis=1).reshape(16, 4, 4)
        np.save(tmp_path / f"movie{k}.npy", movie)
        rows = "run\n" + "\n".join("00001111") + "\n"
        (tmp_path / f"run{k}.csv").write_text(rows, "utf-8")
        made.append(
            Recording(
                "m1",
                f"s{k}",
                behavior=ArrayLocation(tmp_path / f"run{k}.csv"),
                movie=ArrayLocation(tmp_path / f"movie{k}.npy"),
                channels=channels,
            )
        )
    return made


def test_labels_and_both_decoders_read_the_same_catalogue(recordings, tmp_path):
    image = np.zeros((4, 4), np.uint8)
    image[:, 0], image[:, 2] = 3, 9
    np.save(tmp_path / "labels.npy", image)
    path, findings = extract_catalogue(
        recordings, tmp_path / "out", labels=ArrayLocation(tmp_path / "labels.npy")
    )
    assert findings == []
    for recording in read_catalogue(path):
        session = read_session(recording)
        assert session.regions == ("3", "9")
        assert session.movie.shape == (8, 4, 4)
        # 100 and 110, against their mean of 105; the other region never changes.
        expected = np.repeat([[-100 / 21, 0], [100 / 21, 0]], 4, axis=0)
        np.testing.assert_allclose(session.traces, expected, rtol=1e-5)
        assert session.history == "dF/F of the movie, baseline: mean"


def test_discs_around_centres(recordings, tmp_path):
    table = RegionTable(("left", "right"), rows=(1.0, 1.0), columns=(0.0, 3.0))
    path, _ = extract_catalogue(
        recordings, tmp_path / "out", table=table, radius_pixels=0.5, baseline="percentile"
    )
    session = read_session(read_catalogue(path)[0])
    assert session.regions == ("left", "right")
    np.testing.assert_allclose(session.traces[:, 0], [0] * 4 + [10] * 4, atol=1e-5)


class TestRefused:
    def test_neither_labels_nor_centres(self, recordings, tmp_path):
        with pytest.raises(
            StudyError, match=r"say where regions lie: .*\(--labels\), .*\(--regions\)"
        ):
            extract_catalogue(recordings, tmp_path / "out")

    def test_a_destination_with_a_catalogue(self, recordings, tmp_path):
        (tmp_path / "sessions.csv").write_text("mine", "utf-8")
        table = RegionTable(("left",), rows=(1.0,), columns=(0.0,))
        with pytest.raises(DataError, match=r"sessions\.csv exists"):
            extract_catalogue(recordings, tmp_path, table=table)
        assert (tmp_path / "sessions.csv").read_text("utf-8") == "mine"

    def test_a_session_without_movie(self, recordings, tmp_path):
        from dataclasses import replace

        table = RegionTable(("left",), rows=(1.0,), columns=(0.0,))
        with pytest.raises(DataError, match="session m1/s0: it has no movie"):
            extract_catalogue([replace(recordings[0], movie=None)], tmp_path / "out", table=table)

    def test_a_centre_outside_the_image(self, recordings, tmp_path):
        table = RegionTable(("left",), rows=(9.0,), columns=(0.0,))
        with pytest.raises(DataError, match="session m1/s0: the centre of region 'left'"):
            extract_catalogue(recordings, tmp_path / "out", table=table)
        assert not (tmp_path / "out" / "sessions.csv").exists()
