import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradcam.request.accept import preferred_picture

PNG, JPEG, WEBP = "image/png", "image/jpeg", "image/webp"
JSON = "application/json"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        pytest.param(PNG, "png", id="png"),
        pytest.param(JPEG, "jpeg", id="jpeg"),
        pytest.param(WEBP, "webp", id="webp"),
        pytest.param("Image/PNG", "png", id="any letter case"),
        pytest.param("image/*", "png", id="any picture"),
        pytest.param("", None, id="no header"),
        pytest.param("*/*", None, id="curl's own"),
        pytest.param(JSON, None, id="JSON"),
        pytest.param("text/html", None, id="neither"),
        pytest.param("image/tiff", None, id="a picture that is not written"),
        pytest.param(f"{PNG}, {JSON}", "png", id="first of equals"),
        pytest.param(f"{JSON}, {PNG}", None, id="JSON first of equals"),
        pytest.param(f"{PNG},*/*", "png", id="before anything"),
        pytest.param(f"{JPEG}, {PNG}", "jpeg", id="first of equal pictures"),
        pytest.param(f"{JPEG};q=0.5, {PNG}", "png", id="the better picture"),
        pytest.param(f"{JSON};q=0.5, {PNG};q=0.9", "png", id="better than JSON"),
        pytest.param(f"{PNG};q=0.4, {JSON};q=0.5", None, id="worse than JSON"),
        pytest.param(f"{PNG};q=0.4, {JSON}", None, id="JSON's q is 1 unless said"),
        pytest.param(f"{JSON};q=0.1, {PNG};q=0.8, */*;q=0.8", "png", id="before an equal */*"),
        pytest.param(f"{PNG};q=0", None, id="not at all"),
        pytest.param(f"{PNG};q=0, {JPEG};q=0.1", "jpeg", id="not this but that"),
        pytest.param(f"{PNG} ; q=0.9 , {JSON} ; q=1.0", None, id="blanks"),
        pytest.param(f"{PNG};level=1;q=0.2, {JSON};q=0.3", None, id="other parameters"),
        pytest.param(f"{PNG};q=high", None, id="a q that is no number"),
        pytest.param(f"{PNG};q=nan", None, id="a q that is not a number"),
        pytest.param(",;,", None, id="nothing in it"),
    ],
)
def test_a_picture_is_sent_where_it_stands_ahead_of_json(accept: str, expected: str | None) -> None:
    assert preferred_picture(accept) == expected


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        pytest.param(
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            None,
            id="Firefox opening a page",
        ),
        pytest.param(
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,"
            "image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7",
            "webp",
            id="Chrome opening a page takes WebP ahead of anything else",
        ),
        pytest.param(
            "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5",
            "webp",
            id="Firefox filling an <img>",
        ),
        pytest.param("application/json, text/plain, */*", None, id="axios"),
    ],
)
def test_headers_of_real_clients(accept: str, expected: str | None) -> None:
    assert preferred_picture(accept) == expected


@given(st.text(alphabet=st.sampled_from("image/pngjson*;q=.01, "), max_size=60) | st.text())
def test_no_header_is_an_error(accept: str) -> None:
    assert preferred_picture(accept) in {None, "png", "jpeg", "webp"}
