"""What pytest knows once softswitch is installed: the fixture ``start_switch``.

::

    def test_after_hours(start_switch):
        switch = start_switch("night.toml", at=datetime(2026, 3, 2, 20))
        alice, service = switch.phone("alice"), switch.trunk("service")
        service.answers(180, 200)
        call = alice.call("100")
        assert call.statuses == [180, 200]
        alice.hang_up()

It is the whole switch of the configuration, plug-ins and all, on a network within the process
(``softswitch.testing.stage``). At the test's end nothing may be left behind. A test that fails
shows the ladder of its messages and what the switch has logged.

pytest imports this module in every project that has softswitch installed, so it imports nothing
until it is needed; by then pytest has set the path on which plug-ins are found, too.
"""

import tomllib
from collections.abc import Callable, Generator, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from softswitch.testing.stage import Stage

_failed = pytest.StashKey[bool]()


class StartSwitch(Protocol):
    """The fixture ``start_switch``, for annotations."""

    def __call__(
        self,
        config: str | Mapping[str, Any] = "",
        *,
        at: datetime | None = None,
        **options: Any,
    ) -> "Stage":
        """Start a switch, on a network of its own.

        :param config: a ``.toml`` file beside the test or in pytest's root directory, or TOML, or
            the same as a dict. Tables that it has not are those of
            ``softswitch.testing.stage.CONFIG``: users alice, bob and carol, and every policy that
            they need.
        :param at: the time at which it begins; without a zone, local time.
        :param options: further ones of ``Stage``: ``names``, ``loss``, ``delay`` ...
        :raises ConfigError: what is wrong with the configuration.
        """


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Take note whether the test itself has failed."""
    report = yield
    if report.when == "call":
        item.stash[_failed] = report.failed
    return report


@pytest.fixture
def start_switch(request: pytest.FixtureRequest) -> Iterator[StartSwitch]:
    """Starts switches from a configuration; see ``StartSwitch``."""
    from softswitch.testing.media import CountingEngine
    from softswitch.testing.stage import Stage

    started: list[Stage] = []
    forget = _print_what_is_logged()

    def start(
        config: str | Mapping[str, Any] = "", *, at: datetime | None = None, **options: Any
    ) -> Stage:
        file, tables = "the test's configuration", config
        if isinstance(config, str):
            if config.endswith(".toml"):
                file = config
                beside = request.path.parent / file
                path = beside if beside.exists() else request.config.rootpath / file
                config = path.read_text("utf-8")
            tables = tomllib.loads(config)
        assert not isinstance(tables, str)
        if tables.get("media", {}).get("engine") != "bypass":
            options.setdefault("engine", lambda clock: CountingEngine())
        switch = Stage(tables, at=at, file=file, **options)
        started.append(switch)
        return switch

    yield start
    forget()
    try:
        if not request.node.stash.get(_failed, True):
            for switch in started:
                switch.close()
            started.clear()
    finally:
        for switch in started:
            print(switch.ladder())


def _print_what_is_logged() -> Callable[[], None]:
    """Print errors and warnings of the switch until the function that is returned is called."""
    from twisted.logger import LogEvent, LogLevel, eventAsText, globalLogPublisher

    def show(event: LogEvent) -> None:
        if event["log_level"] >= LogLevel.warn:
            print(eventAsText(event, includeTimestamp=False))

    observer: Any = show  # zope's checker does not take a plain function
    globalLogPublisher.addObserver(observer)
    return lambda: globalLogPublisher.removeObserver(observer)
