package main

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Settings is the environment, checked all at once: a worker that starts has settings that make sense.
type Settings struct {
	NatsURL, NatsUser, NatsPass string
	DatabaseURL                 string
	Stream, Group, Consumer     string
	Subject                     string
	BatchSize, MaxAttempts      int
	AckWait, RetryDelay         time.Duration
	Secrets                     map[int][][]byte
}

var (
	validName   = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	validNumber = regexp.MustCompile(`^[0-9]{1,9}$`)
	validSecret = regexp.MustCompile(`^([0-9]{1,9})=(?:whsec_)?([A-Za-z0-9+/]+={0,2})$`)
	// The durables of the product's own services: a worker that shared one would take their events.
	reserved = []string{"delivery-worker", "ingestion-worker"}
)

// ReadSettings returns the settings and all that is wrong with them.
func ReadSettings(lookUp func(string) string) (Settings, []string) {
	var problems []string
	text := func(name, fallback string) string {
		if value := lookUp(name); value != "" {
			return value
		}
		return fallback
	}
	number := func(name string, fallback, least, most int) int {
		value := text(name, strconv.Itoa(fallback))
		parsed, err := strconv.Atoi(value)
		if !validNumber.MatchString(value) || err != nil || parsed < least || parsed > most {
			problems = append(problems, fmt.Sprintf("%s: %q is not a number from %d to %d", name, value, least, most))
			return fallback
		}
		return parsed
	}
	name := func(variable, fallback string) string {
		value := text(variable, fallback)
		if !validName.MatchString(value) {
			problems = append(problems, fmt.Sprintf("%s: %q may have letters, digits, - and _ only, at most 64", variable, value))
		}
		return value
	}
	milliseconds := func(name string, fallback, least, most int) time.Duration {
		return time.Duration(number(name, fallback, least, most)) * time.Millisecond
	}

	settings := Settings{
		NatsURL: text("NATS_URL", "nats://localhost:4222"), NatsUser: lookUp("NATS_USER"), NatsPass: lookUp("NATS_PASS"),
		DatabaseURL: text("DATABASE_URL", "postgresql://localhost/postgres?sslmode=disable"),
		Stream:      name("STREAM_NAME", "WEBHOOKS"),
		Group:       name("QUEUE_GROUP", "webhook-workers"),
		Consumer:    name("CONSUMER_NAME", "webhook-worker-1"),
		Subject:     text("SUBJECT", "webhooks.>"),
		BatchSize:   number("BATCH_SIZE", 10, 1, 100),
		AckWait:     milliseconds("ACK_WAIT_MS", 60_000, 2_000, 3_600_000),
		MaxAttempts: number("MAX_ATTEMPTS", 20, 1, 1_000),
		RetryDelay:  milliseconds("RETRY_DELAY_MS", 5_000, 100, 300_000),
	}
	settings.Secrets, problems = readSecrets(lookUp("SIGNING_SECRETS"), problems)
	if slices.Contains(reserved, settings.Group) {
		problems = append(problems, fmt.Sprintf("QUEUE_GROUP: %q is a durable of the product itself; take another name", settings.Group))
	}
	if strings.ContainsAny(settings.Subject, " \t\r\n") {
		problems = append(problems, fmt.Sprintf("SUBJECT: %q is no subject; write e.g. webhooks.orders.>", settings.Subject))
	}
	return settings, problems
}

// "7=whsec_...,8=whsec_...": webhook and secret; a webhook may come twice while its secret is changed.
func readSecrets(text string, problems []string) (map[int][][]byte, []string) {
	secrets := map[int][][]byte{}
	for _, part := range strings.Split(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		var key []byte
		match := validSecret.FindStringSubmatch(part)
		if match != nil {
			key, _ = base64.StdEncoding.DecodeString(match[2])
		}
		if len(key) == 0 {
			// Without the secret itself: this goes to a log.
			entry, _, _ := strings.Cut(part, "=")
			problems = append(problems, fmt.Sprintf("SIGNING_SECRETS: entry %s is not WEBHOOK_ID=whsec_ and base64", entry))
			continue
		}
		id, _ := strconv.Atoi(match[1])
		secrets[id] = append(secrets[id], key)
	}
	return secrets, problems
}
