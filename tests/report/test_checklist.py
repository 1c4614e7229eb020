from corticode.report.checklist import AUTHORS, ITEMS, checklist
from corticode.report.page_values import RunValues


def test_states(make_values):
    rows = {row[0]: row[1:] for row in checklist(make_values()).rows}
    assert rows["Animals and sessions tested"][0] == "reported"
    assert rows["A control with permuted labels"] == ("reported", "permuted")
    assert rows["Cues that are not cortex"] == ("not done", "")
    assert rows["Indicator"][0] == "to be filled in"
    assert len(rows) == len(ITEMS) + len(AUTHORS)


def test_more_than_one_seed(make_values):
    rows = {row[0]: row[1] for row in checklist(make_values(provenance={"seeds": [0, 1]})).rows}
    assert rows["More than one seed"] == "reported"


def test_nothing_done():
    states = {row[1] for row in checklist(RunValues("run")).rows}
    assert states == {"not done", "to be filled in"}
