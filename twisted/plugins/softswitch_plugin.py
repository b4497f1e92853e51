"""``twistd softswitch``, and the policies that come with it, by name."""

from twisted.application.service import ServiceMaker

from softswitch.plugin.maker import PolicyMaker

softswitch = ServiceMaker(
    "softswitch",
    "softswitch.ops.options",
    "A SIP back-to-back user agent.",
    "softswitch",
)

trunks = PolicyMaker(
    "trunks",
    "softswitch.policy.admission:TrunkAdmission",
    "Admits what comes from the networks of a trunk.",
)
users = PolicyMaker(
    "users",
    "softswitch.policy.admission:UserAdmission",
    "Admits users who prove their password, and challenges everybody else.",
)
registration = PolicyMaker(
    "registration",
    "softswitch.policy.registration:OwnRegistration",
    "Lets each user register his own address.",
)
front = PolicyMaker(
    "front",
    "softswitch.policy.front:Fronting",
    "Passes the REGISTERs of outside phones on to a PBX, and calls between it and them.",
)
forwarding = PolicyMaker(
    "forwarding",
    "softswitch.policy.forwarding:Forwarding",
    "Sends calls to where the user who is called has them forwarded.",
)
ring_groups = PolicyMaker(
    "ring_groups",
    "softswitch.policy.ringgroups:RingGroups",
    "Rings the members of a ring group.",
)
dialplan = PolicyMaker(
    "dialplan",
    "softswitch.policy.dialplan:Dialplan",
    "Routes by the number that was dialled.",
)
rates = PolicyMaker(
    "rates",
    "softswitch.policy.rates:Rates",
    "Routes over the trunk that asks the least for the number.",
)
redirects = PolicyMaker(
    "redirects",
    "softswitch.policy.redirects:Redirects",
    "Sends the callers of some users elsewhere.",
)
located = PolicyMaker(
    "located",
    "softswitch.policy.located:Located",
    "Rings the phones that a user registered.",
)
webhook = PolicyMaker(
    "webhook",
    "softswitch.policy.webhook:Webhook",
    "Asks a server of one's own where calls go, and tells it what becomes of them.",
)
follow = PolicyMaker(
    "follow",
    "softswitch.policy.redirects:FollowRedirects",
    "Follows a redirection that a called phone answers, within limits.",
)
