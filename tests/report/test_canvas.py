import matplotlib as mpl
import pytest

from corticode.errors import StudyError
from corticode.report.canvas import (
    COLOURS,
    MM_PER_INCH,
    colour_of,
    marker_of,
    new_figure,
    picture,
    save_figure,
    shortened,
    styled,
)


@styled
def draw(words="share"):
    figure, axes = new_figure(85, 40)
    axes[0, 0].set_title(words)
    return figure


def test_size_in_print():
    assert draw().get_size_inches() * MM_PER_INCH == pytest.approx([85, 40])


def test_settings_of_the_caller_stay():
    before = dict(mpl.rcParams)
    picture(draw())
    assert dict(mpl.rcParams) == before


def test_text_stays_text_in_svg():
    assert b">share</text>" in picture(draw(), "svg")


def test_the_same_bytes_each_time():
    assert picture(draw(), "svg") == picture(draw(), "svg")


@pytest.mark.parametrize("words", ["$\\frac{", "皮質", "a & <b>"])
def test_any_name_is_drawn(words):
    assert picture(draw(words)).startswith(b"\x89PNG")


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_writes(tmp_path, suffix):
    save_figure(draw(), tmp_path / "figures" / f"a.{suffix}")
    assert (tmp_path / "figures" / f"a.{suffix}").stat().st_size > 1000


def test_another_format_is_refused(tmp_path):
    with pytest.raises(StudyError, match="cannot be written as 'bmp'; give png, svg, pdf"):
        save_figure(draw(), tmp_path / "a.bmp")


def test_the_ninth_animal_has_the_first_colour_and_another_marker():
    assert colour_of(8) == COLOURS[0]
    assert marker_of(8) != marker_of(0)


def test_short_names_stay():
    assert shortened("gru\nraw") == "gru raw"
