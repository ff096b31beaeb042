"""Runs in the environment of the kserve package: asks a server with KServe's own REST client.

Reads ``{"base", "model", "predict", "explain", "wrong"}`` as JSON from its standard input, the last
three being request bodies, and writes what the client made of the answers.
"""

import asyncio
import json
import sys
from typing import Any

from kserve import InferenceRESTClient, RESTConfig


async def _ask(base: str, model: str, predict: Any, explain: Any, wrong: Any) -> dict[str, Any]:
    async with InferenceRESTClient(RESTConfig(protocol="v1", timeout=120)) as client:
        told = {
            "predict": await client.infer(base, predict, model_name=model),
            "explain": await client.explain(base, model_name=model, data=explain),
        }
        try:
            told["wrong"] = await client.explain(base, model_name=model, data=wrong)
        except Exception as error:  # httpx's; which one is part of what is told
            told["wrong"] = f"{type(error).__name__}: {error}"
        return told


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_ask(**json.load(sys.stdin)))))
