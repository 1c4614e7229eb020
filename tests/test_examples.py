"""The worked examples on real recordings, as far as a test may take."""

import re
import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from corticode.data.catalogue import read_catalogue
from corticode.data.movies.normalise import PixelPreprocessing
from corticode.data.prepared import prepare_movies
from corticode.data.session import read_session
from corticode.decode.movie_batches import MovieFrames
from corticode.report.canvas import new_figure
from corticode.run.check import check_study
from corticode.study.study import read_study

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
DATA = ROOT.parent / "shared" / "data"
NAMES = ("v1_running", "s1_movie")


def normalised_frames(movie, rows):
    """Some frames of a movie as a decoder reads them."""
    frames, which = MovieFrames([movie]), np.arange(rows.start, rows.stop)
    return frames.normalise(which, frames.read(which)).numpy()


def needs(name):
    return pytest.mark.skipif(not (DATA / name).is_dir(), reason=f"no ../shared/data/{name}")


@pytest.mark.parametrize("name", [pytest.param(name, marks=needs(name)) for name in NAMES])
def test_studies_have_no_fault(name):
    report = check_study(read_study(EXAMPLES / name / "study.toml"))
    assert report.faults == []


@pytest.mark.parametrize("name", NAMES)
def test_study_files_are_read(name):
    study = read_study(EXAMPLES / name / "study.toml")
    assert study.folds.by == "block"
    assert len(study.conditions) >= 3


@needs("s1_movie")
def test_a_real_movie_is_normalised_like_numpy_says():
    session = read_session(read_catalogue(EXAMPLES / "s1_movie" / "sessions.csv")[0])
    assert session.movie.shape == (500, 64, 64)
    assert session.movie.dtype == np.int16
    assert session.behavior["runningSpeed"][:2].tolist() == [18.2, 18.69]
    movie = prepare_movies([session], PixelPreprocessing(scale="sd")).movies[0]
    raw = np.asarray(session.movie, np.float64)
    expected = (raw - raw.mean(axis=0)) / raw.std()
    expected[:, np.ptp(raw, axis=0) == 0] = 0
    np.testing.assert_allclose(normalised_frames(movie, slice(0, 500)), expected, atol=1e-4)


STUDY = """
preset = "recommended"
[data]
catalogue = "sessions.csv"
[target]
signal = "speed_normalized"
above = 0.1
[folds]
by = "block"
blocks = 5
[[condition]]
name = "linear-window"
preprocess = { detrend_frames = 0, scale = "z-score", scale_over = "training" }
network = { kind = "linear-window" }
"""


@needs("v1_running")
def test_running_is_read_from_a_real_mouse(run_inline, tmp_path):
    catalogue = pd.read_csv(EXAMPLES / "v1_running" / "sessions.csv").iloc[:1]
    for column in ("traces", "behavior"):
        catalogue[column] = [str(EXAMPLES / "v1_running" / path) for path in catalogue[column]]
    catalogue.to_csv(tmp_path / "sessions.csv", index=False)
    (tmp_path / "study.toml").write_text(STUDY, "utf-8")
    summary, _ = run_inline(tmp_path, tmp_path / "run")
    # The worked example's five blocks gave this mouse 0.6 to 0.7.
    assert summary.animal_scores["value"].mean() > 0.58


def test_gallery_draws_the_published_verdicts():
    gallery = runpy.run_path(str(ROOT / "examples" / "gallery.py"))
    kinds = ["gru", "lstm", "rnn", "bi-gru", "bi-lstm", "bi-rnn"]
    figure = gallery["draw_conditions"](gallery["read_splits"](), "4F", kinds)
    words = [text.get_text() for text in figure.axes[0].texts]
    assert "20 splits, as published: p = 0.042\n5 animals: +0.021 [-0.008, 0.050]" in words


def test_the_published_array_gives_the_published_ranking():
    found = runpy.run_path(str(ROOT / "examples" / "gallery.py"))["read_map"]()
    assert found.ranking()["region"][:4].tolist() == ["8", "31", "33", "6"]
    assert found.top_share(4) == pytest.approx(0.327, abs=5e-4)
    assert (found.peak_frame, found.peak_s) == (3, pytest.approx(0.1))
    # The validation animal is named first in the released order, the test animal second.
    assert found.by_decoder[0].name == "test-2_valid-1"
    assert len(found.by_decoder) == 20
    assert [part.name for part in found.by_animal] == ["1", "2", "3", "4", "5"]


def test_the_gallery_shows_figures_below_their_titles():
    gallery = runpy.run_path(str(ROOT / "examples" / "gallery.py"))
    page = gallery["render_gallery"]({"Fig. <6>": new_figure(20, 20)[0]})
    assert "<h2>Fig. &lt;6&gt;</h2>" in page
    assert page.count("<img") == 1
    assert "http" not in page.replace("http-equiv", "")
    assert gallery["STYLE"].read_text("utf-8") in page


TINY = {
    "across_mice": {"n_mice": 3, "epochs": 1},
    "detrending": {"n_frames": 1000},
    "more_than_chance": {"n_sessions": 3, "n_draws": 40},
    "movie_cutout": {"n_frames": 120},
    "which_regions": {"n_frames": 1000, "epochs": 1, "n_random": 2},
}
SCRIPTS = sorted(path.stem for path in EXAMPLES.glob("*.py") if path.stem != "gallery")


def numbers_of(printed):
    return [float(number) for number in re.findall(r"(?<![\w-])\d\.\d+(?!\w)", printed)]


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("name", SCRIPTS)
def test_each_script_ends_in_a_figure_and_a_line(name, tmp_path, capsys):
    script = runpy.run_path(str(EXAMPLES / f"{name}.py"))
    script["main"](tmp_path, **TINY[name])
    printed = capsys.readouterr().out.splitlines()[-1]
    assert (tmp_path / f"{name}.svg").stat().st_size > 5000
    assert numbers_of(printed)
    if name == "across_mice":
        # A linear decoder of other simulated mice is far above chance.
        assert numbers_of(printed)[1] > 0.7
    if name == "more_than_chance":
        signal, no_signal = numbers_of(re.sub(r"p < 0\.05", "", printed))
        assert signal < 0.05 < no_signal


@pytest.mark.parametrize("name", SCRIPTS)
def test_each_script_is_a_page_long_and_stands_on_the_gallery_page(name):
    assert 20 <= len((EXAMPLES / f"{name}.py").read_text("utf-8").splitlines()) <= 80
    assert f"(../examples/{name}.py)" in (ROOT / "docs" / "gallery.md").read_text("utf-8")
