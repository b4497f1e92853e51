"""Digest access authentication: challenges, credentials, nonces. Pure.

RFC 3261 section 22, RFC 7616 (and 2617, for elements that know no qop), RFC 8760 for the
algorithms beyond MD5. Only qop "auth" is spoken, "auth-int" is not; the session variants are
answered where a peer asks for them, and never asked for.
"""

import hashlib
import hmac
import os
import re
from collections.abc import Container, Iterable
from typing import Final, Literal

from attrs import define

from softswitch.errors import SipSyntaxError
from softswitch.sip.fields import QUOTED_TEXT, TOKEN, quote, split_values, unquote
from softswitch.wheel import Clock

#: Algorithms by the name that stands in a challenge.
ALGORITHMS: Final = ("MD5", "SHA-256", "SHA-512-256")
#: Those that can be answered: the session variants too (RFC 7616 3.4.2).
ANSWERED: Final = (*ALGORITHMS, *[f"{name}-sess" for name in ALGORITHMS])


@define
class Challenge:
    """What WWW-Authenticate and Proxy-Authenticate ask. Never changed once made.

    :ivar realm: what to know the password for.
    :ivar nonce: goes back as it came.
    :ivar algorithm: of ``ANSWERED``, or as written when unknown.
    :ivar qop: what may be chosen from; empty from an RFC 2069 element.
    :ivar opaque: goes back as it came; None when absent.
    :ivar stale: whether only the nonce was wrong, so that the password need not be asked again.
    """

    realm: str
    nonce: str
    algorithm: str = "MD5"
    qop: tuple[str, ...] = ("auth",)
    opaque: str | None = None
    stale: bool = False

    @classmethod
    def parse(cls, text: str) -> "Challenge":
        """Read one challenge.

        :raises SipSyntaxError: when it is no Digest challenge, or lacks realm or nonce.
        """
        params = _digest_params(text)
        return cls(
            _required(params, "realm"),
            _required(params, "nonce"),
            _algorithm(params),
            tuple(word.strip(" \t").lower() for word in params["qop"].split(","))
            if "qop" in params
            else (),
            params.get("opaque"),
            params.get("stale", "").lower() == "true",
        )

    def __str__(self) -> str:
        text = f"Digest realm={quote(self.realm)}, nonce={quote(self.nonce)}"
        text += f", algorithm={self.algorithm}"
        if self.qop:
            text += f', qop="{",".join(self.qop)}"'
        if self.opaque is not None:
            text += f", opaque={quote(self.opaque)}"
        return f"{text}, stale=TRUE" if self.stale else text


@define
class Credentials:
    """What Authorization and Proxy-Authorization prove. Never changed once made.

    :ivar username: whose.
    :ivar realm: of the challenge that is answered.
    :ivar nonce: of that challenge.
    :ivar uri: the digest-uri; whether it fits the Request-URI is for the server to judge.
    :ivar response: the proof, hex.
    :ivar algorithm: of ``ANSWERED``, or as written when unknown.
    :ivar qop: "auth"; None for the proof of RFC 2069.
    :ivar nc: how often the nonce has been used, from 1; None without qop.
    :ivar cnonce: the client's own nonce; None without qop.
    :ivar opaque: of the challenge; None when absent.
    """

    username: str
    realm: str
    nonce: str
    uri: str
    response: str
    algorithm: str = "MD5"
    qop: str | None = None
    nc: int | None = None
    cnonce: str | None = None
    opaque: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Credentials":
        """Read the value of one Authorization field.

        :raises SipSyntaxError: when they are no Digest credentials or not whole.
        """
        params = _digest_params(text)
        qop = params.get("qop")
        nc = params.get("nc")
        if nc is not None and not _NONCE_COUNT.fullmatch(nc):
            raise SipSyntaxError("Bad nonce count")
        if qop is not None and (nc is None or "cnonce" not in params):
            raise SipSyntaxError("qop without nonce count or cnonce")
        return cls(
            _required(params, "username"),
            _required(params, "realm"),
            _required(params, "nonce"),
            _required(params, "uri"),
            _required(params, "response"),
            _algorithm(params),
            None if qop is None else qop.lower(),
            None if qop is None or nc is None else int(nc, 16),
            params.get("cnonce"),
            params.get("opaque"),
        )

    def __str__(self) -> str:
        text = (
            f"Digest username={quote(self.username)}, realm={quote(self.realm)}, "
            f"nonce={quote(self.nonce)}, uri={quote(self.uri)}, "
            f'response="{self.response}", algorithm={self.algorithm}'
        )
        if self.qop is not None:
            text += f", cnonce={quote(self.cnonce or '')}, qop={self.qop}, nc={self.nc or 0:08x}"
        return text if self.opaque is None else f"{text}, opaque={quote(self.opaque)}"


NonceState = Literal["ok", "stale", "replayed", "bad"]


class Nonces:
    """Issues nonces and judges those that come back, without keeping the ones never used.

    A nonce carries its time and a keyed hash. The time is by a clock that nobody sets, from a
    moment by chance, for it is nobody's business how long the machine has been running. Counts may
    come out of order, since UDP reorders: each is taken once, within a window below the highest.

    :ivar lifetime: seconds for which a nonce is good.
    :param secret: 16 to 64 random bytes.
    :param window: how far below the highest a nonce count may lie.
    """

    def __init__(
        self, clock: Clock, secret: bytes, lifetime: float = 300.0, window: int = 64
    ) -> None:
        self._monotonic = clock.monotonic
        self._epoch = int.from_bytes(os.urandom(4))
        self._secret = secret
        self.lifetime = lifetime
        self._window = window
        self._used: dict[str, _Counts] = {}

    def issue(self, host: str = "") -> str:
        """A nonce never issued before.

        :param host: where it is sent, so that it can be known whether it has come back from there;
            it is good everywhere, for phones move.
        """
        mark = self._mac(host)[:8]
        payload = f"{self._now():012x}{os.urandom(4).hex()}{mark}"
        return payload + self._mac(payload)

    def came_back(self, nonce: str, host: str) -> bool:
        """Whether a nonce was sent to a host and comes back from it in time: nobody else writes
        that host's address into his datagrams."""
        match = _NONCE.fullmatch(nonce)
        if match is None or not hmac.compare_digest(self._mac(match[1]), match[2]):
            return False
        fresh = self._is_fresh(match[1])
        return fresh and hmac.compare_digest(match[1][20:], self._mac(host)[:8])

    def check(self, nonce: str, nc: int | None) -> NonceState:
        """Judge a nonce and take its count.

        To be asked only once ``verify`` was satisfied, lest a stranger use counts up.

        :param nc: None without qop, when a nonce can be used as often as one likes.
        :returns: "bad" when it is not ours, "stale" when it is too old, or of a time to come,
            "replayed" when the count was used before or is too far back, else "ok".
        """
        match = _NONCE.fullmatch(nonce)
        if match is None or not hmac.compare_digest(self._mac(match[1]), match[2]):
            return "bad"
        if not self._is_fresh(match[1]):
            return "stale"
        if nc is None:
            return "ok"
        counts = self._used.get(nonce)
        if counts is None:
            now = self._monotonic()
            self._forget(now)
            counts = self._used[nonce] = _Counts(now)
        return "ok" if counts.take(nc, self._window) else "replayed"

    @property
    def kept(self) -> int:
        """Of how many nonces the counts are remembered."""
        return len(self._used)

    def _now(self) -> int:
        """Milliseconds."""
        return int((self._monotonic() + self._epoch) * 1000)

    def _is_fresh(self, payload: str) -> bool:
        return 0 <= self._now() - int(payload[:12], 16) <= self.lifetime * 1000

    def _mac(self, payload: str) -> str:
        return hmac.digest(self._secret, payload.encode("utf-8"), "sha256")[:12].hex()

    def _forget(self, now: float) -> None:
        """Drop the counts of nonces that are stale by now; the first used stand first."""
        while self._used:
            nonce, counts = next(iter(self._used.items()))
            if counts.since + self.lifetime >= now:
                return
            del self._used[nonce]


@define
class _Counts:
    """Which counts of one nonce were used.

    :ivar since: seconds, when the first was.
    :ivar highest: the highest of them.
    :ivar seen: bit n is set when ``highest - n`` was used.
    """

    since: float
    highest: int = 0
    seen: int = 0

    def take(self, nc: int, window: int) -> bool:
        """Whether ``nc`` is new; from now on it is not."""
        ahead = nc - self.highest
        if ahead > 0:
            # A leap is no shift: the peer chooses how far.
            self.seen = (self.seen << ahead | 1) & ((1 << window) - 1) if ahead < window else 1
            self.highest = nc
            return True
        if nc < 1 or -ahead >= window or self.seen >> -ahead & 1:
            return False
        self.seen |= 1 << -ahead
        return True


def ha1(user: str, realm: str, password: str, algorithm: str = "MD5") -> str:
    """The hash of name, realm and password: all that a server must keep (RFC 7616 3.4.2).

    :param algorithm: of ``ALGORITHMS``.
    :returns: lower-case hex.
    """
    return _hash(algorithm, f"{user}:{realm}:{password}")


def verify(credentials: Credentials, ha1_hex: str, method: str) -> bool:
    """Whether the credentials prove knowledge of the password, compared in constant time.

    The nonce, its count and the digest-uri are for the caller to judge.

    :param ha1_hex: of the user, in the credentials' algorithm.
    """
    if credentials.algorithm not in ALGORITHMS or credentials.qop not in (None, "auth"):
        return False
    right = _response(credentials, ha1_hex, method).encode("ascii")
    given = credentials.response.lower().encode("utf-8", "surrogateescape")
    return hmac.compare_digest(right, given)


def answer(
    challenge: Challenge, user: str, ha1_hex: str, method: str, uri: str, nc: int, cnonce: str
) -> Credentials:
    """The credentials that answer a challenge (RFC 7616 3.4, RFC 3261 22.4).

    :param ha1_hex: in the challenge's algorithm; see ``best`` and ``hashed_with``.
    :param uri: the Request-URI.
    :param nc: 1 for the first request with this nonce, and one more for each further one.
    """
    with_qop = "auth" in challenge.qop
    credentials = Credentials(
        user,
        challenge.realm,
        challenge.nonce,
        uri,
        "",
        challenge.algorithm,
        "auth" if with_qop else None,
        nc if with_qop else None,
        cnonce if with_qop else None,
        challenge.opaque,
    )
    credentials.response = _response(credentials, ha1_hex, method)
    return credentials


def best(challenges: Iterable[Challenge], known: Container[str] = ANSWERED) -> Challenge | None:
    """The first challenge that we can answer: the server's order is its wish (RFC 8760 2.4).

    :param known: algorithms for which there is a hash.
    """
    for challenge in challenges:
        fits = challenge.algorithm in known and challenge.algorithm in ANSWERED
        # A session variant without qop would have no cnonce to be computed from.
        if fits and ("auth" in challenge.qop or (not challenge.qop and not _of_session(challenge))):
            return challenge
    return None


def hashed_with(algorithm: str) -> str:
    """The one of ``ALGORITHMS`` whose ``ha1`` answers a challenge with this one of ``ANSWERED``."""
    return algorithm.removesuffix("-sess")


def parse_challenges(lines: Iterable[str]) -> list[Challenge]:
    """Every Digest challenge of these field lines, several on a line or one on each.

    Other schemes and what cannot be read are passed over.

    :param lines: raw values, as of ``Message.all("WWW-Authenticate")``.
    """
    challenges = []
    for line in lines:
        for text in _split_schemes(line):
            try:
                challenges.append(Challenge.parse(text))
            except SipSyntaxError:
                continue
    return challenges


def without_domain(line: str) -> str:
    """A line of challenges without what they say of where the credentials may be used (``domain``,
    RFC 7616 3.3), which names the challenger's own servers; no digest depends on it."""
    kept = []
    scheme = ""
    for element in split_values(line):
        match = _DOMAIN.match(element)
        if match is not None:
            scheme = match[1] or scheme
        else:
            kept.append(scheme + element)
            scheme = ""
    return ", ".join(kept)


def parse_credentials(lines: Iterable[str]) -> list[Credentials]:
    """All Digest credentials of these field lines; others and broken ones are passed over.

    :param lines: raw values, as of ``Message.all("Authorization")``.
    """
    credentials = []
    for line in lines:
        try:
            credentials.append(Credentials.parse(line))
        except SipSyntaxError:
            continue
    return credentials


def _response(credentials: Credentials, ha1_hex: str, method: str) -> str:
    algorithm = hashed_with(credentials.algorithm)
    if _of_session(credentials):
        ha1_hex = _hash(algorithm, f"{ha1_hex}:{credentials.nonce}:{credentials.cnonce}")
    ha2 = _hash(algorithm, f"{method}:{credentials.uri}")
    middle = credentials.nonce
    if credentials.qop is not None:
        middle += f":{credentials.nc or 0:08x}:{credentials.cnonce}:{credentials.qop}"
    return _hash(algorithm, f"{ha1_hex}:{middle}:{ha2}")


def _hash(algorithm: str, text: str) -> str:
    digest = hashlib.new(_HASHES[algorithm], usedforsecurity=False)
    digest.update(text.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _split_schemes(line: str) -> list[str]:
    """The challenges of one line: a scheme begins each, commas part parameters too."""
    challenges: list[list[str]] = []
    for element in split_values(line):
        if not challenges or _SCHEME.match(element):
            challenges.append([element])
        else:
            challenges[-1].append(element)
    return [", ".join(elements) for elements in challenges]


def _digest_params(text: str) -> dict[str, str]:
    """Lower-case name -> unquoted value.

    :raises SipSyntaxError: another scheme, a repeated name, or rubbish.
    """
    if text[:7].lower() != "digest ":
        raise SipSyntaxError("Bad authentication scheme")
    params: dict[str, str] = {}
    position = 7
    while position < len(text):
        match = _PARAM.match(text, position)
        if match is None or (name := match[1].lower()) in params:
            raise SipSyntaxError("Bad authentication parameter")
        params[name] = unquote(match[2])
        position = match.end()
    return params


def _required(params: dict[str, str], name: str) -> str:
    value = params.get(name)
    if value is None:
        raise SipSyntaxError(f"Missing {name}")
    return value


def _algorithm(params: dict[str, str]) -> str:
    name = params.get("algorithm", "MD5")
    return _SPELLED.get(name.upper(), name)


def _of_session(digest: Challenge | Credentials) -> bool:
    return digest.algorithm.endswith("-sess")


_HASHES: Final = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}
_SPELLED: Final = {name.upper(): name for name in ANSWERED}
_SCHEME: Final = re.compile(rf"{TOKEN}[ \t]++{TOKEN}[ \t]*+=")
_DOMAIN: Final = re.compile(rf"({TOKEN}[ \t]++)?domain[ \t]*+=", re.IGNORECASE)
_PARAM: Final = re.compile(
    rf'[ \t]*+({TOKEN})[ \t]*+=[ \t]*+("{QUOTED_TEXT}"|[^\x00-\x20\x7f",]*+)[ \t]*+(?:,|\Z)',
    re.DOTALL,
)
_NONCE_COUNT: Final = re.compile(r"[0-9A-Fa-f]{8}")
_NONCE: Final = re.compile(r"([0-9a-f]{28})([0-9a-f]{24})")
