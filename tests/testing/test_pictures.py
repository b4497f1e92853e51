from pathlib import Path

from softswitch.testing.pictures import draw


def test_the_pictures_are_those_of_the_tables():
    """docs/machines.md shows the state machines that run; scripts/draw_machines brings it up to
    date."""
    page = Path(__file__).parent.parent.parent / "docs" / "machines.md"
    assert page.read_text() == draw()
