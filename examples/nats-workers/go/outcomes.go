package main

import (
	"errors"
	"math"
	"time"
)

// What a handler may return, and what becomes of the event then. Any other error is a failure that is tried again.

// Poison says that trying again is useless: the event is terminated with this reason. It stays in the stream.
type Poison struct{ Reason string }

func (e Poison) Error() string { return e.Reason }

// NotYet says that nothing is wrong with the event (a database is away): it comes again, however often that takes.
type NotYet struct{ Reason string }

func (e NotYet) Error() string { return e.Reason }

// RetryLater is a failure after which the receiver named the time for the next attempt.
type RetryLater struct {
	Reason string
	Delay  time.Duration
}

func (e RetryLater) Error() string { return e.Reason }

const (
	longest      = 5 * time.Minute
	longestAsked = 24 * time.Hour
)

// NextDelay is when an event that failed comes again; false when it is given up. With the defaults:
//
//	delivery     1     2     3     4     5      6     7 to 19   20
//	next after  5 s  10 s  20 s  40 s  80 s  160 s   300 s     given up
//
// each 20 % shorter or longer (chance is from 0 to 1), so that what failed together does not come back together.
func NextDelay(err error, delivered uint64, settings Settings, chance float64) (time.Duration, bool) {
	var poison Poison
	var notYet NotYet
	if errors.As(err, &poison) || (delivered >= uint64(settings.MaxAttempts) && !errors.As(err, &notYet)) {
		return 0, false
	}
	doubled := float64(settings.RetryDelay) * math.Pow(2, float64(min(delivered, 31))-1)
	delay := time.Duration(min(doubled, float64(longest)) * (0.8 + 0.4*chance))
	var later RetryLater
	if errors.As(err, &later) {
		delay = max(delay, min(later.Delay, longestAsked))
	}
	return delay, true
}
