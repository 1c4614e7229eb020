import math
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corticode.data.regions import (
    RegionTable,
    read_region_names,
    read_regions,
    regions_beside,
    select_regions,
    write_regions,
)
from corticode.errors import DataError, MissingDataError, StudyError

TABLE = RegionTable(
    names=("FLa-l", "FLa-r", "HLa-l", "V1-l"),
    groups=(("limb", "motor"), ("limb",), ("limb",), ()),
    sides=("left", "right", "left", "left"),
)


def test_names_one_a_line(tmp_path):
    path = tmp_path / "names.txt"
    path.write_bytes("\ufeffFLa\r\n HLa \r\n\r\nV1\r\n".encode())
    assert read_region_names(path) == ("FLa", "HLa", "V1")


def test_a_table_by_hand(tmp_path):
    path = tmp_path / "regions.csv"
    path.write_bytes(
        "\ufeffname, side,mirror,group,row,column\n"
        "NA,left,b,limb; motor,1.5,2\n"
        "b,right,NA,,,\n".encode()
    )
    table = read_regions(path)
    assert table.names == ("NA", "b")
    assert table.sides == ("left", "right")
    assert table.mirrors == ("b", "NA")
    assert table.groups == (("limb", "motor"), ())
    assert (table.rows[0], table.columns[0]) == (1.5, 2.0)
    assert math.isnan(table.rows[1])


def test_a_table_of_names_alone(tmp_path):
    (tmp_path / "regions.csv").write_text("name\n1\n2\n")
    assert read_regions(tmp_path / "regions.csv").sides == ("", "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,sides\na,left\n", "has columns name, sides; a region table has 'name' and may have"),
        ("side\nleft\n", "has columns side; a region table has 'name'"),
        ("name,side\na,Left\n", r"column 'side' holds 'Left'; did you mean 'left'\?"),
        (
            "name,mirror\na,c\nb,a\nd,e\n",
            r"column 'mirror', names what has no row among its 3: 'c' \(mirror of 'a'\), "
            r"'e' \(mirror of 'd'\); add the row, or correct",
        ),
        (
            "name,mirror\n" + "".join(f"a{k},b{k}\n" for k in range(7)),
            r"'b4' \(mirror of 'a4'\) and 2 more; add the row",
        ),
        ("name;side\na;left\n", "is separated by semicolons or tabs; save it with commas"),
        ("name,row\na,top\n", "column 'row': could not convert .*'top'; give pixels"),
        ("name\na\na\n", "names a more than once"),
        ('name,side\na,left\n"",right\n', "must name every region; 2 lines, some of them empty"),
        ("", "cannot be read"),
        ("name\na,b,c\nd\ne,f\n", "has rows of more cells than its 1 columns; put values"),
    ],
)
def test_faults_of_a_table(tmp_path, text, message):
    path = tmp_path / "regions.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_regions(path)


def test_a_long_list_takes_no_time(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("\n".join(map(str, range(100_000))))
    began = time.process_time()
    assert len(read_region_names(path)) == 100_000
    assert time.process_time() - began < 5


def test_faults_of_a_list(tmp_path):
    path = tmp_path / "names.txt"
    with pytest.raises(MissingDataError, match=r"region list .*names.txt does not exist"):
        read_region_names(path)
    with pytest.raises(MissingDataError, match=r"region table .*names.txt does not exist"):
        read_regions(path)
    path.write_text("\n \n")
    with pytest.raises(DataError, match="must name every region; 0 lines"):
        read_region_names(path)
    path.write_text("a\nb\na\n")
    with pytest.raises(DataError, match="names a more than once"):
        read_region_names(path)
    path.write_bytes(b"Gr\xf6\xdfe\n")
    with pytest.raises(DataError, match=r"cannot be read as a region list .UTF-8 text"):
        read_region_names(path)


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (None, [1, 1, 1, 1]),
        (["limb"], [1, 1, 1, 0]),
        (["motor", 4], [1, 0, 0, 1]),
        (["right"], [0, 1, 0, 0]),
        (["V1-l"], [0, 0, 0, 1]),
        (["not", "left"], [0, 1, 0, 0]),
        ([1, 1], [1, 0, 0, 0]),
    ],
)
def test_selections_by_hand(selection, expected):
    assert select_regions(selection, TABLE.names, TABLE).tolist() == [bool(x) for x in expected]


def test_a_number_stays_with_its_region_when_another_is_left_out():
    # Unnamed regions are called by their numbers; region 2 had no values.
    assert select_regions([3], ["1", "3", "4"]).tolist() == [False, True, False]
    assert select_regions([3], ["FLa-l", "HLa-l"], TABLE).tolist() == [False, True]


@given(st.lists(st.integers(1, 8), min_size=1, max_size=8))
def test_numbers_are_places(numbers):
    kept = select_regions(numbers, [f"r{k}" for k in range(8)])
    assert np.flatnonzero(kept).tolist() == sorted({k - 1 for k in numbers})
    if len(set(numbers)) < 8:
        others = select_regions(["not", *numbers], [f"r{k}" for k in range(8)])
        assert (others == ~kept).all()


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ([5], "region number 5 is not among 1 to 4"),
        ([0], "region number 0 is not among 1 to 4"),
        (["limbs"], r"holds 'limbs', which is no region, group or side; did you mean 'limb'\?"),
        ([""], "holds '', which is no region"),
        (["V2"], r"no region, group or side; did you mean 'V1-l'\?|; there are FLa-l, FLa-r, "),
        (["not V1-l"], r"'not' is an entry of its own, the first: regions = \[\"not\", \"V1-l\"\]"),
        (["not limb", 4, "not V1-l"], r"\[\"not\", \"limb\", 4, \"V1-l\"\] keeps all the others"),
        (["limb", "not  V1-l"], r"regions = \[\"not\", \"limb\", \"V1-l\"\] keeps all the others"),
        (["not limb", 4, "not V1-l"], r"\[\"not\", \"limb\", 4, \"V1-l\"\] keeps all the others"),
        ([], r"regions = \[\] keeps no region; name at least one"),
        (["not", "left", "right"], "keeps no region"),
    ],
)
def test_selections_refused(selection, message):
    with pytest.raises(StudyError, match=message):
        select_regions(selection, TABLE.names, TABLE)


def test_names_without_a_table():
    message = (
        r"holds 'vis', which is no region, group or side; there are 1, 2, 3, 4, 5, ...; names, "
        r"groups and sides come from a table that \[data\] regions names"
    )
    with pytest.raises(StudyError, match=message):
        select_regions(["vis"], [str(k + 1) for k in range(50)])


def test_a_region_whose_name_begins_with_not():
    assert select_regions(["not me"], ["not me", "b"]).tolist() == [True, False]


def test_blank_sides_and_groups_match_nothing():
    table = RegionTable(("a", "b"), sides=("", "left"))
    with pytest.raises(StudyError, match="holds ''"):
        select_regions([""], table.names, table)


def test_a_table_is_written_as_it_is_read(tmp_path):
    table = RegionTable(
        ("a, b", "c"),
        (("x", "y"), ()),
        ("left", ""),
        ("c", ""),
        (1.25, np.nan),
        (3.0, 4.0),
        (12, 0),
    )
    write_regions(tmp_path / "regions.csv", table)
    found = read_regions(tmp_path / "regions.csv")
    assert found.rows[0] == 1.25
    assert math.isnan(found.rows[1])
    assert replace(found, rows=()) == replace(table, rows=())


def test_only_a_table_that_counts_pixels_is_taken_for_a_label_image(tmp_path):
    labels = tmp_path / "labels.npy"
    assert regions_beside(labels) is None
    for text, expected in (
        ("name\na\n", None),
        ("nothing", None),
        ("name,pixels\na,3\n", tmp_path / "regions.csv"),
    ):
        (tmp_path / "regions.csv").write_text(text)
        assert regions_beside(labels) == expected
