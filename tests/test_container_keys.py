"""Files of keys: what is read, what is refused, and that no message ever holds a key."""

from pathlib import Path

import pytest

from container.errors import SettingsError
from container.keys import Key, fingerprint, parse_keys, random_key, read_keys

LONG = "0123456789abcdef"


def test_keys_are_read() -> None:
    text = f"# ours\n\nalice:{LONG}\n bob : A._~+/=-{LONG} \nalice:{LONG}2\n"
    assert parse_keys(text) == (
        Key("alice", LONG),
        Key("bob", f"A._~+/=-{LONG}"),
        Key("alice", f"{LONG}2"),  # while clients change from one to the other
    )


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "no key"),
        ("# nothing", "no key"),
        (LONG, "line 1 does not begin with a name"),
        (f":{LONG}", "line 1 does not begin with a name"),
        (f'a"b:{LONG}', "line 1 does not begin with a name"),
        (f"{'n' * 65}:{LONG}", "line 1 does not begin with a name"),
        (f"a:{LONG}\nb:short", "line 2: the key of b must have at least 16"),
        (f'a:{LONG}"; return 200; #', "line 1: the key of a"),
        (f"a:{LONG}\nb:{LONG}", "line 2: the key of b is there already"),
    ],
)
def test_what_is_refused(text: str, part: str) -> None:
    with pytest.raises(SettingsError) as refused:
        parse_keys(text)
    assert part in str(refused.value)
    assert LONG not in str(refused.value)
    assert "short" not in str(refused.value)


def test_a_key_is_not_printed() -> None:
    assert LONG not in repr(Key("alice", LONG))


def test_a_random_key_is_a_good_one() -> None:
    made = random_key()
    assert parse_keys(f"{made.name}:{made.secret}") == (made,)
    assert made.secret != random_key().secret


def test_a_changed_file_has_another_fingerprint(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    assert fingerprint(path) == ""
    path.write_text(f"alice:{LONG}")
    before = fingerprint(path)
    path.write_text(f"alice:{LONG[::-1]}")  # of the same length, within the same second
    assert "" != fingerprint(path) != before
    assert read_keys(path) == (Key("alice", LONG[::-1]),)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        read_keys(tmp_path)
    (tmp_path / "keys").write_bytes(b"a:\xff")
    with pytest.raises(SettingsError, match="cannot be read"):
        read_keys(tmp_path / "keys")
