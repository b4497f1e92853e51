"""From a ``[[policy]]`` table to a policy that can be asked.

A name is looked up among the makers in every ``twisted/plugins/`` on the path, the class it names
is imported, the options are structured into the class's attrs fields, and the interfaces are
verified: once, here. Whatever is wrong stops the start with one line.
"""

import importlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from traceback import extract_tb
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.plugin import getPlugins
from twisted.python.failure import Failure
from twisted.python.modules import getModule
from zope.interface.exceptions import Invalid
from zope.interface.verify import verifyObject

from softswitch.errors import ConfigError
from softswitch.plugin.interfaces import (
    IAdmissionPolicy,
    ICallObserver,
    IPolicyMaker,
    IRedirectPolicy,
    IRegistrationPolicy,
    IRouter,
    IUserDirectory,
)
from softswitch.plugin.version import mismatch
from softswitch.plugin.views import House
from softswitch.policy.chain import Policy
from softswitch.policy.modules import imported_anew
from softswitch.policy.terms import Terms, check_shape, divided
from softswitch.settings import nearest, shown, structure

log = Logger()

#: What a policy may be; at least one of these.
PLACES = (
    IAdmissionPolicy,
    IRouter,
    IRegistrationPolicy,
    IRedirectPolicy,
    ICallObserver,
    IUserDirectory,
)


def load(
    name: str, table: Mapping[str, Any], house: House, *, file: str = "", path: str = "policy"
) -> Policy:
    """Make the policy that a ``[[policy]]`` table asks for.

    :param name: the table's ``use``.
    :param table: the table's other keys: its terms (``policy.terms``) and its own options.
    :param house: given to the policy's ``start``, if it has one.
    :param file: name of the configuration file, for errors.
    :param path: key path of the table, as ``policy[2]``.
    :raises ConfigError: names file, key and what would be right.
    """
    where = f"{file}: {path}" if file else path
    known = makers()
    if name not in known:
        raise ConfigError(f"{where}.use", "; ".join([unknown(name, known), *broken()]))
    factory = known[name].factory
    wrong = mismatch(getattr(known[name], "api", ""))
    if wrong:
        raise ConfigError(f"{where}.use", f"{name} ({factory}) {wrong}")
    terms, options = divided(table, file=file, path=path)
    try:
        shape = _imported(factory)
    except Exception as error:
        raise ConfigError(f"{where}.use", f"{name} ({factory}) {_unloadable(error)}") from error
    check_shape(shape, where)
    plug_in = _made(shape, options, where=where, file=file, path=path)
    _verify(plug_in, f"{where}.use", f"{name} ({factory})")
    only_told = all(not place.providedBy(plug_in) for place in PLACES if place is not ICallObserver)
    if only_told and terms != attrs.evolve(Terms(), busy_share=terms.busy_share):
        key = min({"deadline", "fallback", "most_open"} & set(table))
        raise ConfigError(f"{where}.{key}", f"{name} is only told of calls: it answers nothing")
    start = getattr(plug_in, "start", None)
    if start is not None:
        try:
            start(house)
        except ConfigError:
            raise
        except ValueError as error:
            raise ConfigError(where, str(error)) from error
        except Exception as error:
            raise ConfigError(where, f"{name} does not start: {told(error)}") from error
    return Policy(name, plug_in, terms)


@contextmanager
def anew(names: Iterable[str]) -> Iterator[None]:
    """While this is open, policies are loaded from their files as they are now; when it is left by
    an exception, what was there before is there again.

    :param names: policies that are or will be used; unknown ones do no harm.
    """
    with imported_anew(()):  # what makes policies known, before it is asked for them
        known = makers()
        factories = [known[name].factory for name in names if name in known]
        with imported_anew([factory.partition(":")[0] for factory in factories]):
            yield


def stop(policies: Iterable[Policy]) -> list[Deferred[None]]:
    """Tell policies that have a ``stop`` that nobody asks them any more.

    :returns: of those that have something to finish, when they have.
    """
    waits = []
    for policy in policies:
        stopping = getattr(policy.plug_in, "stop", None)
        if stopping is not None:
            wait: Deferred[None] = maybeDeferred(stopping)
            wait.addErrback(_not_stopped, policy.name)
            if not wait.called:
                waits.append(wait)
    return waits


def _not_stopped(failure: Failure, name: str) -> None:
    if not failure.check(CancelledError):
        log.failure("policy {policy!r} does not stop", failure, policy=name)


def makers() -> dict[str, IPolicyMaker]:
    """The policies that can be used, by name.

    :raises ConfigError: when two have the same name.
    """
    found: dict[str, IPolicyMaker] = {}
    for maker in getPlugins(IPolicyMaker):
        other = found.setdefault(maker.name, maker)
        if other.factory != maker.factory:
            raise ConfigError(
                f"policy {maker.name!r}",
                f"{maker.factory} and {other.factory} both have this name: rename one",
            )
    return found


def unknown(name: str, known: Iterable[str]) -> str:
    """What is said of a policy that nobody knows."""
    return (
        f"no policy is called {shown(name)}; {nearest(name, list(known))};"
        " one of your own is found where PYTHONPATH names its folder"
    )


def broken() -> list[str]:
    """Why modules in ``twisted/plugins/`` folders do not load, a sentence each.

    ``getPlugins`` only logs them, and the name that is missed may be in one.
    """
    reasons = []
    for module in getModule("twisted.plugins").iterModules():
        try:
            module.load()
        except Exception as error:
            reasons.append(f"{module.filePath.path} {_unloadable(error)}")
    return reasons


def _imported(factory: str) -> type[Any]:
    module, _, attribute = factory.partition(":")
    found = getattr(importlib.import_module(module), attribute)
    if not isinstance(found, type):
        raise TypeError(f"{attribute} is no class")
    return found


def _made(
    shape: type[Any], options: Mapping[str, Any], *, where: str, file: str, path: str
) -> object:
    try:
        if attrs.has(shape):
            return structure(options, shape, file=file, path=path)
        if not options:
            return shape()
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(where, f"{shape.__name__} cannot be made: {told(error)}") from error
    key = min(options)
    raise ConfigError(f"{where}.{key}", f"{shape.__name__} is no attrs class and has no options")


def _verify(plug_in: object, where: str, what: str) -> None:
    places = [place for place in PLACES if place.providedBy(plug_in)]
    if not places:
        names = ", ".join(place.__name__ for place in PLACES)
        raise ConfigError(where, f"{what} implements none of {names}")
    for place in places:
        try:
            verifyObject(place, plug_in)
        except Invalid as error:
            raise ConfigError(where, f"{what} {' '.join(str(error).split())}") from error


def _unloadable(error: Exception) -> str:
    return f"does not load: {told(error)}"


def told(error: BaseException) -> str:
    """An exception in one line, with the line of the plug-in's that let it out."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    for frame in reversed(extract_tb(error.__traceback__)):
        if frame.filename in (__file__, importlib.__file__):
            break
        if not frame.filename.startswith("<"):
            return f"{text} ({frame.filename}:{frame.lineno})"
    return text
