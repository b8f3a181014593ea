// How the service stands, as the captions page shows it, and the button that starts it.

import { ApiError } from "./api.js";
import { byId, clockOf, setState } from "./dom.js";

/** @typedef {import("./api.js").Api} Api */

const LOOK_MS = 5_000;
const STARTING_LOOK_MS = 1_000;
const TONES = /** @type {const} */ ({ ready: "good", starting: "warn", scaled_down: "warn" });

/** Looks at the service with one key until it is closed. */
export class ServiceStatus {
  #api;
  #onProblem;
  #status = byId("status");
  #initialize = /** @type {HTMLButtonElement} */ (byId("initialize"));
  #elapsed = byId("elapsed");
  #note = byId("status-note");
  /** @type {boolean | null} */
  #mayInitialize = null;
  #startedAtMs = 0;
  #lookTimer = 0;
  #tickTimer = 0;
  #isClosed = false;
  #onClick = () => this.#start();
  #onVisible = () => document.visibilityState === "visible" && this.look();

  /** @param {Api} api @param {(sentence: string) => void} onProblem */
  constructor(api, onProblem) {
    this.#api = api;
    this.#onProblem = onProblem;
    this.#initialize.addEventListener("click", this.#onClick);
    document.addEventListener("visibilitychange", this.#onVisible);
  }

  /** Look now, and from then on; a page that nobody looks at does not. */
  async look() {
    clearTimeout(this.#lookTimer);
    let waitMs = LOOK_MS;
    try {
      const { status, message } = await this.#api.call("GET", "/api/v4/realtime/status");
      if (this.#isClosed) return;
      await this.#show(status, message);
      if (status === "starting") waitMs = STARTING_LOOK_MS;
    } catch (error) {
      if (this.#isClosed || !(error instanceof ApiError)) return;
      setState(this.#status, "unknown", "bad", error.detail);
      waitMs = Math.max(waitMs, (error.retryAfterS ?? 0) * 1000);
    }
    clearTimeout(this.#lookTimer);
    if (this.#isClosed || document.visibilityState !== "visible") return;
    this.#lookTimer = setTimeout(() => this.look(), waitMs);
  }

  /** Look no more. */
  close() {
    this.#isClosed = true;
    clearTimeout(this.#lookTimer);
    this.#tick(false);
    this.#initialize.removeEventListener("click", this.#onClick);
    document.removeEventListener("visibilitychange", this.#onVisible);
    this.#initialize.hidden = this.#note.hidden = true;
  }

  /** @param {"ready" | "starting" | "scaled_down"} status @param {string} message */
  async #show(status, message) {
    if (status === "scaled_down") this.#mayInitialize ??= await this.#isAdmin();
    if (this.#isClosed) return;
    setState(this.#status, status, TONES[status], message);
    const isDown = status === "scaled_down" && !this.#initialize.disabled;
    this.#initialize.hidden = !isDown || this.#mayInitialize === false;
    this.#note.hidden = !isDown || this.#mayInitialize !== false;
    this.#tick(status === "starting" || this.#initialize.disabled);
  }

  /** Ask for something that only the scope admin may see: there is no call that says what a key may. */
  async #isAdmin() {
    try {
      await this.#api.call("GET", "/api/v4/fleet");
      return true;
    } catch (error) {
      if (error instanceof ApiError && error.status === 403) return false;
      return null;
    }
  }

  async #start() {
    this.#initialize.disabled = true;
    this.#initialize.hidden = true;
    this.#onProblem("");
    setState(this.#status, "starting", "warn", "Starting the service…");
    this.#tick(true);
    try {
      await this.#api.call("POST", "/api/v4/realtime/initialize");
    } catch (error) {
      this.#onProblem(error instanceof ApiError ? error.detail : String(error));
    }
    this.#initialize.disabled = false;
    if (!this.#isClosed) await this.look();
  }

  /** Show how long it has been starting. @param {boolean} isStarting */
  #tick(isStarting) {
    if (!isStarting) {
      clearInterval(this.#tickTimer);
      this.#tickTimer = 0;
      this.#elapsed.hidden = true;
    } else if (!this.#tickTimer) {
      this.#startedAtMs = performance.now();
      const show = () => (this.#elapsed.textContent = clockOf(performance.now() - this.#startedAtMs));
      show();
      this.#elapsed.hidden = false;
      this.#tickTimer = setInterval(show, 1000);
    }
  }
}
