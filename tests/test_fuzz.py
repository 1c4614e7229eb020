"""Damaged files of every format end in one clear error: benchmarks/fuzz.py, in small."""

import runpy
from pathlib import Path

import pytest

FUZZ = runpy.run_path(str(Path(__file__).parent.parent / "benchmarks" / "fuzz.py"))
FORMATS = FUZZ["FORMATS"]


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_sound_is_read(name, tmp_path):
    kind = FORMATS[name]
    FUZZ["write_recordings"](tmp_path)
    for k in (0, 1, 3):
        path = tmp_path / f"sound_{k}{kind.suffix}"
        path.write_bytes(kind.make(lambda content: content, k))
        assert FUZZ["outcome_of"](kind, path) == ("read", "")


def test_the_same_seed_spoils_in_the_same_way():
    content = bytes(range(256)) * 4
    for k in range(20):
        first, second = (FUZZ["Mutator"](f"x {k}")(content) for _ in range(2))
        assert first == second
    assert len({FUZZ["Mutator"](f"x {k}")(content) for k in range(20)}) > 15


def test_some_damaged_files():
    found = FUZZ["fuzz"](list(FORMATS), 4)
    assert {name: one.bad for name, one in found.items() if one.bad} == {}
    assert all(sum(one.outcomes.values()) == 4 for one in found.values())


@pytest.mark.study
@pytest.mark.parametrize("name", FORMATS)
def test_damaged_files(name):
    # Other files than those of the quick suite: seeds are names and numbers.
    found = FUZZ["fuzz"]([name], 50)[name]
    assert found.bad == []
    assert set(found.outcomes) <= {"read", "error"}
    assert found.most_bytes < FUZZ["MOST_BYTES"]


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("os.kill(os.getpid(), 11)", "crash"),
        ("raise KeyError('x')", "traceback"),
        ("sum(range(10**8))", "hang"),
        ("bytearray(b'x' * 2**26)", "memory"),
    ],
)
def test_what_is_looked_for_is_noticed(tmp_path, code, outcome):
    script = Path(FUZZ["__file__"]).read_text("utf-8")
    for old, new in (
        ('    """Every signal of a table."""', f"    if 'armed' in globals(): {code}"),
        ("began = time.process_time()", "began = time.process_time(); globals()['armed'] = True"),
        ("HANG_S, LOST_S = 5.0, 120.0", "HANG_S, LOST_S = 0.5, 20.0"),
        ("MOST_BYTES = 2**30", "MOST_BYTES = 2**20"),
    ):
        assert old in script
        script = script.replace(old, new, 1)
    (tmp_path / "broken.py").write_text(script, "utf-8")
    broken = runpy.run_path(str(tmp_path / "broken.py"))
    found = broken["fuzz"](["CSV"], 1)["CSV"]
    assert [what for _, what, _ in found.bad] == [outcome]
