"""Forms that TorchServe did not read, against what two other libraries make of them."""

import contextlib
import email
import encodings
import json
import random
import re

import pytest
from urllib3.fields import RequestField
from urllib3.filepost import encode_multipart_formdata

from gradcam.errors import MalformedRequest
from gradcam.request.form import UNREAD, is_form, read_form

KIND = f"{UNREAD}; boundary=a"
NAMED = b'Content-Disposition: form-data; name="x"'


def framed(*parts: bytes, boundary: bytes = b"a") -> bytes:
    lines = b"".join(b"--%b\r\n%b\r\n" % (boundary, part) for part in parts)
    return lines + b"--%b--\r\n" % boundary


def named(value: bytes, name: str = "x", more: str = "") -> bytes:
    return f'Content-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + value


def refusal(body: bytes, kind: str = KIND) -> str:
    with pytest.raises(MalformedRequest) as caught:
        read_form(body, kind)
    return str(caught.value)


@pytest.mark.parametrize(
    ("kind", "known"),
    [
        ("multipart/x-form-data; boundary=a", True),
        ("Multipart/X-Form-Data;boundary=a", True),
        ("multipart/x-form-data", True),
        ("multipart/form-data; boundary=a", False),  # which TorchServe has read
        ("multipart/mixed; boundary=a", False),
        ("image/jpeg; x=multipart/x-form-data", False),
        ("multipart", False),
        ("", False),
    ],
)
def test_which_types_are_forms(kind: str, known: bool) -> None:
    assert is_form(kind) == known


@pytest.mark.parametrize("seed", range(20))
def test_what_another_library_writes_is_read_as_it_was(seed: int) -> None:
    """Any bytes, those that nearly are the boundary's among them."""
    chance = random.Random(seed)
    boundary = "".join(chance.choices("aB0'()+_,-./:=?", k=chance.randint(1, 20)))
    pieces = [b"\r\n", b"--", b"-", boundary.encode(), b"\x00", b" ", b"\xff", chance.randbytes(99)]
    fields = []
    for number in range(chance.randint(0, 9)):
        value = b"".join(chance.choices(pieces, k=chance.randint(0, 40)))
        while b"\r\n--" + boundary.encode() in b"\r\n" + value:
            value = value[: len(value) // 2]
        headers = {"Content-Type": chance.choice(["", "image/jpeg", "text/plain; charset=zzz"])}
        field = RequestField(f"n {number}ü", value, chance.choice([None, 'a "b".jpg']), headers)
        field.make_multipart(content_type=headers["Content-Type"] or None)
        fields.append(field)
    body, kind = encode_multipart_formdata(fields, boundary)
    kind = re.sub("boundary=.*", f'boundary="{boundary}"', kind)
    read = read_form(body, kind)
    assert read == {field._name: field.data for field in fields}


@pytest.mark.parametrize(
    "more",
    [
        "; filename=a.jpg",
        "; filename*=UTF-8''%e2%82%ac.jpg",
        "; filename*=zzz",
        '; FileName="a;b\\"c"\r\nContent-Type: image/jpeg\r\nX-Other: y',
        "\r\ncontent-transfer-encoding: Binary",
    ],
)
def test_other_lines_of_a_part_do_not_matter(more: str) -> None:
    assert read_form(framed(named(b"12", more=more)), KIND) == {"x": b"12"}


def test_names_in_their_spellings() -> None:
    headers = [
        'content-disposition: form-data; name="a b"',
        "Content-Disposition: FORM-DATA; name=c",
        'Content-Disposition: form-data; filename="; name=e"; name=f',
        'Content-Disposition: form-data; name = "a;\\\\b\\"c"; name=no',
        "Content-Disposition: form-data;\r\n name=folded",
        'Content-Disposition: form-data; name="ü"',
    ]
    body = framed(*(f"{one}\r\n\r\n{number}".encode() for number, one in enumerate(headers)))
    assert list(read_form(body, KIND)) == ["a b", "c", "f", 'a;\\b"c', "folded", "ü"]


def test_what_lies_around_the_parts_does_not_matter() -> None:
    blanks = b"--a" + b" \t" * 39 + b"\r\n"
    parts = framed(named(b"1"), named(b"2", "y")).replace(b"--a\r\n", blanks)
    body = b"before --a\r\n" + parts
    assert read_form(body + b"after --a", KIND) == {"x": b"1", "y": b"2"}
    assert read_form(body.removesuffix(b"\r\n"), KIND) == {"x": b"1", "y": b"2"}
    assert read_form(bytearray(b"--a--"), KIND) == {}


def test_the_same_as_the_standard_library_reads() -> None:
    fields = {f"n{number}": f"line {number}\r\n\r\n--{number}\r\n" for number in range(12)}
    body, kind = encode_multipart_formdata(fields)
    message = email.message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
    theirs = {
        part.get_param("name", header="content-disposition"): part.get_payload(decode=True)
        for part in message.walk()
        if not part.is_multipart()
    }
    assert read_form(body, kind) == theirs
    assert list(theirs) == list(fields)


@pytest.mark.parametrize(
    "header",
    [
        "Content-Disposition: form-data; name*=utf-8''a; name*0=b",
        "Content-Disposition: form-data; name=a; filename*=utf-8''a; filename*0=b",
        f"Content-Disposition: form-data; name=a; filename*{'9' * 3000}*=b",
        "Content-Disposition: form-data; name=a; filename*=idna''%ff%fe",
        "Content-Disposition: form-data; name*=undefined''a",
        "Content-Disposition: form-data; name*=utf-8\0''a",
        f'Content-Disposition: form-data; name=a; x="{";" * 4000}"',
        f"Content-Disposition: form-data{';' * 4000}",
        f"Content-Disposition: form-data; name=a{chr(92) * 3999}",
        f'Content-Disposition: form-data; name="{chr(92) * 3999}',
        "\r\n ".join(["Content-Disposition: form-data", *(["; a=b"] * 500)]),
        "\r\n".join(["A:"] * 1000),
        "\x00\udcff:\u2028; name=a".encode("utf-8", "surrogatepass").decode("latin-1"),
    ],
)
def test_hostile_headers_are_read_or_refused(header: str) -> None:
    """Each made the standard library's parser fail, remember, or take its time."""
    known = dict(encodings._cache)
    body = framed(header.encode("latin-1") + b"\r\n\r\n1")
    with contextlib.suppress(MalformedRequest):
        assert list(read_form(body, KIND).values()) == [b"1"]
    with contextlib.suppress(MalformedRequest):
        read_form(body, f"{UNREAD}; {header}; boundary=a; boundary*=zz''b")
    assert encodings._cache == known


@pytest.mark.parametrize("seed", range(50))
def test_any_bytes_are_read_or_refused(seed: int) -> None:
    chance = random.Random(seed)
    pieces = (
        b"Content-Disposition,:,form-data,;, ,name,=,\",\\,*,0,',%,\r\n,\n,a,\xc3,--a,\0".split(
            b","
        )
    )
    for _ in range(200):
        body = b"".join(chance.choices(pieces, k=chance.randint(0, 60)))
        with contextlib.suppress(MalformedRequest):
            read_form(framed(NAMED + body, body), KIND)


@pytest.mark.parametrize(
    ("body", "kind", "sentence"),
    [
        (framed(named(b"1")), UNREAD, "names no boundary"),
        (framed(named(b"1")), f'{UNREAD}; boundary=""', "names no boundary"),
        (framed(named(b"1")), f"{UNREAD}; boundary=ü", "names no boundary"),
        (b"", KIND, "breaks off"),
        (b"hello", KIND, "breaks off"),
        (framed(named(b"1"), boundary=b"b"), KIND, "breaks off"),
        (framed(named(b"1")).replace(b"--a--", b"--a"), KIND, "breaks off"),
        (framed(named(b"1")).replace(b"--a--", b"--a--b"), KIND, "breaks off"),
        (framed(named(b"1")).replace(b"\r\n", b"\n"), KIND, "breaks off"),
        (framed(b""), KIND, "no header"),
        (framed(NAMED), KIND, "no header"),
        (framed(named(b"1", more="\r\nX-Y: " + "z" * 9000)), KIND, "too long"),
        (framed(b"\r\n1"), KIND, "no name"),
        (framed(b"X-Y: z\r\n\r\n1"), KIND, "no name"),
        (framed(b"Content-Disposition\r\n\r\n1"), KIND, "no name"),
        (framed(b"Content-Disposition: attachment; name=x\r\n\r\n1"), KIND, "no name"),
        (framed(named(b"1", "")), KIND, "no name"),
        (framed(b"Content-Disposition: form-data; name*=UTF-8''a\r\n\r\n1"), KIND, "no name"),
        (framed(named(b"1"), named(b"1")), KIND, "two parts of the name 'x'"),
        (framed(named(b"MQ==", more="\r\nContent-Transfer-Encoding: base64")), KIND, "'base64'"),
    ],
)
def test_what_cannot_be_read_is_told(body: bytes, kind: str, sentence: str) -> None:
    assert sentence in refusal(body, kind)


def test_many_parts_are_refused_unread() -> None:
    most = framed(*(named(b"", f"n{number}") for number in range(200)))
    assert len(read_form(most, KIND)) == 200
    assert "more than 200 times" in refusal(framed(*(named(b"", f"{n}") for n in range(201))))
    assert "more than 200 times" in refusal(b"--a" * 5_000_000)


@pytest.mark.parametrize(
    "kind", ["application/json", "text/plain; charset=utf-16", "multipart/mixed"]
)
def test_values_are_bytes_whatever_they_claim(kind: str) -> None:
    value = json.dumps("not decoded").encode()
    body = framed(named(value, more=f"\r\nContent-Type: {kind}"))
    assert read_form(bytearray(body), KIND) == {"x": value}
