// How old the audio is that a result speaks of: when each stretch was sent, by its place in the session.

// Of 50 ms each: more than the five minutes that may be sent again.
const MOST_MARKS = 8192;

/** Takes what was sent when, and gives ages. Times are milliseconds. */
export class LagMeter {
  /** @type {{ untilMs: number, atMs: number }[]} */
  #marks = [];

  /**
   * Take that all audio before a place has been sent.
   * @param {number} untilMs @param {number} nowMs
   */
  sent(untilMs, nowMs) {
    if (untilMs <= (this.#marks.at(-1)?.untilMs ?? 0)) return;
    this.#marks.push({ untilMs, atMs: nowMs });
    if (this.#marks.length > MOST_MARKS) this.#marks.splice(0, MOST_MARKS / 2);
  }

  /**
   * Give how long ago the audio at a place was sent for the first time, null when none was.
   * @param {number} offsetMs @param {number} nowMs
   * @returns {number | null}
   */
  lagMs(offsetMs, nowMs) {
    const mark = this.#marks.findLast((_, at) => at === 0 || this.#marks[at - 1].untilMs < offsetMs);
    return mark ? Math.max(0, nowMs - mark.atMs) : null;
  }
}
