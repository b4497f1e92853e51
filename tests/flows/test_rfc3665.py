"""RFC 3665, the basic call flows, as a back-to-back agent and registrar sees them."""

import pytest

from softswitch.testing.stage import CONFIG

CHALLENGE = 'Digest realm="carrier", nonce="4711"'
SUBJECT = [("Subject", "lunch"), ("X-Account", "4711")]


# Section 2: registration.


def test_2_1_successful_new_registration(refused):
    """Challenged, proved, bound: the 200 lists the contact and for how long."""
    bob = refused.phone("bob", register=False)
    assert bob.register() == 200
    refused.saw("bob: >REGISTER <401 >REGISTER <200")
    assert bindings(refused) == [(bob.host, 3600)]


def test_2_2_update_of_contact_list(refused):
    """A second contact joins the first, and the 200 lists both."""
    bob = refused.phone("bob")
    other = refused.phone("bob", host="127.88.0.99", register=False)
    assert other.register(expires=600) == 200
    assert bindings(refused) == [(other.host, 600), (bob.host, 3600)]


def test_2_3_request_for_current_contact_list(refused):
    """A REGISTER without a Contact changes nothing and lists what there is."""
    bob = refused.phone("bob")
    query(bob)
    assert bindings(refused) == [(bob.host, 3600)]
    assert bob.registered == 200


def test_2_4_cancellation_of_registration(refused):
    """ "*" and Expires 0: nothing is left, and nobody rings."""
    bob, alice = refused.phones("bob", "alice")
    bob.private = "*"
    assert bob.register(expires=0) == 200
    assert bindings(refused) == []
    bob.private = ""
    assert alice.call("bob").statuses == [480]


def test_2_5_unsuccessful_registration(refused):
    """A wrong password is challenged again and never let in."""
    bob = refused.phone("bob", password="wrong", register=False)
    assert bob.register() == 401
    refused.saw("bob: >REGISTER <401 >REGISTER <401")
    query(bob)
    assert bob.registered == 401


def bindings(flow):
    """What the last 200 of the switch lists: host, seconds."""
    contacts = flow.steps()[-1].message.contacts
    return sorted(((each.uri.host, each.expires) for each in contacts), key=lambda pair: pair[1])


def query(phone):
    """A REGISTER that asks only."""
    plain = phone.request
    phone.request = lambda *args, **options: plain(*args, **options).replaced("Contact", [])
    phone.register()
    phone.request = plain


# Section 3: session establishment.


def test_3_1_successful_session_establishment(flow):
    """Ringing and the answer cross, with what the phones say to each other."""
    alice, bob = flow.phones("alice", "bob")
    line = alice.call("bob", fields=SUBJECT)
    bob.ring(fields=[("Alert-Info", "<http://127.0.0.1/ring>")])
    bob.answer(fields=SUBJECT)
    flow.hang_up(line, bob.line)
    flow.saw("""
        alice: call+ <180 <200+ >ACK bye
        bob: <INVITE+ >180 >200+ <ACK bye
    """)
    for name, value in SUBJECT:
        assert bob.line.invite.get(name) == line.responses[-1].get(name) == value
    assert line.responses[-2].get("Alert-Info") == "<http://127.0.0.1/ring>"


@pytest.mark.parametrize("side", ["before", "behind"])
def test_3_2_session_establishment_through_two_proxies(flow, side):
    """A proxy on either side that has record-routed: it stands in the route set of that leg
    alone, and gets every request of that leg."""
    alice, bob = flow.phones("alice", "bob")
    proxied = alice if side == "before" else bob
    route = f"<sip:{proxied.host}:{proxied.port};transport={flow.transport.lower()};lr>"
    recorded = [("Record-Route", route)]
    line = alice.call("bob", fields=recorded if side == "before" else ())
    bob.ring(fields=recorded if side == "behind" else ())
    bob.answer(fields=recorded if side == "behind" else ())
    for each in (line, bob.line):
        each.routes = []  # the proxy is the phone itself
    flow.hang_up(line, bob.line)
    flow.saw("""
        alice: call+ <180 <200+ >ACK bye
        bob: <INVITE+ >180 >200+ <ACK bye
    """)
    for step in flow.steps():
        if not step.sent and step.message.cseq.method in ("ACK", "BYE"):
            mine = step.leg == proxied.name and hasattr(step.message, "method")
            assert step.message.all("Route") == ([route] if mine else [])


def test_3_3_session_with_multiple_proxy_authentication(trunked):
    """We challenge the caller, a gateway challenges us: each proves who it is on its own leg, and
    neither sees the other's challenge or answer."""
    flow, (gateway, _), alice = trunked
    line = alice.call("0123")
    gateway.line.respond(407, fields=[("Proxy-Authenticate", CHALLENGE)])
    gateway.ring()
    gateway.answer()
    flow.hang_up(line, gateway.line)
    flow.saw("""
        alice: call+ <180 <200+ >ACK bye
        gateway1: <INVITE+ >407 <ACK <INVITE+ >180 >200+ <ACK bye
    """)
    proof = gateway.line.invite.get("Proxy-Authorization")
    assert 'username="acme"' in proof
    assert gateway.line.invite.get("Authorization") is None
    assert line.responses[-1].get("Proxy-Authenticate") is None


def test_3_4_successful_session_with_proxy_failure(trunked):
    """The first gateway is dead: the call goes through the second, under a Call-ID of its own,
    and the caller waits on the same transaction."""
    flow, (first, second), alice = trunked
    flow.lossy = True
    first.silent = True
    line = alice.call("0123")
    flow.run(5)
    second.ring()
    second.answer()
    flow.hang_up(line, second.line)
    flow.saw("""
        alice: call+ <180 <200+ >ACK bye
        gateway1: <INVITE+
        gateway2: <INVITE+ >180 >200+ <ACK bye
    """)


def test_3_5_session_through_a_sip_alg(flow):
    """A Contact that a translator did not rewrite: what belongs to that leg goes where the phone
    was heard, and the other leg sees nothing of it."""
    alice, bob = flow.phone("alice"), flow.phone("bob")
    alice.private = "<sip:alice@10.0.0.5:5060>"
    flow.begin()
    line = alice.call("bob")
    bob.ring()
    bob.answer()
    flow.hang_up(line, bob.line)
    flow.saw("""
        alice: call+ <180 <200+ >ACK bye
        bob: <INVITE+ >180 >200+ <ACK bye
    """)
    assert b"10.0.0.5" not in bob.line.invite.encode()


def test_3_6_session_via_redirect_and_proxy_servers_with_sdp_in_ack(make_flow, transport, hangs_up):
    """We redirect; the call to the new place has its offer in the 200 and the answer in the ACK,
    on both legs."""
    redirects = {"use": "redirects", "users": {"carol": ["sip:bob@127.88.0.1"]}}
    flow = make_flow(
        {"policy": [redirects, *CONFIG["policy"]]}, transport=transport, hangs_up=hangs_up
    )
    alice, bob = flow.phones("alice", "bob")
    redirected = alice.call("carol", sdp=b"")
    assert redirected.statuses == [302]
    line = alice.call(str(redirected.responses[-1].contacts[0].uri), sdp=b"")
    bob.ring()
    bob.answer()
    flow.hang_up(line, bob.line)
    flow.saw("""
        alice: call <302 >ACK
        alice.2: call <180 <200+ >ACK+ bye
        bob: <INVITE >180 >200+ <ACK+ bye
    """)


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_3_7_session_with_reinvite_ip_address_change(flow, who):
    """A phone moves and says so in a re-INVITE: its Contact and SDP change on its own leg; the
    other leg sees a re-INVITE of the switch, and everything later goes to the new place."""
    alice, bob = flow.phones("alice", "bob")
    line, other = flow.talk(alice, bob)
    near, far = (line, other) if who == "caller" else (other, line)
    near.phone.move(5099)
    far.answers["INVITE"] = 200
    near.reinvite(near.phone.sdp(version=2).replace(b"audio 4000", b"audio 4444"))
    assert near.statuses == [200]
    flow.hang_up(line, other)
    first = {line: "calls", other: "answers"}
    flow.saw(f"""
        {near.phone.name}: {first[near]} >INVITE+ <200+ >ACK bye
        {far.phone.name}: {first[far]} answers bye
    """)
    assert any(b"BYE" in received.data for received in near.phone.endpoint.received)


def test_3_8_unsuccessful_no_answer(refused):
    """The caller gives up while it rings: CANCEL and 487 on both legs."""
    alice, bob = refused.phones("alice", "bob")
    alice.call("bob")
    bob.ring()
    refused.run(20)
    alice.cancel()
    refused.saw("""
        alice: call+ <180 >CANCEL <200 <487 >ACK
        bob: <INVITE+ >180 <CANCEL >200 >487 <ACK
    """)


def test_3_9_unsuccessful_busy(refused):
    """486 crosses."""
    alice, bob = refused.phones("alice", "bob")
    alice.call("bob")
    bob.refuse(486)
    refused.saw("""
        alice: call+ <486 >ACK
        bob: <INVITE+ >486 <ACK
    """)


def test_3_10_unsuccessful_no_response_from_user_agent(refused):
    """The callee is dead: the caller is told, and waits no longer than we do."""
    alice, bob = refused.phones("alice", "bob")
    refused.lossy = True
    bob.silent = True
    alice.call("bob")
    refused.run(40)
    refused.saw("""
        alice: call+ <408 >ACK
        bob: <INVITE+
    """)


def test_3_11_unsuccessful_temporarily_unavailable(refused):
    """480 crosses after the ringing, and says when to try again."""
    alice, bob = refused.phones("alice", "bob")
    line = alice.call("bob")
    bob.ring()
    bob.refuse(480, fields=[("Retry-After", "120")])
    refused.saw("""
        alice: call+ <180 <480 >ACK
        bob: <INVITE+ >180 >480 <ACK
    """)
    assert line.responses[-1].get("Retry-After") in (None, "120")
