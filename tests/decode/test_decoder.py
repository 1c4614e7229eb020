import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import again

from corticode.data.preprocess import Preprocessing
from corticode.data.session import Session
from corticode.data.targets import Target
from corticode.data.windows import WindowShape, cut_windows
from corticode.decode.decoder import (
    ScaledNetwork,
    build_network,
    count_outputs,
    describe,
    load_decoder,
    state_bytes,
)
from corticode.decode.fit import fit
from corticode.decode.predict import predict
from corticode.decode.settings import TRACES, Network, Training
from corticode.errors import CorticodeError, DecoderError, MissingDataError, StudyError

TARGETS = {
    "binary": Target("run"),
    "classes": Target("act", kind="classes", exclude_transition_frames=1),
    "value": Target("speed", kind="value", smooth_frames=3),
}
SHORT = Training(epochs=1, learning_rate=0.02, penalty=(0.1,))


@pytest.fixture
def windows(simulate):
    def make(target="binary"):
        return cut_windows(
            [simulate("m1", "a", n_frames=200), simulate("m2", "a", n_frames=200)],
            TARGETS[target],
            WindowShape(3, 2, shift=1),
            preprocessing=Preprocessing(detrend_frames=50, scale_over="training"),
            regions=["not", 2],
        )

    return make


@pytest.fixture
def saved(windows, tmp_path):
    """A decoder, its folder and windows to predict."""
    both = windows()
    decoder = fit(
        both.where(both.animal == 0), both.where(both.animal == 1), Network("gru", 4), SHORT
    )
    decoder.save(tmp_path / "fit")
    return decoder, tmp_path / "fit", both


@pytest.fixture(scope="module")
def small_folder(tmp_path_factory):
    """The folder of a small decoder, with a copy of its description to start from."""
    run = np.arange(60) % 20 > 9
    traces = np.random.default_rng(0).normal(size=(60, 2))
    segment = np.zeros(60, np.int32)
    session = Session("m1", "a", traces, ("1", "2"), {"run": run}, segment, 30.0)
    both = cut_windows([session], Target("run"), WindowShape(1, 1))
    folder = tmp_path_factory.mktemp("fit")
    fit(both, again(both), Network("gru", 2), SHORT).save(folder)
    (folder / "whole.json").write_bytes((folder / "decoder.json").read_bytes())
    return folder


def change_json(folder, **changes):
    path = folder / "decoder.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


class TestSavedAndLoaded:
    @pytest.mark.parametrize(
        ("target", "network"),
        [
            *((t, Network(n, 4)) for t in TARGETS for n in TRACES if n != "speed"),
            ("value", Network("speed")),
        ],
        ids=lambda given: getattr(given, "kind", given),
    )
    def test_predicts_bit_for_bit_the_same(self, windows, tmp_path, network, target):
        both = windows(target)
        decoder = fit(both.where(both.animal == 0), both.where(both.animal == 1), network, SHORT)
        decoder.save(tmp_path)
        again = load_decoder(tmp_path)
        said = predict(decoder, both, part=None)
        np.testing.assert_array_equal(predict(again, both, part=None).score, said.score)
        np.testing.assert_array_equal(said.part, both.animal)
        for name in ("settings", "training", "recipe", "kind", "history", "train_animals"):
            assert getattr(again, name) == getattr(decoder, name), name
        for name in ("seed", "best_epoch", "selected_by"):
            assert getattr(again, name) == getattr(decoder, name), name
        assert not again.network.training

    def test_json_holds_plain_values(self, saved):
        decoder, folder, _ = saved
        described = json.loads((folder / "decoder.json").read_text())
        assert described["format"] == 1
        assert described["network"] == {"kind": "gru", "units": 4}
        assert described["recipe"]["kept_regions"] == [True, False, True]
        assert described["recipe"]["window"] == {"before": 3, "after": 2, "shift": 1}
        assert described == json.loads(json.dumps(describe(decoder)))

    def test_numpy_s_own_numbers_are_written_too(self, saved, tmp_path):
        decoder, _, _ = saved
        recipe = replace(decoder.recipe, window=WindowShape(np.int64(3), np.int64(2), np.int64(1)))
        replace(decoder, recipe=recipe, seed=np.int64(3)).save(tmp_path / "again")
        assert load_decoder(tmp_path / "again").recipe.window == WindowShape(3, 2, 1)
        assert load_decoder(str(tmp_path / "again")).seed == 3

    def test_equal_tensors_give_equal_bytes(self):
        one = {"b": torch.ones(2), "a": torch.zeros(3)}
        assert state_bytes(one) == state_bytes(dict(reversed(one.items())))


class TestDamaged:
    @pytest.mark.parametrize(
        "content", [b"", b"{", b"[1]", b"null", b"3", b"\xff\xfe", b"{}", b"[" * 100_000]
    )
    def test_json(self, saved, content):
        (saved[1] / "decoder.json").write_bytes(content)
        with pytest.raises(DecoderError, match=r"decoder.json is damaged .*fit the decoder again"):
            load_decoder(saved[1])

    def test_another_format(self, saved):
        change_json(saved[1], format=2)
        with pytest.raises(DecoderError, match=r"has format 2; this corticode reads 1"):
            load_decoder(saved[1])

    @pytest.mark.parametrize(
        "changes",
        [
            {"recipe": None},
            {"recipe": {}},
            {"network": {"kind": "gru", "layers": 2}},
            {"network": {"kind": "transformer"}},
            {"network": 3},
            {"training": []},
            {"training": {"epochs": 3}},
            {"history": 3},
            {"kind": "value"},
            {"best_epoch": "last"},
            {"train_animals": None},
        ],
    )
    def test_description(self, saved, changes):
        change_json(saved[1], **changes)
        with pytest.raises(DecoderError, match=r"is not a decoder's description .*; fit the de"):
            load_decoder(saved[1])

    @given(data=st.data())
    def test_anything_in_the_description_is_told_or_loaded(self, small_folder, data):
        text = (small_folder / "whole.json").read_text()
        described = json.loads(text)
        place, leaf = described, None
        while isinstance(place, dict | list) and place:
            keys = list(place) if isinstance(place, dict) else range(len(place))
            leaf = (place, data.draw(st.sampled_from(keys)))
            place = place[leaf[1]]
            if data.draw(st.booleans()):
                break
        leaf[0][leaf[1]] = data.draw(
            st.sampled_from([None, "x", -1, 3, 1.5, [], {}, True, ["x"], {"a": 1}])
        )
        (small_folder / "decoder.json").write_text(json.dumps(described))
        try:
            load_decoder(small_folder)
        except CorticodeError as error:
            assert isinstance(error, DecoderError)

    @pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
    def test_weights_that_were_cut_off(self, saved, share):
        path = saved[1] / "decoder.safetensors"
        whole = path.read_bytes()
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(DecoderError, match=r"holds no weights of this decoder .*fit the deco"):
            load_decoder(saved[1])

    def test_weights_of_another_decoder(self, saved):
        other = build_network(Network("gru", 5), WindowShape(3, 2), n_regions=3, n_outputs=1)
        (saved[1] / "decoder.safetensors").write_bytes(state_bytes(other.state_dict()))
        with pytest.raises(DecoderError, match="holds no weights of this decoder"):
            load_decoder(saved[1])

    def test_weights_that_lack_a_tensor(self, saved):
        path = saved[1] / "decoder.safetensors"
        state = safetensors.torch.load(path.read_bytes())
        del state["inner.dense.bias"]
        path.write_bytes(state_bytes(state))
        with pytest.raises(DecoderError, match="holds no weights of this decoder"):
            load_decoder(saved[1])

    @pytest.mark.parametrize("write", ["pickle", "torch"])
    def test_python_objects_in_disguise_are_not_run(self, saved, tmp_path, write):
        payload, path = Payload(tmp_path / "was-run"), saved[1] / "decoder.safetensors"
        if write == "pickle":
            path.write_bytes(pickle.dumps(payload))
        else:
            torch.save({"inner.dense.bias": payload}, path)
        with pytest.raises(DecoderError, match="nothing in it was run"):
            load_decoder(saved[1])
        assert not (tmp_path / "was-run").exists()
        pickle.loads(pickle.dumps(payload))  # the payload works where it is run
        assert (tmp_path / "was-run").exists()


class Payload:
    """What makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


class TestMissing:
    def test_folder(self, tmp_path):
        with pytest.raises(
            MissingDataError, match=r"holds no decoder.json; give the folder of one"
        ):
            load_decoder(tmp_path / "nowhere")

    def test_weights(self, saved):
        (saved[1] / "decoder.safetensors").unlink()
        with pytest.raises(MissingDataError, match=r"decoder.safetensors does not exist"):
            load_decoder(saved[1])


class TestScaledNetwork:
    def test_by_hand(self):
        network = ScaledNetwork(torch.nn.Identity(), 2)
        windows = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
        assert not network.scales_input
        assert network(windows) is windows
        network.set_input(np.array([1.0, 2.0], np.float32), np.array([10.0, 0.0], np.float32))
        assert network.scales_input
        assert network(windows).tolist() == [[[0.0, 0.0], [20.0, 0.0]]]

    def test_scaling_is_no_matter_of_gradients(self):
        network = build_network(Network("gru", 2), WindowShape(1, 1), n_regions=2, n_outputs=1)
        names = [name for name, _ in network.named_parameters()]
        assert all(name.startswith("inner.") for name in names)

    def test_frame_decoders_weigh_the_centre(self):
        window = WindowShape(before=3, after=1)
        network = build_network(Network("linear-frame"), window, n_regions=2, n_outputs=1)
        torch.nn.init.ones_(network.inner.weight)
        frames = torch.arange(10.0).reshape(1, 5, 2)
        assert network(frames).tolist() == [[6.0 + 7.0]]


def test_outputs():
    counts = [count_outputs("binary", ("0", "1")), count_outputs("value", ())]
    assert counts == [1, 1]
    assert count_outputs("classes", ("a", "b", "c")) == 3


class TestSettings:
    @pytest.mark.parametrize(
        ("keys", "message"),
        [
            ({"kind": "grru"}, r"network kind 'grru' is none of rnn, lstm, gru, bi-rnn, bi-lstm"),
            ({"units": 0}, r"network units = 0; a whole number of at least 1 and at most 10,000"),
            (
                {"kind": "speed", "units": 64},
                r"units = 64, but kind 'speed' has the sizes of the study \(64 and 32 units\)",
            ),
        ],
    )
    def test_network(self, keys, message):
        with pytest.raises(StudyError, match=message):
            Network(**keys)

    @pytest.mark.parametrize(
        ("keys", "message"),
        [
            ({"epochs": 0}, "training epochs = 0; it must be above 0"),
            ({"batch_size": -1}, "training batch_size = -1; it must be above 0"),
            ({"learning_rate": 0.0}, "training learning_rate = 0.0; it must be above 0"),
            ({"label_smoothing": 1.0}, "label_smoothing = 1.0; it must be 0 or more and below 1"),
            ({"penalty": ()}, r"penalty = \[\]; name one or more >= 0"),
            ({"penalty": (1.0, -1.0)}, r"penalty = \[1.0, -1.0\]; name one or more >= 0"),
        ],
    )
    def test_training(self, keys, message):
        with pytest.raises(StudyError, match=message):
            Training(**keys)
