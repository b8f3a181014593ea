// The pulse of the console: it asks while the page is looked at, never twice at once, and less often after failures.

const STEP_MS = 2_000;
const LONGEST_MS = 30_000;

/**
 * Give how long to wait before asking again.
 * @param {number} failures how many there were in a row
 * @param {number} [retryAfterS] what the service asked for
 */
export function pauseMs(failures, retryAfterS = 0) {
  return Math.max(Math.min(STEP_MS * 2 ** failures, LONGEST_MS), retryAfterS * 1000);
}

/** Asks until it is stopped. One that was stopped can be started again. */
export class Poll {
  #ask;
  #failures = 0;
  #on = false;
  #asking = false;
  #again = false;
  #timer = 0;

  /** @param {() => Promise<{failed: boolean, retryAfterS?: number}>} ask one that rejects has failed */
  constructor(ask) {
    this.#ask = ask;
    document.addEventListener("visibilitychange", () => this.now());
  }

  start() {
    this.#on = true;
    this.#failures = 0;
    this.now();
  }

  stop() {
    this.#on = false;
    clearTimeout(this.#timer);
  }

  /** Ask now; while an answer is awaited, right after it. A page that is not looked at asks nothing. */
  async now() {
    clearTimeout(this.#timer);
    if (!this.#on || document.visibilityState === "hidden") return;
    if (this.#asking) {
      this.#again = true;
      return;
    }
    this.#asking = true;
    let answer = { failed: true, retryAfterS: 0 };
    try {
      answer = { ...answer, ...(await this.#ask()) };
    } finally {
      this.#asking = false;
      this.#failures = answer.failed ? this.#failures + 1 : 0;
      this.#goOn(answer.retryAfterS);
    }
  }

  /** @param {number} retryAfterS */
  #goOn(retryAfterS) {
    const again = this.#again;
    this.#again = false;
    if (again) this.now();
    else if (this.#on) this.#timer = setTimeout(() => this.now(), pauseMs(this.#failures, retryAfterS));
  }
}
