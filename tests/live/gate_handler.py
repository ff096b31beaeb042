"""A TorchServe handler that loads when it is let, dies when it is told to, and answers slowly.

It goes into archives of the tests as a file (see ``gate_archive.py``). ``handler: {gate: FOLDER}``
names the folder whose files command it: with ``open`` there it loads, with ``crash`` its process
ends; every request adds a line to ``begun``, and every answer one to ``answered``. A request's
header ``X-Seconds`` says how long it takes; ``X-End`` ends the worker, with ``exit`` or ``kill``.
With ``held`` there no request is answered.
"""

import os
import signal
import time
from pathlib import Path
from typing import Any


class Gate:
    """One worker's side of it."""

    def initialize(self, context: Any) -> None:
        self.folder = Path(context.model_yaml_config["handler"]["gate"])
        while not (self.folder / "open").exists() or (self.folder / "crash").exists():
            if (self.folder / "crash").exists():
                os._exit(1)
            time.sleep(0.05)

    def handle(self, data: list[Any], context: Any) -> list[bytes]:
        headers = [context.get_all_request_header(index) for index in range(len(data))]
        for told in headers:
            if told.get("X-End") == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if told.get("X-End") == "exit":
                os._exit(1)
        self._note("begun", headers)
        time.sleep(max(float(told.get("X-Seconds", 0)) for told in headers))
        while (self.folder / "held").exists():
            time.sleep(0.05)
        self._note("answered", headers)
        for index in range(len(data)):
            context.set_response_content_type(index, "application/json")
        return [b'{"explanations": [{"label": "gate"}]}' for _ in data]

    def _note(self, what: str, headers: list[dict[str, str]]) -> None:
        with (self.folder / what).open("a", encoding="utf-8") as file:
            file.writelines(f"{told.get('X-Request-Id')}\n" for told in headers)
