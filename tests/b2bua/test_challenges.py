"""Who challenges our leg, and gets an answer: a trunk, in its realm, at its hosts (RFC 3261 22)."""

import hashlib

import pytest
from zope.interface import implementer

from softswitch.dialog.proof import MOST
from softswitch.plugin.decisions import Follow, Route, Target
from softswitch.plugin.interfaces import IRedirectPolicy, IRouter
from softswitch.sip import compose, digest

GATEWAY, FOREIGN = "127.88.0.101", "127.88.0.66"
REALM = "acme.example"


def asks(text='nonce="n1", qop="auth"', name="WWW-Authenticate", realm=REALM):
    """A challenge field."""
    return (name, f'Digest realm="{realm}", {text}')


@pytest.fixture
def play(make_stage):
    """Alice calls over a trunk: the stage, its gateway, Alice, and her call."""

    def begin(*plug_ins, gateway=GATEWAY, **options):
        trunk = {"addresses": [f"{GATEWAY}:5060"], "username": "acme", "password": "secret"}
        tables = {"trunks": {"carrier": {**trunk, **options}}, "dialog": {"refer": "relay"}}
        stage = make_stage(tables, plug_ins=plug_ins)
        carrier, alice = stage.phone("carrier", host=gateway), stage.phone("alice")
        carrier.can()
        return stage, carrier, alice, alice.call("0123")

    return begin


def proof(request, name="Authorization"):
    """The credentials of a request, None without."""
    value = request.get(name)
    return None if value is None else digest.Credentials.parse(value)


def md5(text):
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def right(given, method):
    """Whether credentials are those of RFC 7616 3.4, computed here from its text."""
    ha1 = md5(f"acme:{given.realm}:secret")
    if given.algorithm == "MD5-sess":
        ha1 = md5(f"{ha1}:{given.nonce}:{given.cnonce}")
    middle = [given.nonce]
    if given.qop:
        middle += [f"{given.nc:08x}", given.cnonce, given.qop]
    return given.response == md5(":".join([ha1, *middle, md5(f"{method}:{given.uri}")]))


@pytest.mark.parametrize(
    ("challenge", "algorithm", "qop"),
    [
        ('nonce="n1"', "MD5", None),
        ('nonce="n1", qop="auth"', "MD5", "auth"),
        ('nonce="n1", qop="auth-int,auth", algorithm=md5', "MD5", "auth"),
        ('nonce="n1", qop="auth", algorithm=md5-SESS', "MD5-sess", "auth"),
    ],
)
def test_with_and_without_qop(play, challenge, algorithm, qop):
    """The proof of RFC 2617 or of RFC 2069; "auth" of what is offered; opaque goes back."""
    _, carrier, alice, line = play()
    carrier.refuse(401, fields=[asks(challenge + ', opaque="o\\"p"')])
    given = proof(carrier.line.invite)
    assert (given.username, given.algorithm, given.qop) == ("acme", algorithm, qop)
    assert given.opaque == 'o"p'
    assert given.nc == (1 if qop else None)
    assert given.uri == carrier.line.invite.uri
    assert right(given, "INVITE")
    carrier.answer()
    assert line.statuses == [200]
    alice.hang_up()


@pytest.mark.parametrize(
    "challenge",
    [
        'nonce="n1", qop="auth-int"',
        'nonce="n1", algorithm=NEW-1',
        'nonce="n1", algorithm=MD5-sess',
        'opaque="without a nonce"',
    ],
)
def test_what_cannot_be_answered_is_not(play, challenge):
    """An unknown algorithm, integrity alone, a session without qop, no nonce: the call fails
    after one INVITE."""
    _, carrier, _, line = play()
    carrier.refuse(401, fields=[asks(challenge)])
    assert line.statuses == [403]
    assert len(carrier.lines) == 1


@pytest.mark.parametrize(
    "lines",
    [
        ['Basic realm="x"', asks('nonce="a", algorithm=NEW-1')[1], asks('nonce="b"')[1]],
        [", ".join([asks('nonce="a", algorithm=NEW-1')[1], asks('nonce="b", qop="auth"')[1]])],
        [asks('nonce="b", algorithm=SHA-256, qop="auth"')[1], asks('nonce="c"')[1]],
    ],
)
def test_several_challenges(play, lines):
    """In one line or in several, the first that we know is answered, and no other (RFC 8760)."""
    _, carrier, _, line = play()
    carrier.refuse(401, fields=[("WWW-Authenticate", value) for value in lines])
    invite = carrier.line.invite
    (given,) = invite.all("Authorization")
    assert digest.Credentials.parse(given).nonce == "b"
    carrier.refuse(486)
    assert line.statuses == [486]


def test_a_stale_nonce(play):
    """The same password with the new nonce (RFC 7616 3.3)."""
    _, carrier, _, line = play()
    carrier.refuse(401, fields=[asks('nonce="n1", qop="auth"')])
    carrier.refuse(401, fields=[asks('nonce="n2", qop="auth", stale=TRUE')])
    given = proof(carrier.line.invite)
    assert (given.nonce, given.nc) == ("n2", 1)
    assert right(given, "INVITE")
    carrier.refuse(486)
    assert line.statuses == [486]


def test_a_nonce_that_is_always_stale(play):
    """Whoever challenges every answer anew is given up on."""
    _, carrier, _, line = play()
    for number in range(MOST + 1):
        carrier.refuse(401, fields=[asks(f'nonce="n{number}", stale=true')])
    assert line.statuses == [403]
    assert len(carrier.lines) == MOST + 1


def test_the_same_nonce_is_not_stale(play):
    """It would be answered with the same."""
    _, carrier, _, line = play()
    for _ in range(2):
        carrier.refuse(401, fields=[asks('nonce="n1", stale=true')])
    assert line.statuses == [403]
    assert len(carrier.lines) == 2


def test_another_realm(play):
    """Only the trunk's is answered; beside another one it is."""
    _, carrier, _, line = play(realm=REALM)
    carrier.refuse(407, fields=[asks(name="Proxy-Authenticate", realm="evil.example")])
    assert line.statuses == [403]
    assert len(carrier.lines) == 1
    _, carrier, _, line = play(realm=REALM)
    carrier.refuse(401, fields=[asks(realm="evil.example"), asks()])
    assert proof(carrier.line.invite).realm == REALM
    carrier.refuse(486)


def test_a_proxy_and_the_server_behind_it(play):
    """First one asks, then the other: the second answer bears both, and the proxy's nonce is
    counted on (RFC 3261 22.3)."""
    _, carrier, _, _ = play()
    carrier.refuse(407, fields=[asks(name="Proxy-Authenticate", realm="edge")])
    carrier.refuse(401, fields=[asks()])
    invite = carrier.line.invite
    by_proxy, by_server = proof(invite, "Proxy-Authorization"), proof(invite)
    assert (by_proxy.realm, by_proxy.nc) == ("edge", 2)
    assert (by_server.realm, by_server.nc) == (REALM, 1)
    assert right(by_proxy, "INVITE")
    assert right(by_server, "INVITE")
    assert invite.cseq.number == 3
    carrier.refuse(486)


@pytest.mark.parametrize("status", [401, 407])
def test_challenges_of_both_at_once(play, status):
    """A forking proxy puts all challenges into one response (RFC 3261 16.7): all are answered."""
    _, carrier, _, _ = play()
    fields = [
        asks(),
        asks('nonce="p"', "Proxy-Authenticate", "edge"),
        asks('nonce="q"', "Proxy-Authenticate", "core"),
    ]
    carrier.refuse(status, fields=fields)
    invite = carrier.line.invite
    found = [digest.Credentials.parse(each).realm for each in invite.all("Proxy-Authorization")]
    assert sorted(found) == ["core", "edge"]
    assert proof(invite).realm == REALM
    carrier.refuse(486)


def test_what_was_proven_once_is_proven_at_once(play):
    """The ACK bears the INVITE's credentials (RFC 3261 22.1); later requests their own, with a
    count that rises (RFC 7616 3.4), so that they are not challenged."""
    _, carrier, alice, line = play()
    carrier.refuse(401, fields=[asks()])
    carrier.answer()
    ack = carrier.line.got("ACK")
    assert ack.get("Authorization") == carrier.line.invite.get("Authorization")
    line.request("INFO")
    line.reinvite(line.described)
    carrier.answer()
    alice.hang_up()
    given = [proof(carrier.line.got(method)) for method in ("INFO", "INVITE", "BYE")]
    assert [each.nc for each in given] == [2, 3, 4]
    assert all(map(right, given, ("INFO", "INVITE", "BYE")))


@pytest.mark.parametrize("status", [401, 407])
@pytest.mark.parametrize("method", ["INFO", "UPDATE", "REFER", "MESSAGE", "BYE", "INVITE"])
def test_challenges_within_the_dialog(play, method, status):
    """Any request of ours may be challenged, and is sent again with proof, once."""
    stage, carrier, alice, line = play()
    carrier.answer()
    carrier.line.answers[method] = 0
    if method == "INVITE":
        line.reinvite(line.described)
    elif method == "UPDATE":
        line.update(line.described)
    elif method == "REFER":
        line.refer("sip:else@127.88.0.1")
    else:
        line.request(method)
    asked = carrier.line.got(method)
    asks_by, proves_by = {
        401: ("WWW-Authenticate", "Authorization"),
        407: ("Proxy-Authenticate", "Proxy-Authorization"),
    }[status]
    carrier.line.respond(status, to=asked, fields=[asks(name=asks_by)])
    again = carrier.line.got(method)
    assert again.cseq.number == asked.cseq.number + 1
    given = proof(again, proves_by)
    assert (given.nonce, given.nc) == ("n1", 1)
    assert right(given, method)
    carrier.line.respond(status, to=again, fields=[asks(name=asks_by)])
    assert carrier.line.got(method) is again
    stage.run(1)
    if not line.over:
        carrier.line.answers["BYE"] = 200
        alice.hang_up()
    assert proof(carrier.line.got("BYE"), proves_by)


def test_a_challenged_prack(play):
    """PRACK too (RFC 3262 4): it may be challenged, as any request (RFC 3261 22.1)."""
    _, carrier, alice, _ = play(dialog={"reliable": "supported"})
    carrier.can("100rel")
    carrier.line.answers["PRACK"] = 0
    carrier.ring(183, sdp=carrier.sdp(), reliable=True)
    asked = carrier.line.got("PRACK")
    carrier.line.respond(407, to=asked, fields=[asks(name="Proxy-Authenticate")])
    again = carrier.line.got("PRACK")
    assert again.cseq.number == asked.cseq.number + 1
    assert again.get("RAck") == asked.get("RAck")
    assert right(proof(again, "Proxy-Authorization"), "PRACK")
    carrier.line.answers["PRACK"] = 200
    carrier.line.request_received(again, carrier.switch)
    carrier.answer()
    alice.hang_up()


@implementer(IRouter, IRedirectPolicy)
class Elsewhere:
    """Every call goes to a foreign host over the trunk, or is sent there by a redirection."""

    def __init__(self, target=None):
        self.target = target

    def route(self, invite):
        return None if self.target is None else Route([self.target])

    def redirected(self, call, contacts):
        return Follow([Target(uri, trunk="carrier") for uri in contacts])


def test_a_foreign_target(play):
    """Credentials are the trunk's: at another host, whatever trunk a policy names, they are not
    shown."""
    target = Target(f"sip:1@{FOREIGN}:5060", trunk="carrier")
    _, foreign, _, line = play(Elsewhere(target), gateway=FOREIGN)
    foreign.refuse(401, fields=[asks()])
    assert line.statuses == [403]
    assert len(foreign.lines) == 1


def test_a_redirection_to_a_foreign_host(play):
    """Nor where the trunk's own redirection leads."""
    stage, carrier, _, line = play(Elsewhere())
    foreign = stage.phone("foreign", host=FOREIGN)
    carrier.private = f"<sip:2@{FOREIGN}:5060>"
    carrier.refuse(302)
    foreign.refuse(407, fields=[asks(name="Proxy-Authenticate")])
    assert line.statuses == [403]
    assert len(foreign.lines) == 1


def test_a_trunk_that_names_a_foreign_contact(play):
    """The dialog's target is where the trunk says; proof and answers to challenges go to the
    trunk's hosts only, those in its networks included."""
    for host, known in ((FOREIGN, False), ("127.88.0.67", True)):
        networks = [f"{GATEWAY}/32", *(["127.88.0.67/32"] if known else [])]
        stage, carrier, _, line = play(networks=networks)
        other = stage.peer(host)
        carrier.refuse(401, fields=[asks()])
        carrier.private = f"<sip:far@{host}:5060>"
        carrier.answer()
        carrier.line.invite = None
        other.expect("ACK")
        line.request("BYE")
        bye = other.expect("BYE")
        assert (proof(bye) is not None) is known
        other.send(compose.response(bye, 401, fields=[asks('nonce="n2"')]))
        if known:
            assert proof(other.expect("BYE")).nonce == "n2"
        assert other.unread == []


def test_who_has_called_us_may_challenge(make_stage):
    """Our requests in a call that came from the trunk are answered for, too."""
    trunk = {"addresses": [GATEWAY], "username": "acme", "password": "secret"}
    stage = make_stage({"trunks": {"carrier": trunk}})
    carrier, alice = stage.phone("carrier", host=GATEWAY), stage.phone("alice")
    line = carrier.call("alice")
    alice.answer()
    line.answers["BYE"] = 0
    alice.hang_up()
    line.respond(407, to=line.got("BYE"), fields=[asks(name="Proxy-Authenticate")])
    again = line.got("BYE")
    assert right(proof(again, "Proxy-Authorization"), "BYE")
    line.respond(200, to=again)


def test_a_fork_that_loses_is_ended_with_proof(play):
    """The BYE of a second answer bears the credentials that are known (RFC 3261 13.2.2.4)."""
    _, carrier, alice, _ = play()
    carrier.refuse(401, fields=[asks()])
    invite = carrier.line.invite
    carrier.answer()
    carrier.line.respond(200, tag="fork", sdp=carrier.sdp(), to=invite)
    bye = carrier.line.got("BYE")
    assert bye.to.tag == "fork"
    assert right(proof(bye), "BYE")
    alice.hang_up()
