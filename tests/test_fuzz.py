"""Whatever a client sends, it gets an answer or a refusal: never an exception, never a 5xx."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import sending
from archive_dir import Served
from gradcam.request.options import OPTIONS
from pictures import encode, small_cat
from sending import Request, b64

TINY = encode(small_cat().resize((12, 8)))
TEXT = b64(TINY)
ALLOWED = {200, 400, 413, 415, 422}

ODD_TEXTS = st.sampled_from(
    ["", "top1", "top16", "crane", "5", "²", "[", "[1,", "[[1]]", "1,2,3,4", "nan", "1e999", "\0"]
)
SCALARS: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | ODD_TEXTS
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
NAMES = st.sampled_from([*OPTIONS, "explain", "signature_name"]) | st.text(max_size=8)
OPTION_SETS = st.dictionaries(NAMES, VALUES, max_size=3)
PICTURES = st.sampled_from([TEXT, {"b64": TEXT}, f"data:;base64,{TEXT}", TEXT[:40], "!"]) | VALUES


@st.composite
def objects(draw: st.DrawFn) -> Any:
    """Something like an instance."""
    holder = draw(st.sampled_from(["image", "data", "b64", "picture"]))
    return {holder: draw(PICTURES)} | draw(OPTION_SETS)


DOCUMENTS: st.SearchStrategy[Any] = (
    objects()
    | st.fixed_dictionaries(
        {"instances": st.lists(objects() | VALUES, max_size=3) | VALUES},
        optional={"parameters": OPTION_SETS | VALUES, "top_k": VALUES},
    )
    | VALUES
)
CONTENT_TYPES = st.sampled_from(["application/json", "application/JSON", "text/x"])
FUZZ = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ],
)


@pytest.fixture(scope="module", name="served")
def thrifty(served: Served) -> Served:
    """Few further passes, so that odd values of ``smooth`` cost no minutes."""
    return served.limited(max_passes=30)


def check(served: Served, request: Request) -> None:
    good = sending.raw(TINY, False)
    answer, mate = served.batch(request, good)
    assert answer.status in ALLOWED, answer.body[:500]
    if answer.status != 200:
        assert answer.refused(answer.status)
    assert mate.status == 200


@FUZZ
@given(
    DOCUMENTS, st.booleans(), st.sampled_from(["application/json", "application/JSON", "text/x"])
)
@example({"image": TEXT, "target": 10**400}, True, "application/json")
@example({"image": TEXT, "target": "\ud800"}, True, "application/json")
@example({"image": TEXT, "\ud800": 1}, True, "application/json")
@example({"instances": [{"b64": TEXT}], "parameters": None}, True, "application/json")
@example({"image": TEXT, "alpha": float("nan")}, True, "application/json")
def test_any_json(served: Served, document: Any, explain: bool, content_type: str) -> None:
    check(served, sending.body(document, explain, content_type))


@FUZZ
@given(st.binary(max_size=60), st.integers(0, 400), st.booleans())
def test_any_bytes_called_json(served: Served, data: bytes, at: int, explain: bool) -> None:
    sound = json.dumps({"image": TEXT, "target": ["tabby", 3], "alpha": 0.5}).encode()
    check(served, sending.body(data, explain))
    check(served, sending.body(sound[:at] + data + sound[at + len(data) :], explain))


@FUZZ
@given(st.dictionaries(NAMES.filter(bool), st.binary(max_size=20) | SCALARS, max_size=3))
def test_any_field_of_a_form_or_of_grpc(served: Served, fields: dict[str, Any]) -> None:
    encoded = [
        (name, "", value if isinstance(value, bytes) else str(value).encode("utf-8", "replace"))
        for name, value in fields.items()
        if name.isprintable()
    ]
    check(served, Request({"explain": "True"}, [("image", "", TINY), *encoded]))
    check(served, Request({}, [("data", "", TINY), *encoded]))


@FUZZ
@given(
    st.dictionaries(
        st.sampled_from([f"X-Explain-{name}" for name in OPTIONS] + ["Accept", "X-Explain-"]),
        st.text(st.characters(max_codepoint=255), max_size=20) | ODD_TEXTS,
        max_size=3,
    )
)
def test_any_header(served: Served, headers: dict[str, str]) -> None:
    check(served, Request({"explain": "True", **headers}, [("body", "", TINY)]))


@pytest.mark.parametrize("option", ["target", "top_k", "crop", "layer", "overlay"])
def test_json_nested_to_any_depth_is_the_client_s_fault(served: Served, option: str) -> None:
    # at some depth it can still be parsed, but not quoted in a message any more
    for depth in (*range(900, 1000), 5000):
        nested = "[" * depth + "]" * depth
        data = f'{{"image":"{TEXT}","{option}":{nested}}}'.encode()
        for content_type in ("application/json", "application/JSON"):
            answer = served.ask(sending.body(data, content_type=content_type))
            assert answer.status in {400, 422}, depth
