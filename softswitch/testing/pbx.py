"""A test PBX: a registrar that knows passwords, calls its phones and is called. Pure."""

from softswitch.sip import compose, digest
from softswitch.sip.fields import NameAddr
from softswitch.sip.message import Field, Request
from softswitch.testing.ladder import Address
from softswitch.testing.line import Line
from softswitch.testing.phone import Phone

REALM = "pbx"


class Pbx(Phone):
    """A registrar by RFC 3261 10.3, as simple as it can be, and a phone at the same address.

    :ivar users: name -> password; whoever is not here gets 404.
    :ivar contacts: name -> the contacts that it has registered: URI -> Contact value.
    :ivar registers: every REGISTER that came, copies apart.
    :ivar challenges: whether it wants passwords, of a REGISTER.
    :ivar challenges_calls: whether it wants them of any other request that makes a dialog.
    :ivar grants: seconds that a contact gets at most.
    :ivar min_expires: seconds; who asks for fewer gets 423.
    :ivar refusal: status with which it answers every REGISTER; 0 for none.
    :ivar says: header fields of every answer to a REGISTER.
    """

    def __init__(self, *args: object, **named: object) -> None:
        super().__init__(*args, **named)  # type: ignore[arg-type]
        self.users: dict[str, str] = {}
        self.contacts: dict[str, dict[str, str]] = {}
        self.registers: list[Request] = []
        self.challenges = True
        self.challenges_calls = False
        self.grants = 3600
        self.min_expires = 0
        self.refusal = 0
        self.says: list[Field] = []

    def restart(self) -> None:
        """Forget who has registered."""
        self.contacts.clear()

    def token(self, name: str) -> str:
        """The URI under which it knows a user's only contact."""
        (uri,) = self.contacts[name]
        return uri

    def _serve(self, request: Request, line: Line | None, source: Address) -> None:
        if request.method == "REGISTER":
            self.registers.append(request)
            self._answer(request, source, *self._register(request))
            return
        new = request.to.tag is None and request.method in ("INVITE", "SUBSCRIBE", "MESSAGE")
        if new and self.challenges_calls and not self._knows(request):
            self._answer(request, source, 401, [self._challenge()])
        else:
            super()._serve(request, line, source)

    def _answer(self, request: Request, source: Address, status: int, fields: list[Field]) -> None:
        tag = compose.new_tag()
        fields = [*fields, *self.says]
        self.respond(request, compose.response(request, status, to_tag=tag, fields=fields), source)

    def _register(self, request: Request) -> tuple[int, list[Field]]:
        name = request.to.uri.unquoted_user
        if self.refusal:
            return self.refusal, []
        if name not in self.users:
            return 404, []
        if self.challenges and not self._knows(request):
            return 401, [self._challenge()]
        known = self.contacts.setdefault(name, {})
        if request.star:
            known.clear()
            return 200, []
        for contact in request.contacts:
            seconds = request.expires if contact.expires is None else contact.expires
            seconds = 3600 if seconds is None else seconds
            if 0 < seconds < self.min_expires:
                return 423, [("Min-Expires", str(self.min_expires))]
            known.pop(str(contact.uri), None)
            if seconds:
                params = {**contact.params, "expires": str(min(seconds, self.grants))}
                known[str(contact.uri)] = str(NameAddr("", contact.uri, params))
        return 200, [("Contact", value) for value in known.values()]

    def _challenge(self) -> Field:
        nonce = compose.new_tag()
        return ("WWW-Authenticate", str(digest.Challenge(REALM, nonce)))

    def _knows(self, request: Request) -> bool:
        """Whether the credentials are those of whoever is in From."""
        for given in digest.parse_credentials(request.all("Authorization")):
            password = self.users.get(given.username)
            if given.realm == REALM and password is not None:
                hashed = digest.ha1(given.username, REALM, password, given.algorithm)
                right = digest.verify(given, hashed, request.method)
                return right and request.from_.uri.unquoted_user == given.username
        return False
