"""Tests."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from corticode.decode.networks.efficientnet import EfficientNet
from corticode.decode.networks.movies import MovieNetwork

HEADS = ("cnn", "cnn-gru", "cnn-lstm", "cnn-conv")


class TinyCNN(nn.Module):
    """Six features an image."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(3, 6, 3)
        self.norm = nn.BatchNorm2d(6)
        self.n_seen = 0

    def forward(self, images):
        self.n_seen += len(images)
        return self.norm(self.convolution(images)).mean((2, 3))


def tiny(head, **sizes):
    torch.manual_seed(0)
    return MovieNetwork(TinyCNN(), head, n_features=6, n_units=5, **sizes)


def sliding(n_windows, n_images):
    return torch.arange(n_windows)[:, None] + torch.arange(n_images)


@pytest.mark.parametrize(
    ("head", "n_parameters"),
    [("cnn", 4_008_829), ("cnn-gru", 4_648_189), ("cnn-lstm", 4_007_548 + 854_145)],
)
def test_parameters_are_as_many_as_in_the_study(head, n_parameters):
    # GRU: 3 x 128 x (1280 + 128 + 2) and 3 x 128 x (128 + 128 + 2); LSTM: 4 for 3; 128 weights and
    # a bias.
    network = MovieNetwork(EfficientNet(flavour="tensorflow"), head)
    assert sum(p.numel() for p in network.parameters()) == n_parameters


@pytest.mark.parametrize("head", HEADS)
def test_each_image_passes_the_cnn_once(head):
    network = tiny(head, n_outputs=2).eval()
    index = sliding(20, 1 if head == "cnn" else 11)
    logits = network(torch.randn(30, 3, 8, 8), index)
    assert logits.shape == (20, 2)
    assert network.cnn.n_seen == 30


@given(st.sampled_from(HEADS), st.integers(1, 5), st.integers(1, 4), st.integers(0, 2**31))
def test_any_index_as_window_by_window(head, n_windows, n_images, seed):
    network = tiny(head).eval()
    draw = torch.Generator().manual_seed(seed)
    images = torch.randn(7, 3, 5, 4, generator=draw)
    index = torch.randint(7, (n_windows, 1 if head == "cnn" else n_images), generator=draw)
    one_by_one = [network(images[row], torch.arange(len(row))[None]) for row in index]
    torch.testing.assert_close(network(images, index), torch.cat(one_by_one), rtol=0, atol=1e-5)


@pytest.mark.parametrize("head", HEADS)
def test_features_and_decision_apart_are_the_same(head):
    network, images = tiny(head).eval(), torch.randn(9, 3, 8, 8)
    index = sliding(4, 1 if head == "cnn" else 3)
    assert torch.equal(network.decide(network.features(images), index), network(images, index))


@pytest.mark.parametrize(("head", "cell"), [("cnn-gru", nn.GRU), ("cnn-lstm", nn.LSTM)])
def test_two_layers_are_those_of_pytorch(head, cell):
    network, images, index = tiny(head).eval(), torch.randn(9, 3, 8, 8), sliding(4, 6)
    both = cell(6, 5, num_layers=2, batch_first=True)
    with torch.no_grad():
        for k, layer in enumerate(network.recurrent):
            for name, weight in layer.named_parameters():
                getattr(both, name.replace("l0", f"l{k}")).copy_(weight)
    outputs, _ = both(network.features(images)[index])
    expected = network.dense(outputs[:, -1])
    torch.testing.assert_close(network(images, index), expected, rtol=0, atol=1e-6)


def test_convolutions_over_time_see_order_and_mean_over_the_window():
    network, images = tiny("cnn-conv").eval(), torch.randn(9, 3, 8, 8)
    index = sliding(1, 9)
    assert not torch.allclose(network(images, index), network(images, index.flip(1)))
    features = network.features(images)
    early, late = network.over_time
    with torch.no_grad():
        for layer in (early, late):
            layer.weight.zero_()
            layer.bias.zero_()
            layer.weight[0, 0, 1] = 1.0  # the image itself, of both
        network.dense.weight.copy_(torch.eye(1, 5))
        network.dense.bias.zero_()
    expected = features[:, 0].relu().mean()
    torch.testing.assert_close(network(images, index)[0, 0], expected)


def test_cnn_reads_its_image_by_hand():
    network = MovieNetwork(nn.Flatten(), "cnn", n_features=3, n_outputs=1).eval()
    with torch.no_grad():
        network.dense.weight.copy_(torch.tensor([[1.0, 10.0, 100.0]]))
        network.dense.bias.fill_(0.5)
    images = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]).reshape(2, 3, 1, 1)
    assert network(images, torch.tensor([[1], [0], [1]])).tolist() == [[654.5], [321.5], [654.5]]


def test_a_fifth_of_the_features_is_dropped_in_training():
    network = MovieNetwork(nn.Flatten(), "cnn", n_features=3, n_outputs=1)
    with torch.no_grad():
        network.dense.weight.copy_(torch.tensor([[1.0, 0.0, 0.0]]))
        network.dense.bias.fill_(0)
    images, index = torch.ones(1, 3, 1, 1), torch.zeros(5000, 1, dtype=torch.int64)
    torch.manual_seed(0)
    said = network.train()(images, index)
    assert sorted(set(said.flatten().tolist())) == [0.0, 1.25]
    assert float((said == 0).float().mean()) == pytest.approx(0.2, abs=0.02)
    assert set(network.eval()(images, index).flatten().tolist()) == {1.0}


@pytest.mark.parametrize("head", HEADS)
def test_training_follows_the_seed(head):
    network, images = tiny(head), torch.randn(9, 3, 8, 8)
    index = sliding(4, 1 if head == "cnn" else 6)
    said = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        said.append(network.train()(images, index))
    assert torch.equal(said[0], said[1])
    assert not torch.equal(said[0], said[2])


@pytest.mark.parametrize("head", HEADS)
def test_learns_through_all_its_weights(head):
    network = tiny(head)
    index = sliding(4, 1 if head == "cnn" else 6)
    network(torch.randn(9, 3, 8, 8), index).square().sum().backward()
    # Batch norm takes away what a bias before it adds.
    learned = {k: p.grad for k, p in network.named_parameters() if k != "cnn.convolution.bias"}
    assert all(bool((gradient != 0).any()) for gradient in learned.values())


def test_frozen_batch_norm_keeps_its_statistics_and_learns_its_weights():
    network = tiny("cnn-gru", freeze_batch_norm=True)
    images, index = 3 + 2 * torch.randn(9, 3, 8, 8), sliding(4, 6)
    before = {k: v.clone() for k, v in network.named_buffers()}
    network.train()
    network(images, index).square().sum().backward()
    assert {k: v.tolist() for k, v in network.named_buffers()} == {
        k: v.tolist() for k, v in before.items()
    }
    assert network.recurrent.training
    assert bool((network.cnn.norm.weight.grad != 0).any())
    # Nor does an image's feature depend on the images beside it.
    torch.testing.assert_close(network.features(images)[:2], network.features(images[:2]))

    network.freeze_batch_norm = False
    network.train()(images, index)
    assert network.cnn.norm.running_mean.tolist() != before["cnn.norm.running_mean"].tolist()

    network.freeze_batch_norm = True
    assert not network.train().cnn.norm.training
    assert not network.eval().training


def test_is_frozen_from_the_start():
    network = tiny("cnn", freeze_batch_norm=True)
    assert network.training
    assert not network.cnn.norm.training


def test_with_efficientnet():
    torch.manual_seed(0)
    cnn = EfficientNet("efficientnet-lite0", flavour="tensorflow")
    network = MovieNetwork(cnn, "cnn-lstm", n_outputs=3)
    logits = network(torch.randn(6, 3, 32, 32), sliding(4, 3))
    assert logits.shape == (4, 3)
    logits.sum().backward()
    assert all(p.grad is not None for p in network.parameters())


def test_errors():
    with pytest.raises(ValueError, match=r"no head 'rnn'; take one of \('cnn', 'cnn-gru', 'cnn-ls"):
        MovieNetwork(TinyCNN(), "rnn")
    with pytest.raises(
        ValueError, match=r"'cnn' reads one image a window, and was given 3; give a"
    ):
        tiny("cnn")(torch.randn(9, 3, 8, 8), sliding(4, 3))
