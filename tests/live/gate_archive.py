"""Archives whose model obeys the test: see ``gate_handler.py``."""

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import yaml

_HANDLER = Path(__file__).with_name("gate_handler.py")


@dataclass(frozen=True)
class Gate:
    """One such model, by the folder that commands it."""

    folder: Path

    def open(self) -> None:
        (self.folder / "open").touch()

    def crash(self) -> None:
        (self.folder / "crash").touch()

    def hold(self) -> None:
        (self.folder / "held").touch()

    def release(self) -> None:
        (self.folder / "held").unlink()

    @property
    def answered(self) -> list[str]:
        """The ids of the requests that it answered."""
        return self._noted("answered")

    @property
    def begun(self) -> list[str]:
        """The ids of the requests that it began on."""
        return self._noted("begun")

    def _noted(self, what: str) -> list[str]:
        told = self.folder / what
        return told.read_text(encoding="utf-8").splitlines() if told.exists() else []


def package_gate(store: Path, name: str, **settings: object) -> Gate:
    """Writes ``store/name.mar``; keywords go into its ``model-config.yaml``."""
    folder = store / f"{name}.gate"
    folder.mkdir(parents=True)
    config = {
        "minWorkers": 1,
        "maxWorkers": 1,
        "batchSize": 1,
        "maxBatchDelay": 1,
        "responseTimeout": 60,
        "startupTimeout": 60,
        **settings,
        "handler": {"gate": str(folder)},
    }
    manifest = {
        "createdOn": "01/01/1980 00:00:00",
        "runtime": "python",
        "model": {
            "modelName": name,
            "handler": _HANDLER.name,
            "modelVersion": "1.0",
            "configFile": "model-config.yaml",
        },
        "archiverVersion": "0.12.0",
    }
    with zipfile.ZipFile(store / f"{name}.mar", "w") as archive:
        archive.write(_HANDLER, _HANDLER.name)
        archive.writestr("model-config.yaml", yaml.safe_dump(config))
        archive.writestr("MAR-INF/MANIFEST.json", json.dumps(manifest))
    return Gate(folder)
