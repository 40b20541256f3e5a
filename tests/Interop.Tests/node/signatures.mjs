// Verifies signed requests with the libraries their receivers would use, and ed25519 and bytes that are no text with Node's own cryptography.
// In: { secret, publicKey, deliveries: [{ profile, headers, body: base64 }] }. Out: { verified: { verifier: count }, failed: [reason], unnoticed }.
import { createHmac, createPublicKey, timingSafeEqual, verify as verifyEd25519 } from "node:crypto";
import { verify as verifyGitHub } from "@octokit/webhooks-methods";
import { Webhook as StandardWebhook } from "standardwebhooks";
import Stripe from "stripe";
import { Webhook as SvixWebhook } from "svix";
import { program } from "./program.mjs";

// A raw ed25519 key as SubjectPublicKeyInfo: RFC 8410.
const spki = Buffer.from("302a300506032b6570032100", "hex");

await program(async ({ secret, publicKey, deliveries }) => {
  const standard = new StandardWebhook(secret);
  const svix = new SvixWebhook(secret);
  const stripe = new Stripe("sk_test_none");
  const ed25519 = createPublicKey({ key: Buffer.concat([spki, Buffer.from(publicKey.slice("whpk_".length), "base64")]), format: "der", type: "spki" });
  const hmacKey = Buffer.from(secret.slice("whsec_".length), "base64");
  const signed = ({ headers }, bytes) => Buffer.concat([Buffer.from(`${headers["webhook-id"]}.${headers["webhook-timestamp"]}.`), bytes]);
  const signatures = ({ headers }, version) =>
    headers["webhook-signature"].split(" ").filter((one) => one.startsWith(`${version},`)).map((one) => Buffer.from(one.slice(version.length + 1), "base64"));

  const verifiers = {
    // The libraries read text. This one of svix brings a version of standardwebhooks that parses every body, so an empty one is compared.
    standardwebhooks: (delivery, bytes) => standard.verify(bytes, delivery.headers) || true,
    svix: (delivery, bytes) => bytes.length > 0
      ? svix.verify(bytes, delivery.headers)
      : delivery.headers["webhook-signature"].split(" ").includes(svix.sign(delivery.headers["webhook-id"], new Date(delivery.headers["webhook-timestamp"] * 1000), bytes)),
    bytes: (delivery, bytes) => timingSafeEqual(signatures(delivery, "v1")[0], createHmac("sha256", hmacKey).update(signed(delivery, bytes)).digest()),
    ed25519: (delivery, bytes) => signatures(delivery, "v1a").some((one) => verifyEd25519(null, signed(delivery, bytes), ed25519, one)),
    octokit: (delivery, bytes) => verifyGitHub(secret, bytes.toString("utf8"), delivery.headers["X-Hub-Signature-256"]),
    stripe: (delivery, bytes) => stripe.webhooks.signature.verifyHeader(bytes.toString("utf8"), delivery.headers["Stripe-Signature"], secret, 300),
  };
  const names = ({ profile }, text) => profile === "github" ? ["octokit"] : profile === "stripe" ? ["stripe"] : text ? ["standardwebhooks", "svix", "bytes", "ed25519"] : ["bytes", "ed25519"];

  const verified = {};
  const failed = [];
  let unnoticed = 0;
  for (const delivery of deliveries) {
    const bytes = Buffer.from(delivery.body, "base64");
    const text = Buffer.from(bytes.toString("utf8"), "utf8").equals(bytes);
    for (const name of names(delivery, text)) {
      const passes = async (body) => {
        try {
          return Boolean(await verifiers[name](delivery, body));
        } catch (error) {
          return error instanceof TypeError ? Promise.reject(error) : false;
        }
      };
      if (await passes(bytes)) {
        verified[name] = (verified[name] ?? 0) + 1;
      } else {
        failed.push(`${name} ${delivery.profile} ${delivery.headers["webhook-id"]}`);
      }

      // A body with one more byte must not verify.
      unnoticed += (await passes(Buffer.concat([bytes, Buffer.from(" ")]))) ? 1 : 0;
    }
  }

  return { verified, failed, unnoticed };
});
