// A worker that shares the events of a JetStream stream with the others of its group. Each of BATCH_SIZE loops takes one event, handles it and settles it.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	_ "github.com/lib/pq"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// How long a loop waits for an event, and so how long a stop may take while nothing is in work.
	poll            = 2 * time.Second
	pauseAfterError = time.Second
	ackTimeout      = 5 * time.Second
)

// Worker takes events and settles them by what its handler says.
type Worker struct {
	settings Settings
	consumer jetstream.Consumer
	stats    *Stats
	handle   func(context.Context, Event) error
	ackWait  time.Duration
}

func main() {
	settings, problems := ReadSettings(os.Getenv)
	if len(problems) > 0 {
		for _, problem := range problems {
			fmt.Fprintln(os.Stderr, problem)
		}
		os.Exit(2)
	}
	if err := run(settings); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(settings Settings) error {
	stop, release := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer release()
	connection, err := nats.Connect(settings.NatsURL, nats.Name(settings.Consumer), nats.UserInfo(settings.NatsUser, settings.NatsPass),
		nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true))
	if err != nil {
		return err
	}
	defer connection.Close()
	database, err := sql.Open("postgres", settings.DatabaseURL)
	if err != nil {
		return err
	}
	defer database.Close()
	database.SetMaxOpenConns(4)

	js, err := jetstream.New(connection)
	if err != nil {
		return err
	}
	consumer, err := OpenConsumer(stop, js, settings)
	if err != nil {
		return err
	}
	worker := Worker{settings: settings, consumer: consumer, handle: NewDeliverer(database, settings).Handle, ackWait: consumer.CachedInfo().Config.AckWait}
	worker.stats = &Stats{database: database, settings: settings, pending: worker.pending}
	worker.Run(stop, release)
	return connection.Flush()
}

// Run works until stop ends, and then until nothing is in work.
func (w *Worker) Run(stop context.Context, release func()) {
	w.stats.Write(context.Background(), true)
	keeping, done := context.WithCancel(context.Background())
	var kept, loops sync.WaitGroup
	kept.Add(1)
	go func() {
		defer kept.Done()
		w.stats.Keep(keeping)
	}()
	log.Printf("worker %s takes %s of %s with group %s", w.settings.Consumer, w.settings.Subject, w.settings.Stream, w.settings.Group)
	for range w.settings.BatchSize {
		loops.Add(1)
		go func() {
			defer loops.Done()
			w.loop(stop)
		}()
	}
	<-stop.Done()
	log.Print("finishing what is in work")
	// A second signal ends the process at once.
	release()
	loops.Wait()
	done()
	kept.Wait()
	w.stats.Write(context.Background(), false)
	log.Print("stopped")
}

func (w *Worker) pending(ctx context.Context) (int64, error) {
	info, err := w.consumer.Info(ctx)
	if err != nil {
		return 0, err
	}
	return int64(info.NumPending) + int64(info.NumAckPending), nil
}

func (w *Worker) loop(stop context.Context) {
	for stop.Err() == nil {
		message, err := w.consumer.Next(jetstream.FetchMaxWait(poll))
		switch {
		case err == nil:
			w.work(message)
		case errors.Is(err, nats.ErrTimeout), errors.Is(err, jetstream.ErrNoMessages):
		default:
			log.Printf("stream %s: %v", w.settings.Stream, err)
			time.Sleep(pauseAfterError)
		}
	}
}

func (w *Worker) work(message jetstream.Msg) {
	event, err := w.read(message)
	if err != nil {
		log.Printf("stream %s: %v", w.settings.Stream, err)
		return
	}
	begin := time.Now()
	finished := make(chan struct{})
	go w.reportProgress(message, finished)
	w.stats.Count(func(f *figures) {
		f.delivered++
		if event.Delivered > 1 {
			f.redelivered++
		}
	})
	// Not the context of the stop: what is in work is finished.
	err = w.handle(context.Background(), event)
	outcome := ""
	if err == nil {
		outcome = w.acknowledge(message)
	} else {
		outcome = w.giveBack(message, event, err)
	}
	close(finished)
	took := time.Since(begin)
	w.stats.Count(func(f *figures) { f.finished, f.processing = f.finished+1, f.processing+took })
	log.Printf("event %s on %s, delivery %d: %s, %d ms", event.ID, event.Subject, event.Delivered, outcome, took.Milliseconds())
}

// As long as it is in work nobody else gets it; a third of the wait survives two lost reports.
func (w *Worker) reportProgress(message jetstream.Msg, finished <-chan struct{}) {
	ticker := time.NewTicker(w.ackWait / 3)
	defer ticker.Stop()
	for {
		select {
		case <-finished:
			return
		case <-ticker.C:
			_ = message.InProgress()
		}
	}
}

// With the server's answer: as long as there is none the event may come again.
func (w *Worker) acknowledge(message jetstream.Msg) string {
	ctx, cancel := context.WithTimeout(context.Background(), ackTimeout)
	defer cancel()
	if err := message.DoubleAck(ctx); err != nil {
		return fmt.Sprintf("done, and may come again: %v", err)
	}
	w.stats.Count(func(f *figures) { f.acknowledged++ })
	return "done"
}

func (w *Worker) giveBack(message jetstream.Msg, event Event, reason error) string {
	delay, again := NextDelay(reason, event.Delivered, w.settings, rand.Float64())
	if again {
		// Never without a delay: the event would come back at once, again and again.
		if err := message.NakWithDelay(delay); err != nil {
			return fmt.Sprintf("again after the ack wait, %v: %v", err, reason)
		}
		return fmt.Sprintf("again in %d ms: %v", delay.Milliseconds(), reason)
	}
	// Said here too: servers older than 2.11 do not keep the reason.
	if err := message.TermWithReason(reason.Error()); err != nil {
		return fmt.Sprintf("again after the ack wait, %v: %v", err, reason)
	}
	w.stats.Count(func(f *figures) { f.acknowledged++ })
	return fmt.Sprintf("given up: %v", reason)
}

func (w *Worker) read(message jetstream.Msg) (Event, error) {
	metadata, err := message.Metadata()
	if err != nil {
		return Event{}, err
	}
	headers := message.Headers()
	id := fmt.Sprintf("%s-%d", w.settings.Stream, metadata.Sequence.Stream)
	for _, name := range []string{"Nats-Msg-Id", "ce-id"} {
		if value := headers.Get(name); value != "" {
			id = value
		}
	}
	return Event{
		ID: id, Subject: message.Subject(), Sequence: metadata.Sequence.Stream, Delivered: metadata.NumDelivered,
		WebhookID: headers.Get("rule-webhook-id"), Object: headers.Get("rule-object"), Body: message.Data(),
	}, nil
}
