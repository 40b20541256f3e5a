package main

import (
	"context"
	"database/sql"
	"log"
	"sync"
	"time"
)

const (
	statsEvery   = 5 * time.Second
	signOfLife   = 30 * time.Second
	statsTimeout = 5 * time.Second

	updateStats = `
		SELECT rule_nats_consumer_update_stats($1, $2, $3, $4, $5, $6, p_queue_group => $7, p_ack_policy => 'explicit', p_max_deliver => -1,
		                                       p_messages_redelivered => $8, p_active => $9)`
)

type figures struct {
	delivered, acknowledged, redelivered, finished int64
	processing                                     time.Duration
}

// Stats keeps this worker's row of rule_nats_consumer_stats, named by CONSUMER_NAME: written when something changed, at most every 5 s, and every
// 30 s as a sign of life.
type Stats struct {
	database  *sql.DB
	settings  Settings
	pending   func(context.Context) (int64, error)
	lock      sync.Mutex
	now       figures
	written   figures
	writtenAt time.Time
}

// Count changes the figures.
func (s *Stats) Count(change func(*figures)) {
	s.lock.Lock()
	defer s.lock.Unlock()
	change(&s.now)
}

// Keep writes until the context ends.
func (s *Stats) Keep(ctx context.Context) {
	ticker := time.NewTicker(statsEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if s.snapshot() != s.written || time.Since(s.writtenAt) >= signOfLife {
				s.Write(ctx, true)
			}
		}
	}
}

// Write must not be called while Keep runs.
func (s *Stats) Write(ctx context.Context, active bool) {
	ctx, cancel := context.WithTimeout(ctx, statsTimeout)
	defer cancel()
	now := s.snapshot()
	var average *float64
	if now.finished > 0 {
		milliseconds := now.processing.Seconds() * 1000 / float64(now.finished)
		average = &milliseconds
	}
	pending, err := s.pending(ctx)
	if err == nil {
		_, err = s.database.ExecContext(ctx, updateStats, s.settings.Stream, s.settings.Consumer, now.delivered, now.acknowledged, pending, average,
			s.settings.Group, now.redelivered, active)
	}
	if err != nil {
		// Figures are no reason to stop working.
		log.Printf("statistics are not written: %v", err)
		return
	}
	s.written, s.writtenAt = now, time.Now()
}

func (s *Stats) snapshot() figures {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.now
}
