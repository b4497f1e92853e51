"""On which terms a policy is asked: its deadline, its budget, and what its failure means. Pure.

They stand in its ``[[policy]]`` table beside its own options, under keys that no plug-in may use
for a field of its own.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeGuard

import attrs

from softswitch.errors import ConfigError
from softswitch.plugin.decisions import Reject
from softswitch.settings import key_path, shown, structure

#: What becomes of a request whose policy failed, unless its terms say otherwise.
FAILED: Final = Reject(500)

#: Seconds, more than 0.
_Span = Annotated[float, "Span"]
#: 1 or more.
_Most = Annotated[int, "Most"]
#: 0 to 1.
_Share = Annotated[float, "Share"]
#: "next", or the status of a refusal, 400 to 699.
_Fallback = Annotated[Reject | None, "Fallback"]


@attrs.frozen
class Terms:
    """On which terms a policy is asked.

    :ivar deadline: seconds within which it answers; None for the switch's ``policy_seconds``.
    :ivar fallback: what its failure means; None has the next policy asked.
    :ivar most_open: questions that it may be thinking about at once; beyond it fails at once.
    :ivar busy_share: of the reactor's time it may take so much over the seconds; when it has taken
        more it fails at once until that has been made up for. 0 for no limit.
    """

    deadline: _Span | None = None
    fallback: _Fallback = FAILED
    most_open: _Most = 1000
    busy_share: _Share = 0.5


#: The keys that belong to the switch.
KEYS: Final = frozenset(field.name for field in attrs.fields(Terms))


def divided(table: Mapping[str, Any], *, file: str, path: str) -> tuple[Terms, dict[str, Any]]:
    """The terms that stand in a ``[[policy]]`` table, and the policy's own options.

    :param table: without its ``use``.
    :raises ConfigError: a term is wrong.
    """
    own = {key: value for key, value in table.items() if key not in KEYS}
    if len(own) == len(table):
        return Terms(), own
    given = {key: value for key, value in table.items() if key in KEYS}
    return structure(given, Terms, file=file, path=path, hooks=_HOOKS), own


def check_shape(shape: type[Any], where: str) -> None:
    """See that a policy's class leaves the switch its keys.

    :raises ConfigError: it has a field of such a name.
    """
    for field in attrs.fields(shape) if attrs.has(shape) else ():
        if field.init and field.name in (*KEYS, "use"):
            raise ConfigError(
                key_path(where, field.name),
                f"this key is the switch's own: rename the field of {shape.__name__}",
            )


def _is_number(value: object) -> TypeGuard[int | float]:
    """True is none: TOML's types are taken as they are."""
    return type(value) in (int, float)


def _span(value: object) -> float:
    if not _is_number(value) or not 0 < value < float("inf"):
        raise ValueError(f"seconds, more than 0, are wanted, not {shown(value)}")
    return float(value)


def _most(value: object) -> int:
    if type(value) is not int or value < 1:
        raise ValueError(f"a whole number of at least 1 is wanted, not {shown(value)}")
    return value


def _share(value: object) -> float:
    if not _is_number(value) or not 0 <= value <= 1:
        raise ValueError(f"a number from 0 to 1 is wanted, not {shown(value)}")
    return float(value)


def _fallback(value: object) -> Reject | None:
    if value == "next":
        return None
    if type(value) is int and 400 <= value <= 699:
        return Reject(value)
    raise ValueError(f'"next" or a status from 400 to 699 is wanted, not {shown(value)}')


_HOOKS: Final = {
    _Span | None: _span,
    _Most: _most,
    _Share: _share,
    _Fallback: _fallback,
}
