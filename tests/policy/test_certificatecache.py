"""The certificates of signers are fetched once, and kept within bounds."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from twisted.internet.defer import Deferred

from softswitch.errors import IdentityError, TransportError
from softswitch.policy.authorities import Signer
from softswitch.policy.certificatecache import (
    MOST_KEPT,
    MOST_OPEN,
    MOST_WAITING,
    CertificateCache,
    Fetched,
    Keeping,
)
from softswitch.policy.certificatehosts import Place

KEY = ec.generate_private_key(ec.SECP256R1()).public_key()


class World:
    """A cache, its time, and what it has asked for."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.until = 1e9
        self.asked: list[tuple[Place, Deferred[Fetched]]] = []
        self.cache = CertificateCache(self.fetch, self.judge, lambda: self.time, Keeping())

    def fetch(self, place: Place) -> Deferred[Fetched]:
        self.asked.append((place, Deferred()))
        return self.asked[-1][1]

    def judge(self, body: bytes) -> Signer:
        if body == b"worse":
            raise OverflowError
        if body == b"bad":
            raise IdentityError("Unsupported Credential", 437)
        return Signer(body.decode(), KEY, self.until)


@pytest.fixture
def world():
    return World()


def at(number: int) -> Place:
    return Place("cert.example.org", 443, f"/{number}")


def test_as_many_as_want_it_wait_for_one_answer(world):
    """It is asked once, and at hand from then on."""
    told = []
    for _ in range(3):
        world.cache.ask(at(1)).addCallback(told.append)
    assert world.cache.at_hand(at(1)) is None
    [(place, answer)] = world.asked
    answer.callback(Fetched(b"signer"))
    assert place == at(1)
    assert [each.subject for each in told] == ["signer"] * 3
    assert world.cache.at_hand(at(1)) is told[0]


@pytest.mark.parametrize(("max_age", "kept"), [(None, 3600), (0.0, 60), (600.0, 600), (1e9, 86400)])
def test_how_long_it_is_kept(world, max_age, kept):
    """As its host says (RFC 9111 5.2.2), within bounds; and an hour where it does not say."""
    world.cache.ask(at(1))
    world.asked[0][1].callback(Fetched(b"signer", max_age))
    world.time += kept - 1
    assert world.cache.at_hand(at(1)) is not None
    world.time += 1
    assert world.cache.at_hand(at(1)) is None


def test_no_longer_than_the_certificate_is_good(world):
    """Whatever its host says."""
    world.until = world.time + 10
    world.cache.ask(at(1))
    world.asked[0][1].callback(Fetched(b"signer", 600.0))
    world.time += 10
    assert world.cache.at_hand(at(1)) is None


def test_what_failed_is_left_alone_for_a_while(world):
    """Nobody is asked again for a minute, be it that nothing came or that it does not count."""
    told = []
    for number in (1, 2):
        world.cache.ask(at(number)).addCallback(told.append)
    world.asked[0][1].errback(TransportError("no"))
    world.asked[1][1].callback(Fetched(b"bad"))
    assert [each.status for each in told] == [436, 437]
    assert world.cache.at_hand(at(1)).status == 436
    assert world.cache.at_hand(at(2)).status == 437
    world.time += 60
    assert world.cache.at_hand(at(1)) is None
    assert dict(world.cache.counters) == {"failed": 1, "not trusted": 1}


def test_everything_is_bounded(world):
    """Places that are asked at once, calls that wait, and what is kept; failures drive out nothing
    that is good."""
    cache = world.cache
    for number in range(MOST_OPEN):
        cache.ask(at(number))
    told = []
    cache.ask(at(-1)).addCallback(told.append)
    for _ in range(MOST_WAITING):
        cache.ask(at(0)).addCallback(told.append)
    assert len(world.asked) == MOST_OPEN
    assert [each.status for each in told] == [436] * (1 + MOST_OPEN)
    for _, answer in world.asked:
        answer.callback(Fetched(b"signer"))
    for number in range(1000, 1000 + MOST_KEPT + 10):
        cache.ask(at(number))
        world.asked[-1][1].errback(TransportError("no"))
    assert cache.at_hand(at(1000)) is None
    assert cache.at_hand(at(1000 + MOST_KEPT)) is not None
    assert all(isinstance(cache.at_hand(at(number)), Signer) for number in range(MOST_OPEN))


def test_what_breaks_its_reader_is_not_to_be_had(world):
    """Nobody waits for ever."""
    told = []
    world.cache.ask(at(1)).addCallback(told.append)
    world.asked[0][1].callback(Fetched(b"worse"))
    assert [each.status for each in told] == [436]
    assert world.cache.at_hand(at(1)).status == 436


def test_who_has_given_up_is_not_told(world):
    """A policy that was late has been cancelled; the others hear it all the same."""
    told = []
    given_up = world.cache.ask(at(1))
    given_up.addErrback(lambda failure: None)
    world.cache.ask(at(1)).addCallback(told.append)
    given_up.cancel()
    world.asked[0][1].callback(Fetched(b"signer"))
    assert [each.subject for each in told] == ["signer"]
