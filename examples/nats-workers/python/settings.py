"""The environment, checked all at once: a worker that starts has settings that make sense."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
SECRET = re.compile(r"(\d{1,9})=(?:whsec_)?([A-Za-z0-9+/]+={0,2})")
# The durables of the product's own services: a worker that shared one would take their events.
RESERVED = ("delivery-worker", "ingestion-worker")


@dataclass(frozen=True)
class Settings:
    nats_url: str
    nats_user: str | None
    nats_pass: str | None
    database_url: str
    stream: str
    group: str
    consumer: str
    subject: str
    batch_size: int
    ack_wait: float
    max_attempts: int
    retry_delay: float
    handler: str
    secrets: Mapping[int, list[bytes]]


def read_settings(environment: Mapping[str, str]) -> tuple[Settings, list[str]]:
    problems: list[str] = []

    def text(name: str, fallback: str) -> str:
        return environment.get(name) or fallback

    def number(name: str, fallback: int, least: int, most: int) -> int:
        value = text(name, str(fallback))
        if not re.fullmatch(r"[0-9]{1,9}", value) or not least <= int(value) <= most:
            problems.append(f'{name}: "{value}" is not a number from {least} to {most}')
            return fallback
        return int(value)

    def name(variable: str, fallback: str) -> str:
        value = text(variable, fallback)
        if not NAME.fullmatch(value):
            problems.append(f'{variable}: "{value}" may have letters, digits, - and _ only, at most 64')
        return value

    settings = Settings(
        nats_url=text("NATS_URL", "nats://localhost:4222"),
        nats_user=environment.get("NATS_USER") or None,
        nats_pass=environment.get("NATS_PASS") or None,
        database_url=text("DATABASE_URL", "postgresql://localhost/postgres"),
        stream=name("STREAM_NAME", "WEBHOOKS"),
        group=name("QUEUE_GROUP", "webhook-workers"),
        consumer=name("CONSUMER_NAME", "webhook-worker-1"),
        subject=text("SUBJECT", "webhooks.>"),
        batch_size=number("BATCH_SIZE", 10, 1, 100),
        ack_wait=number("ACK_WAIT_MS", 60_000, 2_000, 3_600_000) / 1000,
        max_attempts=number("MAX_ATTEMPTS", 20, 1, 1_000),
        retry_delay=number("RETRY_DELAY_MS", 5_000, 100, 300_000) / 1000,
        handler=text("HANDLER", "deliver"),
        secrets=read_secrets(environment.get("SIGNING_SECRETS", ""), problems),
    )
    if settings.group in RESERVED:
        problems.append(f'QUEUE_GROUP: "{settings.group}" is a durable of the product itself; take another name')
    if re.search(r"\s", settings.subject):
        problems.append(f'SUBJECT: "{settings.subject}" is no subject; write e.g. webhooks.orders.>')
    return settings, problems


def read_secrets(text: str, problems: list[str]) -> dict[int, list[bytes]]:
    """ "7=whsec_...,8=whsec_...": webhook and secret; a webhook may come twice while its secret is changed."""
    secrets: dict[int, list[bytes]] = {}
    for part in filter(None, (item.strip() for item in text.split(","))):
        match = SECRET.fullmatch(part)
        try:
            key = base64.b64decode(match[2], validate=True) if match else None
        except ValueError:
            key = None
        if match is None or key is None:
            # Without the secret itself: this goes to a log.
            problems.append(f"SIGNING_SECRETS: entry {part.split('=')[0]} is not WEBHOOK_ID=whsec_ and base64")
            continue
        secrets.setdefault(int(match[1]), []).append(key)
    return secrets
