"""Every way of sending: through TorchServe's own decoding to pictures and options."""

import base64

import pytest

import sending
from archive_dir import vocabulary
from gradcam.errors import GradcamError, InvalidOption, MalformedRequest, TooLarge
from gradcam.request.options import Options, parse_options
from gradcam.request.wire import Incoming, read_request
from gradcam.settings import Limits
from sending import Request, b64

PICTURE = b"\x89PNG\r\n\x1a\n and whatever follows"
TEXT = b64(PICTURE)


def read(request: Request, limits: Limits = Limits()) -> Incoming:  # noqa: B008 - frozen
    (row,), (processor,) = sending.received([request])
    return read_request(row, processor.get_request_properties(), limits)


def refusal(request: Request, kind: type[GradcamError], limits: Limits = Limits()) -> str:  # noqa: B008
    with pytest.raises(kind) as caught:
        read(request, limits)
    return str(caught.value)


def options_of(request: Request) -> Options:
    incoming = read(request)
    assert [bytes(instance.picture) for instance in incoming.instances] == [PICTURE]
    return parse_options(incoming.instances[0].options, vocabulary())


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(sending.raw(PICTURE), id="raw"),
        pytest.param(sending.raw(PICTURE, Content_Type="text/plain"), id="raw, called text"),
        pytest.param(sending.form(image=PICTURE), id="form image"),
        pytest.param(sending.form(data=PICTURE), id="form data"),
        pytest.param(sending.body({"image": TEXT}), id="JSON image"),
        pytest.param(sending.body({"image": {"b64": TEXT}}), id="JSON image b64"),
        pytest.param(sending.body({"data": TEXT}), id="JSON data"),
        pytest.param(sending.body({"image": f"data:image/png;base64,{TEXT}"}), id="data URL"),
        pytest.param(sending.body({"image": f"Data:;BASE64,{TEXT}"}), id="data URL, other case"),
        pytest.param(
            sending.body({"image": base64.encodebytes(PICTURE).decode()}), id="base64 in lines"
        ),
        pytest.param(sending.kserve({"image": {"b64": TEXT}}), id="KServe image b64"),
        pytest.param(sending.kserve({"b64": TEXT}), id="KServe b64"),
        pytest.param(sending.kserve({"data": TEXT}), id="KServe data"),
        pytest.param(sending.grpc(data=PICTURE, explain="true"), id="gRPC"),
    ],
)
def test_every_way_of_sending_carries_the_same_picture(request_: Request) -> None:
    assert options_of(request_) == parse_options({}, vocabulary())


def test_a_body_s_option_beats_a_header_s() -> None:
    header = {"X-Explain-Top-K": "9", "X-Explain-Alpha": "0.5"}
    options = options_of(sending.form(headers=header, image=PICTURE, top_k="2"))
    assert (options.top_k, options.alpha) == (2, 0.5)
    for document in ({"image": TEXT, "top_k": 2}, {"instances": [{"b64": TEXT, "top_k": 2}]}):
        assert options_of(sending.body(document, X_Explain_Top_K="9")).top_k == 2


def test_an_instance_s_option_beats_the_parameters_and_those_what_stands_beside() -> None:
    instances = [{"b64": TEXT, "top_k": 2}, {"b64": TEXT}]
    incoming = read(sending.kserve(*instances, parameters={"top_k": 3, "alpha": 0}, top_k=4))
    read_ = [parse_options(one.options, vocabulary()) for one in incoming.instances]
    assert [one.top_k for one in read_] == [2, 3]
    assert [one.alpha for one in read_] == [0, 0]
    assert incoming.wrapped


def test_a_label_in_a_header_arrives_as_latin_1_and_is_read_as_utf8() -> None:
    as_servers_read_it = '["schäferhund, deutscher"]'.encode().decode("latin-1")
    assert options_of(sending.raw(PICTURE, X_Explain_Target=as_servers_read_it)).target == (5,)


def test_a_header_that_is_no_utf8_is_taken_as_it_is() -> None:
    with pytest.raises(InvalidOption, match="Sch\xe4ferhund"):
        options_of(sending.raw(PICTURE, X_Explain_Target="Sch\xe4ferhund"))


@pytest.mark.parametrize(
    ("said", "explain"), [("true", True), ("True", True), ("1", True), ("false", False), ("", None)]
)
def test_grpc_says_explain_in_a_field(said: str, explain: bool | None) -> None:
    request = sending.grpc(data=PICTURE, explain=said)
    if explain is None:
        assert "explain '' is not true or false" in refusal(request, InvalidOption)
    else:
        assert read(request).explain is explain
    assert not read(sending.grpc(data=PICTURE)).explain


@pytest.mark.parametrize("explain", [True, False])
def test_over_http_the_path_decides_whatever_a_client_s_header_says(explain: bool) -> None:
    set_by_server = {"explain": str(explain)}
    for claim in ("True", "False", "true"):
        own = {"Explain": claim, "EXPLAIN": claim}
        # the frontend's headers come in no particular order
        for headers in ({**own, **set_by_server}, {**set_by_server, **own}):
            assert read(Request(headers, [("body", "", PICTURE)])).explain is explain


def test_signature_name_of_tensorflow_serving_s_clients_is_let_through() -> None:
    assert read(sending.kserve({"b64": TEXT}, signature_name="serving_default")).wrapped
    request = sending.kserve({"b64": TEXT}, parameters={"signature_name": "x"})
    assert options_of(request) == parse_options({}, vocabulary())


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (Request({"explain": "True"}), "no picture"),
        (sending.form(top_k="3"), "no picture"),
        (sending.body({}), "no picture"),
        (sending.body({"picture": TEXT}), "no picture"),
        (sending.form(image=PICTURE, data=PICTURE), "pictures in image and data"),
        (sending.body({"image": TEXT, "b64": TEXT}), "pictures in image and b64"),
        (sending.body(b"[1]"), "a list, not an object"),
        (sending.body(b"null"), "no picture"),
        (sending.body(b'"text"'), "a text, not an object"),
        (sending.body(b"7"), "a int, not an object"),
        (sending.body(b'{"image"'), "the body is not JSON"),
        (sending.body(b'{"image": "\xff"}'), "the body is not JSON"),
        (sending.body(PICTURE), "the body is not JSON"),
        (sending.body(b""), "the body is not JSON"),
        (sending.body(b"{" + PICTURE, content_type=sending.OCTETS), "the body is not JSON"),
        (sending.body({"image": "not base64!"}), "the picture is not base64"),
        (sending.body({"image": "YWJj\u00e9"}), "the picture is not base64"),
        (sending.body({"image": "YWJ"}), "the picture is not base64"),
        (sending.body({"image": "data:image/png,abc"}), "data:image/png;base64"),
        (sending.body({"image": "data:image/png;base64"}), "data:image/png;base64"),
        (sending.body({"image": 5}), "a int, not base64 text"),
        (sending.body({"image": None}), "a NoneType, not base64 text"),
        (sending.body({"image": [TEXT]}), "a list, not base64 text"),
        (sending.body({"image": {"b64": TEXT, "x": 1}}), "a dict, not base64 text"),
        (sending.body({"image": {"b64": {"b64": TEXT}}}), "a dict, not base64 text"),
        (sending.kserve(), "a list of at least one picture"),
        (sending.body({"instances": {"b64": TEXT}}), "a list of at least one picture"),
        (sending.kserve({"b64": TEXT}, parameters=[1]), "parameters must be a JSON object"),
    ],
)
def test_what_holds_no_picture_is_malformed(request_: Request, reason: str) -> None:
    assert reason in refusal(request_, MalformedRequest)


@pytest.mark.parametrize(
    ("bad", "kind", "reason"),
    [
        ({}, MalformedRequest, "no picture"),
        (TEXT, MalformedRequest, "an instance is an object"),
        (None, MalformedRequest, "an instance is an object"),
        ({"b64": "!"}, MalformedRequest, "not base64"),
        ({"image": "https://example.org/cat.jpg"}, InvalidOption, "URL"),
        ({"image": {"url": "https://example.org/cat.jpg"}}, InvalidOption, "URL"),
        ({"b64": "A" * 4000}, TooLarge, "at most 1,000"),
    ],
)
def test_a_bad_instance_is_named_by_its_number(
    bad: object, kind: type[GradcamError], reason: str
) -> None:
    good = {"b64": TEXT}
    message = refusal(sending.kserve(good, good, bad, good), kind, Limits(max_bytes=1000))
    assert message.startswith("instances[2]: ")
    assert reason in message


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/cat.jpg",
        "https://example.org/",
        "HTTPS://X/y",
        " https://example.org/",
        "ftp://example.org/cat.jpg",
        "s3://bucket/cat.jpg",
        "file:///etc/passwd",
    ],
)
def test_a_picture_s_url_is_refused_with_the_reason(url: str) -> None:
    for request in (
        sending.raw(url.encode()),
        sending.raw(url.encode(), Content_Type="text/plain"),
        sending.form(image=url),
        sending.body({"image": url}),
        sending.kserve({"image": {"b64": url}}),
        sending.grpc(data=url.encode()),
    ):
        message = refusal(request, InvalidOption)
        assert "is not fetched" in message
        assert "inside your network" in message


def test_too_many_instances_are_counted_before_any_is_read() -> None:
    many = [{"b64": "!"}] * 17
    assert "17 instances; at most 16" in refusal(sending.kserve(*many), TooLarge)


def test_base64_beyond_the_limit_is_refused_before_it_is_decoded() -> None:
    limits = Limits(max_bytes=1000)
    assert read(sending.body({"image": b64(b"x" * 1000)}), limits).instances[0].picture
    message = refusal(sending.body({"image": b64(b"x" * 1500)}), TooLarge, limits)
    assert "1,500 bytes; at most 1,000" in message
