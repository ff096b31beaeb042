"""Asks paths with and without a key, and tells what came back."""

import base64
import http.client
import json
from typing import Any

from cluster.inside.wire import ask, picture


def main(arguments: list[str]) -> dict[str, Any]:
    """Sends each request of a JSON list: host, port, path, headers, and whether with a picture.

    Returns:
        ``answers``: for each, its status, content type, and beginning (base64 where it is no text);
        status 0 and the error where there was no answer.
    """
    return {"answers": [_answer(wish) for wish in json.loads(arguments[0])]}


def _answer(wish: dict[str, Any]) -> dict[str, Any]:
    body = picture() if wish["picture"] else None
    try:
        answer = ask(wish["host"], wish["port"], wish["path"], body, wish["headers"])
    except (OSError, http.client.HTTPException) as error:
        return {"status": 0, "kind": "", "begins": f"{type(error).__name__}: {error}", "bytes": 0}
    begins = answer.body[:300]
    textual = answer.kind.startswith(("text/", "application/json"))
    shown = begins.decode("utf-8", "replace") if textual else base64.b64encode(begins).decode()
    return {
        "status": answer.status,
        "kind": answer.kind,
        "begins": shown,
        "bytes": len(answer.body),
    }
