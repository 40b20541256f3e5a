// What a handler may throw, and what becomes of the event then. Anything else that it throws is a failure that is tried again.

/** Trying again is useless: the event is terminated with this reason. It stays in the stream. */
export class Poison extends Error {}

/** Nothing is wrong with the event (a database is away): it comes again, however often that takes. */
export class NotYet extends Error {}

/** A failure after which the receiver named the time for the next attempt. */
export class RetryLater extends Error {
  constructor(message, delayMs) {
    super(message);
    this.delayMs = delayMs;
  }
}

const LONGEST_MS = 5 * 60_000;
const LONGEST_ASKED_MS = 24 * 3_600_000;

/**
 * When an event that failed comes again, in milliseconds; null when it is given up. With the defaults:
 *   delivery     1     2     3     4     5      6     7 to 19   20
 *   next after  5 s  10 s  20 s  40 s  80 s  160 s   300 s     given up
 * each 20 % shorter or longer, so that what failed together does not come back together.
 */
export function nextDelay(error, delivered, { retryDelayMs, maxAttempts }, random = Math.random) {
  // What is no JSON will never be any.
  if (error instanceof Poison || error instanceof SyntaxError || (delivered >= maxAttempts && !(error instanceof NotYet))) {
    return null;
  }
  const delay = Math.min(retryDelayMs * 2 ** Math.min(delivered - 1, 30), LONGEST_MS) * (0.8 + 0.4 * random());
  return Math.round(Math.max(delay, Math.min(error.delayMs ?? 0, LONGEST_ASKED_MS)));
}
