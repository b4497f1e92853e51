"""Who may register what (RFC 3261 10.3)."""

import pytest

from softswitch.plugin.decisions import Accept, Reject
from softswitch.plugin.views import Identity
from softswitch.policy.registration import OwnRegistration

ALICE = Identity("user", "alice", "example.org")


@pytest.mark.parametrize(
    ("to", "identity", "answer"),
    [
        ("<sip:alice@example.org>", ALICE, Accept(1800, 120, 3)),
        ("<sip:%61lice@127.0.0.1>", ALICE, Accept(1800, 120, 3)),
        ("<sip:bob@example.org>", ALICE, Reject(403)),
        ("<sip:example.org>", ALICE, Reject(403)),
        ("<sip:alice@example.com>", ALICE, Reject(404)),
        ("<sip:alice@example.org>", Identity("trunk", "alice"), None),
        ("<sip:alice@example.org>", None, None),
    ],
)
def test_users_register_their_own_address(house, view, to, identity, answer):
    """Own address of record in any of our names: accepted; another's 403; not ours 404."""
    policy = OwnRegistration(min_expires=120, max_expires=1800, max_contacts=3)
    policy.start(house)
    assert policy.register(view(method="REGISTER", to=to, identity=identity)) == answer


@pytest.mark.parametrize(
    "options", [{"min_expires": 7200}, {"max_expires": 0, "min_expires": 0}, {"max_contacts": 0}]
)
def test_limits_that_contradict(options):
    """Refused at load."""
    with pytest.raises(ValueError, match="wanted"):
        OwnRegistration(**options)
