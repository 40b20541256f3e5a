package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

const maxAckPending = 256

// OpenConsumer returns the durable that all workers of a group share: made where it is missing, refused where it would not do.
func OpenConsumer(ctx context.Context, js jetstream.JetStream, settings Settings) (jetstream.Consumer, error) {
	consumer, err := js.Consumer(ctx, settings.Stream, settings.Group)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		consumer, err = js.CreateConsumer(ctx, settings.Stream, jetstream.ConsumerConfig{
			// Named by the group: with a durable for each worker every worker would get every event.
			Durable:       settings.Group,
			FilterSubject: settings.Subject,
			AckPolicy:     jetstream.AckExplicitPolicy,
			DeliverPolicy: jetstream.DeliverAllPolicy,
			AckWait:       settings.AckWait,
			// Attempts are counted here. After a maximum the server would drop the event in silence.
			MaxDeliver:    -1,
			MaxAckPending: maxAckPending,
		})
	}
	if err != nil {
		return nil, err
	}
	if problems := differences(consumer.CachedInfo().Config, settings); len(problems) > 0 {
		return nil, fmt.Errorf("durable %s of stream %s exists with %s; take another QUEUE_GROUP, or delete the durable",
			settings.Group, settings.Stream, strings.Join(problems, ", "))
	}
	return consumer, nil
}

func differences(config jetstream.ConsumerConfig, settings Settings) []string {
	var problems []string
	if config.AckPolicy != jetstream.AckExplicitPolicy {
		problems = append(problems, fmt.Sprintf("ack_policy %s instead of explicit", strings.ToLower(strings.TrimPrefix(config.AckPolicy.String(), "Ack"))))
	}
	if config.MaxDeliver != -1 {
		problems = append(problems, fmt.Sprintf("max_deliver %d instead of -1", config.MaxDeliver))
	}
	filter := config.FilterSubject
	if len(config.FilterSubjects) > 0 {
		filter = strings.Join(config.FilterSubjects, " ")
	}
	if filter != settings.Subject {
		problems = append(problems, fmt.Sprintf("filter %s instead of %s", filter, settings.Subject))
	}
	return problems
}
