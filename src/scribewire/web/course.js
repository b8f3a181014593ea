// A session that outlives its sockets: the audio in, frames for whichever socket there is, one run of events out.

// No I/O, no clock, no chance of its own: `now` is seconds that never go back, `chance` a number from 0 to 1. Each
// socket has a number; what comes from any but the present one is of no consequence.

import { delayS } from "./backoff.js";
import { Feed } from "./feed.js";
import { DISCONNECTED, parse, refusalOf } from "./wire.js";

/** @typedef {import("./wire.js").Refusal} Refusal */
/** @typedef {{ kind: "listening", sessionId: string }} Listening */
/** @typedef {{ kind: "away", refusal: Refusal }} Away the socket is lost; another is tried */
/** @typedef {{ kind: "back", gapS: number, replayedS: number, wanted: boolean }} Back over another socket */
/** @typedef {{ kind: "leaving", at: number }} Leaving the service will stop at this time in Unix seconds */
/**
 * @typedef {Listening | Away | Back | Leaving | import("./feed.js").Lost | import("./wire.js").Final |
 *   import("./wire.js").Partial} Event
 */

// A socket that served this long was a good one: the next loss is counted as the first.
const STEADY_S = 5;
// How long after `stopped` the close, and with it the reason for it, is waited for.
const CLOSE_WAIT_S = 2;
// RFC 6455 section 7.4.1: what was sent is at fault, and would be again.
const FAULTS = new Set([1002, 1003, 1007, 1008, 1009, 1010]);

/** How long to wait for what, and how much to keep. */
const BOUNDS = Object.freeze({
  patienceS: 300, // from the loss of a socket until the session is given up: for as long as its audio is kept
  keptS: 300,
  listenWaitS: 150, // from `start` until the service listens: a worker may have to start first
});

/** One session, from its first sample to its end. `refusal` is what ended it, if it was not `stopped`. */
export class Course {
  socket = 0;
  /** @type {Refusal | null} */
  refusal = null;
  /** Whether others read along: they would read what is sent again only to prepare a recogniser. */
  isShared = false;
  #options;
  #bounds;
  /** @type {"waiting" | "connecting" | "starting" | "listening" | "over"} */
  #phase = "waiting";
  /** @type {number | null} */
  #deadline;
  /** @type {Event[]} */
  #events = [];
  #feed;
  #isStopping = false;
  // Of the present socket:
  #startSaid = false;
  #stopSaid = false;
  #stopped = false;
  #listeningAtS = 0;
  #isGood = false;
  // Of all of them:
  #hasListened = false;
  #isRenewing = false; // the last socket was left because the caller asked
  #shownMs = 0; // the position of the last partial given
  #attempts = 0; // since `#lostAtS`, when the last good socket was lost
  /** @type {number | null} */
  #lostAtS = null;

  /** @param {Record<string, unknown>} options of `start` @param {number} now @param {typeof BOUNDS} [bounds] */
  constructor(options, now, bounds = BOUNDS) {
    this.#options = options;
    this.#bounds = bounds;
    this.#deadline = now;
    this.#feed = new Feed(bounds.keptS);
  }

  // --- the caller ----------------------------------------------------------------------------------------------------

  /** Whether nothing will follow but the events not taken yet. */
  get isOver() {
    return this.#phase === "over";
  }

  /** How much audio waits to be sent. */
  get behindSamples() {
    return this.#feed.behindSamples;
  }

  /** How much audio was ever sent. */
  get sentUntilMs() {
    return this.#feed.sentUntilMs;
  }

  /** Take audio, s16le at 16 kHz, mono. @param {Int16Array} pcm */
  hear(pcm) {
    if (this.#isStopping) return;
    this.#feed.append(pcm);
    if (this.#phase === "listening" && this.#feed.isWordless) this.#feed.ask();
  }

  /** Ask for the rest: the session is over after it. */
  stop() {
    if (this.#isStopping) return;
    this.#feed.ask();
    this.#isStopping = true;
  }

  /** Go on over another socket, and say whether the present one is left for it. @param {number} now */
  renew(now) {
    if (this.#phase !== "listening" || this.#isStopping) return false;
    this.#isRenewing = true;
    [this.#attempts, this.#lostAtS] = [0, now];
    this.#await(now);
    return true;
  }

  /** Take what happened since this was asked last, in order. @returns {Event[]} */
  takeEvents() {
    return [...this.#events.splice(0), ...this.#feed.lost.splice(0)];
  }

  // --- time ----------------------------------------------------------------------------------------------------------

  /** When to connect, or else when to `wake`; null when there is nothing to wait for but the socket. */
  get deadline() {
    return this.#deadline;
  }

  /** Whether a socket is to be opened at the deadline. */
  get awaitsConnection() {
    return this.#phase === "waiting";
  }

  /** Try at once: something changed for the better. @param {number} now */
  hasten(now) {
    if (this.#phase === "waiting" && this.#deadline !== null) this.#deadline = Math.min(this.#deadline, now);
  }

  /** Give up what did not come until the deadline. @param {number} now @param {number} chance */
  wake(now, chance) {
    if (this.#deadline === null || now < this.#deadline) return;
    if (this.#phase === "starting") {
      const sentence = `The service did not listen within ${this.#bounds.listenWaitS} s.`;
      this.#lose(refusalOf(sentence, "unreachable"), now, chance);
    } else if (this.#phase === "listening") {
      // All was said; only the close is missing.
      if (this.#isAllHeard) this.#end(null);
      else this.#lose(DISCONNECTED, now, chance);
    }
  }

  // --- the socket ----------------------------------------------------------------------------------------------------

  /** Begin an attempt; give the number of the socket that is now to be opened. */
  connect() {
    this.socket += 1;
    this.#attempts += 1;
    [this.#phase, this.#deadline] = ["connecting", null];
    return this.socket;
  }

  /** Begin with a socket that is open. @param {number} socket @param {number} now */
  opened(socket, now) {
    if (socket !== this.socket || this.#phase !== "connecting") return;
    [this.#phase, this.#deadline] = ["starting", now + this.#bounds.listenWaitS];
    this.#startSaid = this.#stopSaid = this.#stopped = this.#isGood = false;
  }

  /**
   * Take that a socket could not be opened.
   * @param {number} socket @param {Refusal} refusal @param {number} now @param {number} chance
   */
  failed(socket, refusal, now, chance) {
    if (this.isPresent(socket)) this.#lose(refusal, now, chance);
  }

  /**
   * Take that a socket closed, with 1006 when it just broke.
   * @param {number} socket @param {number} code @param {string} reason @param {number} now @param {number} chance
   */
  closed(socket, code, reason, now, chance) {
    if (!this.isPresent(socket)) return;
    if (this.#isAllHeard) this.#end(null);
    else if (FAULTS.has(code)) {
      this.#end(refusalOf(`The service closed the session with code ${code}: ${reason || "no reason"}.`, ""));
    } else this.#lose(DISCONNECTED, now, chance);
  }

  /** Say whether a socket is of any use still; otherwise it is to be closed. @param {number} socket */
  isPresent(socket) {
    return socket === this.socket && this.#phase !== "waiting" && this.#phase !== "over";
  }

  /**
   * Give what is to be sent next; null when there is nothing for now.
   * @param {number} socket
   * @returns {string | Int16Array<ArrayBuffer> | null}
   */
  nextFrame(socket) {
    if (!this.isPresent(socket) || this.#stopSaid) return null;
    if (this.#phase === "starting" && !this.#startSaid) {
      this.#startSaid = true;
      return JSON.stringify({ action: "start", ...this.#options });
    }
    if (this.#phase !== "listening") return null;
    const frame = this.#feed.nextFrame();
    if (frame !== null || !this.#isStopping || !this.#feed.isSent) return frame;
    this.#stopSaid = true;
    return JSON.stringify({ action: "stop" });
  }

  // --- what the service says -----------------------------------------------------------------------------------------

  /**
   * Take a message.
   * @param {number} socket @param {unknown} text @param {number} now @param {number} chance
   */
  receive(socket, text, now, chance) {
    if (!this.isPresent(socket)) return;
    const message = parse(text);
    if (message.kind === "refused") this.#lose(message.refusal, now, chance);
    else if (message.kind === "state") this.#takeState(message, now);
    else if (this.#phase === "listening") this.#takeResult(message);
  }

  /** @param {import("./wire.js").State} message @param {number} now */
  #takeState({ state, sessionId, at }, now) {
    if (state === "stopped") {
      [this.#stopped, this.#deadline] = [true, now + CLOSE_WAIT_S];
    } else if (state === "listening" && this.#phase === "starting") {
      [this.#phase, this.#deadline] = ["listening", null];
      this.#feed.begin(!this.isShared);
      this.#events.push(this.#hasListened ? this.#back(now) : { kind: "listening", sessionId });
      [this.#listeningAtS, this.#hasListened, this.#isRenewing] = [now, true, false];
    } else if (state === "shutting_down" && at !== null) {
      this.#events.push({ kind: "leaving", at });
    }
  }

  /** @param {number} now @returns {Back} */
  #back(now) {
    const gapS = now - (this.#lostAtS ?? now);
    return { kind: "back", gapS, replayedS: this.#feed.replayedMs / 1000, wanted: this.#isRenewing };
  }

  /** @param {import("./wire.js").Final | import("./wire.js").Partial | import("./wire.js").Flushed} message */
  #takeResult(message) {
    if (message.kind === "flushed") {
      if (this.#feed.takeFlushed(message.mark)) this.#isGood = true;
    } else if (message.kind === "final") {
      const final = this.#feed.takeFinal(message);
      if (!final) return;
      this.#isGood = true;
      if (final.text) this.#events.push(final);
    } else {
      const offsetMs = this.#feed.positionMs(message.offsetMs);
      // What was shown before the socket was lost is shown until more is known.
      if (offsetMs === null || offsetMs < this.#shownMs) return;
      this.#isGood = true;
      this.#shownMs = offsetMs;
      this.#events.push({ ...message, offsetMs });
    }
  }

  // --- the end of a socket, and of all -------------------------------------------------------------------------------

  get #isAllHeard() {
    // A service says `stopped` for its own reasons too, and ignores what is on its way: only the last flush tells.
    return this.#stopped && this.#stopSaid && this.#feed.isAnswered;
  }

  /**
   * Wait for the next attempt, unless another would be in vain or too late.
   * @param {Refusal} refusal @param {number} now @param {number} chance
   */
  #lose(refusal, now, chance) {
    const wasSteady = this.#isGood || now - this.#listeningAtS >= STEADY_S;
    if (this.#phase === "listening" && wasSteady) this.#lostAtS = null;
    // An address where nothing ever answered is a wrong one; a service that says when to come again is not.
    if (!refusal.retryable || !(this.#hasListened || refusal.retryAfterS !== null)) {
      this.#end(refusal);
      return;
    }
    if (this.#lostAtS === null) [this.#attempts, this.#lostAtS] = [0, now];
    const due = now + delayS(this.#attempts, chance, refusal.retryAfterS);
    if (due > this.#lostAtS + this.#bounds.patienceS) {
      this.#end(refusal);
      return;
    }
    this.#await(due);
    this.#events.push({ kind: "away", refusal });
  }

  /** @param {number} due */
  #await(due) {
    [this.#phase, this.#deadline] = ["waiting", due];
    this.#feed.rewind();
  }

  /** @param {Refusal | null} refusal */
  #end(refusal) {
    [this.#phase, this.#deadline, this.refusal] = ["over", null, refusal];
  }
}
