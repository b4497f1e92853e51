"""Answers that are waited for: a policy's coroutine, each step of which counts as its time."""

from collections.abc import Awaitable, Callable, Coroutine, Generator
from inspect import iscoroutine
from typing import Any

from twisted.internet.defer import Deferred

from softswitch.policy.budget import Asked, Attention


def deferred(
    answer: Awaitable[Any], policy: Asked, attention: Attention, time: Callable[[], float]
) -> Deferred[Any]:
    """What can be waited for, as a Deferred.

    :param time: measures the steps, seconds.
    """
    if isinstance(answer, Deferred):
        return answer
    coroutine = answer if iscoroutine(answer) else _awaited(answer)
    return Deferred.fromCoroutine(_steps(coroutine, policy, attention, time))


async def _awaited(answer: Awaitable[Any]) -> Any:
    return await answer


def _steps(
    coroutine: Coroutine[Any, Any, Any],
    policy: Asked,
    attention: Attention,
    time: Callable[[], float],
) -> Generator[Any, Any, Any]:
    """The coroutine, with who runs and for how long seen to."""
    go_on: Callable[[Any], Any] = coroutine.send
    value: Any = None
    while True:
        before, began = attention.policy, time()
        attention.began, attention.policy = began, policy
        try:
            awaited = go_on(value)
        except StopIteration as stop:
            return stop.value
        finally:
            attention.policy = before
            policy.took(began, time())
        try:
            value = yield awaited
        except Exception as error:
            go_on, value = coroutine.throw, error
        else:
            go_on = coroutine.send
