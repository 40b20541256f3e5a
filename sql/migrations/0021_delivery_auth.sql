-- How requests to one webhook are signed and authorized. The credentials themselves are secrets: rule_webhook_secrets.
SET search_path TO public, pg_temp;

ALTER TABLE rule_webhooks ADD COLUMN IF NOT EXISTS signature_profile text NOT NULL DEFAULT 'standard';
ALTER TABLE rule_webhooks ADD COLUMN IF NOT EXISTS auth_type text NOT NULL DEFAULT 'none';

COMMENT ON COLUMN rule_webhooks.signature_profile IS 'How requests are signed with the secrets named signing…: standard (webhook-signature by Standard Webhooks, v1 and v1a), github (X-Hub-Signature-256), stripe (Stripe-Signature) or none. webhook-id and webhook-timestamp are sent with each.';
COMMENT ON COLUMN rule_webhooks.auth_type IS 'How requests are authorized: none, or by the secret named auth: basic (user:password), bearer (the token), oauth2 (JSON with token_url, client_id, client_secret and perhaps scope and audience) or mtls (certificate and key, PEM). Without the secret nothing is sent: not_authorized.';
