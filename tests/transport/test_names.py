"""Names in the DNS, with the resolver faked: what is asked, believed, and for how long."""

import pytest
from twisted.internet.defer import Deferred
from twisted.names import dns
from twisted.names.error import DNSNameError, DNSQueryTimeoutError

from softswitch.transport.names import KEPT, NEGATIVE, Names
from softswitch.transport.search import Pointer, Service


class Server:
    """Notes what it is asked, and answers when told to."""

    def __init__(self):
        self.asked = []

    def _ask(self, kind, name):
        answer = Deferred()
        self.asked.append((kind, name, answer))
        return answer

    def lookupAddress(self, name):  # noqa: N802
        return self._ask("A", name)

    def lookupIPV6Address(self, name):  # noqa: N802
        return self._ask("AAAA", name)

    def lookupService(self, name):  # noqa: N802
        return self._ask("SRV", name)

    def lookupNamingAuthorityPointer(self, name):  # noqa: N802
        return self._ask("NAPTR", name)

    def answer(self, kind, *records, ttl=60, error=None):
        """Answer the oldest question of a kind."""
        index = next(n for n, each in enumerate(self.asked) if each[0] == kind)
        _, name, answer = self.asked.pop(index)
        if error is not None:
            answer.errback(error)
        else:
            headers = [dns.RRHeader(name, each.TYPE, ttl=ttl, payload=each) for each in records]
            answer.callback((headers, [], []))

    @property
    def kinds(self):
        return [kind for kind, _, _ in self.asked]


class World:
    """Names, their server, and the time."""

    def __init__(self):
        self.time = 1000.0
        self.made = 0
        self.server = Server()
        self.names = Names(self._make, lambda: self.time, lambda name, tell: tell(["127.0.0.1"]))
        self.told = []

    def _make(self):
        self.made += 1
        return self.server

    def ask(self, name="gw.example"):
        self.names.look_up(name, self.told.append)

    def ask_service(self, name="_sip._udp.example.org"):
        self.names.look_up_service(name, self.told.append)


@pytest.fixture
def world():
    return World()


def a(address="192.0.2.1"):
    return dns.Record_A(address)


def test_both_families_are_asked_at_once(world):
    """A and AAAA side by side; IPv4 is told first, aliases are passed over."""
    world.ask()
    assert world.server.kinds == ["A", "AAAA"]
    world.server.answer("AAAA", dns.Record_AAAA("2001:db8::1"))
    assert world.told == []
    world.server.answer("A", dns.Record_CNAME("other.example"), a())
    assert world.told == [["192.0.2.1", "2001:db8::1"]]


def test_the_records_of_a_service(world):
    """Priority, weight, port and target (RFC 2782); a service that is not to be had has "."."""
    world.ask_service()
    world.server.answer(
        "SRV", dns.Record_SRV(1, 2, 5070, "gw.example."), dns.Record_SRV(0, 0, 0, "")
    )
    assert world.told == [[Service(1, 2, 5070, "gw.example"), Service(0, 0, 0, ".")]]


def test_the_pointers_of_a_domain(world):
    """NAPTR (RFC 3403 4.1); they are believed like all else."""
    for _ in range(2):
        world.names.look_up_pointers("example.org", world.told.append)
    record = dns.Record_NAPTR(10, 20, b"S", b"sips+d2t", b"", b"_sips._tcp.Host.example")
    world.server.answer("NAPTR", record)
    pointer = Pointer(10, 20, "s", "SIPS+D2T", "_sips._tcp.Host.example")
    world.names.look_up_pointers("example.org", world.told.append)
    assert world.told == [[pointer]] * 3
    assert world.server.kinds == []


def test_what_stands_behind_an_alias_is_of_another_kind(world):
    """A server adds the addresses of the name that an alias means, whatever was asked for (RFC 1034
    4.3.2); they are no pointers, and no services."""
    world.names.look_up_pointers("alias.example", world.told.append)
    world.server.answer("NAPTR", dns.Record_CNAME("other.example"), a())
    world.ask_service()
    world.server.answer("SRV", dns.Record_CNAME("other.example"), a())
    assert world.told == [[], []]


def test_one_question_for_all_who_ask(world):
    """Who asks the same while it is being asked waits for the same answer; others ask their own."""
    world.ask()
    world.ask()
    world.ask("other.example")
    assert world.server.kinds == ["A", "AAAA"] * 2
    world.server.answer("A", a())
    world.server.answer("AAAA", error=DNSNameError())
    assert world.told == [["192.0.2.1"]] * 2


def test_a_slow_name_delays_nobody(world):
    """What is asked later is answered first where its server is quicker."""
    world.ask("slow.example")
    world.ask_service()
    world.server.answer("SRV", dns.Record_SRV(0, 0, 5060, "gw.example"))
    assert world.told == [[Service(0, 0, 5060, "gw.example")]]


@pytest.mark.parametrize(("ttl", "believed"), [(60, 60), (0, 5), (86400, 600)])
def test_believed_as_long_as_the_record_says(world, ttl, believed):
    """Within bounds: five seconds, ten minutes."""
    world.ask()
    world.server.answer("A", a(), ttl=ttl)
    world.server.answer("AAAA")
    world.time += believed - 0.1
    world.ask()
    assert world.told == [["192.0.2.1"]] * 2
    world.time += 0.1
    world.ask()
    assert world.server.kinds == ["A", "AAAA"]


@pytest.mark.parametrize("error", [DNSNameError(), DNSQueryTimeoutError(1), UnicodeError("idna")])
def test_nothing_is_believed_for_a_few_seconds(world, error):
    """No such name, no server that answers, a name that cannot be asked for: the next call does
    not wait again."""
    world.ask_service()
    world.server.answer("SRV", error=error)
    world.time += NEGATIVE - 0.1
    world.ask_service()
    assert world.told == [[], []]
    assert world.server.asked == []
    world.time += 0.1
    world.ask_service()
    assert world.server.kinds == ["SRV"]


def test_old_news_are_better_than_none(world):
    """While no server answers, what was known goes on; a server that says that there is no such
    name is believed (RFC 8767)."""
    world.ask()
    world.server.answer("A", a())
    world.server.answer("AAAA")
    for error, known in ((DNSQueryTimeoutError(1), ["192.0.2.1"]), (DNSNameError(), [])):
        world.time += 600
        world.ask()
        world.server.answer("A", error=error)
        world.server.answer("AAAA", error=error)
        assert world.told[-1] == known


def test_a_name_without_a_dot_is_not_for_the_dns(world):
    """``localhost`` and its like are asked of the system; the DNS client is not even made."""
    world.ask("localhost")
    assert world.told == [["127.0.0.1"]]
    assert world.made == 0


def test_memory_is_bounded(world):
    """Peers can name many hosts: beyond so many all are forgotten."""
    for number in range(KEPT + 1):
        world.ask_service(f"_sip._udp.{number}.example")
        world.server.answer("SRV", error=DNSNameError())
    world.ask_service("_sip._udp.0.example")
    assert world.server.kinds == ["SRV"]
    assert world.made == 1


def test_an_answer_that_cannot_be_read(world):
    """It counts as none, and the name can be asked for again."""
    for _ in range(2):
        world.ask_service()
        world.server.answer("SRV", dns.Record_SRV(1, 2, 5070, b"gw\xff.example"))
        world.time += 2 * NEGATIVE
    assert world.told == [[], []]
