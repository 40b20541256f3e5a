// This worker's row of rule_nats_consumer_stats, named by CONSUMER_NAME: when something changed, at most every 5 s, and every 30 s as a sign of life.
const EVERY_MS = 5_000;
const SIGN_OF_LIFE_MS = 30_000;

const UPDATE = `
  SELECT rule_nats_consumer_update_stats($1, $2, $3, $4, $5, $6, p_queue_group => $7, p_ack_policy => 'explicit', p_max_deliver => -1,
                                         p_messages_redelivered => $8, p_active => $9)`;

export class Stats {
  delivered = 0;
  acknowledged = 0;
  redelivered = 0;
  #milliseconds = 0;
  #finished = 0;
  #written = "";
  #writtenAt = 0;

  constructor(database, settings, pending) {
    this.database = database;
    this.settings = settings;
    this.pending = pending;
  }

  finished(milliseconds) {
    this.#milliseconds += milliseconds;
    this.#finished++;
  }

  start() {
    this.timer = setInterval(() => void this.#writeIfDue(), EVERY_MS);
    return this.write(true);
  }

  async stop() {
    clearInterval(this.timer);
    await this.write(false);
  }

  async write(active) {
    const { stream, consumer, group } = this.settings;
    const average = this.#finished > 0 ? this.#milliseconds / this.#finished : null;
    try {
      const figures = [this.delivered, this.acknowledged, await this.pending(), average];
      await this.database.query(UPDATE, [stream, consumer, ...figures, group, this.redelivered, active]);
      [this.#written, this.#writtenAt] = [this.#figures(), Date.now()];
    } catch (error) {
      // Figures are no reason to stop working.
      console.error(`statistics are not written: ${error.message}`);
    }
  }

  #writeIfDue() {
    return this.#figures() !== this.#written || Date.now() - this.#writtenAt >= SIGN_OF_LIFE_MS ? this.write(true) : undefined;
  }

  #figures() {
    return `${this.delivered} ${this.acknowledged} ${this.#finished}`;
  }
}
