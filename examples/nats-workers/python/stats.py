"""This worker's row of rule_nats_consumer_stats, named by CONSUMER_NAME."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal

import asyncpg
from settings import Settings

EVERY = 5.0
SIGN_OF_LIFE = 30.0

UPDATE = """
    SELECT rule_nats_consumer_update_stats($1, $2, $3, $4, $5, $6, p_queue_group => $7, p_ack_policy => 'explicit', p_max_deliver => -1,
                                           p_messages_redelivered => $8, p_active => $9)"""


class Stats:
    """Written when something changed, at most every 5 s, and every 30 s as a sign of life."""

    def __init__(self, database: asyncpg.Pool, settings: Settings, pending: Callable[[], Awaitable[int]]) -> None:
        self.delivered = self.acknowledged = self.redelivered = 0
        self._seconds, self._finished = 0.0, 0
        self._database, self._settings, self._pending = database, settings, pending
        self._written: tuple[int, ...] = ()
        self._written_at = 0.0

    def finished(self, seconds: float) -> None:
        self._seconds += seconds
        self._finished += 1

    async def keep(self) -> None:
        """Until it is cancelled."""
        while True:
            if self._figures() != self._written or time.monotonic() - self._written_at >= SIGN_OF_LIFE:
                await self.write(active=True)
            await asyncio.sleep(EVERY)

    async def write(self, active: bool) -> None:
        average = Decimal(self._seconds * 1000 / self._finished) if self._finished else None
        settings = self._settings
        try:
            await self._database.execute(
                UPDATE, settings.stream, settings.consumer, self.delivered, self.acknowledged, await self._pending(), average,
                settings.group, self.redelivered, active,
            )  # fmt: skip
            self._written, self._written_at = self._figures(), time.monotonic()
        except Exception as error:  # Figures are no reason to stop working.
            print(f"statistics are not written: {error}", flush=True)

    def _figures(self) -> tuple[int, ...]:
        return self.delivered, self.acknowledged, self._finished
