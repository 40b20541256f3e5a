// Reads a stream with a stock JetStream client, as a consumer in another language would.
// In: { server, stream, subject, count }. Out: [{ sequence, subject, headers: { name: value }, body: base64 }].
import { AckPolicy, DeliverPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { program } from "./program.mjs";

await program(async ({ server, stream, subject, count }) => {
  const connection = await connect({ servers: server });
  try {
    const manager = await jetstreamManager(connection);
    const { name } = await manager.consumers.add(stream, {
      ack_policy: AckPolicy.Explicit,
      deliver_policy: DeliverPolicy.All,
      filter_subject: subject,
    });
    const consumer = await jetstream(connection).consumers.get(stream, name);
    const messages = [];
    while (messages.length < count) {
      const message = await consumer.next({ expires: 20_000 });
      if (message === null) {
        break;
      }

      messages.push({
        sequence: message.seq,
        subject: message.subject,
        headers: Object.fromEntries([...message.headers].map(([key, values]) => [key, values.join(",")])),
        body: Buffer.from(message.data).toString("base64"),
      });
      message.ack();
    }

    await manager.consumers.delete(stream, name);
    return messages;
  } finally {
    await connection.drain();
  }
});
