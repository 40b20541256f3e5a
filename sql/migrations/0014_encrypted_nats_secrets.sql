-- Under which key the secrets of a NATS configuration are encrypted, as rule_webhook_secrets.key_id says for a webhook's.
SET search_path TO public, pg_temp;

ALTER TABLE rule_nats_config ADD COLUMN IF NOT EXISTS auth_token_key_id text;
ALTER TABLE rule_nats_config ADD COLUMN IF NOT EXISTS auth_nkey_seed_key_id text;
COMMENT ON COLUMN rule_nats_config.auth_token_key_id IS 'Name of the key that auth_token is encrypted under; null while it is plain text.';
COMMENT ON COLUMN rule_nats_config.auth_nkey_seed_key_id IS 'Name of the key that auth_nkey_seed is encrypted under; null while it is plain text.';
COMMENT ON COLUMN rule_webhook_secrets.key_id IS 'Name of the key that secret_value is encrypted under; null while it is plain text.';
COMMENT ON COLUMN rule_webhook_secrets.secret_value IS 'Plain text while key_id is null. ConfigService replaces it within 2 seconds, where it has a key, by base64 of nonce (12 bytes), AES-256-GCM ciphertext and tag (16 bytes).';
