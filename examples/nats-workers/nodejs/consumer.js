// The durable that all workers of a group share: made where it is missing, refused where it would not do.
import { AckPolicy, DeliverPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";

const CONSUMER_NOT_FOUND = 10014;
const MAX_ACK_PENDING = 256;
const NANOS = 1_000_000;

/** @returns {Promise<{ consumer: import("@nats-io/jetstream").Consumer, ackWaitMs: number }>} */
export async function openConsumer(connection, settings) {
  const manager = await jetstreamManager(connection);
  const info = (await find(manager, settings)) ?? (await manager.consumers.add(settings.stream, {
    // Named by the group: with a durable for each worker every worker would get every event.
    durable_name: settings.group,
    filter_subject: settings.subject,
    ack_policy: AckPolicy.Explicit,
    deliver_policy: DeliverPolicy.All,
    ack_wait: settings.ackWaitMs * NANOS,
    // Attempts are counted here. After a maximum the server would drop the event in silence.
    max_deliver: -1,
    max_ack_pending: MAX_ACK_PENDING,
  }));
  const problems = differences(info.config, settings);
  if (problems.length > 0) {
    throw new Error(`durable ${settings.group} of stream ${settings.stream} exists with ${problems.join(", ")}; take another QUEUE_GROUP, or delete the durable`);
  }
  return { consumer: await jetstream(connection).consumers.get(settings.stream, settings.group), ackWaitMs: info.config.ack_wait / NANOS };
}

async function find(manager, settings) {
  try {
    return await manager.consumers.info(settings.stream, settings.group);
  } catch (error) {
    if (error.code === CONSUMER_NOT_FOUND) {
      return null;
    }
    throw error;
  }
}

function differences(config, settings) {
  const problems = [];
  if (config.deliver_subject) {
    problems.push("push delivery");
  }
  if (config.ack_policy !== AckPolicy.Explicit) {
    problems.push(`ack_policy ${config.ack_policy} instead of explicit`);
  }
  if (config.max_deliver !== -1) {
    problems.push(`max_deliver ${config.max_deliver} instead of -1`);
  }
  const filter = config.filter_subjects?.join(" ") ?? config.filter_subject ?? "";
  if (filter !== settings.subject) {
    problems.push(`filter ${filter} instead of ${settings.subject}`);
  }
  return problems;
}
