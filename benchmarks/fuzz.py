"""Does a damaged file end in one clear error? Files of every format are spoilt and read.

``python benchmarks/fuzz.py [N]`` spoils files of each format N times (2,000) with fixed seeds:
bytes flipped, numbers made huge, blocks cut out, doubled or inserted, files cut short, inside of
what is compressed too. Each is read as corticode reads it, in a process of its own that may crash
or hang without harm, and the outcome is counted.
"""

import argparse
import io
import json
import os
import random
import re
import selectors
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HANG_S, LOST_S = 5.0, 120.0  # of the processor; of the clock, on a machine busy with other work
MOST_BYTES = 2**30
Spoil = Callable[[bytes], bytes]


HUGE = (b"9" * 18, b"9" * 400, b"9" * 5000, b"1e999", b"-1", b"0", b"nan", b"0x" + b"f" * 5000)
NUMBERS = (
    *(b"1000000000000", b"9007199254740992", b"1e300", b"1e12", b"1e-300", b"0", b"0.0"),
    *(b"-0.0", b"2147483648", b"100000", b"1.0", b"true", b"'1'", b"[1]"),
)
WORDS = (
    *(b"\0", b'"', b"\n", b"\xef\xbb\xbf", "é\u202e".encode(), b"[" * 5000, b"{a=" * 3000),
    *(b"x" * 300_000, b",,,,", b"../" * 2000, b"'''", b"\r", b"\x1b[31m", b"=1+1"),
)


class Mutator:
    """Spoils bytes in up to three ways, the same for the same seed."""

    def __init__(self, seed: str) -> None:
        self.rng = random.Random(seed)
        self.ways: tuple[Spoil, ...] = (
            *(self.flip, self.flip, self.extreme, self.extreme, self.cut),
            *(self.delete, self.insert, self.double, self.huge, self.words),
        )

    def __call__(self, content: bytes) -> bytes:
        """What is left of a file's content."""
        for _ in range(self.rng.choice((1, 1, 2, 3))):
            content = self.rng.choice(self.ways)(content) if content else b"\0"
        return content

    def place(self, content: bytes) -> int:
        """Half of all changes hit the first bytes, where headers are."""
        most = min(len(content), 600) if self.rng.random() < 0.5 else len(content)
        return self.rng.randrange(max(1, most))

    def block(self, content: bytes) -> tuple[int, int]:
        """Where a few bytes start and stop."""
        start = self.place(content)
        return start, min(len(content), start + self.rng.choice((1, 4, 16, 64, 512)))

    def flip(self, content: bytes) -> bytes:
        """Some bytes become others."""
        spoilt = bytearray(content)
        for _ in range(self.rng.choice((1, 1, 2, 8))):
            spoilt[self.place(content)] = self.rng.randrange(256)
        return bytes(spoilt)

    def extreme(self, content: bytes) -> bytes:
        """A number of one to eight bytes becomes very large, or nothing."""
        start, size = self.place(content), self.rng.choice((1, 2, 4, 8))
        value = self.rng.choice((b"\xff", b"\x7f", b"\x80", b"\x00", b"\x01")) * size
        return content[:start] + value + content[start + size :]

    def cut(self, content: bytes) -> bytes:
        """The file ends early."""
        return content[: self.place(content)]

    def delete(self, content: bytes) -> bytes:
        """A block is gone."""
        start, stop = self.block(content)
        return content[:start] + content[stop:]

    def insert(self, content: bytes) -> bytes:
        """There are some bytes more."""
        start = self.place(content)
        more = self.rng.randbytes(self.rng.choice((1, 4, 64)))
        return content[:start] + more + content[start:]

    def double(self, content: bytes) -> bytes:
        """A block is there several times."""
        start, stop = self.block(content)
        at = self.place(content)
        return content[:at] + content[start:stop] * self.rng.choice((1, 2, 50)) + content[at:]

    def huge(self, content: bytes) -> bytes:
        """A number in words becomes huge, or none."""
        found = list(re.finditer(rb"\d+(\.\d+)?", content))
        if not found:
            return self.extreme(content)
        one = self.rng.choice(found)
        return content[: one.start()] + self.rng.choice(HUGE) + content[one.end() :]

    def words(self, content: bytes) -> bytes:
        """Letters where none belong."""
        at = self.place(content)
        return content[:at] + self.rng.choice(WORDS) + content[at:]


def _arrays() -> dict[str, Any]:
    import numpy as np

    rng = np.random.default_rng(0)
    return {
        "movie": rng.integers(0, 999, (9, 8, 6)).astype(np.uint16),
        "traces": rng.normal(size=(40, 5)).astype(np.float32),
        "run": np.arange(40) % 2,
    }


def npy(spoil: Spoil, k: int) -> bytes:
    """One array, three times of every four a movie."""
    import numpy as np

    file = io.BytesIO()
    np.save(file, _arrays()["movie" if k % 4 else "traces"])
    return spoil(file.getvalue())


def npz(spoil: Spoil, k: int) -> bytes:
    """Packed or stored; spoilt as a whole, or an array in a sound archive."""
    import numpy as np

    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED if k % 2 else zipfile.ZIP_STORED) as into:
        for name, array in _arrays().items():
            one = io.BytesIO()
            np.save(one, array)
            content = one.getvalue()
            into.writestr(f"{name}.npy", spoil(content) if k % 4 < 2 else content)
    return file.getvalue() if k % 4 < 2 else spoil(file.getvalue())


def csv(spoil: Spoil, k: int) -> bytes:
    """Behaviour on frames."""
    rows = [f"{t / 10},{t % 2},{t * 0.37:.2f},{('run', 'rest')[t % 2]}" for t in range(40)]
    return spoil("\n".join(["time,run,speed,state", *rows, ""]).encode())


def tsv(spoil: Spoil, k: int) -> bytes:
    """The same, parted by tabs."""
    return spoil(csv(lambda content: content, k).replace(b",", b"\t"))


def _mat(version: str, packed: bool) -> bytes:
    import numpy as np
    import scipy.io

    cell = np.empty((1, 2), object)
    cell[:] = [["run", "rest"]]
    variables = _arrays() | {"label": "läuft"}
    if version == "5":
        variables |= {"cell": cell, "data": {"speed": np.ones((1, 4)), "inner": {"gain": 2.0}}}
    else:
        del variables["movie"], variables["label"]
        variables["label"] = "run"
    file = io.BytesIO()
    scipy.io.savemat(file, variables, format=version, do_compression=packed)
    return file.getvalue()


def mat4(spoil: Spoil, k: int) -> bytes:
    """MATLAB's version 4."""
    return spoil(_mat("4", False))


def mat5(spoil: Spoil, k: int) -> bytes:
    """MATLAB's version 5: plain, packed, or spoilt and then packed."""
    if k % 3 < 2:
        return spoil(_mat("5", packed=k % 3 == 1))
    content = _mat("5", packed=False)
    head, at, made = content[:128], 128, b""
    while at + 8 <= len(content):
        size = int.from_bytes(content[at + 4 : at + 8], "little")
        packed = zlib.compress(spoil(content[at : at + 8 + size]))
        made += (15).to_bytes(4, "little") + len(packed).to_bytes(4, "little") + packed
        at += 8 + size
    return head + made


def _hdf5(write: Callable[[Any], None]) -> bytes:
    import h5py

    file = io.BytesIO()
    with h5py.File(file, "w") as into:
        write(into)
    return file.getvalue()


def mat73(spoil: Spoil, k: int) -> bytes:
    """MATLAB's version 7.3, which is HDF5."""
    import h5py
    import numpy as np

    def write(into: Any) -> None:
        for name, array in _arrays().items():
            packing = {"compression": "gzip"} if k % 2 and array.ndim > 1 else {}
            into.create_dataset(name, data=array.T, **packing)
            into[name].attrs["MATLAB_class"] = np.bytes_("double")
        into["label"] = np.array([[ord(letter)] for letter in "run"], np.uint16)
        into["label"].attrs["MATLAB_class"] = np.bytes_("char")
        into["none"] = np.array([0, 0], np.uint64)
        into["none"].attrs["MATLAB_empty"] = np.uint8(1)
        into["#refs#/a"] = np.array([[ord(letter)] for letter in "rest"], np.uint16)
        into["#refs#/a"].attrs["MATLAB_class"] = np.bytes_("char")
        into["cell"] = np.array([[into["#refs#/a"].ref]], dtype=h5py.ref_dtype)
        into["cell"].attrs["MATLAB_class"] = np.bytes_("cell")
        into["data/speed"] = np.ones((4, 1))

    return spoil(_hdf5(write))


def hdf5(spoil: Spoil, k: int) -> bytes:
    """HDF5 as in NWB: groups, links, text, what is packed and what is not."""
    import h5py

    def write(into: Any) -> None:
        arrays = _arrays()
        into["acquisition/movie"] = arrays["movie"]
        into.create_dataset("packed", data=arrays["movie"], chunks=(4, 8, 3), compression="gzip")
        into.create_dataset("traces", data=arrays["traces"], shuffle=True, compression="lzf")
        into["processing/behavior/run"] = arrays["run"]
        into["state"] = ["run", "rest"] * 20
        into["alias"] = h5py.SoftLink("/packed")
        into["processing/itself"] = into["processing"]

    return spoil(_hdf5(write))


TIFFS: tuple[dict[str, Any], ...] = (
    {},
    {"bigtiff": True},
    {"ome": True, "metadata": {"axes": "TYX"}},
    {"imagej": True},
    {"compression": "zlib"},
    {"compression": "lzw", "predictor": 2},
    {"tile": (16, 16), "metadata": None},
    {"byteorder": ">", "rowsperstrip": 3, "metadata": None},
    {"software": "SI.hChannels.channelSave = [1;2]\nSI.hStackManager.numSlices = 1"},
    {"compression": "packbits", "metadata": None},
)


def tiff(spoil: Spoil, k: int) -> bytes:
    """As ten kinds of instruments and programs write it."""
    import tifffile

    file = io.BytesIO()
    tifffile.imwrite(file, _arrays()["movie"], photometric="minisblack", **TIFFS[k % len(TIFFS)])
    return spoil(file.getvalue())


def catalogue(spoil: Spoil, k: int) -> bytes:
    """A table of sessions."""
    columns = "animal,session,traces,movie,behavior,frame_rate_hz,date,channels,note"
    rows = [
        f"m{a},s{s},m{a}_{s}.npy,,m{a}_{s}.csv,10,2024-05-{a}{s},," for a in (1, 2) for s in (1, 2)
    ]
    return spoil("\n".join([columns, *rows, ""]).encode())


def regions(spoil: Spoil, k: int) -> bytes:
    """A region table, or a list of names."""
    if k % 2:
        return spoil(b"M1\nM2\nV1\nV2\n")
    rows = [f"r{n},{('left', 'right')[n % 2]},r{n ^ 1},motor;limb,{n}.5,{n}" for n in range(6)]
    return spoil("\n".join(["name,side,mirror,group,row,column", *rows, ""]).encode())


STUDY = """
preset = "code"
[data]
catalogue = "sessions.csv"
trim_frames = 2
[target]
signal = "run"
minimum_bout_s = 0.2
[folds]
by = "animal"
[[condition]]
name = "linear"
preprocess = { detrend_frames = 20, scale = "min-max" }
window = { before = 3, after = 3, shift = 0 }
network = { kind = "linear-window" }
training = { penalty = [0.01], epochs = 2, learning_rate = 0.01 }
regions = [1, 2]
[[condition]]
name = "gru"
like = "linear"
regions = "all"
network = { kind = "gru", units = 8 }
permute_labels = "sessions"
[[map]]
condition = "gru"
kind = "deep-shap"
background = 40
n_windows = 20
[[comparison]]
name = "both"
conditions = ["linear", "gru"]
"""


def study(spoil: Spoil, k: int) -> bytes:
    """A study file, which is then checked against six small recordings; numbers far off, too."""
    content = STUDY.encode()
    if k % 2 and spoil(b"x") != b"x":
        found = list(re.finditer(rb"(?<=[ \[])\d+(\.\d+)?\b", content))
        one = found[k // 2 % len(found)]
        number = NUMBERS[k // 2 // len(found) % len(NUMBERS)]
        return content[: one.start()] + number + content[one.end() :]
    return spoil(content)


@dataclass(frozen=True)
class Format:
    """How a kind of file is made and read."""

    suffix: str
    make: Callable[[Spoil, int], bytes]
    read: Callable[[Path], None]


def read_arrays(path: Path) -> None:
    """Every array of a file, as sessions read them, each value looked at."""
    import numpy as np

    from corticode.data.readers.arrays import ArrayLocation, list_arrays, read_array, read_movie
    from corticode.errors import CorticodeError

    listed = list(list_arrays(path))[:8]
    errors = []
    for name in dict.fromkeys([*listed, "movie", "data/speed", "processing/itself/behavior/run"]):
        location = ArrayLocation(path, name or None)
        failed = []
        for read in (read_array, lambda one: read_movie(one, 2)[0]):
            try:
                np.array(read(location))
            except CorticodeError as error:
                failed.append(error)
        # A movie of two channels is read where the catalogue says so.
        if len(failed) == 2 and name in listed:
            errors += failed
    if errors:
        raise errors[0]


def read_behavior(path: Path) -> None:
    """Every signal of a table."""
    from corticode.data.readers.arrays import ArrayLocation, list_signals, read_signal

    for name in list_signals(ArrayLocation(path))[:8]:
        read_signal(ArrayLocation(path), name)


def _read_catalogue(path: Path) -> None:
    from corticode.data.catalogue import read_catalogue

    read_catalogue(path)


def _read_regions(path: Path) -> None:
    from corticode.data.regions import read_region_names, read_regions
    from corticode.errors import CorticodeError

    try:
        read_region_names(path)
    except CorticodeError:
        read_regions(path)


def _check_study(path: Path) -> None:
    from corticode.errors import DataError
    from corticode.run.check import check_study
    from corticode.study.study import read_study

    report = check_study(read_study(path))
    if report.faults:
        raise DataError(report.faults[0])


FORMATS = {
    "NPY": Format(".npy", npy, read_arrays),
    "NPZ": Format(".npz", npz, read_arrays),
    "CSV": Format(".csv", csv, read_behavior),
    "TSV": Format(".tsv", tsv, read_behavior),
    "MAT 4": Format(".mat", mat4, read_arrays),
    "MAT 5 to 7": Format(".mat", mat5, read_arrays),
    "MAT 7.3": Format(".mat", mat73, read_arrays),
    "HDF5": Format(".h5", hdf5, read_arrays),
    "TIFF": Format(".tif", tiff, read_arrays),
    "catalogue": Format(".csv", catalogue, _read_catalogue),
    "regions": Format(".csv", regions, _read_regions),
    "study file": Format(".toml", study, _check_study),
}


def write_recordings(folder: Path) -> None:
    """What catalogues and study files name."""
    import numpy as np

    rng = np.random.default_rng(0)
    lines = ["animal,session,traces,behavior,frame_rate_hz"]
    for a in range(1, 4):
        for s in range(1, 3):
            run = (np.arange(200) // 20 + s) % 2
            traces = rng.normal(size=(200, 4)) + run[:, None]
            np.save(folder / f"m{a}_{s}.npy", traces.astype(np.float32))
            rows = "\n".join(map(str, run))
            (folder / f"m{a}_{s}.csv").write_text(f"run\n{rows}\n")
            lines.append(f"m{a},s{s},m{a}_{s}.npy,m{a}_{s}.csv,10")
    (folder / "sessions.csv").write_text("\n".join(lines) + "\n")


def outcome_of(kind: Format, path: Path) -> tuple[str, str]:
    """``read``, ``error`` or ``traceback``, and what was said."""
    from corticode.errors import CorticodeError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kind.read(path)
    except CorticodeError as error:
        return "error", str(error)[:300]
    except (Exception, RecursionError):  # noqa: BLE001  it is what is looked for
        return "traceback", traceback.format_exc()[-3000:]
    return "read", ""


def _peak_bytes() -> int:
    """The most memory that this process has held since the last call."""
    import psutil

    status = Path("/proc/self/status")
    if not status.exists():
        return int(psutil.Process().memory_info().rss)
    (line,) = [one for one in status.read_text().splitlines() if one.startswith("VmHWM:")]
    Path("/proc/self/clear_refs").write_text("5")
    return int(line.split()[1]) * 1024


def child(folder: Path, tasks: Sequence[tuple[str, int]]) -> None:
    """Read spoilt files one after the other; a line on each before and after."""
    write_recordings(folder)
    warm: set[str] = set()
    for name, k in tasks:
        kind = FORMATS[name]
        path = folder / f"spoilt{kind.suffix}"
        path.unlink(missing_ok=True)
        if name not in warm:  # what is loaded when first used counts for no file
            warm.add(name)
            for sound in range(len(TIFFS)):
                path.write_bytes(kind.make(lambda content: content, sound))
                outcome_of(kind, path)
        path.write_bytes(kind.make(Mutator(f"{name} {k}"), k))
        _peak_bytes()
        before = _peak_bytes()
        print(json.dumps({"task": [name, k]}), flush=True)
        began = time.process_time()
        outcome, words = outcome_of(kind, path)
        spent = time.process_time() - began
        above = _peak_bytes() - before - path.stat().st_size
        done = {"outcome": outcome, "words": words, "s": spent, "bytes": max(0, above)}
        print(json.dumps(done), flush=True)


@dataclass
class Found:
    """What came of the spoilt files of one format."""

    outcomes: Counter[str] = field(default_factory=Counter)
    longest_s: float = 0.0
    most_bytes: int = 0
    bad: list[tuple[int, str, str]] = field(default_factory=list)

    def note(self, k: int, outcome: str, words: str, spent: float = 0.0, n_bytes: int = 0) -> None:
        """Count one file."""
        self.longest_s, self.most_bytes = max(self.longest_s, spent), max(self.most_bytes, n_bytes)
        if spent > HANG_S and outcome in ("read", "error"):
            outcome, words = "hang", f"{spent:.1f} s of the processor; {words}"
        if n_bytes > MOST_BYTES:
            self.bad.append((k, "memory", f"{n_bytes / 1e9:.1f} GB; {words}"))
        self.outcomes[outcome] += 1
        if outcome not in ("read", "error"):
            self.bad.append((k, outcome, words))


def fuzz(names: Sequence[str], n: int, batch: int = 500) -> dict[str, Found]:
    """What comes of `n` spoilt files of each format, read in other processes."""
    found = {name: Found() for name in names}
    tasks = [(name, k) for name in names for k in range(n)]
    while tasks:
        n_done = _run_child(tasks[:batch], found)
        tasks = tasks[n_done:]
    return found


def _run_child(tasks: Sequence[tuple[str, int]], found: dict[str, Found]) -> int:
    """Hand some tasks to one process; how many it began, whether or not it outlived them."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        environment["CORTICODE_CACHE"] = str(Path(folder) / "cache")
        with subprocess.Popen(
            [sys.executable, __file__, "--child", folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if "FUZZ_DEBUG" in os.environ else subprocess.DEVNULL,
            env=environment,
        ) as process:
            assert process.stdin is not None
            process.stdin.write(json.dumps(list(tasks)).encode())
            process.stdin.close()
            n_begun, current = 0, None
            for line in _lines(process):
                told = json.loads(line)
                if "task" in told:
                    n_begun, current = n_begun + 1, told["task"]
                elif current is not None:
                    result = told["outcome"], told["words"], told["s"], told["bytes"]
                    found[current[0]].note(current[1], *result)
                    current = None
            timed_out = process.poll() is None
            process.kill()
            process.wait()
            if current is not None:
                words = f"ended with {process.returncode}"
                found[current[0]].note(current[1], "hang" if timed_out else "crash", words)
            elif n_begun < len(tasks):
                raise RuntimeError(f"the process ended with {process.returncode} after {n_begun}")
    return n_begun


def _lines(process: "subprocess.Popen[bytes]") -> Iterator[str]:
    """What a process says, line by line; nothing more once it is silent for too long."""
    assert process.stdout is not None
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while selector.select(LOST_S):
            told = os.read(process.stdout.fileno(), 65_536)
            if not told:
                process.wait()
                return
            *lines, rest = (rest + told).split(b"\n")
            yield from (line.decode() for line in lines)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("n", nargs="?", type=int, default=2000)
    parser.add_argument("--formats", nargs="*", default=list(FORMATS), choices=list(FORMATS))
    parser.add_argument("--child", type=Path)
    given = parser.parse_args()
    if given.child is not None:
        child(given.child, json.loads(sys.stdin.read()))
        return
    found = fuzz(given.formats, given.n)
    for name, one in found.items():
        for k, outcome, words in one.bad[:20]:
            print(f"{name} {k}: {outcome}: {words}\n")
    if given.formats == list(FORMATS):
        from results_file import write_result

        kinds = ("read", "error", "traceback", "hang", "crash")
        heads = ("format", "files", *kinds, "longest, s of CPU", "memory above the file, MB")
        rows = [
            (
                name,
                given.n,
                *(one.outcomes[kind] for kind in kinds),
                f"{one.longest_s:.1f}",
                f"{one.most_bytes / 1e6:.0f}",
            )
            for name, one in found.items()
        ]
        write_result("fuzz", heads, rows)
    else:
        for name, one in found.items():
            print(name, dict(one.outcomes), f"{one.longest_s:.1f} s, {one.most_bytes / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
