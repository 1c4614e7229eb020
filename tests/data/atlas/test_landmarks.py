"""Landmarks: their files, their names, and what is refused."""

import json

import numpy as np
import pytest

from corticode.data.atlas.landmarks import ALIASES, canonical_names, read_landmarks
from corticode.data.atlas.maps import read_atlas
from corticode.errors import DataError, MissingDataError, StudyError

KNOWN = tuple(read_atlas().landmarks)


def test_typed_points_are_x_before_y():
    found = read_landmarks("front-left=81,42 front = 120.5 , 40  back=121,2.1e2")
    assert found.names == ("front-left", "front", "back")
    assert found.points.tolist() == [[81, 42], [120.5, 40], [121, 210]]
    assert found.from_mm is None


@pytest.mark.parametrize(
    "text", ["front=120", "front=120,40 back=121;210", "front=a,b", "front:120,40 x=1,2", "=1,2"]
)
def test_what_is_no_list_of_points_is_refused(text):
    with pytest.raises(StudyError, match=r"which is no name=x,y; write them as 'front=120,40"):
        read_landmarks(text)


def test_a_point_given_twice(tmp_path):
    with pytest.raises(StudyError, match="gives front more than once"):
        read_landmarks("front=1,2 front=3,4")


def test_columns_x_and_y_as_mesoscopy_writes_them(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("landmark, x, y\nbregma,71.0,63.2\ncFP,72.1,17.9\n")
    found = read_landmarks(str(path))
    assert found.names == ("bregma", "cFP")
    assert found.points.tolist() == [[71.0, 63.2], [72.1, 17.9]]


def test_a_table_of_results_of_imagej_needs_names(tmp_path):
    path = tmp_path / "Results.csv"
    path.write_text(" ,Area,X,Y\n1,0,71.0,63.2\n2,0,72.1,17.9\n")
    found = read_landmarks(str(path), ["bregma", "front"])
    assert found.names == ("bregma", "front")
    assert found.points.tolist() == [[71.0, 63.2], [72.1, 17.9]]


def test_axes_of_napari_are_row_before_column(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("index,axis-0,axis-1\n0.0,40.5,120.0\n1.0,210.0,121.0\n")
    found = read_landmarks(str(path), ["front", "back"])
    assert found.points.tolist() == [[120.0, 40.5], [121.0, 210.0]]
    with pytest.raises(StudyError, match=r"2 points without names, and 0 names were given"):
        read_landmarks(str(path))
    # Of a stack the first axis is the frame; a column of names is taken where there is one.
    path.write_text("index,axis-0,axis-1,axis-2,label\n0,7,40.5,120,front\n")
    found = read_landmarks(str(path))
    assert (found.names, found.points.tolist()) == (("front",), [[120.0, 40.5]])


@pytest.mark.parametrize(
    "text",
    [
        '<namedpointset version="1.0">\n<pointworld set="true" name="front" x="120.5" y="40" '
        'z="0"/>\n<pointworld set="false" name="bregma"/>\n</namedpointset>',
        '"front": [ 120.5, 40.0, 0.0 ]\n',
    ],
)
def test_named_points_of_fiji(tmp_path, text):
    path = tmp_path / "image.points"
    path.write_text(text)
    found = read_landmarks(str(path))
    assert (found.names, found.points.tolist()) == (("front",), [[120.5, 40.0]])


def wfield(**changed):
    """A file of wfield's: 0.05 mm a pixel, bregma at x 10, y 20; the image has twice the pixels."""
    points = {"name": ["OB_center", "RSP_base"], "x": [20.0, 20.0], "y": [-98.0, 168.0]}
    held = {
        "landmarks": {"name": points["name"], "x": [0.0, 0.0], "y": [-3.45, 3.2]},
        "resolution": 0.05,
        "bregma_offset": [10, 20],
        "landmarks_match": points,
        "transform": np.diag([2.0, 2.0, 1.0]).tolist(),
        # As some versions write it: the transform itself, which must not be trusted.
        "transform_inverse": np.diag([2.0, 2.0, 1.0]).tolist(),
    }
    return json.dumps(held | changed)


def test_a_file_of_wfield_keeps_its_transform(tmp_path):
    path = tmp_path / "dorsal_cortex_landmarks.json"
    path.write_text(wfield())
    found = read_landmarks(str(path))
    assert found.names == ("OB_center", "RSP_base")
    # Bregma is atlas pixel (10, 20), image pixel (20, 40); a millimetre is 20 and 40 pixels.
    assert np.allclose(found.from_mm, [[40, 0, 20], [0, 40, 40], [0, 0, 1]])
    assert np.allclose(found.from_mm @ [0, -3.45, 1], [20, -98, 1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "it has no 'landmarks_match'"),
        ("not json", "cannot be read as a file of landmarks"),
        (wfield(transform=[[1, 0], [0, 1]]), r"of shape \(2, 2\) is no 3 x 3 affine matrix"),
        (wfield(transform=[[1, 0, 0], [0, 1, 0], [0.1, 0, 1]]), "is no 3 x 3 affine matrix"),
    ],
)
def test_other_json_is_refused(tmp_path, text, message):
    path = tmp_path / "landmarks.json"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_landmarks(str(path))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "name,row\na,1\n", "its columns are name, row; needed are landmark, x, y"),
        ("a.csv", "landmark,x,y\nfront,,2\n", "cannot be read as a file of landmarks"),
        ("a.csv", "landmark,x,y\nfront,nan,2\n", "a landmark without a number"),
        ("a.points", "nothing", "it holds no point"),
        ("a.roi", "Iout", "landmarks are read from .json, .csv, .points files, or typed"),
    ],
)
def test_other_files_are_refused(tmp_path, name, text, message):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_landmarks(str(path))


def test_no_file():
    with pytest.raises(MissingDataError, match=r"nowhere\.csv does not exist"):
        read_landmarks("nowhere.csv")


def test_names_of_other_programs_mean_landmarks_of_the_map():
    assert set(ALIASES.values()) == set(KNOWN)
    given = ["OB_left", "OB_center", "OB_right", "RSP_base", "Bregma", "M6", "bottom left"]
    assert canonical_names(given, KNOWN) == (
        "front-left", "front", "front-right", "back", "bregma", "lambda", "back-left",
    )  # fmt: skip


def test_an_unknown_name_gets_the_likely_one():
    with pytest.raises(StudyError, match=r"'font-left' is no landmark .* mean 'front-left'\? Its"):
        canonical_names(["font-left"], KNOWN)
    with pytest.raises(StudyError, match="'OB_left' and 'lFP' are the same landmark, 'front-left'"):
        canonical_names(["OB_left", "lFP"], KNOWN)
