"""At whose expense a target is tried that is at a trunk, whether it names that or not. Pure."""

from typing import Final

from softswitch.b2bua.trials import Failure, HuntData, Trial
from softswitch.flow import Flow
from softswitch.plugin.views import Identity
from softswitch.trunk.tolls import REFUSED
from softswitch.trunk.traffic import Traffic

#: Who calls where no admission policy has said so.
NOBODY: Final = Identity("peer", "")


def charge(
    traffic: Traffic,
    data: HuntData,
    trial: Trial,
    flow: Flow,
    who: Identity,
    dialled: tuple[str | None, str | None],
    call: str,
) -> Failure | None:
    """Have somebody pay for a try; how it fails where he may not. The last one of our users who has
    sent the call on pays, else who calls.

    :param data: of the hunt.
    :param dialled: what was dialled, and what the target is told.
    :param call: id of the call.
    """
    by = [each.by for each in reversed(trial.diversions)]
    toll = traffic.charge(trial.target, flow.remote_host, dialled, who, by, call, data.counted)
    if isinstance(toll, str):
        trial.toll = toll
        return None
    trial.attempt.limit = toll.limit
    return Failure(toll.status, "", fields=[REFUSED])
