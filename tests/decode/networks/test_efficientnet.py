import pytest
import torch
from efficientnet_pytorch import EfficientNet as Port
from torch import nn

from corticode.decode.networks import efficientnet
from corticode.decode.networks.efficientnet import EfficientNet


def count_parameters(module):
    return sum(p.numel() for p in module.parameters())


def randomise(network, seed=0):
    """Weights as they start, and statistics and scales as a trained network might have them."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1, generator=draw)
                module.running_var.uniform_(0.5, 1.5, generator=draw)
                module.weight.uniform_(0.7, 1.3, generator=draw)
                module.bias.normal_(0, 0.1, generator=draw)
    return network


def pair(*, image_size, drop_connect=0.2):
    """Ours and `efficientnet_pytorch`'s with the same weights; both name modules in one order."""
    torch.manual_seed(0)
    ours = randomise(EfficientNet(flavour="tensorflow", drop_connect=drop_connect, n_classes=7))
    theirs = Port.from_name(
        "efficientnet-b0", num_classes=7, image_size=image_size, drop_connect_rate=drop_connect
    )
    own = ours.state_dict().values()
    theirs.load_state_dict(dict(zip(theirs.state_dict(), own, strict=True)))
    return ours, theirs


def images_of(rows, columns, n_images=2, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(n_images, 3, rows, columns, generator=draw)


@pytest.mark.parametrize(
    ("backbone", "n_features", "n_with_classes"),
    [("efficientnet-b0", 4_007_548, 5_288_548), ("efficientnet-lite0", 3_371_008, 4_652_008)],
)
def test_parameters_are_as_many_as_published(backbone, n_features, n_with_classes):
    assert count_parameters(EfficientNet(backbone)) == n_features
    assert count_parameters(EfficientNet(backbone, n_classes=1000)) == n_with_classes


def test_names_are_those_of_torchvision():
    shapes = {k: tuple(v.shape) for k, v in EfficientNet(n_classes=1000).state_dict().items()}
    for name, shape in {
        "features.0.0.weight": (32, 3, 3, 3),
        "features.0.1.running_var": (32,),
        "features.1.0.block.0.0.weight": (32, 1, 3, 3),
        "features.1.0.block.1.fc1.weight": (8, 32, 1, 1),
        "features.1.0.block.1.fc2.bias": (32,),
        "features.1.0.block.2.0.weight": (16, 32, 1, 1),
        "features.1.0.block.2.1.bias": (16,),
        "features.2.0.block.0.0.weight": (96, 16, 1, 1),
        "features.4.2.block.1.0.weight": (480, 1, 3, 3),
        "features.5.0.block.1.0.weight": (480, 1, 5, 5),
        "features.6.3.block.2.fc1.weight": (48, 1152, 1, 1),
        "features.7.0.block.3.0.weight": (320, 1152, 1, 1),
        "features.8.0.weight": (1280, 320, 1, 1),
        "features.8.1.num_batches_tracked": (),
        "classifier.1.weight": (1000, 1280),
    }.items():
        assert shapes[name] == shape
    assert len(shapes) == 360


@pytest.mark.parametrize("size", [(128, 128), (64, 96)])
def test_equals_the_port_as_the_study_used_it(size):
    # As made by name, the port pads as for 224 x 224; that is right where each stride of 2 meets
    # an even size.
    ours, theirs = pair(image_size=224)
    images = images_of(*size)
    with torch.no_grad():
        said, expected = ours.eval()(images), theirs.eval()(images)
    assert float(expected.std()) > 0.01
    torch.testing.assert_close(said, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("size", [(65, 65), (33, 50), (71, 46), (128, 99), (7, 1)])
def test_equals_the_port_at_any_size(size):
    ours, theirs = pair(image_size=None)
    images = images_of(*size)
    with torch.no_grad():
        said, expected = ours.eval()(images), theirs.eval()(images)
    torch.testing.assert_close(said, expected, rtol=0, atol=1e-4)


def test_equals_the_port_after_a_step_of_training():
    ours, theirs = pair(image_size=None)
    images = images_of(50, 35, n_images=4)
    pooled = []
    for network, features in ((ours, ours.features), (theirs, theirs.extract_features)):
        network.train()
        torch.manual_seed(3)  # both draw in one order which images leave out which block
        pooled.append(features(images).mean((2, 3)))
    torch.testing.assert_close(*pooled, rtol=0, atol=1e-4)
    for own, expected in zip(ours.buffers(), theirs.buffers(), strict=True):
        torch.testing.assert_close(own, expected, rtol=0, atol=1e-4)
    with torch.no_grad():
        said, expected = ours.eval()(images), theirs.eval()(images)
    torch.testing.assert_close(said, expected, rtol=0, atol=1e-4)


def test_gradients_equal_those_of_the_port():
    ours, theirs = pair(image_size=None, drop_connect=0.0)
    images = images_of(50, 35, n_images=4).double()
    for network, features in ((ours, ours.features), (theirs, theirs.extract_features)):
        network.double().train()
        features(images).mean((2, 3)).square().sum().backward()
    n_compared = 0
    for own, expected in zip(ours.parameters(), theirs.parameters(), strict=True):
        if expected.grad is not None:
            torch.testing.assert_close(own.grad, expected.grad, rtol=0, atol=1e-8)
            n_compared += 1
    assert n_compared == 211


def test_flavours_differ_in_padding_of_even_sizes_alone():
    torch.manual_seed(0)
    both = [EfficientNet(flavour=flavour) for flavour in ("torch", "tensorflow")]
    both[1].load_state_dict(randomise(both[0]).state_dict())
    for module in both[1].modules():
        if isinstance(module, nn.BatchNorm2d):
            assert (module.eps, module.momentum) == (1e-3, 0.01)
            module.eps = 1e-5
    with torch.no_grad():
        # 65 -> 33 -> 17 -> 9 -> 5 -> 3: each stride of 2 meets an odd size.
        odd = [network.eval()(images_of(65, 65)) for network in both]
        even = [network.eval()(images_of(64, 64)) for network in both]
    torch.testing.assert_close(*odd, rtol=0, atol=1e-5)
    assert float((even[0] - even[1]).abs().max()) > 1e-2


def test_flavour_torch_pads_alike_on_both_sides():
    cnn = EfficientNet(flavour="torch")
    images = images_of(64, 48)
    convolution = cnn.features[0][0]
    expected = nn.functional.conv2d(images, convolution.weight, stride=2, padding=1)
    torch.testing.assert_close(convolution(images), expected, rtol=0, atol=1e-5)
    norms = [m for m in cnn.modules() if isinstance(m, nn.BatchNorm2d)]
    assert {(m.eps, m.momentum) for m in norms} == {(1e-5, 0.1)}
    assert len(norms) == 49


def test_lite0_has_no_excitation_and_clips_at_six():
    cnn = EfficientNet("efficientnet-lite0")
    assert not [name for name in cnn.state_dict() if "fc" in name]
    assert sum(isinstance(m, nn.ReLU6) for m in cnn.modules()) == 1 + 15 + 16 + 1
    assert not any(isinstance(m, nn.SiLU) for m in cnn.modules())


def test_blocks_are_dropped_more_often_the_later_they_come():
    blocks = [m for m in EfficientNet(drop_connect=0.2).modules() if hasattr(m, "share_dropped")]
    assert [m.share_dropped for m in blocks] == pytest.approx([0.2 * k / 16 for k in range(16)])
    with_way_around = [k for k, m in enumerate(blocks) if m.has_way_around]
    assert with_way_around == [2, 4, 6, 7, 9, 10, 12, 13, 14]


def test_dropped_blocks_by_hand():
    block = next(
        m
        for m in EfficientNet(drop_connect=1.0).modules()
        if getattr(m, "share_dropped", 0) == 12 / 16
    )
    block.block = nn.Identity()
    images = torch.ones(4000, 1, 1, 1)
    torch.manual_seed(0)
    said = block.train()(images.clone()).flatten()
    # Left out: the image alone. Kept: the block's part weighs 1 / (1 - 0.75) = 4.
    assert set(said.tolist()) == {1.0, 5.0}
    assert float((said == 1).float().mean()) == pytest.approx(0.75, abs=0.03)
    assert set(block.eval()(images.clone()).flatten().tolist()) == {2.0}


def test_what_is_dropped_follows_the_seed_and_not_evaluation():
    cnn, images = EfficientNet(drop_connect=0.9), images_of(32, 32, n_images=4)
    said = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        said.append(cnn.train()(images))
    assert torch.equal(said[0], said[1])
    assert not torch.allclose(said[0], said[2], atol=1e-3)
    cnn.eval()
    state = torch.get_rng_state()
    cnn(images)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("backbone", ["efficientnet-b0", "efficientnet-lite0"])
def test_learns_through_all_its_weights(backbone):
    torch.manual_seed(0)
    cnn = EfficientNet(backbone, flavour="tensorflow", drop_connect=0)
    cnn(images_of(64, 64, n_images=4)).square().sum().backward()
    assert all(bool((p.grad != 0).any()) for p in cnn.parameters())


def test_channels_lie_side_by_side_whatever_comes_in():
    images = images_of(32, 32)
    for flavour in ("torch", "tensorflow"):
        features = EfficientNet(flavour=flavour).eval().features[:5](images)
        assert features.is_contiguous(memory_format=torch.channels_last)


def test_an_image_does_not_see_the_others():
    cnn, images = randomise(EfficientNet()).eval(), images_of(40, 40, n_images=3)
    with torch.no_grad():
        together, alone = cnn(images), torch.cat([cnn(image[None]) for image in images])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)


def test_half_precision_is_close_and_stays_half():
    cnn, images = EfficientNet(flavour="tensorflow"), images_of(64, 64, n_images=4)
    said = []
    for is_half in (True, False):
        torch.manual_seed(0)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=is_half):
            said.append(cnn(images))
    assert said[0].dtype == torch.bfloat16
    alike = torch.corrcoef(torch.stack([features.float().flatten() for features in said]))
    assert float(alike[0, 1]) > 0.98


def test_leaves_its_input_alone():
    images = images_of(32, 32)
    kept = images.clone()
    EfficientNet()(images).sum().backward()
    assert torch.equal(images, kept)


def test_refuses_unknown_names():
    with pytest.raises(ValueError, match=r"no backbone 'b9'; take one of \('efficientnet-b0', "):
        EfficientNet("b9")
    with pytest.raises(ValueError, match=r"no flavour 'keras'; take one of \('torch', 'tensorflow"):
        EfficientNet(flavour="keras")


@pytest.mark.parametrize("flavour", ["torch", "tensorflow"])
@pytest.mark.parametrize("size", [1, 2, 5, 8, 9, 16])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2)])
def test_gradients_of_few_pixels_are_those_of_torch(monkeypatch, flavour, size, kernel, stride):
    torch.manual_seed(0)
    layer = efficientnet._Convolution(
        6, 6, kernel, stride, padding=kernel // 2, groups=6, bias=False
    ).double()
    layer.pads_as_tensorflow = flavour == "tensorflow"
    images = torch.randn(3, 6, size, size, dtype=torch.double)

    def filtered(n_pixels):
        monkeypatch.setattr(efficientnet, "FEW_PIXELS", n_pixels)
        seen = images.clone().requires_grad_()
        layer.zero_grad()
        out = layer(seen)
        (out**2).sum().backward()
        return out.detach(), seen.grad, layer.weight.grad.clone(), type(out.grad_fn).__name__

    *ours, name = filtered(64)
    *torchs, other_name = filtered(0)
    assert "FewPixels" in name if size <= 8 * stride else "FewPixels" not in name
    assert "FewPixels" not in other_name
    for own, theirs in zip(ours, torchs, strict=True):
        torch.testing.assert_close(own, theirs, rtol=1e-10, atol=1e-10)


def test_torch_does_all_where_nothing_is_trained():
    layer = efficientnet._Convolution(6, 6, 3, 1, padding=1, groups=6, bias=False)
    images = torch.randn(3, 6, 4, 4, requires_grad=True)
    assert "FewPixels" in type(layer(images).grad_fn).__name__
    layer.weight.requires_grad_(False)
    assert "FewPixels" not in type(layer(images).grad_fn).__name__
