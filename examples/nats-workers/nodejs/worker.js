// Shares the events of a stream with the other workers of its group. Each of BATCH_SIZE loops takes one event, handles it and settles it.
import { connect } from "@nats-io/transport-node";
import pg from "pg";
import { openConsumer } from "./consumer.js";
import { nextDelay } from "./outcomes.js";
import { readSettings } from "./settings.js";
import { Stats } from "./stats.js";

// How long a loop waits for an event, and so how long a stop may take while nothing is in work.
const POLL_MS = 2_000;
const PAUSE_AFTER_ERROR_MS = 1_000;

const { settings, problems } = readSettings(process.env);
if (problems.length > 0) {
  problems.forEach((problem) => console.error(problem));
  process.exit(2);
}

let stopping = false;
for (const signal of ["SIGTERM", "SIGINT"]) {
  // Once: a second signal ends the process at once.
  process.once(signal, () => {
    stopping = true;
    console.log(`${signal}: finishing what is in work`);
  });
}

const connection = await connect({
  servers: settings.natsUrl, user: settings.natsUser, pass: settings.natsPass, name: settings.consumer, maxReconnectAttempts: -1, waitOnFirstConnect: true,
});
const database = new pg.Pool({ connectionString: settings.databaseUrl, max: 4, application_name: settings.consumer });
database.on("error", (error) => console.error(`database: ${error.message}`));

try {
  const { handle } = await import(new URL(settings.handler, import.meta.url));
  const { consumer, ackWaitMs } = await openConsumer(connection, settings);
  const stats = new Stats(database, settings, async () => {
    const info = await consumer.info();
    return info.num_pending + info.num_ack_pending;
  });
  await stats.start();
  console.log(`worker ${settings.consumer} takes ${settings.subject} of ${settings.stream} with group ${settings.group}`);
  await Promise.all(Array.from({ length: settings.batchSize }, () => loop(consumer, ackWaitMs, handle, stats)));
  await stats.stop();
  console.log("stopped");
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  await database.end();
  await connection.drain();
}

async function loop(consumer, ackWaitMs, handle, stats) {
  while (!stopping) {
    try {
      const message = await consumer.next({ expires: POLL_MS });
      if (message !== null) {
        await work(message, ackWaitMs, handle, stats);
      }
    } catch (error) {
      console.error(`stream ${settings.stream}: ${error.message}`);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_AFTER_ERROR_MS));
    }
  }
}

async function work(message, ackWaitMs, handle, stats) {
  const event = read(message);
  const begin = performance.now();
  // As long as it is in work nobody else gets it; a third survives two lost reports.
  const progress = setInterval(() => message.working(), ackWaitMs / 3);
  stats.delivered++;
  stats.redelivered += event.delivered > 1 ? 1 : 0;
  let outcome;
  try {
    await handle(event, { database, settings });
    outcome = await acknowledge(message, stats);
  } catch (error) {
    outcome = giveBack(message, event, error, stats);
  } finally {
    clearInterval(progress);
    stats.finished(performance.now() - begin);
  }
  console.log(`event ${event.id} on ${event.subject}, delivery ${event.delivered}: ${outcome}, ${Math.round(performance.now() - begin)} ms`);
}

// With the server's answer: as long as there is none the event may come again.
async function acknowledge(message, stats) {
  try {
    await message.ackAck();
    stats.acknowledged++;
    return "done";
  } catch (error) {
    return `done, and may come again: ${error.message}`;
  }
}

function giveBack(message, event, error, stats) {
  const delay = nextDelay(error, event.delivered, settings);
  if (delay === null) {
    // Said here too: servers older than 2.11 do not keep the reason.
    message.term(error.message);
    stats.acknowledged++;
    return `given up: ${error.message}`;
  }
  // Never without a delay: the event would come back at once, again and again.
  message.nak(delay);
  return `again in ${delay} ms: ${error.message}`;
}

function read(message) {
  const headers = new Map([...(message.headers ?? [])].map(([name, values]) => [name, values.join(",")]));
  return {
    id: headers.get("ce-id") ?? headers.get("Nats-Msg-Id") ?? `${settings.stream}-${message.seq}`,
    subject: message.subject,
    sequence: message.seq,
    delivered: message.info.deliveryCount,
    headers,
    body: message.data,
  };
}
