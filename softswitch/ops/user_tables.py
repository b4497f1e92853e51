"""The tables of users, groups and ring groups, their fields named as the file's keys. Pure."""

from collections.abc import Mapping
from typing import Any, Literal

import attrs

from softswitch.ops.fraud_tables import AccountTable
from softswitch.ops.values import Algorithm, Seconds, Secret
from softswitch.plugin.views import Forwarded


@attrs.frozen
class GroupTable:
    """``[groups.NAME]``: what the users of a group have in common.

    :ivar algorithms: of the challenges that they get, instead of the listener's; None for those.
    :ivar dialog: cells of ``plugin.profile.Profile`` in which they differ from ``[dialog]``.
    :ivar numbering: of ``plugin.numbering.Numbering``, in which they differ from ``[numbering]``.
    :ivar media: of ``plugin.media.MediaProfile``, in which they differ from ``[media.default]``.
    :ivar fraud: in which limits they differ from ``[fraud]``.
    """

    algorithms: tuple[Algorithm, ...] | None = None
    dialog: Mapping[str, Any] = attrs.field(factory=dict)
    numbering: Mapping[str, Any] = attrs.field(factory=dict)
    media: Mapping[str, Any] = attrs.field(factory=dict)
    fraud: AccountTable = attrs.field(factory=AccountTable)


@attrs.frozen
class UserTable:
    """``[users.NAME]``: somebody who may register and call.

    :ivar ha1: algorithm -> hash that ``softswitch user hash`` makes.
    :ivar password: instead of hashes; a warning follows.
    :ivar numbers: further names under which he is reached, and may call.
    :ivar forward_always: where his calls go, as in ``plugin.views.Forwarded``; "" for nowhere.
    :ivar forward_busy: where they go when he is busy.
    :ivar forward_no_answer: where they go when he does not answer.
    :ivar forward_unreachable: where they go when no phone of his can be reached.
    :ivar forward_after: how long his phones ring before ``forward_no_answer``.
    :ivar do_not_disturb: what callers hear: "busy" (486) or "unavailable" (480); "" rings him.
    :ivar disturbed_by: users and numbers who ring him all the same.
    :ivar max_calls: that he may be in at once; 0 for any number.
    :ivar max_calls_in: likewise of those that others make to him.
    :ivar max_calls_out: likewise of those that he makes.
    :ivar max_calls_status: what a call beyond them gets.
    :ivar media: cells of ``plugin.media.MediaProfile`` in which he differs from his group.
    :ivar fraud: in which limits he differs from it.
    """

    ha1: Mapping[Algorithm, Secret] = attrs.field(factory=dict, repr=False)
    password: Secret | None = attrs.field(default=None, repr=False)
    display: str = ""
    group: str = ""
    numbers: tuple[str, ...] = ()
    forward_always: str = ""
    forward_busy: str = ""
    forward_no_answer: str = ""
    forward_unreachable: str = ""
    forward_after: Seconds = 20.0
    do_not_disturb: Literal["", "busy", "unavailable"] = ""
    disturbed_by: tuple[str, ...] = ()
    max_calls: int = 0
    max_calls_in: int = 0
    max_calls_out: int = 0
    max_calls_status: Literal[486, 480] = 486
    media: Mapping[str, Any] = attrs.field(factory=dict)
    fraud: AccountTable = attrs.field(factory=AccountTable)

    @property
    def forwarded(self) -> Forwarded:
        """All of ``forward_`` as policies see it."""
        return Forwarded(
            self.forward_always,
            self.forward_busy,
            self.forward_no_answer,
            self.forward_unreachable,
            self.forward_after,
        )


@attrs.frozen
class RingGroupTable:
    """``[ring_groups.NAME]``: several who are rung for one name; see ``plugin.views.RingGroup``.

    :ivar members: users or SIP URIs.
    :ivar numbers: further names under which it is reached.
    :ivar otherwise: where a call goes that nobody has taken; "" for nowhere.
    """

    members: tuple[str, ...]
    strategy: Literal["all", "in-turn", "random", "longest-idle"] = "all"
    ring_seconds: Seconds = 20.0
    numbers: tuple[str, ...] = ()
    otherwise: str = ""
