"""Where two HDF5 files differ: objects, types, layout, attributes and bits."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

IGNORED_GROUP = "run"  # the only place for facts of one particular run
IGNORED_ATTRIBUTES = ("rvsweep_version", "git_commit")  # of the root group
ADDRESSES = ("DIMENSION_LIST", "REFERENCE_LIST")  # of dimension scales and what they name, in a file
LAYOUT = ("shape", "maxshape", "chunks", "compression", "compression_opts", "shuffle", "fletcher32")


def first_difference(old: Path, new: Path) -> str | None:
    """None for files that are equal outside /run and the program's version and commit."""
    with h5py.File(old) as a, h5py.File(new) as b:
        first, second = _objects(a), _objects(b)
        found = {name: _of_objects(first.get(name), second.get(name)) for name in sorted(first.keys() | second.keys())}
    wrong = [f"{name}{difference}" for name, difference in found.items() if difference]
    return wrong[0] + (f"; {len(wrong) - 1} more objects differ" if wrong[1:] else "") if wrong else None


def _objects(file: h5py.File) -> dict[str, h5py.Group | h5py.Dataset]:
    found: dict[str, h5py.Group | h5py.Dataset] = {"/": file}
    file.visititems(lambda name, node: found.__setitem__(f"/{name}", node))
    inside = f"/{IGNORED_GROUP}"
    return {name: node for name, node in found.items() if name != inside and not name.startswith(inside + "/")}


def _of_objects(old: h5py.Group | h5py.Dataset | None, new: h5py.Group | h5py.Dataset | None) -> str | None:
    if old is None or new is None:
        return " is missing" if new is None else " is new"
    if type(old) is not type(new):
        return " is a group in one of them"
    skipped = (*ADDRESSES, *(IGNORED_ATTRIBUTES if old.name == "/" else ()))
    for key in sorted((set(old.attrs) | set(new.attrs)) - set(skipped)):
        if key not in new.attrs or key not in old.attrs:
            return f"@{key} is {'missing' if key in old.attrs else 'new'}"
        types = (node.attrs.get_id(key).get_type() for node in (old, new))
        found = _of_types(*types) or _of_values(np.asarray(old.attrs[key]), np.asarray(new.attrs[key]))
        if found:
            return f"@{key}{found}"
    if isinstance(old, h5py.Group):
        return None
    found = _of_types(old.id.get_type(), new.id.get_type())
    if found:
        return found
    for fact in LAYOUT:
        was, now = getattr(old, fact), getattr(new, fact)
        if was != now:
            return f" has {fact} {was}, then {now}"
    return _of_values(old[()], new[()])


def _of_types(old: h5py.h5t.TypeID, new: h5py.h5t.TypeID) -> str | None:
    return None if old == new else f" has another type: {old.dtype}, then {new.dtype}"


def _of_values(old: object, new: object) -> str | None:
    """Compares bits, so that NaN equals itself and -0 is not 0."""
    old, new = np.asarray(old), np.asarray(new)
    if old.shape != new.shape:
        return f" has shape {old.shape}, then {new.shape}"
    wrong = np.flatnonzero([_bits(a) != _bits(b) for a, b in zip(old.ravel(), new.ravel())])
    if not wrong.size:
        return None
    at = np.unravel_index(wrong[0], old.shape)
    where = "[" + ", ".join(map(str, at)) + "]" if at else ""
    return f"{where} is {old[at]!r}, then {new[at]!r}; {wrong.size} of {old.size} differ"


def _bits(value: object) -> object:
    return value.tobytes() if isinstance(value, (np.ndarray, np.generic)) else value
