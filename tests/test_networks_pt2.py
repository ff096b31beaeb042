"""Archives that are broken, or that would take the memory or never end when read."""

import random
import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest
import sympy
from torch.utils._sympy.functions import FloorDiv, Mod

from exports import CONSTANTS, PROGRAM, WEIGHTS, export, exportable, rewrite
from gradcam.errors import SettingsError
from gradcam.networks.pt2_archive import repack
from gradcam.networks.pt2_sizes import is_arithmetic

WEIGHT = "data/weights/weight_0"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(exportable(), tmp_path_factory.mktemp("pt2") / "small.pt2")


def refusal(path: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        repack(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"the exported model {path.name} ")
    return message


def deflated(source: Path, target: Path, name: str, data: bytes | None = None) -> Path:
    """A copy in which one entry is compressed, and perhaps another one's content."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            chosen = entry.filename.endswith(name)
            content = data if chosen and data is not None else old.read(entry)
            kind = zipfile.ZIP_DEFLATED if chosen else zipfile.ZIP_STORED
            new.writestr(entry.filename, content, compress_type=kind)
    return target


@pytest.mark.parametrize("name", [PROGRAM, WEIGHTS, CONSTANTS])
@pytest.mark.parametrize("text", [b"\xff\xfe{}", b"{", b"[" * 100_000, b"9" * 5000, b"null", b""])
def test_a_document_that_is_none_is_refused(
    archive: Path, tmp_path: Path, name: str, text: bytes
) -> None:
    refusal(rewrite(archive, tmp_path / "spoilt.pt2", {name: lambda _: text}))


@pytest.mark.parametrize("name", [PROGRAM, WEIGHTS, WEIGHT, "byteorder"])
def test_a_compressed_entry_is_refused(archive: Path, tmp_path: Path, name: str) -> None:
    told = refusal(deflated(archive, tmp_path / "packed.pt2", name))
    assert f"holds {name!r} compressed" in told
    assert "export the model again" in told


def test_a_broken_deflate_stream_is_refused(archive: Path, tmp_path: Path) -> None:
    path = deflated(archive, tmp_path / "broken.pt2", WEIGHT)
    with zipfile.ZipFile(path) as file:
        entry = next(entry for entry in file.infolist() if entry.filename.endswith(WEIGHT))
    data = bytearray(path.read_bytes())
    start = entry.header_offset + 30 + len(entry.filename)
    data[start : start + 8] = b"\xff" * 8
    path.write_bytes(data)
    assert "compressed" in refusal(path)


def test_a_small_file_that_unpacks_to_much_takes_no_memory(archive: Path, tmp_path: Path) -> None:
    much = 300_000_000
    path = deflated(archive, tmp_path / "bomb.pt2", WEIGHT, bytes(much))
    assert path.stat().st_size < much / 100
    tracemalloc.start()
    try:
        refusal(path)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_entries_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    """Each entry's content is the rest of the file, so that n entries hold n times the file."""
    count, filling = 200, 100_000
    names = [f"small/data/weights/weight_{number}".encode() for number in range(count)]
    heads = [b"PK\3\4" + bytes(22) + struct.pack("<HH", len(name), 0) + name for name in names]
    ends = sum(map(len, heads)) + filling
    listing, place = b"", 0
    for name, head in zip(names, heads, strict=True):
        rest = ends - place - len(head)
        lengths = (rest, rest, len(name), 0, 0)
        listing += struct.pack("<4s6H3I5H2I", b"PK\1\2", *[0] * 7, *lengths, 0, 0, 0, place) + name
        place += len(head)
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, len(listing), ends, 0)
    path = tmp_path / "shared.pt2"
    path.write_bytes(b"".join(heads) + bytes(filling) + listing + end)
    with zipfile.ZipFile(path) as file:
        assert sum(entry.file_size for entry in file.infolist()) > 100 * path.stat().st_size
    assert "larger than the file" in refusal(path)


def test_a_damaged_file_is_read_or_refused(archive: Path, tmp_path: Path) -> None:
    whole = archive.read_bytes()
    end = whole.rindex(b"PK\5\6")
    listing = struct.unpack("<I", whole[end + 16 : end + 20])[0]
    draw = random.Random(7)
    path = tmp_path / "damaged.pt2"
    told = []
    for number in range(400):
        data = bytearray(whole)
        first = listing if number % 2 else 0  # half of them where the entries are listed
        for _ in range(draw.choice((1, 3, 10))):
            data[draw.randrange(first, len(data))] = draw.randrange(256)
        path.write_bytes(data)
        try:
            repack(path)
        except SettingsError as error:
            told.append(str(error))
    assert len(told) > 200
    assert not any("\n" in sentence for sentence in told)


# --- sizes ---

HARMLESS = (
    "s77",
    "s0//2 + 1",
    "2*s0**2 - 1",
    "Symbol('s77', positive=True, integer=True)",
    "Mul(Integer(512), Add(FloorDiv(Add(Symbol('s0', integer=True), Integer(-1)), Integer(32)), "
    "Integer(1)))",
    "Max(Integer(1), FloorDiv(Pow(Min(Symbol('s0'), Symbol('s53')), Integer(2)), Symbol('s53')))",
    "Pow(Symbol('s0'), Rational(1, 2))",
    "Pow(Symbol('s0'), Integer(-1))",
    "Pow(Add(Pow(Symbol('s0'), Integer(2)), Integer(1)), Integer(2))",
    "Eq(PythonMod(Mul(Integer(-1), Symbol('s0'), Symbol('s53')), Integer(7)), Integer(0))",
    "Float('0.5', precision=53)",
    "LShift(Symbol('s0'), Integer(2))",
    "(s0 < 4) & ~(s53 >= 9223372036854775807)",
)
HARMFUL = (
    "9**9**9**9",
    "(9**9)**9",
    "Pow(Integer(9), Pow(Integer(9), Integer(9)))",
    "Pow(Pow(Pow(Integer(9), Integer(9)), Integer(9)), Integer(9))",
    "Pow(Integer(9), Integer(999999999))",
    "PowByNatural(Integer(9), Symbol('s0'))",
    "FloatPow(Integer(9), Integer(9999))",
    "Pow(base=9, exp=999999999)",
    "Pow(Integer(9), Rational(999999999, 2))",
    "LShift(Integer(1), Integer(99999999999))",
    "LShift(Integer(1), Symbol('s0'))",
    "Float('0.1', 99999999999)",
    "Float('0.1', precision=99999999999)",
    "1e999999999",
    "1e-999999999",
    "99999999999999999999999999",
    "Integer('99999999999999999999999999')",
    "RoundDecimal(Integer(1), Integer(-99999999999))",
    "s0(9)",
    "Symbol(Max)(s0)" * 2,
    "(lambda: 1)()",
    "[s0 for s0 in Max]",
    "s0 if s0 else s0",
    "Symbol.__init__",
    "__import__('os')",
    "s0 s0",
    "",
    "(" * 5000,
    "-" * 50_000 + "1",
    "1+" * 60_000 + "1",
)


@pytest.mark.parametrize("text", HARMLESS)
def test_what_torch_writes_is_arithmetic(text: str) -> None:
    assert is_arithmetic(text)


@pytest.mark.parametrize("text", HARMFUL, ids=lambda text: text[:40])
def test_what_could_run_code_or_not_end_is_not(text: str) -> None:
    assert not is_arithmetic(text)


def test_whatever_sympy_writes_of_such_sizes_passes() -> None:
    s, t = sympy.Symbol("s7", integer=True, positive=True), sympy.Symbol("s53", integer=True)
    size = s * t
    for _ in range(6):  # as strided convolutions in turn do
        size = FloorDiv(size - 1, 2) + sympy.Max(1, Mod(size, 7)) * (t**2 + 1) ** 2
    assert len(sympy.srepr(size)) > 5000
    assert is_arithmetic(sympy.srepr(size))
    assert is_arithmetic(str(s**2 * t + 3))
