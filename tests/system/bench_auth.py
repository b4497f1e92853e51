"""Whether the time of an answer tells which users there are: ``scripts/bench auth``.

The whole switch on the loop network is sent requests with credentials that prove nothing: those of
a user whom it knows, with a wrong password, and those of one whom it does not know, in turn, some
thousands of each, in an order of chance within each pair. Everything else about them is alike. What
counts is the thread's CPU time from the datagram to its answer; of all of a kind the median.
"""

import gc
import time
from random import Random
from statistics import median
from typing import Any

from softswitch.sip import compose, digest
from softswitch.sip.message import Request, Response
from softswitch.sip.parser import parse
from softswitch.testing.stage import Stage

#: What the issue asks for: by so much may the medians differ.
GREATEST_DIFFERENCE = 0.05

#: Pairs of answers, after those that warm the caches.
PAIRS, WARM = 4000, 300

SWITCH, HOST = "127.88.0.1", "127.88.9.9"
KNOWN, UNKNOWN = "alice", "nobod"

#: A door at which nobody is turned away.
OPEN = {"per_second": 0, "strangers_per_second": 0, "ban_score": 0}


class Guesser:
    """Whoever tries passwords.

    :param method: of its requests.
    :param algorithm: of its credentials.
    """

    def __init__(self, stage: Stage, method: str, algorithm: str) -> None:
        self._stage = stage
        self._method = method
        self._algorithm = algorithm
        self._port = stage.network.attach(HOST, 5060)
        self._listener = stage.house.listeners[0].name
        self._count = 0
        challenge = self._answer(self._request(KNOWN, ""))[1]
        (self._challenge,) = digest.parse_challenges(challenge.all("WWW-Authenticate"))

    def guess(self, user: str) -> float:
        """Seconds that the answer to a wrong password of a user takes."""
        self._count += 1
        uri = f"sip:{SWITCH}"
        secret = digest.ha1(user, self._challenge.realm, "wrong", self._algorithm)
        credentials = digest.answer(
            self._challenge, user, secret, self._method, uri, self._count, "cnonce"
        )
        took, answer = self._answer(self._request(user, str(credentials)))
        if answer.status != 401:
            raise RuntimeError(f"{user} was answered with {answer.status}")
        return took

    def _request(self, user: str, credentials: str) -> Request:
        fields = [
            ("Via", f"SIP/2.0/UDP {HOST}:5060;branch={compose.new_branch()};rport"),
            ("Max-Forwards", "70"),
            ("From", f"<sip:{user}@{SWITCH}>;tag={compose.new_tag()}"),
            ("To", f"<sip:{user}@{SWITCH}>"),
            ("Call-ID", compose.new_call_id(HOST)),
            ("CSeq", f"1 {self._method}"),
            ("Contact", f"<sip:{user}@{HOST}>"),
        ]
        if credentials:
            fields.append(("Authorization", credentials))
        return Request(self._method, f"sip:{SWITCH}", fields)

    def _answer(self, request: Request) -> tuple[float, Response]:
        transport, data = self._stage.house.transport, request.encode()
        begun = time.thread_time()
        flow, _ = transport.enter(data, self._listener, HOST, 5060)
        if flow is not None:
            transport.received(data, flow)
        took = time.thread_time() - begun
        self._stage.settle()
        answer = parse(self._port.received.pop().data)
        self._stage.network.log.clear()
        if not isinstance(answer, Response):
            raise RuntimeError("a request came instead of an answer")
        return took, answer


def measure() -> list[str]:
    """Print the medians beside each other; what was missed."""
    missed = []
    for method in ("REGISTER", "INVITE"):
        for algorithm in ("MD5", "SHA-256"):
            known, unknown = compared(method, algorithm)
            difference = abs(known / unknown - 1)
            what = f"{method}, {algorithm}"
            print(
                f"{what:<18} a known user {known * 1e6:>6.1f} us, an unknown one"
                f" {unknown * 1e6:>6.1f} us: {difference:.1%} of {GREATEST_DIFFERENCE:.0%}"
            )
            if difference > GREATEST_DIFFERENCE:
                missed.append(f"{what}: {difference:.1%}")
    for each in missed:
        print(f"MISSED {each}")
    return missed


def compared(method: str, algorithm: str) -> tuple[float, float]:
    """Seconds that the answer takes to a wrong password of a known user, and to an unknown user."""
    config: dict[str, Any] = {"auth": {"algorithms": [algorithm]}, "door": OPEN}
    took: dict[str, list[float]] = {KNOWN: [], UNKNOWN: []}
    random = Random(1)
    with Stage(config) as stage:
        guesser = Guesser(stage, method, algorithm)
        gc.collect()
        gc.disable()
        try:
            for pair in range(WARM + PAIRS):
                for user in random.sample((KNOWN, UNKNOWN), 2):
                    seconds = guesser.guess(user)
                    if pair >= WARM:
                        took[user].append(seconds)
        finally:
            gc.enable()
    return median(took[KNOWN]), median(took[UNKNOWN])
