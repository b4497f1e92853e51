"""The code of plug-ins, imported anew: what a reload of the configuration takes along.

Python imports a module once. Here those of the plug-ins, with whatever else stands in their folder
on the path or in their package, are put aside, so that what is imported meanwhile is read from the
files as they are now. Policies that run keep theirs: a module lives as long as anybody uses it.
Where the new code fails, everything is as it was.
"""

import importlib
import linecache
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from sysconfig import get_path
from types import ModuleType
from typing import Final

import softswitch
import twisted

#: Where packages are installed, each for itself, and what is never a plug-in's.
_SITES: Final = tuple({str(Path(get_path(name)).resolve()) for name in ("purelib", "platlib")})
_FIXED: Final = tuple(
    str(Path(path).resolve())
    for path in (
        get_path("stdlib"),
        Path(str(softswitch.__file__)).parent,
        Path(str(twisted.__file__)).parent,
    )
)

#: In no folder at all: byte code is not to be found, for it may have been compiled from an older
#: file of the same second and size.
_NOWHERE: Final = "/nonexistent/softswitch"


@contextmanager
def imported_anew(names: Collection[str]) -> Iterator[None]:
    """While this is open, plug-ins are imported from their files as they are now.

    When it is left by an exception, the modules are again those of before.

    :param names: modules of the plug-ins: "acme.night".
    """
    old = _of_plug_ins(names)
    known = set(sys.modules) - set(old)
    for name in old:
        del sys.modules[name]
    importlib.invalidate_caches()
    linecache.checkcache()
    prefix, sys.pycache_prefix = sys.pycache_prefix, _NOWHERE
    unwritten, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    except BaseException:
        # What else was imported meanwhile is nobody's: a library that stays is the same one later.
        fresh = {name: sys.modules[name] for name in set(sys.modules) - known}
        for name in set(fresh) & (set(old) | set(_of_plug_ins(names))):
            del sys.modules[name]
        _put_back(old)
        raise
    finally:
        sys.pycache_prefix, sys.dont_write_bytecode = prefix, unwritten


def _of_plug_ins(names: Collection[str]) -> dict[str, ModuleType]:
    """The modules that are loaded and belong to plug-ins."""
    tops = {name.partition(".")[0] for name in names} - {"softswitch", "twisted"}
    folders = {folder for top in tops if (folder := _folder_on_the_path(top))}
    found = {}
    for name, module in list(sys.modules.items()):
        file = _file(module)
        if name.partition(".")[0] in tops or _is_in(file, folders) or _is_maker(name, file):
            found[name] = module
    return found


def _is_in(file: str, folders: Iterable[str]) -> bool:
    if not file or _below(file, (*_SITES, *_FIXED)):
        return False
    return _below(file, folders)


def _is_maker(name: str, file: str) -> bool:
    """Whether a module is one that makes policies known, in a folder of somebody else's."""
    return name.startswith("twisted.plugins.") and not _below(file, _FIXED) and not _ours(file)


def _ours(file: str) -> bool:
    """Whether it makes our own policies known: it stands beside the package."""
    return file == str(Path(_FIXED[1]).parent / "twisted" / "plugins" / "softswitch_plugin.py")


def _below(file: str, folders: Iterable[str]) -> bool:
    return any(file.startswith(f"{folder}/") for folder in folders)


def _folder_on_the_path(top: str) -> str:
    """The folder in which a top-level module or package stands, if that is a plug-in author's own;
    "" for where packages are installed."""
    module = sys.modules.get(top)
    if module is None:
        return ""
    paths = [*getattr(module, "__path__", ())]
    place = Path(paths[0] if paths else getattr(module, "__file__", None) or "").resolve()
    folder = str(place.parent)
    if folder == "/" or folder in _SITES or _below(f"{folder}/", (*_SITES, *_FIXED)):
        return ""
    return folder


def _file(module: ModuleType) -> str:
    file = getattr(module, "__file__", None)
    return str(Path(file).resolve()) if isinstance(file, str) else ""


def _put_back(modules: Mapping[str, ModuleType]) -> None:
    sys.modules.update(modules)
    for name, module in modules.items():
        package, _, own = name.rpartition(".")
        if package in sys.modules:
            setattr(sys.modules[package], own, module)
