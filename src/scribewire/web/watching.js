// Watching a share: what its speaker says, over as many sockets as it takes.

import { delayS } from "./backoff.js";
import { parse } from "./wire.js";

/**
 * How a share stands: `waiting` for a speaker who has not spoken yet, `paused` when one has, `away` while the service
 * does not answer, `ended` and `invalid` for good, `refused` with a sentence of the service.
 * @typedef {"connecting" | "waiting" | "live" | "paused" | "away" | "ended" | "invalid" | "refused"} Standing
 */
/**
 * @typedef {{
 *   onStanding: (standing: Standing, sentence: string) => void,
 *   onAnew: () => void,
 *   onFinal: (final: import("./wire.js").Final) => void,
 *   onPartial: (text: string) => void,
 * }} Listener `onAnew`: the finals so far follow, whatever was shown
 */

const SECRET = /^#?(sww_[0-9A-Za-z_-]+)$/;
// A socket that was told this long ago was a good one: the next loss is counted as the first.
const STEADY_MS = 5_000;
const STANDINGS = /** @type {Record<string, Standing>} */ ({ speaking: "live", paused: "paused", stopped: "ended" });

/** Reads one share from now on. */
export class Watching {
  #secret;
  #listener;
  #losses = 0;
  #hasSpoken = false;
  /** @type {import("./wire.js").Refusal | null} */
  #refusal = null;
  /** @type {Standing} */
  #standing = "connecting";
  /** @type {WebSocket | null} */
  #socket = null;
  #timer = 0;

  /** @param {string} fragment of the page's address @param {Listener} listener */
  constructor(fragment, listener) {
    this.#secret = SECRET.exec(fragment)?.[1] ?? "";
    this.#listener = listener;
    if (!this.#secret) {
      this.#stand("invalid");
      return;
    }
    addEventListener("online", () => this.#hasten());
    addEventListener("offline", () => this.#socket?.close());
    this.#connect();
  }

  #connect() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/v2/watch?token=${this.#secret}`);
    const beganMs = performance.now();
    this.#socket = socket;
    this.#refusal = null;
    socket.addEventListener("message", ({ data }) => this.#take(parse(data)));
    socket.addEventListener("close", ({ code }) => {
      this.#socket = null;
      if (performance.now() - beganMs >= STEADY_MS) this.#losses = 0;
      this.#lose(code);
    });
  }

  /** @param {ReturnType<typeof parse>} message */
  #take(message) {
    if (message.kind === "final") {
      this.#hasSpoken = true;
      this.#listener.onFinal(message);
    } else if (message.kind === "partial") {
      this.#listener.onPartial(message.text);
    } else if (message.kind === "refused") {
      this.#refusal = message.refusal;
    } else if (message.kind === "state") this.#takeState(message);
    // The finals so far follow on `watching`, and with them it is known whether there was a speaker.
    if (message.kind === "final" && this.#standing === "waiting") this.#stand("paused");
  }

  /** @param {import("./wire.js").State} message */
  #takeState({ state, live }) {
    if (state === "watching") {
      this.#hasSpoken = false;
      this.#listener.onAnew();
      this.#stand(live ? "live" : "waiting");
    } else if (state in STANDINGS) {
      if (state !== "speaking") this.#listener.onPartial("");
      this.#stand(STANDINGS[state] === "paused" && !this.#hasSpoken ? "waiting" : STANDINGS[state]);
    }
  }

  /** @param {number} code */
  #lose(code) {
    if (this.#standing === "ended") return;
    if (this.#refusal?.code === "not_authenticated") return this.#stand("invalid");
    if (code === 1000) return this.#stand("ended");
    if (this.#refusal && !this.#refusal.retryable) return this.#stand("refused", this.#refusal.sentence);
    this.#losses += 1;
    this.#stand("away", this.#refusal?.sentence);
    const waitS = delayS(this.#losses, Math.random(), this.#refusal?.retryAfterS);
    this.#timer = setTimeout(() => this.#connect(), waitS * 1000);
  }

  #hasten() {
    if (this.#standing !== "away" || this.#socket) return;
    clearTimeout(this.#timer);
    this.#connect();
  }

  /** @param {Standing} standing @param {string} [sentence] */
  #stand(standing, sentence = "") {
    this.#standing = standing;
    this.#listener.onStanding(standing, sentence);
  }
}
