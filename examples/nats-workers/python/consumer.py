"""The durable that all workers of a group share: made where it is missing, refused where it would not do."""

from __future__ import annotations

from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, ConsumerInfo, DeliverPolicy
from nats.js.errors import NotFoundError
from settings import Settings

CONSUMER_NOT_FOUND = 10014
MAX_ACK_PENDING = 256


async def open_consumer(jetstream: JetStreamContext, settings: Settings) -> ConsumerInfo:
    info = await find(jetstream, settings) or await jetstream.add_consumer(
        settings.stream,
        ConsumerConfig(
            # Named by the group: with a durable for each worker every worker would get every event.
            durable_name=settings.group,
            filter_subject=settings.subject,
            ack_policy=AckPolicy.EXPLICIT,
            deliver_policy=DeliverPolicy.ALL,
            ack_wait=settings.ack_wait,
            # Attempts are counted here. After a maximum the server would drop the event in silence.
            max_deliver=-1,
            max_ack_pending=MAX_ACK_PENDING,
        ),
    )
    problems = differences(info.config, settings)
    if problems:
        raise RuntimeError(
            f"durable {settings.group} of stream {settings.stream} exists with {', '.join(problems)}; "
            "take another QUEUE_GROUP, or delete the durable"
        )
    return info


async def find(jetstream: JetStreamContext, settings: Settings) -> ConsumerInfo | None:
    try:
        return await jetstream.consumer_info(settings.stream, settings.group)
    except NotFoundError as error:
        if error.err_code == CONSUMER_NOT_FOUND:
            return None
        raise


def differences(config: ConsumerConfig, settings: Settings) -> list[str]:
    problems = []
    if config.deliver_subject:
        problems.append("push delivery")
    if config.ack_policy != AckPolicy.EXPLICIT:
        problems.append(f"ack_policy {getattr(config.ack_policy, 'value', config.ack_policy)} instead of explicit")
    if config.max_deliver != -1:
        problems.append(f"max_deliver {config.max_deliver} instead of -1")
    subject = " ".join(config.filter_subjects or [config.filter_subject or ""])
    if subject != settings.subject:
        problems.append(f"filter {subject} instead of {settings.subject}")
    return problems
