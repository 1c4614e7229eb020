"""Tests."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from corticode.data.windows import WindowShape
from corticode.decode.decoder import build_network
from corticode.decode.networks.binned import (
    N_CELLS,
    GridMeans,
    PrincipalComponents,
    SmallCNN,
    bin_images,
)
from corticode.decode.settings import Network


class TestBins:
    def test_of_whole_pixels_are_their_means(self):
        images = torch.randn(2, 3, 64, 96)
        expected = images.reshape(2, 3, 32, 2, 32, 3).mean((3, 5))
        torch.testing.assert_close(bin_images(images, 32), expected)

    def test_by_hand_where_pixels_are_shared(self):
        # Three pixels in two bins: the middle one counts half in each.
        found = bin_images(torch.tensor([[1.0, 4.0, 10.0]] * 3), 2)
        assert found.tolist() == [pytest.approx([2.0, 8.0])] * 2

    @given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 40))
    def test_keep_the_mean_of_the_image(self, n_rows, n_columns, bins):
        image = torch.arange(n_rows * n_columns, dtype=torch.float32).reshape(n_rows, n_columns)
        binned = bin_images(image, bins)
        assert binned.shape == (bins, bins)
        assert float(binned.mean()) == pytest.approx(float(image.mean()), rel=1e-4)

    def test_again_are_the_same(self):
        once = bin_images(torch.randn(5, 70, 51), 32)
        assert torch.equal(bin_images(once, 32), once)

    def test_have_a_gradient_after_inference(self):
        with torch.inference_mode():
            bin_images(torch.randn(2, 37, 41), 7)
        images = torch.randn(2, 37, 41, requires_grad=True)
        bin_images(images, 7).sum().backward()
        # Each pixel counts by its part of a bin, all bins as much.
        torch.testing.assert_close(images.grad, torch.full_like(images, 49 / (37 * 41)))

    def test_a_pattern_finer_than_a_bin_leaves_nothing(self):
        stripes = torch.tensor([1.0, -1.0]).repeat(32).expand(64, 64)
        assert bin_images(stripes, 32).abs().max() == 0


class TestGrid:
    def test_means_are_those_of_the_cells(self):
        images = torch.randn(2, 3, 64, 48)
        means = GridMeans()(images).reshape(2, 3, N_CELLS, N_CELLS)
        assert torch.allclose(means[1, 2, 5, 7], images[1, 2, 20:24, 21:24].mean())

    def test_nothing_is_learned_before_the_head(self):
        network = build_network(
            Network("cnn", backbone="grid"), WindowShape(0, 0), n_regions=0, n_outputs=1
        )
        learned = {name: p.numel() for name, p in network.inner.named_parameters()}
        assert learned == {"dense.weight": 3 * 16 * 16, "dense.bias": 1}

    def test_an_image_does_not_see_the_others(self):
        images = torch.randn(5, 3, 20, 20)
        alone = torch.cat([GridMeans()(image[None]) for image in images])
        np.testing.assert_allclose(GridMeans()(images), alone, rtol=1e-6)


class TestComponents:
    def test_are_those_that_frames_vary_by(self):
        rng = torch.Generator().manual_seed(0)
        planted = torch.linalg.qr(torch.randn(64, 3, generator=rng)).Q.t()
        strengths = torch.randn(2000, 3, generator=rng) * torch.tensor([9.0, 4.0, 2.0])
        components = PrincipalComponents(3, bins=8)
        components.learn((strengths @ planted).reshape(-1, 8, 8))
        overlap = torch.nn.functional.normalize(components.patterns) @ planted.t()
        torch.testing.assert_close(overlap.abs(), torch.eye(3), rtol=0, atol=0.05)
        assert (components.patterns.amax(1) >= -components.patterns.amin(1)).all()

    def test_strengths_by_hand_and_their_scale(self):
        frames = torch.randn(3000, 8, 8)
        components = PrincipalComponents(10, bins=8)
        components.learn(frames)
        found = components(frames[:30].reshape(10, 3, 8, 8)).reshape(10, 3, 10)
        expected = frames[4].flatten() @ components.patterns.t()
        torch.testing.assert_close(found[1, 1], expected, rtol=1e-4, atol=1e-4)
        every = components(frames.reshape(1000, 3, 8, 8))
        assert float(every.square().mean()) == pytest.approx(1, abs=1e-3)

    def test_again_are_the_same(self):
        frames, found = torch.randn(500, 8, 8), []
        for _ in range(2):
            components = PrincipalComponents(5, bins=8)
            components.learn(frames)
            found.append(components.patterns)
        assert torch.equal(*found)


class TestSmall:
    @pytest.mark.parametrize("bins", [4, 17, 32, 64])
    def test_images_of_any_size(self, bins):
        cnn = SmallCNN(bins)
        assert cnn(torch.randn(2, 3, 30, 75)).shape == (2, cnn.n_features)

    def test_an_image_does_not_see_the_others(self):
        cnn, images = SmallCNN(), torch.randn(5, 3, 40, 40)
        alone = torch.cat([cnn(image[None]) for image in images])
        torch.testing.assert_close(cnn(images), alone, rtol=0, atol=1e-5)

    def test_binned_before_is_binned_once(self):
        cnn, images = SmallCNN(), torch.randn(5, 3, 64, 64)
        assert torch.equal(cnn(images), cnn(bin_images(images, cnn.bins)))

    def test_learns_through_all_its_weights(self):
        cnn = SmallCNN()
        cnn(torch.randn(4, 3, 64, 64)).square().sum().backward()
        assert all(bool((p.grad != 0).any()) for p in cnn.parameters())

    def test_is_small_with_its_gru(self):
        network = build_network(
            Network("cnn-gru", backbone="small"), WindowShape(15, 15), n_regions=0, n_outputs=1
        )
        assert 40_000 < sum(p.numel() for p in network.parameters()) < 60_000
