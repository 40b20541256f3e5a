// Publishes with a stock gRPC client: one call, a batch, a duplex stream, and one that is refused.
// In: { address, protos, webhookId, run, bodies: { unary: base64, batch: [base64], stream: [base64] }, traceparent }. Out: { unary, repeated, batch, stream, refused }.
import path from "node:path";
import grpc from "@grpc/grpc-js";
import protoLoader from "@grpc/proto-loader";
import { program } from "./program.mjs";

const loading = { keepCase: true, longs: String, enums: String, defaults: true, oneofs: true };

await program(async ({ address, protos, webhookId, run, bodies, traceparent }) => {
  const definition = protoLoader.loadSync(["publish.proto", path.resolve("error_details.proto")], { ...loading, includeDirs: [protos] });
  const { PublishService } = grpc.loadPackageDefinition(definition).ruleengine.publish.v1;
  const client = new PublishService(address, grpc.credentials.createInsecure());
  const deadline = () => ({ deadline: Date.now() + 20_000 });
  const metadata = new grpc.Metadata();
  metadata.set("traceparent", traceparent);
  const request = (kind, body, index = 0) => ({
    webhook_id: webhookId,
    message_id: `${kind}-${run}-${index}`,
    payload: Buffer.from(body, "base64"),
    headers: [{ name: "X-Client", value: "node" }],
  });

  const publish = (message) =>
    new Promise((resolve, reject) => {
      client.Publish(message, metadata, deadline(), (error, answer) => (error ? reject(error) : resolve(answer)));
    });
  const refusal = async (message) => {
    try {
      return { stored: await publish(message) };
    } catch (error) {
      return read(error, definition);
    }
  };

  try {
    const unary = await publish(request("unary", bodies.unary));
    const repeated = await publish(request("unary", bodies.unary));
    const batch = await new Promise((resolve, reject) => {
      const items = bodies.batch.map((body, index) => request("batch", body, index));
      client.PublishBatch({ items }, metadata, deadline(), (error, answer) => (error ? reject(error) : resolve(answer)));
    });
    const stream = await duplex(client.PublishStream(metadata, deadline()), bodies.stream.map((body, index) => request("stream", body, index)));
    const refused = {
      subject: await refusal({ subject: "webhooks.a b", payload: Buffer.from("{}") }),
      reused: await refusal({ ...request("unary", bodies.unary), payload: Buffer.from('{"another":"body"}') }),
    };
    return { unary, repeated, batch, stream, refused };
  } finally {
    client.close();
  }
});

function duplex(call, requests) {
  return new Promise((resolve, reject) => {
    const results = [];
    call.on("data", (result) => results.push(result));
    call.on("error", reject);
    call.on("end", () => resolve(results));
    for (const request of requests) {
      call.write(request);
    }

    call.end();
  });
}

function read(error, definition) {
  const [bytes] = error.metadata.get("grpc-status-details-bin");
  const status = definition["google.rpc.Status"].deserialize(bytes);
  const details = status.details.map((detail) => {
    const type = detail.type_url.split("/").at(-1);
    return { type, ...definition[type].deserialize(detail.value) };
  });
  return { code: error.code, message: error.details, details };
}
