"""A web service says where calls go: a policy that waits for an answer."""

from typing import Any

import attrs
import treq
from zope.interface import implementer

from softswitch.plugin.decisions import Reject, Route, Routing, Target
from softswitch.plugin.interfaces import IRouter
from softswitch.plugin.views import InviteView


@implementer(IRouter)
@attrs.define
class HttpDriven:
    """Posts ``{"caller", "called", "call_id"}`` and does what the answer says.

    ``{"targets": ["sip:..."], "ring_seconds": 20}`` rings these in turn, ``{"refuse": 403}``
    refuses, ``{}`` has the next policy asked. While the service thinks, nobody else waits. One
    that is down, answers rubbish or says 500 fails the call, as an exception in a policy does; the
    service should know better than the switch what is to become of a call then.

    :ivar url: of the service.
    :ivar seconds: for which an answer is awaited; to be less than ``policy_seconds``.
    """

    url: str
    seconds: float = 1.5
    #: What does the asking; tests put something else here.
    client: Any = attrs.field(default=treq, init=False)

    async def route(self, invite: InviteView) -> Routing | None:
        """As the service says."""
        question = {
            "caller": str(invite.from_.uri),
            "called": str(invite.uri),
            "call_id": invite.call_id,
        }
        response = await self.client.post(self.url, json=question, timeout=self.seconds)
        if response.code != 200:
            raise RuntimeError(f"{self.url} answered {response.code}")
        answer = await response.json()
        if not isinstance(answer, dict):
            raise RuntimeError(f"{self.url} answered no JSON object")
        if "refuse" in answer:
            return Reject(answer["refuse"])
        if "targets" not in answer:
            return None
        return Route([Target(uri, answer.get("ring_seconds")) for uri in answer["targets"]])
