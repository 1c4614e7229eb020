import numpy as np
import pandas as pd
import pytest

from corticode.report.canvas import picture
from corticode.report.image_figures import (
    MOST_IMAGES,
    MOST_MASKS,
    draw_mask_costs,
    draw_mean_images,
    draw_session_maps,
    draw_square_map,
)
from corticode.report.region_outlines import outlines_of


@pytest.mark.parametrize("image", [None, np.arange(64.0 * 64).reshape(64, 64)])
def test_squares(image):
    figure = draw_square_map(np.zeros((8, 8)), mean_image=image)
    assert len(figure.axes) == (2 if image is None else 3)
    assert picture(figure)


def outlines(*centres):
    table = pd.DataFrame(centres, columns=["row", "column"]).assign(name=range(len(centres)))
    return outlines_of(table)


def test_centres_of_another_size_of_image_are_left_out():
    for size, n_lines in ((4, 2), (3, 0)):
        drawn = draw_mean_images({"m1/a": np.eye(size)}, outlines((1, 2), (3, 3))).axes[0]
        assert len(drawn.lines) == n_lines
        assert drawn.get_xlim() == (-0.5, size - 0.5)


def test_the_overlay_has_the_outlines_and_keeps_the_image_s_size():
    labels = np.zeros((128, 128), np.int64)
    labels[16:32, 64:96] = 3
    found = outlines_of(pd.DataFrame(), labels)
    over = draw_square_map(np.eye(8), mean_image=np.eye(64), outlines=found).axes[1]
    # The same place in an image of half the size.
    assert sorted(set(over.lines[0].get_xdata())) == [31.5, 47.5]
    assert sorted(set(over.lines[0].get_ydata())) == [7.5, 15.5]
    assert over.get_ylim() == (63.5, -0.5)


def test_maps_of_sessions_share_their_scale():
    figure = draw_session_maps({"m2/a": np.eye(8), "m10/b": -3 * np.eye(8)})
    assert [axes.get_title() for axes in figure.axes[:2]] == ["m2\na", "m10\nb"]
    assert {axes.images[0].get_clim() for axes in figure.axes[:2]} == {(-3.0, 3.0)}


def test_costs_of_masks_with_and_without_an_interval():
    table = pd.DataFrame(
        {"mask": [f"<mask> {k}" for k in range(50)], "metric": "r2", "score": 0.1, "low": np.nan,
         "high": np.nan}
    )  # fmt: skip
    drawn = draw_mask_costs(table).axes[0]
    assert drawn.get_xlabel() == "loss of R² where it is covered"
    assert len(drawn.get_yticklabels()) == MOST_MASKS


def test_a_hot_pixel_does_not_take_the_contrast():
    image = np.tile(np.linspace(0, 1, 64), (64, 1))
    image[3, 3] = 1e6
    shown = draw_mean_images({"m1/a": image}).axes[0].images[0]
    assert shown.get_clim()[1] < 2


def test_a_row_an_animal_in_order_and_six_sessions_at_most():
    images = {f"m{k}/{s}": np.eye(4) for k in (10, 2) for s in range(8)}
    figure = draw_mean_images(images)
    titles = [axes.get_title() for axes in figure.axes]
    assert len(titles) == 2 * MOST_IMAGES
    assert titles[0] == "m2\n0"
    assert picture(figure)
