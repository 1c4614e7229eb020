import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corticode.decode.predictions import PART_NAMES, Predictions, join
from corticode.errors import DataError, DecoderError, MissingDataError


def said(n_windows=4, **changes):
    """Binary predictions of one animal and session, all in the test part."""
    columns = {
        "part": np.full(n_windows, 2, np.int8),
        "animal": np.zeros(n_windows, np.int16),
        "session": np.zeros(n_windows, np.int16),
        "frame": np.arange(n_windows, dtype=np.int32),
        "target": np.arange(n_windows, dtype=np.float32) % 2,
        "score": np.linspace(0, 1, n_windows, dtype=np.float32),
        "kind": "binary",
        "animal_names": ("m1",),
        "session_names": ("a",),
    }
    return Predictions(**(columns | changes))


def same(a, b):
    arrays = ("part", "animal", "session", "frame", "target", "score")
    plain = ("kind", "animal_names", "session_names", "classes", "frame_rate_hz")
    for name in arrays:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
        assert getattr(a, name).dtype == getattr(b, name).dtype
    return all(getattr(a, name) == getattr(b, name) for name in plain)


CLASSES = {
    "kind": "classes",
    "classes": ("rest", "groom", "run"),
    "target": np.array([0, 2, np.nan, 1], np.float32),
    "score": np.array([[1, 0, 0], [0, 0, 1], [0.5, 0.25, 0.25], [0, 1, 0]], np.float32),
}


class TestSlicing:
    def test_where_takes_a_mask_or_an_index(self):
        predictions = said()
        by_mask = predictions.where(np.array([False, True, False, True]))
        assert by_mask.frame.tolist() == [1, 3]
        assert predictions.where(np.array([3, 1])).frame.tolist() == [3, 1]
        assert by_mask.n_windows == 2

    def test_of_part(self):
        predictions = said(part=np.array([0, 1, 2, 1], np.int8))
        assert predictions.of_part("valid").frame.tolist() == [1, 3]
        assert said().of_part("train").n_windows == 0

    def test_of_part_refuses_unknown_names(self):
        with pytest.raises(DataError, match=r"part 'tset' is none of train, valid, test"):
            said().of_part("tset")


class TestFrames:
    def test_names_stand_for_codes(self):
        table = said(animal=np.array([0, 1, 1, 0], np.int16), animal_names=("m1", "m2")).to_frame()
        assert list(table.columns) == ["part", "animal", "session", "frame", "target", "score"]
        assert table["animal"].tolist() == ["m1", "m2", "m2", "m1"]
        assert table["part"].tolist() == ["test"] * 4

    def test_several_classes_have_a_column_each(self):
        table = said(**CLASSES).to_frame()
        assert list(table.columns)[-3:] == ["score_rest", "score_groom", "score_run"]
        assert table["score_rest"].tolist() == [1, 0, 0.5, 0]

    def test_no_window_is_an_empty_table(self):
        assert said(0).to_frame().empty


class TestFiles:
    @pytest.mark.parametrize(
        "predictions",
        [
            said(frame_rate_hz=30.0, classes=("0", "1")),
            said(**CLASSES),
            said(kind="value", target=np.array([1.5, -2, np.nan, 7], np.float32)),
            said(0, animal_names=(), session_names=()),
            said(animal_names=("Maus 1 µ",), session_names=("день",)),
        ],
        ids=["binary", "classes", "value", "no window", "names"],
    )
    def test_load_gives_what_was_saved(self, predictions, tmp_path):
        predictions.save(tmp_path / "predictions.npz")
        assert same(Predictions.load(tmp_path / "predictions.npz"), predictions)

    def test_save_writes_the_declared_types(self, tmp_path):
        said(frame=np.arange(4), score=np.zeros(4)).save(tmp_path / "p.npz")
        loaded = Predictions.load(tmp_path / "p.npz")
        assert loaded.frame.dtype == np.int32
        assert loaded.score.dtype == np.float32

    def test_the_file_holds_no_pickle(self, tmp_path):
        said(**CLASSES).save(tmp_path / "p.npz")
        with np.load(tmp_path / "p.npz", allow_pickle=False) as archive:
            assert all(archive[name].dtype != object for name in archive.files)

    def test_a_missing_file(self, tmp_path):
        with pytest.raises(MissingDataError, match=r"no predictions file .*gone\.npz; run the fit"):
            Predictions.load(tmp_path / "gone.npz")

    def test_damaged_files_are_named(self, tmp_path):
        path = tmp_path / "p.npz"
        said(200).save(path)
        whole = path.read_bytes()
        flipped = bytearray(whole)
        flipped[len(whole) // 3] ^= 0xFF
        np.save(tmp_path / "array.npy", np.zeros(3))
        np.savez(tmp_path / "pickled.npz", frame=np.array([{}], dtype=object))
        np.savez(tmp_path / "other.npz", x=np.zeros(3))
        damaged = [
            b"",
            b"not a file of arrays",
            whole[: len(whole) // 2],
            bytes(flipped),
            (tmp_path / "array.npy").read_bytes(),
            (tmp_path / "pickled.npz").read_bytes(),
            (tmp_path / "other.npz").read_bytes(),
        ]
        for content in damaged:
            path.write_bytes(content)
            with pytest.raises(DecoderError, match=r"p\.npz is damaged .* delete it and run"):
                Predictions.load(path)

    def test_columns_that_do_not_fit_are_damage(self, tmp_path):
        path = tmp_path / "p.npz"
        said().save(path)
        with np.load(path) as archive:
            arrays = {name: archive[name] for name in archive.files}
        np.savez(path, **(arrays | {"animal": np.full(4, 7, np.int16)}))
        with pytest.raises(DecoderError, match="codes run from 7 to 7"):
            Predictions.load(path)


class TestJoin:
    def test_names_count_not_codes(self):
        first = said(2, animal_names=("m1", "m2"), animal=np.array([1, 1], np.int16))
        second = said(2, animal_names=("m2", "m3"), animal=np.array([0, 1], np.int16))
        both = join([first, second])
        assert both.animal_names == ("m1", "m2", "m3")
        assert both.animal.tolist() == [1, 1, 1, 2]
        assert both.animal.dtype == np.int16
        assert both.session.tolist() == [0, 0, 0, 0]
        assert both.to_frame()["animal"].tolist() == ["m2", "m2", "m2", "m3"]

    @given(st.lists(st.lists(st.sampled_from("abcd"), max_size=5), min_size=1, max_size=4))
    def test_rows_keep_their_names(self, sessions):
        several = []
        for names in sessions:
            table = tuple(sorted(set(names), reverse=True))
            codes = np.array([table.index(name) for name in names], np.int16)
            several.append(said(len(names), session_names=table, session=codes))
        joined = join(several).to_frame()
        assert joined["session"].tolist() == [name for names in sessions for name in names]
        assert joined["frame"].tolist() == [k for names in sessions for k in range(len(names))]

    def test_nothing_to_join(self):
        with pytest.raises(DataError, match="no predictions to join"):
            join([])

    @pytest.mark.parametrize(
        ("changes", "text"),
        [
            ({"kind": "value"}, "kind 'binary' and 'value'"),
            ({"frame_rate_hz": 20.0}, "frame_rate_hz None and 20.0"),
            ({"classes": ("rest", "run")}, r"classes \(\) and \('rest', 'run'\)"),
        ],
    )
    def test_what_differs_is_refused(self, changes, text):
        with pytest.raises(DataError, match=text):
            join([said(), said(**changes)])


class TestChecks:
    @pytest.mark.parametrize(
        ("changes", "text"),
        [
            ({"kind": "ternary"}, "kind 'ternary'; give one of binary, classes, value"),
            ({"kind": "classes"}, "'classes' come with 0 class names"),
            ({"classes": ("a", "b", "c")}, "'binary' come with 3 class names"),
            ({"frame_rate_hz": 0.0}, r"the frame rate is 0\.0 Hz"),
            ({"score": np.zeros(3, np.float32)}, r"score has shape \(3,\), where the 4 frames"),
            ({"score": np.zeros((4, 1), np.float32)}, r"score has shape \(4, 1\)"),
            (CLASSES | {"score": np.zeros(4, np.float32)}, r"need \(4, 3\)"),
            ({"part": np.zeros(4)}, "part is of type float64; convert it to int8"),
            ({"target": np.zeros(4, int)}, "target is of type int64; convert it to float32"),
            ({"animal": np.array([0, 0, 0, 1], np.int16)}, "animal codes run from 0 to 1, but"),
            ({"session": np.array([0, -1, 0, 0], np.int16)}, "session codes run from -1 to 0"),
            ({"part": np.full(4, len(PART_NAMES), np.int8)}, "part codes run from 3 to 3"),
            ({"frame": np.array([0, -2, 1, 2], np.int32)}, "frame -2 is below 0"),
            ({"target": np.array([0, 1, 2, 1], np.float32)}, "1 targets .* index from 0 to 1"),
            ({"target": np.array([0, 0.5, 1, 1], np.float32)}, r"first is 0\.5"),
            ({"kind": "value", "target": np.full(4, np.inf, np.float32)}, "a target is a number"),
        ],
    )
    def test_data_that_do_not_fit(self, changes, text):
        with pytest.raises(DataError, match=text):
            said(**changes)

    @pytest.mark.parametrize(
        ("score", "text"),
        [
            ([0, np.nan, np.inf, 1], "2 of 4 scores are not finite; the decoder's training"),
            ([-3, 0, 1, 4], r"scores run from -3 to 4, .* pass logits through a sigmoid"),
        ],
    )
    def test_scores_that_no_decoder_should_give(self, score, text):
        with pytest.raises(DecoderError, match=text):
            said(score=np.array(score, np.float32))

    @given(st.lists(st.floats(0, 1, width=32), max_size=20))
    def test_probabilities_pass_and_are_not_changed(self, scores):
        score = np.array(scores, np.float32)
        kept = said(score.size, score=score)
        assert kept.score is score
