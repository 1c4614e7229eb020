from dataclasses import fields

import pytest

from corticode.decode.networks.efficientnet import BACKBONES as BUILT
from corticode.decode.networks.movies import HEADS
from corticode.decode.networks.traces import CELLS
from corticode.decode.settings import (
    _AUGMENT_LIMITS,
    BACKBONES,
    MOVIE,
    NETWORKS,
    Augment,
    Network,
    Training,
    check_network,
    plain_network,
)
from corticode.errors import StudyError


def test_names_are_those_of_the_networks():
    recurrent = {name for name, kind in NETWORKS.items() if kind.build == "traces.build_recurrent"}
    assert recurrent == {*CELLS, *(f"bi-{cell}" for cell in CELLS)}
    assert set(MOVIE) == set(HEADS)
    with_weights = {name for name, row in BACKBONES.items() if row.has_weights}
    assert with_weights == set(BUILT)


class TestNetwork:
    def test_usual_units_said_or_not_are_the_same(self):
        assert Network("gru") == Network("gru", 32)
        assert Network("cnn-gru") == Network("cnn-gru", 128)
        assert Network("cnn-gru", backbone="small").units == 32

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"kind": "grue"}, "'grue' is none of rnn, lstm"),
            ({"units": 0}, "at least 1"),
            ({"kind": "speed", "units": 8}, "has the sizes of the study"),
            ({"kind": "cnn", "backbone": "resnet"}, "backbone = 'resnet'; it must be one of eff"),
            (
                {"kind": "cnn", "backbone": "grid", "weights": "b0.pth"},
                "'grid' has none; leave out",
            ),
            ({"kind": "cnn", "flavour": "jax"}, "must be one of torch, tensorflow"),
            ({"kind": "cnn", "drop_connect": 1.0}, "below 1"),
            ({"kind": "cnn-gru", "temporal_stride": 0}, "temporal_stride = 0; a whole number of"),
            ({"kind": "cnn", "backbone": "small", "bins": 3}, "bins = 3; .* at least 4"),
            (
                {"kind": "cnn", "backbone": "components", "bins": 4, "components": 17},
                "components = 17, but frames of 4 x 4 bins have 16",
            ),
        ],
    )
    def test_refuses(self, settings, message):
        with pytest.raises(StudyError, match=message):
            Network(**settings)

    def test_newer_settings_are_named_where_they_are_asked_for(self):
        assert list(plain_network(Network())) == [
            *("kind", "units", "backbone", "flavour", "weights", "drop_connect")
        ]
        asked = plain_network(Network("cnn-gru", backbone="small", temporal_stride=3, bins=16))
        assert (asked["temporal_stride"], asked["bins"]) == (3, 16)


class TestAugment:
    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"shift_pixels": -1}, "0 or more"),
            ({"shift_pixels": 1.5}, "a whole number of pixels"),
            ({"shift_fraction": 1.0}, "below 1"),
            ({"shift_pixels": 1, "shift_fraction": 0.1}, "give one of them"),
            ({"gain": -0.1}, "it is an SD"),
            ({"noise": float("inf")}, "it is an SD"),
            ({"rotation_deg": 90}, "0 to 45 degrees"),
            ({"mirror": 1.1}, "fraction of the training windows"),
            ({"region_dropout": -0.1}, "fraction of the training windows"),
            ({"pixel_dropout": 1.0}, "fraction of the pixels"),
            ({"jitter_frames": 0.5}, "a whole number of frames"),
        ],
    )
    def test_refuses(self, settings, message):
        with pytest.raises(StudyError, match=message):
            Augment(**settings)

    def test_every_key_has_its_limits(self):
        assert set(_AUGMENT_LIMITS) == {one.name for one in fields(Augment)}

    def test_a_fraction_is_of_the_shorter_side(self):
        assert Augment(shift_fraction=0.1).pixels_of_shift((64, 50)) == 5
        assert Augment(shift_pixels=4).pixels_of_shift((64, 50)) == 4

    def test_shifts_larger_than_the_image(self):
        with pytest.raises(StudyError, match=r"up to 32 pixels, and the images have 64 x 32"):
            Augment(shift_pixels=32).pixels_of_shift((64, 32))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "above 0"),
        ({"validations": 0}, "validations = 0; it must be above 0"),
        ({"run_windows": 0}, "run_windows = 0"),
        ({"label_smoothing": 1.0}, "below 1"),
        ({"penalty": ()}, "name one or more"),
        ({"patience": 0}, "at least 1, or leave it out"),
        ({"share": 0.0}, "above 0 and at most 1"),
        ({"share": 1.5}, "above 0 and at most 1"),
        ({"optimiser": "sgd"}, "one of adam, fastai-adam"),
        ({"schedule": "step"}, "one of constant, one-cycle"),
        ({"windows": "both"}, "one of shared, independent"),
    ],
)
def test_training_refuses(settings, message):
    with pytest.raises(StudyError, match=message):
        Training(**settings)


@pytest.mark.parametrize("kind", NETWORKS)
def test_each_network_has_its_input_and_target(kind):
    network, value = Network(kind), "value" if kind == "speed" else "binary"
    own, other = ("movie", "traces") if kind in MOVIE else ("traces", "movie")
    check_network(network, value, own)
    with pytest.raises(StudyError, match="movie"):
        check_network(network, value, other)
