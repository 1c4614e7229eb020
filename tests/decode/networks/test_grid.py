import numpy as np
import torch

from corticode.data.windows import WindowShape
from corticode.decode.decoder import build_network
from corticode.decode.networks.grid import N_CELLS, GridMeans
from corticode.decode.settings import Network


def test_means_are_those_of_the_cells():
    images = torch.randn(2, 3, 64, 48)
    means = GridMeans()(images).reshape(2, 3, N_CELLS, N_CELLS)
    assert torch.allclose(means[1, 2, 5, 7], images[1, 2, 20:24, 21:24].mean())


def test_nothing_is_learned_before_the_head():
    network = build_network(
        Network("cnn", backbone="grid"), WindowShape(0, 0), n_regions=0, n_outputs=1
    )
    learned = {name: p.numel() for name, p in network.inner.named_parameters()}
    assert learned == {"dense.weight": 3 * 16 * 16, "dense.bias": 1}


def test_an_image_does_not_see_the_others():
    images = torch.randn(5, 3, 20, 20)
    alone = torch.cat([GridMeans()(image[None]) for image in images])
    np.testing.assert_allclose(GridMeans()(images), alone, rtol=1e-6)
