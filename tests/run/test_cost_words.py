"""What a study costs, in lines that a terminal shows."""

from dataclasses import replace

from corticode.run.cost_words import KindCost, StudyCost, cost_text

COST = StudyCost(
    n_conditions=2,
    n_sessions=64,
    n_animals=5,
    n_fits=1040,
    n_distinct=520,
    n_maps=20,
    kinds=(KindCost("gru", 31, ("gru", "gru, raw"), 1040, 9358.4, 1234.56),),
    n_workers=2,
    hours=617.28,
    disk_gb=1.234,
    memory_gb=0.51,
    smallest_p=0.0625,
    smallest_p_families={"Fig. 4E": 0.1875},
    smallest_p_animals={"m1": 0.001, "m2": 1 / 6, "m3": 0.001},
    smallest_p_cohort=0.001,
    sd=0.02,
    detectable=0.0336,
    notes=("A note that is much longer than a line of the terminal can be, so that it wraps.",),
)


def test_by_hand():
    lines = cost_text(COST).splitlines()
    assert lines[2] == "fits        1,040, 520 of them distinct; 20 maps"
    assert lines[3] == "time        617.28 hours at most, workers: 2"
    assert lines[5] == "memory      0.5 GB a worker"
    assert lines[8].split() == ["gru", "31", "2", "1,040", "9,358", "1,234.56"]
    assert "- a comparison over 5 animals: 0.0625, cannot reach 0.05" in lines
    assert "- adjusted over the family 'Fig. 4E': 0.188, cannot reach 0.05" in lines
    assert "- against its own labels in other orders, m1, m3: 0.001" in lines
    assert max(map(len, lines)) <= 80


def test_one_animal_shows_nothing_of_animals():
    text = cost_text(
        replace(COST, smallest_p=None, smallest_p_families={}, detectable=None, memory_gb=None)
    )
    assert "- a comparison over animals: none, one animal is tested" in text
    assert "detectable" not in text
    assert "memory      unknown a worker" in text
