"""A flow: a stage whose ladder is compared leg by leg, and looked through at the end."""

import pytest

from softswitch.machine import unexpected
from softswitch.sip.message import Request, Response
from softswitch.testing.legs import rows, steps
from softswitch.testing.media import CountingEngine
from softswitch.testing.stage import CONFIG, Stage

SWITCH = "127.88.0.1"

#: What stands for more than one word in an expected row.
WORDS = {
    "call": ">INVITE <401 >ACK >INVITE",
    "call+": ">INVITE+ <401 >ACK >INVITE+",
    "calls": ">INVITE+ <401 >ACK >INVITE+ <200+ >ACK",
    "answers": "<INVITE+ >200+ <ACK",
}


class Flow(Stage):
    """A stage for one flow.

    :ivar hangs_up: "caller" or "callee".
    :ivar lossy: whether a request may stay without an answer.
    :ivar shown: hosts of phones that others may see.
    """

    def __init__(self, tables=None, *, hangs_up="caller", **options):
        users = {name: {"password": name} for name in ("alice", "bob", "carol", "dave")}
        options.setdefault("engine", lambda clock: CountingEngine())
        super().__init__({"users": users, **(tables or {})}, **options)
        self.hangs_up = hangs_up
        self.lossy = False
        self.shown = set()
        self._hung_up = set()
        self._from = 0

    def phones(self, *names, can=None):
        """Registered phones; the ladder begins here.

        :param can: option tags of phones that serve every method; None for plain ones.
        """
        made = [self.phone(name) for name in names]
        for phone in made:
            if can is not None:
                phone.can(*can)
        self.begin()
        return made

    def begin(self):
        """The ladder begins here."""
        self._from = len(self.network.log)

    def talk(self, caller, callee, **options):
        """A call that was answered: both lines."""
        line = caller.call(callee.name, **options)
        self.run(1)
        callee.answer()
        self.run(1)
        assert line.statuses[-1] == 200
        return line, callee.line

    def hang_up(self, caller, callee):
        """Who hangs up, does."""
        line, other = (caller, callee) if self.hangs_up == "caller" else (callee, caller)
        self._hung_up.add(line.call_id)
        line.request("BYE")
        self.run(1)
        assert line.final == 200
        assert other.over

    def steps(self):
        """What the legs saw."""
        return list(steps(self.network.log[self._from :], self._names))

    def rows(self):
        """What the legs saw, as rows of words."""
        return rows(self.steps())

    def saw(self, text):
        """Compare what each leg saw with rows of words; "bye" is a hang-up by whoever does."""
        taken = self.steps()
        hung_up = {step.leg for step in taken if step.message.call_id in self._hung_up}
        expected = {}
        for row in filter(None, map(str.strip, text.splitlines())):
            leg, _, words = row.partition(":")
            bye = ">BYE <200" if leg in hung_up else "<BYE >200"
            spelt = [bye if word == "bye" else WORDS.get(word, word) for word in words.split()]
            expected[leg] = " ".join(spelt)
        assert rows(taken) == expected

    def close(self):
        """Also that the legs are kept apart, whatever was played."""
        super().close()
        assert not self.engine or not self.engine.sessions
        taken = self.steps()
        legs_are_their_own(taken)
        sequence_numbers_go_up_by_one(taken)
        versions_go_up_by_one(taken)
        nobody_sees_the_other(taken, dict(self._names), self.shown)
        if not self.lossy:
            every_request_is_answered_once(taken)


def legs_are_their_own(taken):
    """No Call-ID and no tag of the switch or of a phone is seen on two legs; every Via and Contact
    that the switch sends is its own (RFC 3261 6, "Back-to-Back User Agent")."""
    calls, tags = {}, {}
    for leg, sent, message, _ in taken:
        assert calls.setdefault(message.call_id, leg) == leg
        for tag in filter(None, (message.from_.tag, message.to.tag)):
            assert tags.setdefault(tag, leg) == leg, f"tag {tag} of {tags[tag]} came to {leg}"
        if not sent and isinstance(message, Request):
            assert [via.host for via in message.vias] == [SWITCH]
        if not sent and message.cseq.method not in ("REGISTER", "PUBLISH"):
            status = getattr(message, "status", 0)
            if not 300 <= status < 400:
                assert all(contact.uri.host == SWITCH for contact in message.contacts)


def sequence_numbers_go_up_by_one(taken):
    """Each new request of the switch within a dialog (RFC 3261 12.2.1.1); ACK and CANCEL have
    their INVITE's."""
    last = {}
    for leg, sent, message, _ in taken:
        if sent or not isinstance(message, Request) or message.method == "CANCEL":
            continue
        dialog = leg, message.from_.tag, message.to.tag
        first = last.get((leg, message.from_.tag, None))
        number, before = message.cseq.number, last.get(dialog, first)
        if message.method == "ACK":
            assert number <= (before or 0)
            continue
        assert before is None or number == before + 1, f"{leg}: {message} has CSeq {number}"
        last[dialog] = number


def versions_go_up_by_one(taken):
    """o= of what the switch describes stays on each leg, but for its version: the same for the
    same description, one more for another (RFC 3264 8)."""
    last = {}
    for leg, sent, message, _ in taken:
        if sent or message.content_type != "application/sdp":
            continue
        lines = message.body.decode().split("\r\n")
        origin = lines[1].split(" ")
        version = int(origin.pop(2))
        rest = "\r\n".join(lines[2:])
        if leg in last:
            old_origin, old_version, old_rest = last[leg]
            assert origin == old_origin, leg
            assert version == old_version + (rest != old_rest), f"{leg}: {message}"
        last[leg] = origin, version, rest


def nobody_sees_the_other(taken, names, shown):
    """What comes to a phone names no other phone's address."""
    hosts = {host: name for host, name in names.items() if name != "switch" and host not in shown}
    for leg, sent, message, _ in taken:
        text = "" if sent else message.encode().decode(errors="replace")
        for host, name in hosts.items():
            own = leg.partition(".")[0] == name
            assert own or f"{host}:" not in text, f"{leg} sees {name}: {text}"


def every_request_is_answered_once(taken):
    """With one final status, an ACK with none."""
    finals = {}
    for leg, _, message, _ in taken:
        key = leg, message.from_.tag, message.top_via.branch, message.cseq.method
        if isinstance(message, Request) and message.method != "ACK":
            finals.setdefault(key, set())
        elif isinstance(message, Response) and message.status >= 200:
            finals[key].add(message.status)
    assert {key: found for key, found in finals.items() if len(found) != 1} == {}


PASSED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Keep whether the test itself went well."""
    report = yield
    if report.when == "call":
        item.stash[PASSED] = report.passed
    return report


@pytest.fixture
def make_flow(request):
    """Makes flows; each must be left empty, unless the test failed. Its ladder is shown then."""
    made = []

    def make(tables=None, **options):
        made.append(Flow(tables, **options))
        return made[-1]

    yield make
    for flow in made:
        print(flow.ladder())
        if request.node.stash.get(PASSED, False):
            flow.close()


@pytest.fixture(autouse=True)
def nothing_is_unexpected(request):
    """No state machine meets an event that its state does not know."""
    before = unexpected.copy()
    yield
    if request.node.stash.get(PASSED, False):
        assert unexpected - before == {}


@pytest.fixture(params=["UDP", "TCP"])
def transport(request):
    """Of every phone."""
    return request.param


@pytest.fixture(params=["caller", "callee"])
def hangs_up(request):
    """Who hangs up in the end."""
    return request.param


@pytest.fixture
def flow(make_flow, transport, hangs_up):
    """Every transport, and whoever hangs up."""
    return make_flow(transport=transport, hangs_up=hangs_up)


@pytest.fixture
def refused(make_flow, transport):
    """A flow in which nobody hangs up."""
    return make_flow(transport=transport)


@pytest.fixture
def race(make_flow, transport, hangs_up):
    """A flow in which everything takes 0.1 s: flow, Alice, Bob."""
    flow = make_flow(transport=transport, hangs_up=hangs_up, delay=0.1)
    phones = flow.phones("alice", "bob")
    flow.run(2)
    flow.begin()
    return flow, *phones


@pytest.fixture
def trunked(make_flow, transport, hangs_up):
    """A flow with a trunk of two gateways, which is reached by dialling 0 first: flow, gateways,
    Alice."""
    hosts = ("127.88.0.101", "127.88.0.102")
    trunk = {
        "addresses": [f"{host}:5060" for host in hosts],
        "transport": transport.lower(),
        "username": "acme",
        "password": "secret",
    }
    rule = {"match": "0.+", "strip": 1, "trunk": "carrier"}
    policy = [{"use": "dialplan", "rules": [rule]}, *CONFIG["policy"]]
    made = make_flow(
        {"trunks": {"carrier": trunk}, "policy": policy}, transport=transport, hangs_up=hangs_up
    )
    gateways = [made.phone(f"gateway{n}", host=host) for n, host in enumerate(hosts, 1)]
    return made, gateways, *made.phones("alice")
