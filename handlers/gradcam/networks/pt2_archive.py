"""A ``torch.export`` archive (``.pt2``), written anew from what has been looked at.

``torch.export.load`` unpickles without restriction: weights and constants that the archive's own
lists mark as pickled, opaque objects, whole state dicts of older versions, and the sample inputs
whenever they cannot be read as plain tensors. ``torch.export.save`` always writes sample inputs, so
these are left out here unread; every other pickled entry is refused. So is every compressed one:
``torch.export.save`` compresses nothing, and then no entry holds more than the file does. What is
handed to torch are the bytes that this module wrote, not the file, so that it cannot find there
what was not looked at.
"""

import json
import re
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from gradcam.errors import SettingsError
from gradcam.networks.pt2_program import checked_program

_PROGRAM = "models/model.json"
_SAMPLES = "data/sample_inputs/model.pt"
_LISTS = {
    "data/weights/model_weights_config.json": re.compile(r"weight_\d+"),
    "data/constants/model_constants_config.json": re.compile(r"tensor_\d+"),
}
_TENSORS = re.compile(r"data/(weights/weight|constants/tensor)_\d+")
_FORMAT = {"archive_format": b"pt2", "archive_version": b"0", "byteorder": b"little"}
_LEFT_OUT = re.compile(r"\.data/.*|\.format_version|\.storage_alignment|extra/.*|data/extra/.*")
_FIRST_DAY = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can say
_MOST_JSON = 200_000_000

_UNREADABLE = (  # what zipfile lets through from a damaged file; a SettingsError is a RuntimeError
    *(zipfile.BadZipFile, struct.error, OSError, EOFError),
    *(RuntimeError, ValueError, OverflowError),
)


@dataclass(frozen=True)
class Repacked:
    """An archive that holds nothing that could run code.

    Attributes:
        program: The parsed ``models/model.json``.
        data: The archive's bytes; the same file gives the same bytes.
    """

    program: Mapping[str, Any]
    data: bytes


def repack(path: Path) -> Repacked:
    """Reads an archive without unpickling anything, and writes it anew.

    Args:
        path: What ``torch.export.save`` wrote, or a former result of this.

    Raises:
        SettingsError: The file is no such archive, or holds what could run code when loaded.
    """
    try:
        size = path.stat().st_size
        with zipfile.ZipFile(path) as file:
            return _repack(file, size)
    except _UNREADABLE as error:
        told = str(error) if isinstance(error, SettingsError) else f"cannot be read: {error}"
        raise SettingsError(f"the exported model {path.name} {told}") from error


def _repack(file: zipfile.ZipFile, size: int) -> Repacked:
    entries = _entries(file)
    if sum(entry.file_size for entry in file.infolist()) > size:
        raise SettingsError("is damaged: its entries together are larger than the file")
    for name, expected in _FORMAT.items():
        if name not in entries or file.read(entries[name]) != expected:
            raise SettingsError(
                "is not an archive of torch.export.save (.pt2) that can be read here: it has no "
                f"{name} of {expected.decode()}; export it again with torch 2.11 or later"
            )
    kept = dict(_FORMAT)
    program = checked_program(_text(file, entries, _PROGRAM))
    kept[_PROGRAM] = json.dumps(program).encode()
    kept[_SAMPLES] = b""  # torch reads that as: there are none
    for name, pattern in _LISTS.items():
        folder = name.rpartition("/")[0]
        listed = _listed(_text(file, entries, name), pattern)
        kept[name] = json.dumps(listed).encode()
        for stored in dict.fromkeys(entry["path_name"] for entry in listed["config"].values()):
            if f"{folder}/{stored}" not in entries:
                raise SettingsError(f"is damaged: it lacks {folder}/{stored}")
            kept[f"{folder}/{stored}"] = file.read(entries[f"{folder}/{stored}"])
    return Repacked(program, _zipped(kept))


def _entries(file: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The archive's entries by their names below its one root folder."""
    roots = {entry.filename.partition("/")[0] for entry in file.infolist()}
    if len(roots) != 1:
        raise SettingsError("is not an archive of torch.export.save (.pt2)")
    (root,) = roots
    entries: dict[str, zipfile.ZipInfo] = {}
    for entry in file.infolist():
        name = entry.filename.removeprefix(f"{root}/")
        if name in entries:
            raise SettingsError(f"holds {name} twice, and so could be read in two ways")
        if entry.compress_type != zipfile.ZIP_STORED:
            raise SettingsError(
                f"holds {name!r:.80} compressed, which torch.export.save does not do, and which "
                "could fill the memory; export the model again with torch 2.11 or later"
            )
        entries[name] = entry
        known = (*_FORMAT, *_LISTS, _PROGRAM, _SAMPLES)
        if name not in known and not _TENSORS.fullmatch(name) and not _LEFT_OUT.fullmatch(name):
            raise SettingsError(_foreign(name))
    return entries


def _foreign(name: str) -> str:
    if name.startswith("models/"):
        return f"holds a second model, {name!r:.80}; export one model alone"
    if name.endswith((".pt", ".pkl")) or name.startswith(("data/weights/", "data/constants/")):
        return (
            f"holds the pickled entry {name!r:.80}, which could run code when loaded; export the "
            "model again with torch 2.11 or later, with plain tensors as weights and constants"
        )
    return f"holds {name!r:.80}, which torch.export.save does not write"


def _listed(text: str, pattern: re.Pattern[str]) -> dict[str, Any]:
    """A list of tensors; torch would unpickle the entries that it marks so."""
    try:
        listed: dict[str, Any] = json.loads(text)
        for name, entry in listed["config"].items():
            if entry["use_pickle"] is not False or not pattern.fullmatch(entry["path_name"]):
                raise SettingsError(
                    f"holds {name!r:.80} as a pickled entry, which could run code when loaded; "
                    "export the model with plain tensors as weights and constants"
                )
            if entry["tensor_meta"]["device"]["type"] != "cpu":
                raise SettingsError(
                    f"was exported on the device {entry['tensor_meta']['device']['type']!r:.20}; "
                    "export the model and its pictures on the CPU, and the worker moves it to "
                    "where it serves"
                )
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise SettingsError(
            f"is damaged: a list of its tensors cannot be read ({error})"
        ) from error
    return listed


def _text(file: zipfile.ZipFile, entries: Mapping[str, zipfile.ZipInfo], name: str) -> str:
    if name not in entries:
        raise SettingsError(
            f"is not an archive of torch.export.save (.pt2) that can be read here: it has no "
            f"{name}; export it again with torch 2.11 or later"
        )
    if entries[name].file_size > _MOST_JSON:
        raise SettingsError(f"is too large in {name}")
    return file.read(entries[name]).decode("utf-8", errors="strict")


def _zipped(files: Mapping[str, bytes]) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(f"model/{name}", _FIRST_DAY), files[name])
        archive.writestr(zipfile.ZipInfo("model/.data/version", _FIRST_DAY), b"6\n")
    return buffer.getvalue()
