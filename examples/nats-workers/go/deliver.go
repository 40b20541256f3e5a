package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Event is what a handler gets.
type Event struct {
	ID, Subject string
	Sequence    uint64
	Delivered   uint64
	WebhookID   string
	Object      string // The body was too large for a message and lies in the Object Store under this name.
	Body        []byte
}

const (
	mostOfAnAnswer = 16 * 1024
	// Ends before a worker that is told to stop has to.
	longestRequest = 20 * time.Second

	webhookQuery = `
		SELECT w.url, w.method, coalesce(w.headers, '{}')::text, w.timeout_ms, w.enabled,
		       coalesce(rule_nats_subject_covers(coalesce(w.subject_filter, w.nats_subject), $2), false),
		       EXISTS (SELECT FROM rule_webhook_secrets s WHERE s.webhook_id = w.webhook_id AND s.secret_name LIKE 'signing%'
		                                                    AND (s.expires_at IS NULL OR s.expires_at > now()))
		  FROM rule_webhooks w
		 WHERE w.webhook_id = $1`
)

var validID = regexp.MustCompile(`^[1-9][0-9]{0,9}$`)

// Deliverer is the handler of this example: it posts the event to the webhook that it was published through, as the database has it.
// For a handler of your own give Worker another function.
type Deliverer struct {
	database *sql.DB
	settings Settings
	client   *http.Client
}

// NewDeliverer makes one whose client goes where the database says and nowhere else.
func NewDeliverer(database *sql.DB, settings Settings) *Deliverer {
	transport := &http.Transport{DisableCompression: true, MaxResponseHeaderBytes: 32 * 1024, MaxIdleConnsPerHost: settings.BatchSize, IdleConnTimeout: time.Minute}
	follow := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Deliverer{database, settings, &http.Client{Transport: transport, CheckRedirect: follow}}
}

type webhook struct {
	id                       int
	url, method              string
	headers                  map[string]any
	timeout                  time.Duration
	enabled, covered, signed bool
}

// Handle delivers one event; its error says what becomes of it.
func (d *Deliverer) Handle(ctx context.Context, event Event) error {
	hook, err := d.lookUp(ctx, event)
	if err != nil {
		return err
	}
	keys := d.settings.Secrets[hook.id]
	if hook.signed && len(keys) == 0 {
		// Sending without a signature where one is expected would be worse than not sending.
		return NotYet{fmt.Sprintf("webhook %d has a signing secret, and SIGNING_SECRETS has none for it", hook.id)}
	}

	ctx, cancel := context.WithTimeout(ctx, min(hook.timeout, longestRequest))
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, hook.method, hook.url, bytes.NewReader(event.Body))
	if err != nil {
		// Without the message, which has the address in it.
		return fmt.Errorf("webhook %d has an address or method that is none", hook.id)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "rule-engine-nats-worker-go")
	for name, value := range hook.headers {
		request.Header.Set(name, fmt.Sprint(value))
	}
	timestamp := strconv.FormatInt(time.Now().Unix(), 10)
	request.Header.Set("webhook-id", event.ID)
	request.Header.Set("webhook-timestamp", timestamp)
	if len(keys) > 0 {
		request.Header.Set("webhook-signature", Sign(keys, event.ID, timestamp, event.Body))
	}
	return d.send(request)
}

// Sign follows Standard Webhooks: HMAC-SHA256 over id.timestamp.body, once for each key while a secret is changed.
func Sign(keys [][]byte, id, timestamp string, body []byte) string {
	signatures := make([]string, len(keys))
	for index, key := range keys {
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%s.", id, timestamp)
		mac.Write(body)
		signatures[index] = "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	return strings.Join(signatures, " ")
}

func (d *Deliverer) lookUp(ctx context.Context, event Event) (webhook, error) {
	id, err := strconv.ParseInt(event.WebhookID, 10, 32)
	if !validID.MatchString(event.WebhookID) || err != nil {
		return webhook{}, Poison{"the event has no rule-webhook-id: it was published by subject only, which needs a handler of your own"}
	}
	if event.Object != "" {
		// The message of such an event is empty: sending it would be a lie.
		return webhook{}, Poison{"the body was too large for a message and lies in the Object Store, which this example does not read"}
	}
	hook := webhook{id: int(id)}
	var headers string
	var milliseconds int
	err = d.database.QueryRowContext(ctx, webhookQuery, id, event.Subject).
		Scan(&hook.url, &hook.method, &headers, &milliseconds, &hook.enabled, &hook.covered, &hook.signed)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return hook, Poison{fmt.Sprintf("webhook %d does not exist", id)}
	case err != nil:
		return hook, NotYet{fmt.Sprintf("the webhook cannot be looked up: %v", err)}
	case !hook.enabled:
		return hook, Poison{fmt.Sprintf("webhook %d is disabled", id)}
	case !hook.covered:
		// Whoever may publish to one subject could otherwise reach the webhooks of all others by their numbers.
		return hook, Poison{fmt.Sprintf("webhook %d does not take %s", id, event.Subject)}
	}
	hook.timeout = time.Duration(milliseconds) * time.Millisecond
	if err := json.Unmarshal([]byte(headers), &hook.headers); err != nil {
		return hook, fmt.Errorf("webhook %d has headers that are no object", id)
	}
	return hook, nil
}

func (d *Deliverer) send(request *http.Request) error {
	response, err := d.client.Do(request)
	if err != nil {
		// Without the message, which has the address in it, and perhaps a token.
		if errors.Is(err, context.DeadlineExceeded) {
			return errors.New("nothing was sent, or no answer came: timeout")
		}
		return errors.New("nothing was sent, or no answer came: connection")
	}
	defer response.Body.Close()
	// The status says it all; of the body no more is read than is polite, and one that breaks off changes nothing about it.
	_, _ = io.CopyN(io.Discard, response.Body, mostOfAnAnswer)
	switch {
	case response.StatusCode >= 200 && response.StatusCode < 300:
		return nil
	case response.StatusCode == http.StatusGone:
		return Poison{"the receiver answered 410 Gone"}
	default:
		return RetryLater{fmt.Sprintf("the receiver answered %d", response.StatusCode), retryAfter(response.Header.Get("Retry-After"))}
	}
}

func retryAfter(text string) time.Duration {
	if validNumber.MatchString(text) {
		seconds, _ := strconv.Atoi(text)
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return time.Until(at)
	}
	return 0
}
