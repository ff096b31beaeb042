"""The keys that open the door: ``name:key`` a line, from a file that a Secret is mounted as."""

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from container.errors import SettingsError

SHORTEST = 16
"""Characters of a key; a shorter one could be guessed."""

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_SECRET = re.compile(r"[A-Za-z0-9._~+/=-]+")  # what RFC 6750 allows in a bearer token
_MADE = "made-at-start"


@dataclass(frozen=True)
class Key:
    """One key; ``name`` is what logs and limits call it."""

    name: str
    secret: str = field(repr=False)


def read_keys(path: Path) -> tuple[Key, ...]:
    """Reads a file of keys.

    Raises:
        SettingsError: It cannot be read or is wrong; the message never holds a key.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the keys in {path} cannot be read: {type(error).__name__}") from error
    try:
        return parse_keys(text)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from None


def parse_keys(text: str) -> tuple[Key, ...]:
    """Keys of a text; empty lines and those that begin with ``#`` are skipped.

    A name may stand there twice, so that an old and a new key are both good while clients change.

    Raises:
        SettingsError: A line is wrong, a key is there twice, or there is none.
    """
    keys: list[Key] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, colon, secret = (part.strip() for part in line.partition(":"))
        if not colon or not _NAME.fullmatch(name):  # without one, "name" may well be a key
            raise SettingsError(
                f"line {number} does not begin with a name and a colon; write name:key, the name "
                "of at most 64 letters, digits, dots, dashes and underscores"
            )
        if len(secret) < SHORTEST or not _SECRET.fullmatch(secret):
            raise SettingsError(
                f"line {number}: the key of {name} must have at least {SHORTEST} characters, only "
                "letters, digits and ._~+/=-; `openssl rand -hex 32` makes one"
            )
        if any(key.secret == secret for key in keys):
            raise SettingsError(f"line {number}: the key of {name} is there already")
        keys.append(Key(name, secret))
    if not keys:
        raise SettingsError("there is no key; write name:key, or set GRADCAM_KEYS=off")
    return tuple(keys)


def random_key() -> Key:
    """A new key, for a server that was given none."""
    return Key(_MADE, secrets.token_urlsafe(32))


def fingerprint(path: Path) -> str:
    """Of the file's bytes, to notice a change; empty where it cannot be read.

    A mounted Secret changes by a symbolic link, so times and inodes would not tell.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
