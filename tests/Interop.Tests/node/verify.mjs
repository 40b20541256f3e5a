// Verifies delivered requests with the Standard Webhooks library, and that it would notice a change.
// In: { secret, deliveries: [{ headers, body: base64 }] }. Out: { verified, failed: [reason], unnoticed }.
import { Webhook } from "standardwebhooks";
import { program } from "./program.mjs";

await program(async ({ secret, deliveries }) => {
  const webhook = new Webhook(secret);
  const failed = [];
  let verified = 0;
  let unnoticed = 0;
  for (const { headers, body } of deliveries) {
    const bytes = Buffer.from(body, "base64");
    try {
      webhook.verify(bytes, headers);
      verified++;
    } catch (error) {
      failed.push(`${headers["webhook-id"]}: ${error.message}`);
    }

    try {
      webhook.verify(`${bytes.toString("utf8")} `, headers);
      unnoticed++;
    } catch {
      // A body with one more byte must not verify.
    }
  }

  return { verified, failed, unnoticed };
});
