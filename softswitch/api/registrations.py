"""The contacts of users: listed, removed. Pure."""

from collections.abc import Iterable

from softswitch.api.house import House
from softswitch.api.operation import Answer, Asked, Operation, Parameter
from softswitch.api.paging import PAGING, page, read_cursor
from softswitch.api.problem import ProblemError
from softswitch.api.shapes import RegistrationPage, Removed, registration
from softswitch.registrar.bindings import Binding


class Registrations:
    """The operations on registrations."""

    def __init__(self, house: House) -> None:
        self._house = house

    def operations(self) -> Iterable[Operation]:
        """Those that there are."""
        path = "/api/v1/registrations"
        return (
            Operation(
                "list_registrations",
                "GET",
                path,
                "The contacts under which users are reached, by address of record.",
                self.all,
                answers={200: RegistrationPage},
                parameters=(
                    Parameter("aor", "only contacts of this address of record"),
                    Parameter(
                        "text",
                        "only those whose address of record, contact or User-Agent holds this",
                    ),
                    *PAGING,
                ),
            ),
            Operation(
                "remove_registration",
                "DELETE",
                f"{path}/{{aor}}",
                "Remove a contact of a user, or all of them. A phone that is still there comes back"
                " with its next REGISTER.",
                self.remove,
                "operate",
                answers={200: Removed},
                refusals=(404,),
                parameters=(Parameter("contact", "URI as the phone wrote it; without it, all"),),
            ),
        )

    def all(self, asked: Asked) -> Answer:
        """See ``operations``."""
        bindings, query = self._house.bindings, asked.query
        after = read_cursor(query["cursor"], str, str, str)
        aor, text = query["aor"], query["text"]
        found: Iterable[Binding] = bindings if aor is None else bindings.contacts(aor)
        if text is not None:
            found = (each for each in found if _holds(each, text))
        chosen, more = page(found, _key, query["limit"], after)
        shown = [registration(each) for each in chosen]
        return Answer(body=RegistrationPage(shown, more, len(bindings)))

    def remove(self, asked: Asked) -> Answer:
        """See ``operations``."""
        removed = self._house.bindings.evict(asked.path["aor"], asked.query["contact"] or "")
        if not removed:
            wanted = "aor" if asked.query["contact"] is None else "contact"
            raise ProblemError(404, "nothing is registered there", wanted)
        return Answer(body=Removed(removed))


def _key(binding: Binding) -> list[str]:
    return [binding.aor, binding.contact, str(binding.reg_id)]


def _holds(binding: Binding, text: str) -> bool:
    return any(text in each for each in (binding.aor, binding.contact, binding.user_agent))
