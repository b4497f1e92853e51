"""The switch is the notifier of its users' registrations, event ``reg`` (RFC 3680). Pure."""

from collections.abc import Callable
from hashlib import blake2b
from xml.sax.saxutils import escape, quoteattr

from softswitch.dialog.stateagent import document
from softswitch.plugin.views import Identity
from softswitch.registrar.bindings import Binding, Bindings, Change


class Registrations:
    """Writes down where a user is registered.

    :ivar changed: told of a user who is registered otherwise now; assigned before anything
        happens.
    :param domain: the one name that stands for all served domains.
    :param now: wall-clock seconds, the same as the bindings'.
    """

    name = "reg"
    content_type = "application/reginfo+xml"

    def __init__(
        self, bindings: Bindings, domain: Callable[[], str], now: Callable[[], float]
    ) -> None:
        self.changed: Callable[[str], None]
        self._bindings = bindings
        self._domain = domain
        self._now = now
        bindings.observers.append(self._noted)

    def allows(self, watcher: Identity, user: str) -> bool:
        """Everybody his own."""
        return watcher.kind == "user" and watcher.name == user

    def document(self, user: str, version: int) -> bytes:
        """All contacts of a user (RFC 3680 5)."""
        aor = f"{user}@{self._domain()}"
        contacts = self._bindings.contacts(aor)
        state = "active" if contacts else "terminated" if version else "init"
        lines = [
            f'<reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="{version}" state="full">',
            f'  <registration aor={quoteattr(f"sip:{aor}")} id="{_id(aor)}" state="{state}">',
        ]
        for binding in contacts:
            lines += self._shown(binding)
        return document([*lines, "  </registration>", "</reginfo>"])

    def _shown(self, binding: Binding) -> list[str]:
        now = self._now()
        attributes = {
            "id": _id(f"{binding.contact};reg-id={binding.reg_id}"),
            "state": "active",
            "event": "registered",
            "duration-registered": str(int(now - binding.registered_at)),
            "expires": str(max(0, int(binding.expires_at - now))),
            "q": f"{binding.q:g}",
            "callid": binding.call_id,
            "cseq": str(binding.cseq),
        }
        written = " ".join(f"{name}={quoteattr(value)}" for name, value in attributes.items())
        lines = [f"    <contact {written}>", f"      <uri>{escape(binding.contact)}</uri>"]
        if binding.instance:
            instance = escape(binding.instance)
            name = '"+sip.instance"'
            lines.append(f"      <unknown-param name={name}>{instance}</unknown-param>")
        return [*lines, "    </contact>"]

    def _noted(self, change: Change, binding: Binding) -> None:
        self.changed(binding.aor.rpartition("@")[0])


def _id(text: str) -> str:
    """A name that is the same for the same thing (RFC 3680 5.1)."""
    return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
