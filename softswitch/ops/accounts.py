"""A user's settings, from ``[users.NAME]`` or the store, and what can be wrong in them. Pure."""

import json
from collections.abc import Iterator, Sequence
from shlex import quote
from typing import Final

import attrs

from softswitch.errors import ConfigError
from softswitch.ops.user_tables import RingGroupTable, UserTable
from softswitch.ops.values import HOOKS
from softswitch.plugin.decisions import Route
from softswitch.plugin.views import CallLimits, RingGroup, User
from softswitch.policy.checks import fault
from softswitch.settings import key_path, nearest, reader
from softswitch.sip.digest import ha1

#: Passwords that everybody knows, since the default configuration shows them.
DEMONSTRATION: Final = frozenset({"alice-demo", "bob-demo"})

#: What cannot stand in a user's name or number: it delimits URIs, credentials and hashes.
UNFIT_IN_A_NAME: Final = frozenset('@:;<>"/ \t\\')

#: Hex digits of a hash.
DIGEST_LENGTH: Final = {"MD5": 32, "SHA-256": 64, "SHA-512-256": 64}

#: Keys of a user's table that say where his calls go, and in how many he may be.
_PLACES: Final = ("forward_always", "forward_busy", "forward_no_answer", "forward_unreachable")
_COUNTS: Final = ("max_calls", "max_calls_in", "max_calls_out")

_read = reader(UserTable, HOOKS)


def is_fit(name: str) -> bool:
    """Whether a user may have that name, or number."""
    return bool(name) and not UNFIT_IN_A_NAME & set(name) and name.isprintable()


def in_the_clear(kind: str, name: str, key: str, proven: str, file: str) -> str:
    """What there is to say of a password in the clear, with the command that hashes it for the
    realm of the file.

    :param kind: of the table: "users" or "trunks".
    :param proven: name that the password proves.
    """
    command = f"softswitch user hash {quote(proven)} --config {quote(file)}"
    return f"{key_path(kind, name)} has {key} in the clear; `{command}` makes a hash of it"


def user_of(name: str, table: UserTable, realm: str, offered: Sequence[str] = ()) -> User:
    """The user whom a table describes; a password becomes a hash for each algorithm on offer."""
    hashes: dict[str, str] = {algorithm: digest.lower() for algorithm, digest in table.ha1.items()}
    if table.password is not None:
        for algorithm in offered:
            hashes[algorithm] = ha1(name, realm, table.password, algorithm)
    return User(
        name,
        hashes,
        table.display,
        table.group,
        table.forwarded,
        table.numbers,
        table.do_not_disturb,
        table.disturbed_by,
        CallLimits(
            table.max_calls, table.max_calls_in, table.max_calls_out, table.max_calls_status
        ),
        table.fraud.cells,
    )


def faults(
    name: str, table: UserTable, groups: Sequence[str], offered: Sequence[str] = ()
) -> Iterator[tuple[str, str]]:
    """What is wrong between keys that are right by themselves: the key within the user's table, ""
    for all of it, and what would be right.

    :param groups: names of the groups that there are.
    :param offered: algorithms for each of which a hash is wanted.
    """
    if not is_fit(name):
        yield "", "a user's name is the part of an address before the @, without : ; or spaces"
    if bool(table.ha1) == (table.password is not None):
        yield "", "either ha1 or password is wanted"
    if table.group and table.group not in groups:
        yield "group", f"no such group; {nearest(table.group, list(groups))}"
    for index, number in enumerate(table.numbers):
        if not is_fit(number):
            yield f"numbers[{index}]", "a number or name without @ : ; or spaces is wanted"
    for key in _PLACES:
        if (place := getattr(table, key)) and (wrong := _no_place(name, place)):
            yield key, wrong
    if table.forward_after <= 0:
        yield "forward_after", "more than 0 seconds are wanted"
    for key in _COUNTS:
        if getattr(table, key) < 0:
            yield key, "a number of calls is wanted, 0 for any"
    for algorithm, digest in table.ha1.items():
        length = DIGEST_LENGTH[algorithm]
        if len(digest) != length or set(digest.lower()) - set("0123456789abcdef"):
            yield f"ha1.{algorithm}", f"{length} hex digits are wanted"
    for wanted in offered if table.ha1 else ():
        if wanted not in table.ha1:
            yield "ha1", f"a hash for {wanted} is wanted, since we offer it"


def group_faults(name: str, table: RingGroupTable) -> Iterator[tuple[str, str]]:
    """The same for a ring group."""
    if not is_fit(name):
        yield "", "a group's name is the part of an address before the @, without : ; or spaces"
    if not table.members:
        yield "members", "at least one is wanted"
    for index, member in enumerate(table.members):
        if not member or (wrong := _no_place(name, member)):
            yield f"members[{index}]", wrong if member else "a user or a SIP URI is wanted"
    for index, number in enumerate(table.numbers):
        if not is_fit(number):
            yield f"numbers[{index}]", "a number or name without @ : ; or spaces is wanted"
    if wrong := _no_place(name, table.otherwise):
        yield "otherwise", wrong
    if not table.ring_seconds:
        yield "ring_seconds", "more than 0 seconds are wanted"


def ring_group_of(name: str, table: RingGroupTable) -> RingGroup:
    """The ring group that a table describes."""
    return RingGroup(
        name, table.members, table.strategy, table.ring_seconds, table.numbers, table.otherwise
    )


def read_settings(name: str, settings: str, file: str) -> UserTable:
    """The table that stands as JSON in the store.

    :param file: the store's, for errors.
    :raises ConfigError: it is no such table; says which key of it and what would be right.
    """
    where = f"user {name}"
    try:
        table = json.loads(settings)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{file}: {where}", f"JSON is wanted: {error}") from None
    if isinstance(table, dict) and "password" in table:
        raise ConfigError(f"{file}: {where}", "ha1 is wanted here, no password")
    return _read(table, file, where)


def written(table: UserTable) -> str:
    """A table as JSON for the store, without what is as it is anyway."""
    return json.dumps(settings_of(table), ensure_ascii=False)


def settings_of(table: UserTable) -> dict[str, object]:
    """The keys of a table that are not as they are anyway, with their values."""
    blank, found = attrs.asdict(UserTable()), attrs.asdict(table)
    return {key: value for key, value in found.items() if value != blank[key]}


def _no_place(name: str, place: str) -> str:
    """Why calls of a user cannot be forwarded to a place; "" where they may be."""
    if place == name:
        return "somebody else is wanted"
    if not place or (":" not in place and is_fit(place)):
        return ""
    if ":" not in place:
        return "a user or a SIP URI is wanted"
    return fault(Route([place])) or ("" if place[:3].lower() == "sip" else "a SIP URI is wanted")
