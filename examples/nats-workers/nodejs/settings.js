// The environment, checked all at once: a worker that starts has settings that make sense.

const NAME = /^[A-Za-z0-9_-]{1,64}$/;
// The durables of the product's own services: a worker that shared one would take their events.
const RESERVED = ["delivery-worker", "ingestion-worker"];

export function readSettings(environment) {
  const problems = [];
  const text = (name, fallback) => environment[name] || fallback;
  const number = (name, fallback, least, most) => {
    const value = text(name, String(fallback));
    if (!/^\d{1,9}$/.test(value) || Number(value) < least || Number(value) > most) {
      problems.push(`${name}: "${value}" is not a number from ${least} to ${most}`);
    }
    return Number(value);
  };
  const name = (variable, fallback) => {
    const value = text(variable, fallback);
    if (!NAME.test(value)) {
      problems.push(`${variable}: "${value}" may have letters, digits, - and _ only, at most 64`);
    }
    return value;
  };

  const settings = {
    natsUrl: text("NATS_URL", "nats://localhost:4222"),
    natsUser: text("NATS_USER"),
    natsPass: text("NATS_PASS"),
    databaseUrl: text("DATABASE_URL", "postgresql://localhost/postgres"),
    stream: name("STREAM_NAME", "WEBHOOKS"),
    group: name("QUEUE_GROUP", "webhook-workers"),
    consumer: name("CONSUMER_NAME", "webhook-worker-1"),
    subject: text("SUBJECT", "webhooks.>"),
    batchSize: number("BATCH_SIZE", 10, 1, 100),
    ackWaitMs: number("ACK_WAIT_MS", 60_000, 2_000, 3_600_000),
    maxAttempts: number("MAX_ATTEMPTS", 20, 1, 1_000),
    retryDelayMs: number("RETRY_DELAY_MS", 5_000, 100, 300_000),
    handler: text("HANDLER", "./deliver.js"),
    secrets: readSecrets(text("SIGNING_SECRETS", ""), problems),
  };
  if (RESERVED.includes(settings.group)) {
    problems.push(`QUEUE_GROUP: "${settings.group}" is a durable of the product itself; take another name`);
  }
  if (!/^[^\s]+$/.test(settings.subject)) {
    problems.push(`SUBJECT: "${settings.subject}" is no subject; write e.g. webhooks.orders.>`);
  }
  return { settings, problems };
}

// "7=whsec_...,8=whsec_...": webhook and secret; a webhook may come twice while its secret is changed.
function readSecrets(text, problems) {
  const secrets = new Map();
  for (const part of text.split(",").map((item) => item.trim()).filter((item) => item !== "")) {
    const match = /^(\d{1,9})=(?:whsec_)?([A-Za-z0-9+/]+={0,2})$/.exec(part);
    if (!match) {
      // Without the secret itself: this goes to a log.
      problems.push(`SIGNING_SECRETS: entry ${part.split("=")[0]} is not WEBHOOK_ID=whsec_ and base64`);
      continue;
    }
    const id = Number(match[1]);
    secrets.set(id, [...(secrets.get(id) ?? []), Buffer.from(match[2], "base64")]);
  }
  return secrets;
}
