"""The thread that writes: order, groups, a failing disk, too much, the end."""

from threading import Event, current_thread

import pytest
from twisted.logger import globalLogPublisher

from softswitch.store.writer import Writer

PATIENCE = 10.0


class Disk:
    """A sink that takes what it is given, fails on demand and can be awaited.

    :ivar groups: what each write brought, failed ones too.
    """

    def __init__(self, failures=0):
        self.groups = []
        self.written = []
        self.failures = failures
        self.closed = False
        self.threads = set()
        self.tried = Event()
        self.recovered = Event()
        self.go_on = Event()
        self.go_on.set()

    def write(self, items):
        self.threads.add(current_thread())
        self.groups.append(list(items))
        self.tried.set()
        assert self.go_on.wait(PATIENCE)
        if self.failures:
            self.failures -= 1
            raise OSError(28, "No space left on device")
        self.written += items
        self.recovered.set()

    def close(self):
        self.closed = True


@pytest.fixture(name="log")
def _log():
    events = []

    def observe(event):
        if event.get("log_namespace") == "softswitch.store.writer":
            events.append(event["log_format"].split(" ")[0])

    globalLogPublisher.addObserver(observe)
    yield events
    globalLogPublisher.removeObserver(observe)


def test_everything_is_written_once_in_order_by_one_thread():
    """Items reach the sink in the order in which they were put, each once."""
    disk = Disk()
    writer = Writer("numbers", disk, gather=0)
    for number in range(5000):
        writer.put(number, number)
    writer.close()
    assert disk.written == list(range(5000))
    assert len(disk.threads) == 1
    assert current_thread() not in disk.threads
    assert disk.closed
    assert writer.dropped == 0


def test_what_comes_during_a_write_goes_into_one_group():
    """Commits are grouped: the disk is asked once for all that waits."""
    disk = Disk()
    disk.go_on.clear()
    writer = Writer("numbers", disk, gather=0)
    writer.put(0, 0)
    assert disk.tried.wait(PATIENCE)
    for number in range(1, 100):
        writer.put(number, number)
    disk.go_on.set()
    writer.close()
    assert disk.groups == [[0], list(range(1, 100))]


def test_what_comes_alone_is_written_at_once():
    """A process that is killed loses nothing of a quiet time; what comes soon afterwards waits for
    company."""
    disk = Disk()
    writer = Writer("numbers", disk, gather=10 * PATIENCE)
    writer.put(0, 0)
    assert disk.recovered.wait(PATIENCE)
    for number in range(1, 100):
        writer.put(number, number)
    writer.close()
    assert disk.groups == [[0], list(range(1, 100))]


def test_an_item_that_waits_is_replaced_under_its_key():
    """The last word on a key is written, also when the key is being written just now."""
    disk = Disk()
    disk.go_on.clear()
    writer = Writer("words", disk, gather=0)
    writer.put("a", "first")
    assert disk.tried.wait(PATIENCE)
    writer.put("a", "second")
    writer.put("a", "third")
    disk.go_on.set()
    writer.close()
    assert disk.written == ["first", "third"]


def test_a_failing_disk_is_retried_and_told_of_once(log):
    """A full disk: nothing is lost, nothing written twice, one line in the log and one when it
    is over."""
    disk = Disk(failures=20)
    writer = Writer("numbers", disk, gather=0, retry=0.001)
    for number in range(3000):
        writer.put(number, number)
    assert disk.recovered.wait(PATIENCE)
    writer.close()
    assert disk.written == list(range(3000))
    assert writer.dropped == 0
    assert log == ["cannot", "writing"]


def test_a_disk_that_fails_to_the_end_loses_and_counts(log):
    """Closing tries once more and does not wait for ever; what is lost is counted."""
    disk = Disk(failures=1000)
    writer = Writer("numbers", disk, gather=0, retry=PATIENCE)
    for number in range(10):
        writer.put(number, number)
    assert disk.tried.wait(PATIENCE)
    writer.close()
    writer.put(10, 10)
    assert disk.written == []
    assert writer.dropped == 11
    assert disk.closed
    assert log == ["cannot", "losing"]


def test_too_many_waiting_are_dropped_and_counted(log):
    """The queue is bounded: beyond it new items go, but never the new word on an old key."""
    disk = Disk(failures=1)
    disk.go_on.clear()
    writer = Writer("numbers", disk, limit=10, gather=0, retry=PATIENCE)
    writer.put(0, 0)
    assert disk.tried.wait(PATIENCE)
    for number in range(1, 15):
        writer.put(number, number)
    writer.put(9, "nine")
    assert writer.dropped == 5
    disk.go_on.set()
    writer.close()
    assert disk.written == [*range(9), "nine"]
    assert log == ["losing", "cannot", "writing"]


def test_without_items_there_is_no_thread():
    """A writer costs nothing before its first item: the service forks in between."""
    disk = Disk()
    writer = Writer("numbers", disk)
    writer.close()
    assert disk.threads == set()
    assert disk.groups == []


def test_what_cannot_be_written_ever_takes_nothing_else_with_it(log):
    """An item at which the sink breaks is lost, counted and told of; all others are written, those
    of its own group and those that come later."""

    class Picky(Disk):
        def write(self, items):
            if 666 in items:
                raise OverflowError("Python int too large")
            super().write(items)

    disk = Picky()
    writer = Writer("numbers", disk, gather=0)
    numbers = [*range(10), 666, *range(10, 20)]
    with writer._changed:  # all in one group
        for number in numbers:
            writer._waiting[number] = number
    writer.put(20, 20)
    writer.close()
    assert disk.written == list(range(21))
    assert writer.dropped == 1
    assert log == ["cannot"]
    assert disk.closed
