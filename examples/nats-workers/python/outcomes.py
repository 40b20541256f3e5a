"""What a handler may raise, and what becomes of the event then. Anything else that it raises is a failure that is tried again."""

from __future__ import annotations

import json
import random

LONGEST = 5 * 60.0
LONGEST_ASKED = 24 * 3600.0


class Poison(Exception):
    """Trying again is useless: the event is terminated with this reason. It stays in the stream."""


class NotYet(Exception):
    """Nothing is wrong with the event (a database is away): it comes again, however often that takes."""


class RetryLater(Exception):
    """A failure after which the receiver named the time for the next attempt, in seconds."""

    def __init__(self, message: str, delay: float) -> None:
        super().__init__(message)
        self.delay = delay


def next_delay(error: Exception, delivered: int, first: float, most: int, chance: float | None = None) -> float | None:
    """When an event that failed comes again, in seconds; None when it is given up. With the defaults:

    delivery     1     2     3     4     5      6     7 to 19   20
    next after  5 s  10 s  20 s  40 s  80 s  160 s   300 s     given up

    each 20 % shorter or longer, so that what failed together does not come back together.
    """
    # What is no JSON will never be any.
    if isinstance(error, (Poison, json.JSONDecodeError, UnicodeDecodeError)) or (delivered >= most and not isinstance(error, NotYet)):
        return None
    delay = min(first * 2 ** min(delivered - 1, 30), LONGEST) * (0.8 + 0.4 * (random.random() if chance is None else chance))
    return max(delay, min(getattr(error, "delay", 0.0), LONGEST_ASKED))
