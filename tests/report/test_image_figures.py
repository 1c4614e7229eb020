import numpy as np
import pandas as pd
import pytest

from corticode.report.canvas import picture
from corticode.report.image_figures import MOST_IMAGES, draw_mean_images, draw_square_map


@pytest.mark.parametrize("image", [None, np.arange(64.0 * 64).reshape(64, 64)])
def test_squares(image):
    figure = draw_square_map(np.zeros((8, 8)), mean_image=image)
    assert len(figure.axes) == (2 if image is None else 3)
    assert picture(figure)


def test_centres_of_another_size_of_image_are_left_out():
    regions = pd.DataFrame({"row": [1.0, 3.0], "column": [2.0, 3.0]})
    for size, n_lines in ((4, 1), (3, 0)):
        drawn = draw_mean_images({"m1/a": np.eye(size)}, regions).axes[0]
        assert len(drawn.lines) == n_lines


def test_a_hot_pixel_does_not_take_the_contrast():
    image = np.tile(np.linspace(0, 1, 64), (64, 1))
    image[3, 3] = 1e6
    shown = draw_mean_images({"m1/a": image}).axes[0].images[0]
    assert shown.get_clim()[1] < 2


def test_a_row_an_animal_in_order_and_six_sessions_at_most():
    images = {f"m{k}/{s}": np.eye(4) for k in (10, 2) for s in range(8)}
    regions = pd.DataFrame({"row": [1.0, np.nan], "column": [2.0, np.nan]})
    figure = draw_mean_images(images, regions)
    titles = [axes.get_title() for axes in figure.axes]
    assert len(titles) == 2 * MOST_IMAGES
    assert titles[0] == "m2/0"
    assert picture(figure)
