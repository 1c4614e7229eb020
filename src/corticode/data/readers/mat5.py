"""MATLAB's MAT files of versions 4 and 5 (v6, v7), read element by element.

scipy's reader trusts the lengths it finds: two wrong bytes can end the process. Here no length is
used before it is held to the bytes that are there. What is not compressed is not copied.

References
----------
MathWorks, "MAT-File Format", describes both versions.
"""

import mmap
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corticode.data.readers.lookup import check_claim

# Types of stored values, by their codes, and what arrays of a class become.
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8"}
_STORED |= {13: "u8", 16: "u1", 17: "u2", 18: "u4"}
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4"}
_CLASSES |= {14: "i8", 15: "u8"}
_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _OBJECT, _CHAR, _SPARSE, _FUNCTION, _OPAQUE = 1, 2, 3, 4, 5, 16, 17
_NOT_READ = {_SPARSE: "sparse", _OBJECT: "object", _FUNCTION: "object", _OPAQUE: "object"}
_COMPLEX, _LOGICAL = 0x08, 0x02
_TEXTS = {16: "utf-8", 17: "utf-16", 18: "utf-32"}
_OLD_TYPES = ("f8", "f4", "i4", "i2", "u2", "u1")
_HEAD_BYTES = 65_536
_MOST_AXES, _DEEPEST, _LONGEST_NAME = 32, 32, 1000


@dataclass(frozen=True)
class NotRead:
    """A variable of a kind that is not read.

    Parameters
    ----------
    kind
        ``"sparse"``, ``"struct array"`` or ``"object"``.
    shape
        Its size.
    """

    kind: str
    shape: tuple[int, ...] = ()


@dataclass(frozen=True)
class _Element:
    """A piece of a file: the code of its type, and its bytes."""

    kind: int
    content: memoryview


@dataclass(frozen=True)
class Variable:
    """A variable of a file, found but not read.

    Parameters
    ----------
    name
        As in MATLAB.
    shape
        MATLAB's size; of an object ().
    is_struct
        Whether it is a struct.
    element
        Where it lies.
    order
        ``"<"`` or ``">"``.
    """

    name: str
    shape: tuple[int, ...]
    is_struct: bool
    element: _Element
    order: str

    @property
    def is_compressed(self) -> bool:
        """Whether it has to be unpacked; otherwise it is mapped where it lies."""
        return self.element.kind == _COMPRESSED


def find_variables(path: Path) -> list[Variable]:
    """The variables of a file, in order; their values are not read.

    Raises
    ------
    ValueError, struct.error, zlib.error
        The file is damaged.

    Examples
    --------
    >>> import tempfile, scipy.io
    >>> path = Path(tempfile.mkdtemp()) / "a.mat"
    >>> scipy.io.savemat(path, {"speed": np.zeros((1, 5))})
    >>> [(variable.name, variable.shape) for variable in find_variables(path)]
    [('speed', (1, 5))]
    """
    with path.open("rb") as file:
        content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    if len(content) >= 4 and 0 in content[:4]:
        return list(_find_old(content))
    order = {b"IM": "<", b"MI": ">"}.get(bytes(content[126:128]), "")
    version = struct.unpack(order + "H", content[124:126])[0] if order else 0
    if version != 0x0100:
        raise ValueError("it does not start as one")
    found = []
    for element in _elements(content[128:], order):
        if element.kind not in (_MATRIX, _COMPRESSED):
            raise ValueError(f"it holds an element of the unknown type {element.kind}")
        matrix = element.content
        if element.kind == _COMPRESSED:
            matrix = _first_bytes(element.content, order)
        head, _ = _read_head(matrix, order)
        # What objects refer to stands at the end, without a name.
        if head.name:
            shape = () if head.kind == _OPAQUE else head.shape
            found.append(Variable(head.name, shape, head.kind == _STRUCT, element, order))
    return found


def read_variable(path: Path, variable: Variable) -> Any:
    """The value of a variable: an array, an object array for a cell, a dict for a struct.

    Parameters
    ----------
    path
        The file, for messages.
    variable
        As `find_variables` gives it.

    Returns
    -------
    NDArray, dict or NotRead
        Axes in MATLAB's order. Doubles that were stored as small integers are doubles again,
        logicals bool, rows of char text.

    Raises
    ------
    DataError
        It claims more than its bytes can hold, or than there is memory.
    ValueError, struct.error, zlib.error
        It is damaged.
    """
    element, order = variable.element, variable.order
    if element.kind not in (_MATRIX, _COMPRESSED):
        return _read_old(element, variable.shape, order)
    matrix = element.content
    if element.kind == _COMPRESSED:
        matrix = _unpack(path, variable.name, matrix, order)
    return _read_matrix(matrix, order, 0)


def _elements(content: memoryview, order: str) -> Iterator[_Element]:
    """The elements that lie one after the other in `content`."""
    at = 0
    while at + 8 <= len(content):
        kind, n_bytes = struct.unpack_from(f"{order}II", content, at)
        if kind >> 16:
            # Up to four bytes stand in the place of a long element's length.
            kind, n_bytes, start, step = kind & 0xFFFF, kind >> 16, at + 4, 8
            if n_bytes > 4:
                raise ValueError(f"a short element claims {n_bytes} bytes")
        else:
            start = at + 8
            step = 8 + (n_bytes if kind == _COMPRESSED else -(-n_bytes // 8) * 8)
        if start + n_bytes > len(content):
            raise ValueError(
                f"an element claims {n_bytes:,} bytes where {len(content) - start:,} are left"
            )
        yield _Element(kind, content[start : start + n_bytes])
        at += step


def _first_bytes(packed: memoryview, order: str) -> memoryview:
    """What a compressed matrix begins with: enough for its name and size."""
    head = zlib.decompressobj().decompress(packed, _HEAD_BYTES)
    kind, _ = struct.unpack_from(f"{order}II", head)
    if kind != _MATRIX:
        raise ValueError(f"a compressed element is of type {kind}, which is no variable")
    return memoryview(head)[8:]


def _unpack(path: Path, name: str, packed: memoryview, order: str) -> memoryview:
    """A compressed matrix, its claim held to what was compressed."""
    stream = zlib.decompressobj()
    kind, n_bytes = struct.unpack(f"{order}II", stream.decompress(packed, 8))
    if kind != _MATRIX:
        raise ValueError(f"a compressed element is of type {kind}, which is no variable")
    check_claim(path, repr(name), n_bytes, len(packed))
    content = stream.decompress(stream.unconsumed_tail, max(n_bytes, 1))
    if len(content) < n_bytes:
        raise ValueError(f"{name!r} claims {n_bytes:,} bytes and holds {len(content):,}")
    if not stream.eof:
        stream.decompress(stream.unconsumed_tail, 1)  # its check sum
    return memoryview(content)


@dataclass(frozen=True)
class _Head:
    """What a matrix says of itself first."""

    kind: int
    flags: int
    shape: tuple[int, ...]
    name: str


def _read_head(matrix: memoryview, order: str) -> tuple[_Head, Iterator[_Element]]:
    """A matrix's class, size and name, and the elements that follow."""
    parts = _elements(matrix, order)
    flags = _next(parts)
    if flags.kind != 6 or len(flags.content) != 8:
        raise ValueError("a variable does not say of which class it is")
    (word,) = struct.unpack_from(f"{order}I", flags.content)
    kind = word & 0xFF
    if kind == _OPAQUE:
        return _Head(kind, 0, (), _text_of(_next(parts))), parts
    sizes = _next(parts)
    if sizes.kind not in (5, 6) or not 8 <= len(sizes.content) <= 4 * _MOST_AXES:
        raise ValueError("a variable does not say how large it is")
    if len(sizes.content) % 4:
        raise ValueError("a variable's size is cut short")
    shape = struct.unpack(f"{order}{len(sizes.content) // 4}i", sizes.content)
    if min(shape) < 0:
        raise ValueError(f"a variable has the size {' x '.join(map(str, shape))}")
    return _Head(kind, word >> 8 & 0xFF, shape, _text_of(_next(parts))), parts


def _next(parts: Iterator[_Element]) -> _Element:
    found = next(parts, None)
    if found is None:
        raise ValueError("a variable is cut short")
    return found


def _text_of(element: _Element) -> str:
    """A name: of a variable, of a class."""
    if element.kind not in (1, 2, 16) or len(element.content) > _LONGEST_NAME:
        raise ValueError("a variable's name is damaged")
    return bytes(element.content).decode("utf-8", "replace").rstrip("\0")


def _read_matrix(matrix: memoryview, order: str, depth: int) -> Any:
    if depth > _DEEPEST:
        raise ValueError(f"cells and structs are nested more than {_DEEPEST} deep")
    if not len(matrix):
        return np.empty((0, 0))
    head, parts = _read_head(matrix, order)
    if head.kind in _NOT_READ:
        return NotRead(_NOT_READ[head.kind], head.shape)
    if head.kind == _CELL:
        cell = np.empty(_checked_count(prod(head.shape), matrix), dtype=object)
        for k in range(cell.size):
            cell[k] = _read_inner(parts, order, depth)
        return cell.reshape(head.shape, order="F")
    if head.kind == _STRUCT:
        return _read_struct(head, matrix, parts, (order, depth))
    if head.kind == _CHAR:
        return _read_text(head.shape, _next(parts), order)
    if head.kind not in _CLASSES:
        raise ValueError(f"a variable is of the unknown class {head.kind}")
    values = _read_values(head, _next(parts), order)
    if head.flags & _COMPLEX:
        found = values.astype(np.complex64 if values.dtype == np.float32 else np.complex128)
        # Not by a product with i: of infinite parts that would be NaN.
        found.imag = _read_values(head, _next(parts), order)
        return found
    return values


def _checked_count(n_values: int, matrix: memoryview) -> int:
    """How many matrices lie within one: each takes eight bytes at least."""
    if 8 * n_values > len(matrix):
        raise ValueError(f"a cell or struct claims {n_values:,} values in {len(matrix):,} bytes")
    return n_values


def _read_inner(parts: Iterator[_Element], order: str, depth: int) -> Any:
    element = _next(parts)
    if element.kind != _MATRIX:
        raise ValueError(f"a cell or struct holds an element of type {element.kind}")
    return _read_matrix(element.content, order, depth + 1)


def _read_struct(
    head: _Head, matrix: memoryview, parts: Iterator[_Element], where: tuple[str, int]
) -> dict[str, Any] | NotRead:
    order, depth = where
    if head.shape != (1, 1):
        return NotRead("struct array", head.shape)
    lengths, names = _next(parts), _next(parts)
    if len(lengths.content) != 4 or lengths.kind not in (5, 6):
        raise ValueError("a struct does not say how long its fields' names are")
    (length,) = struct.unpack(f"{order}i", lengths.content)
    if length < 1 or len(names.content) % length:
        raise ValueError("the names of a struct's fields are damaged")
    n_fields = _checked_count(len(names.content) // length, matrix)
    found = {}
    for k in range(n_fields):
        name = bytes(names.content[k * length : (k + 1) * length]).partition(b"\0")[0]
        found[name.decode("utf-8", "replace")] = _read_inner(parts, order, depth)
    return found


def _stored_values(element: _Element, order: str) -> NDArray[Any]:
    if element.kind not in _STORED:
        raise ValueError(f"values are of the unknown type {element.kind}")
    dtype = np.dtype(order + _STORED[element.kind])
    if len(element.content) % dtype.itemsize:
        raise ValueError("values are cut short")
    return np.frombuffer(element.content, dtype)


def _read_values(head: _Head, element: _Element, order: str) -> NDArray[Any]:
    stored = _stored_values(element, order)
    if stored.size != prod(head.shape):
        raise ValueError(
            f"a variable of {' x '.join(map(str, head.shape))} holds {stored.size:,} values"
        )
    wanted = np.dtype(np.bool_ if head.flags & _LOGICAL else _CLASSES[head.kind])
    if stored.dtype.newbyteorder("=") != wanted:
        with np.errstate(invalid="ignore"):
            stored = stored.astype(wanted)
    return stored.reshape(head.shape, order="F")


def _read_text(shape: tuple[int, ...], element: _Element, order: str) -> NDArray[Any]:
    """Rows of char as text, without blanks at their ends."""
    n_letters = prod(shape)
    if element.kind in _TEXTS:
        encoding = _TEXTS[element.kind]
        if encoding != "utf-8":
            encoding += "-le" if order == "<" else "-be"
        letters = bytes(element.content).decode(encoding, "replace")
    else:
        codes = _stored_values(element, order)
        letters = "".join(map(chr, codes.astype(np.uint16).tolist()))
    if len(letters) > n_letters:
        raise ValueError(f"a text of {n_letters:,} letters holds {len(letters):,}")
    # Fewer, where two units of a text make one letter. Empty texts claim no letters at all.
    if n_letters > 4 * len(element.content):
        raise ValueError(f"a text of {n_letters:,} letters holds {len(letters):,}")
    if not n_letters:
        return np.empty(shape[:-1], np.str_)
    grid = np.array(list(letters.ljust(n_letters))).reshape(shape, order="F")
    rows = ["".join(row).rstrip() for row in grid.reshape(-1, shape[-1]).tolist()]
    return np.array(rows, dtype=np.str_).reshape(shape[:-1])


def _find_old(content: memoryview) -> Iterator[Variable]:
    """Variables of version 4: five numbers, a name and the values, one after the other."""
    order = "<" if struct.unpack_from("<I", content)[0] < 5000 else ">"
    at = 0
    while at < len(content):
        kind, n_rows, n_columns, is_complex, n_name = struct.unpack_from(f"{order}5i", content, at)
        value_type, shape = kind // 10 % 10, (n_rows, n_columns)
        if not 0 <= kind < 5000 or value_type >= len(_OLD_TYPES) or not 0 < n_name < _LONGEST_NAME:
            raise ValueError("it does not start as one")
        start = at + 20 + n_name
        n_bytes = prod(shape) * np.dtype(_OLD_TYPES[value_type]).itemsize * (1 + bool(is_complex))
        if min(shape) < 0 or start + n_bytes > len(content):
            raise ValueError(
                f"a variable claims {n_bytes:,} bytes where {len(content) - start:,} are left"
            )
        name = bytes(content[at + 20 : start]).partition(b"\0")[0].decode("latin-1")
        # Kinds are above those of version 5, and keep what this one says of its values.
        element = _Element(10_000 + kind % 1000, content[start : start + n_bytes])
        yield Variable(name, shape, False, element, order)
        at = start + n_bytes


def _read_old(element: _Element, shape: tuple[int, ...], order: str) -> Any:
    value_type, content_type = element.kind // 10 % 10, element.kind % 10
    if content_type > 1:
        return NotRead("sparse", shape)
    values = np.frombuffer(element.content, np.dtype(order + _OLD_TYPES[value_type]))
    n_values = prod(shape)
    real = values[:n_values].reshape(shape, order="F").astype(np.float64)
    if content_type == 1:
        codes = real.astype(np.int64).tolist()
        return np.array(["".join(map(chr, row)).rstrip() for row in codes], dtype=np.str_)
    if values.size > n_values:
        return real + 1j * values[n_values:].reshape(shape, order="F")
    return real
