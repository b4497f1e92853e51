"""What is installed: the built packages in a fresh virtual environment, and the editable one."""

import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parent.parent.parent


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source distribution, which is built from a copy of the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for name in ("softswitch", "twisted"):
        junk = shutil.ignore_patterns("__pycache__", "dropin.cache")
        shutil.copytree(ROOT / name, folder / name, ignore=junk)
    run(sys.executable, "-m", "build", cwd=folder)
    (built,) = (folder / "dist").glob("*.whl")
    return built


def test_the_wheel_holds_the_package_and_nothing_of_twisted(wheel: Path):
    """Every module, the default configuration and the plug-in; no ``__init__.py`` that would take
    Twisted's own place, and no test."""
    names = set(ZipFile(wheel).namelist())
    assert {str(path.relative_to(ROOT)) for path in (ROOT / "softswitch").rglob("*.py")} <= names
    assert {
        "softswitch/py.typed",
        "softswitch/ops/softswitch.toml",
        "twisted/plugins/softswitch_plugin.py",
    } <= names
    assert [name for name in names if name.startswith("twisted/")] == [
        "twisted/plugins/softswitch_plugin.py"
    ]
    assert {name.split("/")[0].split("-")[0] for name in names} == {"softswitch", "twisted"}


def test_a_fresh_environment_with_the_wheel_knows_the_switch(wheel: Path, tmp_path: Path):
    """``twistd --help`` lists it without a warning, and its defaults are found."""
    venv.create(tmp_path / "venv", with_pip=True)
    programs = tmp_path / "venv" / "bin"
    run(programs / "pip", "install", "--quiet", wheel, cwd=tmp_path)
    helped = run(programs / "twistd", "--help", cwd=tmp_path)
    assert re.search("^ *softswitch +A SIP back-to-back user agent", helped.stdout, re.MULTILINE)
    assert helped.stderr == ""
    assert "--config" in run(programs / "twistd", "softswitch", "--help", cwd=tmp_path).stdout
    assert "no mistake found" in run(programs / "softswitch", "check", cwd=tmp_path).stdout


@pytest.mark.parametrize("inside", [True, False], ids=["inside", "outside"])
def test_the_editable_install_knows_the_switch(inside: bool, tmp_path: Path):
    """``twistd --help`` lists it in the checkout and elsewhere, without a warning."""
    twistd = Path(sys.executable).parent / "twistd"
    helped = run(twistd, "--help", cwd=ROOT if inside else tmp_path)
    assert re.search("^ *softswitch +A SIP back-to-back user agent", helped.stdout, re.MULTILINE)
    assert helped.stderr == ""
