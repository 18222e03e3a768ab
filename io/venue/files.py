"""The files that the exchange is given and keeps: fault plan, configuration, saved state.

Whatever is wrong with one is a `BadVenueFile`, whose text is one line for the user.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from anchorwatch.io.venue.accounts import DEFAULT_KEY, AccountSpec
from anchorwatch.io.venue.faults import Fault, Faults
from anchorwatch.io.venue.saved import BadState, Saved, decoded, encoded
from anchorwatch.io.venue.switches import Switches

# Larger than any plan or configuration that a person writes.
GIVEN_MAX_BYTES = 1_000_000
FIRST_UID = 446_700_000_000_000_001

T = TypeVar("T")


class BadVenueFile(Exception):
    """A file that cannot be used: which one, and why."""


class FaultFile(Faults, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A fault plan as a file holds it.

    ``times = "start"`` (the default) counts every ``…_ms`` that names a moment from the start of the exchange, and from
    the first start of one that resumes a saved state; ``"epoch"`` reads them as Unix milliseconds.
    """

    times: Literal["start", "epoch"] = "start"


class ConfigFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Accounts with their keys, and the switches for what OKX leaves open. Without accounts there is the usual one."""

    accounts: tuple[AccountSpec, ...] = ()
    switches: Switches = Switches()


def read_faults(path: Path, start_ms: int) -> Faults:
    """The plan in a TOML or JSON file, its moments as Unix milliseconds. Raises `BadVenueFile`."""
    plan = _given(path, FaultFile)
    shift_ms = start_ms if plan.times == "start" else 0
    return Faults(
        rules=tuple(_moved(rule, shift_ms) for rule in plan.rules),
        changes=tuple(
            msgspec.structs.replace(change, at_ms=change.at_ms + shift_ms) for change in plan.changes
        ),
        maintenance=tuple(one.moved(shift_ms) for one in plan.maintenance),
        seed=plan.seed,
    )


def read_config(path: Path) -> ConfigFile:
    """The accounts and switches in a TOML or JSON file. Raises `BadVenueFile`."""
    config = _given(path, ConfigFile)
    accounts = _with_uids(config.accounts)
    names = [one.name for one in accounts]
    keys = [key.key for one in accounts for key in one.keys]
    for what, all_ in (("account name", names), ("API key", keys)):
        twice = [one for number, one in enumerate(all_) if one in all_[:number]]
        if twice:
            raise BadVenueFile(f"{path}: the {what} {twice[0]!r} is there twice")
    return msgspec.structs.replace(config, accounts=accounts)


def read_state(path: Path) -> Saved | None:
    """What an earlier life saved; None when there is no such file. Raises `BadVenueFile`."""
    try:
        return decoded(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, BadState) as error:
        raise BadVenueFile(f"{path}: {_reason(error)}") from None


def write_state(path: Path, state: Saved) -> None:
    """Put the state where the old one was, whole or not at all, on the disk when this returns. Raises OSError."""
    beside = path.with_name(path.name + ".new")
    with beside.open("wb") as file:
        file.write(encoded(state))
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _given(path: Path, kind: type[T]) -> T:
    try:
        if path.stat().st_size > GIVEN_MAX_BYTES:
            raise BadVenueFile(f"{path}: larger than {GIVEN_MAX_BYTES} bytes")
        text = path.read_bytes()
        if path.suffix == ".json":
            return msgspec.json.decode(text, type=kind)
        return msgspec.toml.decode(text, type=kind)
    except (OSError, msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise BadVenueFile(f"{path}: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(words.split())[:300]


def _moved(rule: Fault, shift_ms: int) -> Fault:
    until_ms = None if rule.until_ms is None else rule.until_ms + shift_ms
    return msgspec.structs.replace(rule, from_ms=rule.from_ms + shift_ms, until_ms=until_ms)


def _with_uids(accounts: Sequence[AccountSpec]) -> tuple[AccountSpec, ...]:
    """Accounts that say nothing of a user id get one each; the first may leave the usual key unsaid too."""
    done: list[AccountSpec] = []
    for number, spec in enumerate(accounts):
        changes: dict[str, Any] = {}
        if number and spec.uid == str(FIRST_UID):
            changes["uid"] = str(FIRST_UID + number)
        if number and spec.keys == (DEFAULT_KEY,):
            changes["keys"] = ()
        done.append(msgspec.structs.replace(spec, **changes))
    return tuple(done)
