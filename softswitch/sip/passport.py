"""PASSporTs: who calls whom, signed (RFC 8225), and the Identity field that bears them (RFC 8224).

Pure. One is read in its full form, or in the compact one, whose claims are what From, To and Date
of its request say; SHAKEN (RFC 8588) has claims beyond these and thus the full form alone. What is
read was written by strangers: it is bounded before it is decoded, a key that stands twice or a
claim of another type refuses it, and only IdentityError leaves this module. ES256 is the one
algorithm that there is.
"""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from typing import Any, Final

import attrs
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from softswitch.errors import IdentityError
from softswitch.sip.uri import Uri

#: Characters of an Identity value; what is longer is not read.
LONGEST: Final = 8192
#: Numbers and URIs in one "dest".
MOST_CALLED: Final = 32

ALGORITHM: Final = "ES256"
#: The extension of RFC 8588.
SHAKEN: Final = "shaken"

#: Bytes of r and of s of a signature (RFC 7518 3.4).
_HALF: Final = 32


@attrs.frozen
class Claims:
    """What a PASSporT says.

    :ivar orig: the caller: the digits of a number, or where ``by_uri`` a URI.
    :ivar numbers: called: digits.
    :ivar uris: called.
    :ivar iat: when it was made, Unix time, seconds.
    :ivar by_uri: whether the caller has a URI instead of a number.
    :ivar attest: "A", "B" or "C" (RFC 8588 4), "" without SHAKEN.
    :ivar origid: names whence the call came, to the signer (RFC 8588 5); "" without SHAKEN.
    """

    orig: str
    numbers: tuple[str, ...]
    iat: int
    uris: tuple[str, ...] = ()
    by_uri: bool = False
    attest: str = ""
    origid: str = ""

    def payload(self) -> bytes:
        """As it is signed: keys in order, no white space (RFC 8225 9)."""
        dest: dict[str, Any] = {}
        if self.numbers:
            dest["tn"] = list(self.numbers)
        if self.uris:
            dest["uri"] = list(self.uris)
        own = {"attest": self.attest, "origid": self.origid} if self.attest else {}
        caller = {"uri" if self.by_uri else "tn": self.orig}
        return _json({**own, "dest": dest, "iat": self.iat, "orig": caller})


@attrs.frozen
class Identity:
    """One value of an Identity field, its PASSporT not decoded yet (RFC 8224 4).

    :ivar token: three parts in base64url, parted by full stops; two of them empty in the compact
        form.
    :ivar info: where the certificate is to be found.
    :ivar ppt: extension of PASSporT, lower case; "" for none.
    """

    token: str
    info: str
    ppt: str = ""

    @classmethod
    def parse(cls, value: str) -> "Identity":
        """
        :raises IdentityError: it cannot be read, or names an algorithm that we do not know.
        """
        if len(value) > LONGEST:
            raise IdentityError("Identity Too Long", 438)
        token, semicolon, rest = value.partition(";")
        token = token.strip(" \t").strip('"')
        params = _params(semicolon + rest)
        if not _TOKEN.fullmatch(token):
            raise IdentityError("Invalid Identity Header", 438)
        if params.get("alg", ALGORITHM) != ALGORITHM:
            raise IdentityError("Unsupported Credential", 437)
        info = params.get("info", "")
        if not info:
            raise IdentityError("Bad Identity Info", 436)
        return cls(token, info, params.get("ppt", "").lower())

    @property
    def compact(self) -> bool:
        """Whether the claims are left out."""
        return self.token.startswith("..")

    def passport(self) -> "Passport":
        """What the full form holds.

        :raises IdentityError: it is no PASSporT, or one of other terms than the field says.
        """
        head, body, signature = self.token.split(".")
        header, claims = _object(head), _object(body)
        if (
            header.get("typ") != "passport"
            or header.get("alg") != ALGORITHM
            or header.get("x5u") != self.info
            or header.get("ppt", "") != self.ppt
        ):
            raise IdentityError("Invalid Identity Header", 438)
        signed = f"{head}.{body}".encode("ascii")
        return Passport(_claims(claims, self.ppt), signed, _decoded(signature))

    def completed(self, claims: Claims) -> "Passport":
        """What the compact form holds of which the request says the claims.

        :raises IdentityError: its signature cannot be read.
        """
        signed = _signed(self.info, "", claims)
        return Passport(claims, signed, _decoded(self.token[2:]))


@attrs.frozen
class Passport:
    """A PASSporT that was read.

    :ivar claims: what it says.
    :ivar signed: what the signature is made of.
    :ivar signature: r and s.
    """

    claims: Claims
    signed: bytes
    signature: bytes

    def is_signed_by(self, key: EllipticCurvePublicKey) -> bool:
        """Whether the key of a certificate has made its signature."""
        if len(self.signature) != 2 * _HALF:
            return False
        halves = self.signature[:_HALF], self.signature[_HALF:]
        r, s = (int.from_bytes(half, "big") for half in halves)
        try:
            key.verify(encode_dss_signature(r, s), self.signed, ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True


def identity(
    claims: Claims, info: str, key: EllipticCurvePrivateKey, ppt: str = "", compact: bool = False
) -> str:
    """The value of an Identity field that says so.

    :param info: where our certificate is to be found.
    :param key: that belongs to it, of the curve P-256.
    :param ppt: "shaken" where the claims are those of RFC 8588.
    :param compact: leave out what From, To and Date of the request say; not with a ``ppt``.
    """
    signed = _signed(info, ppt, claims)
    r, s = decode_dss_signature(key.sign(signed, ECDSA(hashes.SHA256())))
    raw = r.to_bytes(_HALF, "big") + s.to_bytes(_HALF, "big")
    before = "." if compact else signed.decode("ascii")
    kind = f";ppt={ppt}" if ppt else ""
    return f"{before}.{_encoded(raw)};info=<{info}>;alg={ALGORITHM}{kind}"


def canonical_number(user: str) -> str:
    """The digits of a telephone number as a PASSporT has it (RFC 8224 8.3).

    :param user: user part of a URI without escapes, with or without parameters.
    :returns: "" for what is no number.
    """
    number = user.partition(";")[0].translate(_SEPARATORS).removeprefix("+")
    return number if _NUMBER.fullmatch(number) else ""


def canonical_uri(uri: Uri) -> str:
    """A SIP URI as a PASSporT has it: who, and where, and no more (RFC 8224 8.5)."""
    user = f"{uri.user}@" if uri.user else ""
    return f"{uri.scheme.lower()}:{user}{uri.host.lower()}"


def _signed(info: str, ppt: str, claims: Claims) -> bytes:
    own = {"ppt": ppt} if ppt else {}
    header = _json({"alg": ALGORITHM, **own, "typ": "passport", "x5u": info})
    return f"{_encoded(header)}.{_encoded(claims.payload())}".encode("ascii")


def _params(text: str) -> dict[str, str]:
    """
    :raises IdentityError: they cannot be read, or one stands twice.
    """
    params: dict[str, str] = {}
    position, end = 0, len(text.rstrip(" \t"))
    while position < end:
        match = _PARAM.match(text, position)
        name = match[1].lower() if match else ""
        if match is None or name in params:
            raise IdentityError("Invalid Identity Header", 438)
        value = match[2] or ""
        params[name] = value[1:-1] if value[:1] in ("<", '"') else value
        position = match.end()
    return params


def _claims(found: dict[str, Any], ppt: str) -> Claims:
    orig, dest, iat = found.get("orig"), found.get("dest"), found.get("iat")
    if not isinstance(orig, dict) or len(orig) != 1 or not isinstance(dest, dict):
        raise IdentityError("Invalid Identity Header", 438)
    [(kind, caller)] = orig.items()
    numbers, uris = _listed(dest, "tn", _NUMBER), _listed(dest, "uri", _URI)
    if (
        kind not in ("tn", "uri")
        or not isinstance(caller, str)
        or not (_NUMBER if kind == "tn" else _URI).fullmatch(caller)
        or not (numbers or uris)
        or type(iat) is not int
        or not 0 <= iat < 1 << 53
    ):
        raise IdentityError("Invalid Identity Header", 438)
    attest = origid = ""
    if ppt == SHAKEN:
        attest, origid = found.get("attest", ""), found.get("origid", "")
        if attest not in ("A", "B", "C") or kind != "tn":
            raise IdentityError("Invalid Identity Header", 438)
        if not isinstance(origid, str) or not _ORIGID.fullmatch(origid):
            raise IdentityError("Invalid Identity Header", 438)
    return Claims(caller, numbers, iat, uris, kind == "uri", attest, origid)


def _listed(dest: dict[str, Any], kind: str, grammar: re.Pattern[str]) -> tuple[str, ...]:
    found = dest.get(kind, [])
    if not isinstance(found, list) or len(found) > MOST_CALLED:
        raise IdentityError("Invalid Identity Header", 438)
    if not all(isinstance(each, str) and grammar.fullmatch(each) for each in found):
        raise IdentityError("Invalid Identity Header", 438)
    return tuple(found)


def _object(part: str) -> dict[str, Any]:
    """A JSON object in base64url."""
    try:
        text = _decoded(part).decode("utf-8")
        found = json.loads(text, object_pairs_hook=_each_once, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise IdentityError("Invalid Identity Header", 438) from None
    if not isinstance(found, dict):
        raise IdentityError("Invalid Identity Header", 438)
    return found


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two readers take different ones of a key's values, so there is to be one."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _json(found: dict[str, Any]) -> bytes:
    return json.dumps(found, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()


def _decoded(part: str) -> bytes:
    try:
        return urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except Base64Error:
        raise IdentityError("Invalid Identity Header", 438) from None


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


_PART: Final = "[A-Za-z0-9_-]"
_TOKEN: Final = re.compile(rf"(?:{_PART}+\.{_PART}+|\.)\.{_PART}+")
_PARAM: Final = re.compile(
    r"[ \t]*;[ \t]*([A-Za-z0-9.!%*_+`'~-]+)"
    r"(?:[ \t]*=[ \t]*(<[^<>\"\s]*>|\"[^\"\\]*\"|[^;<>\"\s]+))?"
)
_NUMBER: Final = re.compile("[0-9*#]{1,32}")
_URI: Final = re.compile(r"[a-z]{3,8}:[!-~]{1,255}")
_ORIGID: Final = re.compile("[A-Za-z0-9._:-]{1,64}")
_SEPARATORS: Final = str.maketrans("", "", "-.() ")
