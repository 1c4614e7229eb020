import pytest

from corticode.decode.networks.efficientnet import BACKBONES as BUILT
from corticode.decode.networks.movies import HEADS
from corticode.decode.networks.traces import CELLS
from corticode.decode.settings import (
    BACKBONES,
    GRID,
    MOVIE,
    NETWORKS,
    Network,
    Training,
    check_network,
)
from corticode.errors import StudyError


def test_names_are_those_of_the_networks():
    recurrent = {name for name, kind in NETWORKS.items() if kind.build == "traces.build_recurrent"}
    assert recurrent == {*CELLS, *(f"bi-{cell}" for cell in CELLS)}
    assert set(MOVIE) == set(HEADS)
    assert set(BACKBONES) == {*BUILT, GRID}


class TestNetwork:
    def test_usual_units_said_or_not_are_the_same(self):
        assert Network("gru") == Network("gru", 32)
        assert Network("cnn-gru") == Network("cnn-gru", 128)

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
        ],
    )
    def test_refuses(self, settings, message):
        with pytest.raises(StudyError, match=message):
            Network(**settings)


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
