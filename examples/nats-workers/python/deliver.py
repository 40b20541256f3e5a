"""The handler of this example: posts the event to the webhook that it was published through, as the database has it.

Your own handler is a module with the same function; name it in HANDLER.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import http.client
import json
import re
import socket
import time
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import asyncpg
from event import Event
from outcomes import NotYet, Poison, RetryLater
from settings import Settings

MOST_OF_AN_ANSWER = 16 * 1024
# Ends before a worker that is told to stop has to.
LONGEST = 20.0

WEBHOOK = """
    SELECT w.url, w.method, w.headers::text AS headers, w.timeout_ms, w.enabled,
           rule_nats_subject_covers(coalesce(w.subject_filter, w.nats_subject), $2) AS covers,
           EXISTS (SELECT FROM rule_webhook_secrets s WHERE s.webhook_id = w.webhook_id AND s.secret_name LIKE 'signing%'
                                                        AND (s.expires_at IS NULL OR s.expires_at > now())) AS signed
      FROM rule_webhooks w
     WHERE w.webhook_id = $1"""


async def handle(event: Event, database: asyncpg.Pool, settings: Settings) -> None:
    identifier, webhook = await look_up(event, database)
    keys = settings.secrets.get(identifier, [])
    if webhook["signed"] and not keys:
        # Sending without a signature where one is expected would be worse than not sending.
        raise NotYet(f"webhook {identifier} has a signing secret, and SIGNING_SECRETS has none for it")

    timestamp = int(time.time())
    headers = {"content-type": "application/json", "user-agent": "rule-engine-nats-worker-python"}
    headers |= {name.lower(): str(value) for name, value in json.loads(webhook["headers"] or "{}").items()}
    headers |= {"webhook-id": event.id, "webhook-timestamp": str(timestamp)}
    if keys:
        headers["webhook-signature"] = sign(keys, event.id, timestamp, event.body)

    limit = min(webhook["timeout_ms"] / 1000, LONGEST)
    judge(*await send(webhook["url"], webhook["method"], headers, event.body, limit))


def sign(keys: list[bytes], identifier: str, timestamp: int, body: bytes) -> str:
    """Standard Webhooks: HMAC-SHA256 over id.timestamp.body, once for each key while a secret is changed."""
    signed = f"{identifier}.{timestamp}.".encode() + body
    return " ".join("v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in keys)


async def look_up(event: Event, database: asyncpg.Pool) -> tuple[int, asyncpg.Record]:
    text = event.headers.get("rule-webhook-id", "")
    if not re.fullmatch(r"[1-9][0-9]{0,9}", text) or int(text) > 2**31 - 1:
        raise Poison("the event has no rule-webhook-id: it was published by subject only, which needs a handler of your own")
    identifier = int(text)
    if "rule-object" in event.headers:
        # The message of such an event is empty: sending it would be a lie.
        raise Poison("the body was too large for a message and lies in the Object Store, which this example does not read")
    try:
        webhook = await database.fetchrow(WEBHOOK, identifier, event.subject)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise NotYet(f"the webhook cannot be looked up: {error}") from error
    if webhook is None:
        raise Poison(f"webhook {identifier} does not exist")
    if not webhook["enabled"]:
        raise Poison(f"webhook {identifier} is disabled")
    if not webhook["covers"]:
        # Whoever may publish to one subject could otherwise reach the webhooks of all others by their numbers.
        raise Poison(f"webhook {identifier} does not take {event.subject}")
    return identifier, webhook


async def send(url: str, method: str, headers: dict[str, str], body: bytes, limit: float) -> tuple[int, str]:
    """Status and Retry-After. The address is the one of the database and nothing else: http.client follows no redirect."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=limit)
    exchange = asyncio.create_task(asyncio.to_thread(talk, connection, method, parts, body, headers))
    try:
        return await asyncio.wait_for(asyncio.shield(exchange), limit)
    except asyncio.TimeoutError:
        # The thread waits for each byte as long as it may for all of them; without a connection it ends.
        if connection.sock is not None:
            connection.sock.shutdown(socket.SHUT_RDWR)
        exchange.add_done_callback(lambda task: task.cancelled() or task.exception())
        raise RuntimeError(f"no answer within {limit:g} s") from None
    except (OSError, http.client.HTTPException) as error:
        # Without the message, which may have the address and a token in it.
        raise RuntimeError(f"nothing was sent, or no answer came: {type(error).__name__}") from None


def talk(connection: http.client.HTTPConnection, method: str, parts, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        try:
            # The status says it all; of the body no more is read than is polite, however much there is.
            response.read(MOST_OF_AN_ANSWER)
        except (OSError, http.client.HTTPException):
            pass
        return response.status, response.getheader("retry-after", "")
    finally:
        connection.close()


def judge(status: int, retry_after: str) -> None:
    if 200 <= status < 300:
        return
    if status == 410:
        raise Poison("the receiver answered 410 Gone")
    raise RetryLater(f"the receiver answered {status}", seconds(retry_after))


def seconds(retry_after: str) -> float:
    if re.fullmatch(r"[0-9]{1,9}", retry_after):
        return float(retry_after)
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (TypeError, ValueError):
        return 0.0
