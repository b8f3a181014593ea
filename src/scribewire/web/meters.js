// The meters of a session: how loud it is, how old the audio is that is shown as text, and how far a file is.

import { byId, clockOf } from "./dom.js";

const QUIETEST_DB = -60;
const LOUD_DB = -3; // from here on it may be cut off

/** The meters, from the start of one session on. */
export class Meters {
  #level = byId("level");
  #bar = /** @type {HTMLElement} */ (byId("level").firstElementChild);
  #latency = byId("latency");
  #length = byId("length");
  #progress = /** @type {HTMLProgressElement} */ (byId("progress"));
  #timeLeft = byId("time-left");
  #beganMs = 0;

  /** Begin. @param {boolean} ofFile */
  begin(ofFile) {
    byId("meters").hidden = false;
    byId("file-progress").hidden = !ofFile;
    this.#beganMs = performance.now();
    this.#latency.textContent = "–";
    this.#timeLeft.textContent = "";
    this.#progress.value = 0;
    this.level(0);
  }

  /** @param {number} peak from 0 to 1 */
  level(peak) {
    const db = Math.max(QUIETEST_DB, Math.round(20 * Math.log10(peak || Number.MIN_VALUE)));
    this.#bar.style.width = `${100 * (1 - db / QUIETEST_DB)}%`;
    this.#bar.dataset.tone = db >= LOUD_DB ? "warn" : "good";
    this.#level.ariaValueNow = String(db);
    this.#level.ariaValueText = `${db} dB`;
  }

  /** @param {number} heardMs */
  length(heardMs) {
    this.#length.textContent = clockOf(heardMs);
  }

  /** @param {number} lagMs */
  latency(lagMs) {
    this.#latency.textContent = `${(lagMs / 1000).toFixed(1)} s`;
  }

  /**
   * Show how far a file is, and when it will be done if it goes on as it went.
   * @param {number} doneMs @param {number} wholeMs
   */
  progress(doneMs, wholeMs) {
    this.#progress.value = wholeMs ? doneMs / wholeMs : 1;
    if (!doneMs) return;
    const spentMs = performance.now() - this.#beganMs;
    this.#timeLeft.textContent =
      doneMs < wholeMs ? `${clockOf((spentMs / doneMs) * (wholeMs - doneMs))} left` : "All is sent";
  }

  /** End: nothing sounds any more. */
  end() {
    this.level(0);
  }
}
