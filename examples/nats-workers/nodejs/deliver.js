// The handler of this example: posts the event to the webhook that it was published through, as the database has it.
// Your own handler is a module with the same function; name it in HANDLER.
import { createHmac } from "node:crypto";
import { NotYet, Poison, RetryLater } from "./outcomes.js";

const MOST_OF_AN_ANSWER = 16 * 1024;
// Ends before a worker that is told to stop has to.
const LONGEST_MS = 20_000;

const WEBHOOK = `
  SELECT w.url, w.method, w.headers, w.timeout_ms, w.enabled,
         rule_nats_subject_covers(coalesce(w.subject_filter, w.nats_subject), $2) AS covers,
         EXISTS (SELECT FROM rule_webhook_secrets s WHERE s.webhook_id = w.webhook_id AND s.secret_name LIKE 'signing%'
                                                      AND (s.expires_at IS NULL OR s.expires_at > now())) AS signed
    FROM rule_webhooks w
   WHERE w.webhook_id = $1`;

/**
 * @param event {{ id: string, subject: string, sequence: number, delivered: number, headers: Map<string, string>, body: Uint8Array }}
 * @param context {{ database: import("pg").Pool, settings: object }}
 */
export async function handle(event, { database, settings }) {
  const webhook = await lookUp(event, database);
  const keys = settings.secrets.get(webhook.id) ?? [];
  if (webhook.signed && keys.length === 0) {
    // Sending without a signature where one is expected would be worse than not sending.
    throw new NotYet(`webhook ${webhook.id} has a signing secret, and SIGNING_SECRETS has none for it`);
  }

  const timestamp = Math.floor(Date.now() / 1000);
  const headers = new Headers({ "content-type": "application/json", "user-agent": "rule-engine-nats-worker-nodejs" });
  for (const [name, value] of Object.entries(webhook.headers ?? {})) {
    headers.set(name, String(value));
  }
  headers.set("webhook-id", event.id);
  headers.set("webhook-timestamp", String(timestamp));
  if (keys.length > 0) {
    headers.set("webhook-signature", sign(keys, event.id, timestamp, event.body));
  }

  const limit = AbortSignal.timeout(Math.min(webhook.timeout_ms, LONGEST_MS));
  // The address is the one of the database and nothing else: neither the event nor a redirect may send it elsewhere.
  const response = await send(webhook.url, { method: webhook.method, headers, body: event.body, redirect: "manual", signal: limit });
  await discard(response);
  judge(response);
}

async function send(url, request) {
  try {
    return await fetch(url, request);
  } catch (error) {
    // Without the message, which may have the address and a token in it.
    throw new Error(`nothing was sent, or no answer came: ${error.cause?.code ?? error.name}`);
  }
}

// Standard Webhooks: HMAC-SHA256 over id.timestamp.body, once for each key while a secret is changed.
export function sign(keys, id, timestamp, body) {
  return keys.map((key) => `v1,${createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest("base64")}`).join(" ");
}

async function lookUp(event, database) {
  const id = event.headers.get("rule-webhook-id") ?? "";
  if (!/^[1-9]\d{0,9}$/.test(id)) {
    throw new Poison("the event has no rule-webhook-id: it was published by subject only, which needs a handler of your own");
  }
  if (event.headers.has("rule-object")) {
    // The message of such an event is empty: sending it would be a lie.
    throw new Poison("the body was too large for a message and lies in the Object Store, which this example does not read");
  }
  let rows;
  try {
    ({ rows } = await database.query(WEBHOOK, [id, event.subject]));
  } catch (error) {
    throw new NotYet(`the webhook cannot be looked up: ${error.message}`);
  }
  const webhook = rows[0];
  if (webhook === undefined) {
    throw new Poison(`webhook ${id} does not exist`);
  }
  if (!webhook.enabled) {
    throw new Poison(`webhook ${id} is disabled`);
  }
  if (webhook.method === "GET") {
    throw new Poison(`webhook ${id} has method GET, which has no body`);
  }
  if (webhook.covers !== true) {
    // Whoever may publish to one subject could otherwise reach the webhooks of all others by their numbers.
    throw new Poison(`webhook ${id} does not take ${event.subject}`);
  }
  return { id: Number(id), ...webhook };
}

// The status says it all; of the body no more is read than is polite, however much there is.
async function discard(response) {
  let length = 0;
  try {
    for await (const chunk of response.body ?? []) {
      if ((length += chunk.length) >= MOST_OF_AN_ANSWER) {
        break;
      }
    }
  } catch {
    // A body that breaks off changes nothing about the status.
  }
}

function judge(response) {
  if (response.ok) {
    return;
  }
  if (response.status === 410) {
    throw new Poison("the receiver answered 410 Gone");
  }
  const asked = response.headers.get("retry-after") ?? "";
  const delayMs = /^\d{1,9}$/.test(asked) ? Number(asked) * 1000 : Date.parse(asked) - Date.now();
  throw new RetryLater(`the receiver answered ${response.status}`, delayMs > 0 ? delayMs : 0);
}
