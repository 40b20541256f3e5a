"""Shares the events of a stream with the other workers of its group. Each of BATCH_SIZE loops takes one event, handles it and settles it."""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import sys
import time

import asyncpg
import nats
import nats.errors
from consumer import open_consumer
from event import Event
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from outcomes import next_delay
from settings import Settings, read_settings
from stats import Stats

# How long a loop waits for an event, and so how long a stop may take while nothing is in work.
POLL = 2.0
PAUSE_AFTER_ERROR = 1.0


class Worker:
    def __init__(self, settings: Settings, client: nats.NATS, database: asyncpg.Pool) -> None:
        self.settings, self.client, self.database = settings, client, database
        self.jetstream: JetStreamContext = client.jetstream()
        self.handle = importlib.import_module(settings.handler).handle
        self.stopping = False
        self.stats = Stats(database, settings, self.pending)
        self.ack_wait = settings.ack_wait

    def stop(self, number: signal.Signals) -> None:
        self.stopping = True
        print(f"{number.name}: finishing what is in work", flush=True)
        # A second signal ends the process at once.
        asyncio.get_running_loop().remove_signal_handler(number)

    async def run(self) -> None:
        settings = self.settings
        info = await open_consumer(self.jetstream, settings)
        self.ack_wait = info.config.ack_wait or settings.ack_wait
        await self.stats.write(active=True)
        keeping = asyncio.create_task(self.stats.keep())
        print(f"worker {settings.consumer} takes {settings.subject} of {settings.stream} with group {settings.group}", flush=True)
        await asyncio.gather(*(self.loop() for _ in range(settings.batch_size)))
        keeping.cancel()
        await self.stats.write(active=False)
        print("stopped", flush=True)

    async def pending(self) -> int:
        info = await self.jetstream.consumer_info(self.settings.stream, self.settings.group)
        return (info.num_pending or 0) + (info.num_ack_pending or 0)

    async def loop(self) -> None:
        # One for each loop: two fetches of one subscription would get each other's answers.
        subscription = await self.jetstream.pull_subscribe_bind(consumer=self.settings.group, stream=self.settings.stream)
        while not self.stopping:
            try:
                for message in await subscription.fetch(1, timeout=POLL):
                    await self.work(message)
            except nats.errors.TimeoutError:
                continue
            except Exception as error:
                print(f"stream {self.settings.stream}: {error}", flush=True)
                await asyncio.sleep(PAUSE_AFTER_ERROR)

    async def work(self, message: Msg) -> None:
        event = self.read(message)
        begin = time.monotonic()
        progress = asyncio.create_task(self.report_progress(message))
        self.stats.delivered += 1
        self.stats.redelivered += event.delivered > 1
        try:
            await self.handle(event, self.database, self.settings)
            outcome = await self.acknowledge(message)
        except Exception as error:
            outcome = await self.give_back(message, event, error)
        finally:
            progress.cancel()
            self.stats.finished(time.monotonic() - begin)
        took = (time.monotonic() - begin) * 1000
        print(f"event {event.id} on {event.subject}, delivery {event.delivered}: {outcome}, {took:.0f} ms", flush=True)

    async def report_progress(self, message: Msg) -> None:
        """As long as it is in work nobody else gets it; a third of the wait survives two lost reports."""
        while True:
            await asyncio.sleep(self.ack_wait / 3)
            try:
                await message.in_progress()
            except nats.errors.Error:
                continue  # There is no connection now; the next report may get through.

    async def acknowledge(self, message: Msg) -> str:
        """With the server's answer: as long as there is none the event may come again."""
        try:
            await message.ack_sync(timeout=5)
        except nats.errors.Error as error:
            return f"done, and may come again: {type(error).__name__}"
        self.stats.acknowledged += 1
        return "done"

    async def give_back(self, message: Msg, event: Event, error: Exception) -> str:
        delay = next_delay(error, event.delivered, self.settings.retry_delay, self.settings.max_attempts)
        if delay is None:
            # Msg.term() takes no reason, and servers older than 2.11 do not keep one: it is said here too.
            await self.client.publish(message.reply, b"+TERM " + str(error).encode())
            self.stats.acknowledged += 1
            return f"given up: {error}"
        # Never without a delay: the event would come back at once, again and again.
        await message.nak(delay=delay)
        return f"again in {delay * 1000:.0f} ms: {error}"

    def read(self, message: Msg) -> Event:
        headers = dict(message.headers or {})
        sequence = message.metadata.sequence.stream
        identifier = headers.get("ce-id") or headers.get("Nats-Msg-Id") or f"{self.settings.stream}-{sequence}"
        return Event(identifier, message.subject, sequence, message.metadata.num_delivered, headers, message.data)


async def main() -> int:
    settings, problems = read_settings(os.environ)
    if problems:
        print("\n".join(problems), file=sys.stderr)
        return 2
    client = await nats.connect(
        settings.nats_url, user=settings.nats_user, password=settings.nats_pass, name=settings.consumer, max_reconnect_attempts=-1
    )
    database = await asyncpg.create_pool(settings.database_url, min_size=0, max_size=4, command_timeout=10)
    try:
        worker = Worker(settings, client, database)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, worker.stop, number)
        await worker.run()
        return 0
    except Exception as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        # Not drain(), which waits half a minute for subscriptions that nobody reads any more.
        if client.is_connected:
            await client.flush()
        await client.close()
        await database.close()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
