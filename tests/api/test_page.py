"""The files of the page: all of them are ours, and the browser is told to hold it to that."""

import re
from importlib.resources import files

import pytest

from softswitch.api.page import KINDS

FOLDER = files("softswitch.api") / "static"
NAMES = sorted(each.name for each in FOLDER.iterdir())

#: What is not ours: uPlot, as it was fetched.
FOREIGN = ("uplot.js", "uplot.css", "uplot-license.txt")
OURS = [name for name in NAMES if name not in FOREIGN]


@pytest.mark.parametrize("name", NAMES)
def test_each_file_is_served(desk, name):
    """To everybody, as what it is; it loads nothing from elsewhere, and nobody frames it."""
    response = desk.get(f"/page/{name}", role=None)
    assert response.status == 200
    assert response.body == (FOLDER / name).read_bytes()
    kind = KINDS[name.rpartition(".")[2]]
    assert response.headers["content-type"] == f"{kind}; charset=utf-8"
    policy = response.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


def test_the_page_itself(desk):
    """It names files that there are, and has no script or style of its own."""
    response = desk.get("/", role=None)
    text = response.body.decode()
    named = re.findall(r'(?:src|href)="/page/([^"]+)"', text)
    assert {"app.js", "style.css", "uplot.js"} <= set(named) <= set(NAMES)
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?! src)", text)


@pytest.mark.parametrize("name", ["nobody.js", "..%2Fpage.py", "%2e%2e", "static%2Findex.html"])
def test_nothing_else_is_served(desk, name):
    """Names are looked up, not opened."""
    assert desk.get(f"/page/{name}", role=None).field == "file"


@pytest.mark.parametrize("name", OURS)
def test_markup_is_never_made_of_text(name):
    """What a peer has sent goes in as text alone; nothing is fetched from elsewhere."""
    text = (FOLDER / name).read_text()
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", text)
    addresses = set(re.findall(r"https?://[^\s\"'`)]+", text))
    assert addresses <= {"http://www.w3.org/2000/svg"}
    for imported in re.findall(r'from "\./([^"]+)"', text):
        assert imported in NAMES


def test_who_is_greeted_hears_whether_a_token_is_wanted(stage, desk_of):
    """Not on the unix socket, nor where this machine is trusted; a foreign name is not it."""
    path = "/api/v1/greeting"
    desk = desk_of(stage)
    assert desk.get(path, role=None).json == {"token_wanted": True}
    assert desk.get(path, role=None, host="").json == {"token_wanted": False}
