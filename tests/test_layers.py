"""The walls of the house, held by reading every module's imports."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "softswitch"

#: From the ground up. A module imports from its own package and from the rows before it, never
#: from its own row's neighbours.
FLOORS = (
    ("errors", "flow", "machine", "plain", "wheel"),
    ("journal", "scope", "settings"),
    ("sip", "sdp"),
    ("plugin",),
    ("transport",),
    ("transaction",),
    ("dialog", "media"),
    ("trunk",),
    ("b2bua", "proxy", "registrar"),
    ("policy",),
    ("store",),
    ("records",),
    ("flight",),
    ("api",),
    ("ops",),
    ("testing",),
    ("explain", "terminal"),
    ("__main__",),
)

#: Modules and packages that meet no socket, reactor or Deferred.
SANS_IO = (
    "errors",
    "flow",
    "machine",
    "plain",
    "wheel",
    "journal",
    "scope",
    "settings",
    "sip",
    "sdp",
    "plugin",
    "transport.bans",
    "transport.connection",
    "transport.domains",
    "transport.door",
    "transport.feedback",
    "transport.connection",
    "transport.framer",
    "transport.guests",
    "transport.handshake",
    "transport.heartbeat",
    "transport.layer",
    "transport.listener",
    "transport.networks",
    "transport.overload",
    "transport.refusal",
    "transport.strangers",
    "transaction",
    "dialog",
    "media.bencode",
    "media.endpoint",
    "media.instances",
    "media.ng",
    "media.ngfigures",
    "media.ngrequests",
    "media.ngsession",
    "media.ngwitness",
    "media.figures",
    "media.pcap",
    "media.ports",
    "media.rtpengine",
    "media.quality",
    "media.recording",
    "media.silence",
    "media.watch",
    "trunk",
    "b2bua",
    "proxy",
    "registrar",
    "records.filters",
    "records.query",
    "records.schema",
    "records.written",
    "api.body",
    "api.bans",
    "api.calls",
    "api.document",
    "api.events",
    "api.figures",
    "api.gate",
    "api.house",
    "api.operation",
    "api.page",
    "api.paging",
    "api.problem",
    "api.registrations",
    "api.running",
    "api.shapes",
    "api.tokens",
    "api.trunks",
    "policy.hooks",
    "policy.ratefile",
    "policy.raterows",
    "policy.ratetable",
    "policy.terms",
    "flight.hep",
    "flight.ladder",
    "flight.masking",
    "flight.pcap",
    "flight.recorder",
    "flight.svg",
    "flight.tape",
    "flight.terminal",
    "testing.clock",
    "testing.legs",
    "testing.line",
    "testing.network",
    "testing.peer",
    "testing.phone",
    "testing.reliable",
)

#: What they may import all the same: the marker interface by which Twisted finds a plug-in.
MARKER = "twisted.plugin"

LONGEST = 450

MODULES = sorted(ROOT.rglob("*.py"))


def named(path: Path) -> str:
    """Name of a module below ``softswitch``: "sip.uri"; a package's is its own, the root's ""."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[str]:
    """Every module that a module names in an import, wherever in it; those of ours whole."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            if node.module == "softswitch":
                yield from (f"softswitch.{alias.name}" for alias in node.names)
            else:
                yield node.module or ""


def floor(name: str) -> int:
    """Row of a module of ours in FLOORS."""
    package = name.split(".")[0]
    for height, row in enumerate(FLOORS):
        if package in row:
            return height
    raise AssertionError(f"softswitch.{name} has no floor: give it one in FLOORS")


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_imports_go_down(path: Path):
    """A module imports from its own package or a lower floor, under TYPE_CHECKING too."""
    here = named(path)
    for name in imports(path):
        if not name.startswith("softswitch.") or name == "softswitch.__version__":
            continue
        there = name.removeprefix("softswitch.")
        if here.split(".")[0] != there.split(".")[0]:
            assert here, f"softswitch/__init__.py imports {name}"
            assert floor(there) < floor(here), f"softswitch.{here} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_the_sans_io_side_does_not_know_twisted(path: Path):
    """What is listed in SANS_IO imports no Twisted: the line between deciding and doing."""
    here = named(path)
    if any(here == name or here.startswith(f"{name}.") for name in SANS_IO):
        found = {name for name in imports(path) if name.split(".")[0] in ("twisted", "treq")}
        assert found <= ({MARKER} if here == "plugin.maker" else set()), (
            f"softswitch.{here} imports {', '.join(found)}"
        )


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_a_module_is_not_too_long(path: Path):
    """At most 450 lines: what is longer is two things."""
    lines = path.read_text().count("\n")
    assert lines <= LONGEST


@pytest.mark.parametrize("path", sorted(ROOT.rglob("__init__.py")), ids=named)
def test_a_package_holds_a_docstring_only(path: Path):
    """Nothing is exported twice; the version stands in the root package and nowhere else."""
    docstring, *rest = ast.parse(path.read_text()).body
    assert isinstance(docstring, ast.Expr)
    assert isinstance(docstring.value, ast.Constant)
    assert isinstance(docstring.value.value, str)
    if path.parent == ROOT:
        assert [ast.unparse(node).split(" ")[0] for node in rest] == ["__version__"]
    else:
        assert not rest


def test_every_package_says_what_it_is():
    """Each folder with modules is a package with a docstring, and has its floor."""
    for folder in {path.parent for path in MODULES} - {ROOT}:
        assert (folder / "__init__.py").exists(), f"{folder} has no __init__.py"
    for path in MODULES:
        if named(path):
            floor(named(path))
