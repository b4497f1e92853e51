"""Certificates and keys from their files, and the contexts of OpenSSL that are made of them.

A ``Certificates`` is what one reading of the configuration says: which certificates a listener
shows, by the name that the peer asks for (SNI, RFC 6066 3), and whom we believe where we connect. A
reload makes another beside it, and connections that are made later use that. TLS 1.2 and later,
ciphers with forward secrecy alone, no renegotiation, no resumption: who has been let in by a
certificate shows it anew each time.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final
from weakref import WeakKeyDictionary

import attrs
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL

from softswitch.transport import identities
from softswitch.transport.hosts import is_address
from softswitch.transport.listener import Clients

#: For TLS 1.2: forward secrecy and authenticated encryption; TLS 1.3 has no others.
CIPHERS: Final = b"ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL"
#: Certificates between a peer's and the authority's.
MOST_BETWEEN: Final = 8


class UnfitFileError(Exception):
    """A file is not what it should be.

    :ivar key: which of the settings names it: "certificate", "key", "chain", "ca".
    :ivar mend: what is wrong, and what would be right.
    """

    def __init__(self, key: str, mend: str) -> None:
        super().__init__(f"{key}: {mend}")
        self.key = key
        self.mend = mend


@attrs.frozen
class Paths:
    """Files that prove who we are, PEM.

    :ivar certificate: ours; those that follow in the file are the chain to an authority.
    :ivar key: that belongs to it, without a password.
    :ivar chain: more of the chain; None where ``certificate`` has it all.
    """

    certificate: Path
    key: Path
    chain: Path | None = None


@attrs.frozen
class Proof:
    """What those files hold.

    :ivar paths: the files.
    :ivar chain: what leads to an authority, ours apart.
    :ivar key: a private key of ``cryptography``.
    """

    paths: Paths
    certificate: x509.Certificate
    key: Any = attrs.field(repr=False)
    chain: tuple[x509.Certificate, ...] = ()

    @classmethod
    def read(cls, paths: Paths) -> "Proof":
        """
        :raises UnfitFileError: one is missing or broken, or the key is another certificate's.
        """
        first, *rest = certificates_in(paths.certificate, "certificate")
        if paths.chain is not None:
            rest += certificates_in(paths.chain, "chain")
        pem = _bytes(paths.key, "key")
        try:
            key: Any = load_pem_private_key(pem, None)
        except TypeError:
            raise UnfitFileError(
                "key", f"{paths.key} has a password: one without is wanted"
            ) from None
        except (ValueError, UnsupportedAlgorithm):
            raise UnfitFileError("key", f"{paths.key} holds no private key in PEM") from None
        if key.public_key() != first.public_key():
            mend = f"{paths.key} is not the key of the first certificate in {paths.certificate}"
            raise UnfitFileError("key", mend)
        return cls(paths, first, key, tuple(rest))

    @property
    def expires(self) -> datetime:
        """When it, or what leads to the authority, is good no more."""
        every = (self.certificate, *self.chain)
        return min(each.not_valid_after_utc for each in every)


class Server:
    """What a listener shows, and wants to be shown.

    :ivar proofs: the first one for who asks for no name, or for one that none of them bears.
    :param authority: who vouches for clients' certificates.
    """

    def __init__(
        self, proofs: Iterable[Proof], clients: Clients = "none", authority: Path | None = None
    ) -> None:
        self.proofs = tuple(proofs)
        self._clients = clients
        contexts = [self._context(proof, clients, authority) for proof in self.proofs]
        self._first = contexts[0]
        self._by_name: dict[str, SSL.Context] = {}
        for proof, context in zip(self.proofs, contexts, strict=True):
            for name in identities.asked_for(proof.certificate):
                self._by_name.setdefault(name, context)

    def connection(self) -> SSL.Connection:
        """For a peer that has connected."""
        return SSL.Connection(self._first, None)

    def _context(self, proof: Proof, clients: Clients, authority: Path | None) -> SSL.Context:
        context = _context(proof)
        context.set_session_id(b"softswitch")
        context.set_tlsext_servername_callback(self._named)
        if clients != "none":
            assert authority is not None, "somebody vouches for them"
            mode = SSL.VERIFY_PEER
            if clients == "required":
                mode |= SSL.VERIFY_FAIL_IF_NO_PEER_CERT
            context.set_verify(mode, _judge)
            _believe(context, authority)
            context.load_client_ca(bytes(authority))
        return context

    def _named(self, connection: SSL.Connection) -> None:
        """The peer has said whom it wants to talk to."""
        name = (connection.get_servername() or b"").decode("ascii", "replace").lower()
        wildcard = "*." + name.partition(".")[2]
        context = self._by_name.get(name) or self._by_name.get(wildcard)
        if context is not None and context is not self._first:
            connection.set_context(context)


class Client:
    """Whom we believe where we connect, and what we show there.

    :ivar names: one of them must stand in the certificate; empty for the name that is looked for.
    :ivar wildcard: whether ``*.example.org`` stands for it.
    :ivar proof: what we show to those who ask; None for nothing.
    :param authority: who vouches; None for those whom the system believes.
    """

    def __init__(
        self,
        names: Iterable[str] = (),
        wildcard: bool = False,
        authority: Path | None = None,
        proof: Proof | None = None,
    ) -> None:
        self.names = tuple(names)
        self.wildcard = wildcard
        self.proof = proof
        self._context = _context(proof)
        self._context.set_verify(SSL.VERIFY_PEER, _judge)
        _believe(self._context, authority)

    def connection(self, name: str) -> SSL.Connection:
        """For a connection of ours to whoever is called so."""
        connection = SSL.Connection(self._context, None)
        if not is_address(name):
            connection.set_tlsext_host_name(name.encode("ascii", "replace"))
        return connection

    def mistrusts(self, certificate: x509.Certificate | None, name: str) -> str:
        """Why a certificate that an authority vouches for does not belong to whom we look for; ""
        where it does."""
        wanted = self.names or (name,)
        if certificate is not None and identities.bears(certificate, wanted, self.wildcard):
            return ""
        found = "" if certificate is None else ", ".join(sorted(identities.names(certificate)))
        return f"its certificate is for {found or 'nobody'}, not for {' or '.join(wanted)}"


@attrs.frozen(slots=False)
class Certificates:
    """What one reading of the configuration says of certificates.

    :ivar servers: name of a listener -> what it shows.
    :ivar clients: name or address literal to which we connect -> whom we believe there.
    :ivar others: what we prove ourselves by otherwise.
    """

    servers: Mapping[str, Server] = attrs.field(factory=dict)
    clients: Mapping[str, Client] = attrs.field(factory=dict)
    others: tuple[Proof, ...] = ()

    def client(self, name: str) -> Client:
        """Whom we believe where we connect to that name: without settings of its own, those whom
        the system believes."""
        return self.clients.get(name) or self._usual

    @cached_property
    def _usual(self) -> Client:
        return Client()

    def proofs(self) -> list[Proof]:
        """All that we show, each once."""
        shown = list(self.others)
        shown += [proof for server in self.servers.values() for proof in server.proofs]
        shown += [each.proof for each in self.clients.values() if each.proof is not None]
        return list({proof.paths: proof for proof in shown}.values())


def certificates_in(path: Path, key: str) -> list[x509.Certificate]:
    """The certificates of a file, at least one.

    :raises UnfitFileError: it is missing or holds none.
    """
    try:
        return x509.load_pem_x509_certificates(_bytes(path, key))
    except ValueError:
        raise UnfitFileError(key, f"{path} holds no certificate in PEM") from None


def why_mistrusted(connection: SSL.Connection) -> str:
    """What was wrong with the certificate that a peer has shown; "" where nothing was."""
    return _mistrusted.get(connection, "")


def _context(proof: Proof | None) -> SSL.Context:
    """For both directions."""
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_cipher_list(CIPHERS)
    context.set_options(
        SSL.OP_NO_COMPRESSION
        | SSL.OP_NO_RENEGOTIATION
        | SSL.OP_CIPHER_SERVER_PREFERENCE
        | SSL.OP_NO_TICKET
    )
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    # An idle connection gives its buffers back: 34 KB each.
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    if proof is not None:
        try:
            context.use_certificate(proof.certificate)
            context.use_privatekey(proof.key)
            context.check_privatekey()
            for each in proof.chain:
                context.add_extra_chain_cert(each)
        except SSL.Error as error:
            raise UnfitFileError(
                "certificate", f"{proof.paths.certificate}: {said(error)}"
            ) from None
    return context


def _believe(context: SSL.Context, authority: Path | None) -> None:
    context.set_verify_depth(MOST_BETWEEN)
    if authority is None:
        context.set_default_verify_paths()
        return
    certificates_in(authority, "ca")  # for OpenSSL does not say what is wrong
    try:
        context.load_verify_locations(bytes(authority))
    except SSL.Error as error:
        raise UnfitFileError("ca", f"{authority}: {said(error)}") from None


def _judge(connection: SSL.Connection, _: Any, error: int, depth: int, good: int) -> bool:
    """OpenSSL's judgement stands; why it is bad is noted."""
    if not good:
        _mistrusted[connection] = _FAULTS.get(error, f"cannot be verified (error {error})")
    return bool(good)


def said(error: SSL.Error) -> str:
    """An error of OpenSSL in its own words."""
    reasons = error.args[0] if error.args and isinstance(error.args[0], list) else []
    words = [str(each[2]) for each in reasons if len(each) > 2 and each[2]]
    return ", ".join(dict.fromkeys(words)) or str(error) or type(error).__name__


def _bytes(path: Path, key: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnfitFileError(key, f"{path} cannot be read: {error.strerror}") from None


#: What was wrong with certificates, of connections that still live.
_mistrusted: "WeakKeyDictionary[SSL.Connection, str]" = WeakKeyDictionary()

#: Errors of X509_verify_cert that are met in practice.
_FAULTS: Final = {
    2: "an authority in its chain is missing",
    7: "has a bad signature",
    9: "is not valid yet",
    10: "has expired",
    18: "is signed by nobody but itself",
    19: "comes from an authority that is not trusted",
    20: "comes from an authority that is not trusted",
    21: "comes from an authority that is not trusted",
    22: "has too long a chain",
    24: "was signed by somebody who is no authority",
    26: "is not made for this purpose",
    66: "has too weak a key",
    67: "is signed with too weak a key",
    68: "is signed with too weak a hash",
}
