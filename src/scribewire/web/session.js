// One session of a page with the service: the shell of the course, with its sockets, its tickets and its clock.

import { Course } from "./course.js";
import { LagMeter } from "./lag.js";
import { samplesOfMs } from "./units.js";
import { DISCONNECTED, UNREACHABLE, refusalOf } from "./wire.js";

/** @typedef {import("./course.js").Event} Event */
/** @typedef {import("./wire.js").Refusal} Refusal */
/**
 * What a session needs: `takeTicket` gives a ticket or rejects with ApiError, `onEvent` is told each event with the age
 * in ms of the audio that it speaks of (null where it speaks of none), `onEnd` why it ended, null when all was heard.
 * @typedef {{
 *   options: Record<string, unknown>,
 *   takeTicket: () => Promise<string>,
 *   onEvent: (event: Event, lagMs: number | null) => void,
 *   onEnd: (refusal: Refusal | null) => void,
 * }} Needs
 */

// Browsers do not say when a socket has room again: what may wait in one, and how often it is looked at.
const MOST_BUFFERED_BYTES = 256 * 1024;
const BUFFER_LOOK_MS = 50;
// A browser itself may try for minutes.
const CONNECT_WAIT_S = 15;
const ABNORMAL = 1006;

/** A session that goes on over as many sockets as it takes. It begins at once. */
export class Session {
  #needs;
  #course;
  #lag = new LagMeter();
  /** @type {WebSocket | null} */
  #socket = null;
  #timer = 0;
  #bufferTimer = 0;
  #isLeft = false;
  #isShown = false; // on a share, over the present socket
  /** @type {{ mostSamples: number, resolve: () => void }[]} */
  #waiting = [];
  #onNetwork = () => this.#takeNetwork();

  /** @param {Needs} needs @param {{ shared: boolean }} how */
  constructor(needs, { shared }) {
    this.#needs = needs;
    this.#course = new Course(needs.options, nowS());
    this.#course.isShared = shared;
    addEventListener("online", this.#onNetwork);
    addEventListener("offline", this.#onNetwork);
    this.#step();
  }

  /** How much audio was sent, in ms. */
  get sentUntilMs() {
    return this.#course.sentUntilMs;
  }

  /** Take audio, s16le at 16 kHz, mono. @param {Int16Array} pcm */
  hear(pcm) {
    this.#course.hear(pcm);
    this.#step();
  }

  /** Ask for the rest; the session ends after it. */
  stop() {
    this.#course.stop();
    this.#step();
  }

  /** Resolve when less than so much audio waits here, or it is over. @param {number} mostMs @returns {Promise<void>} */
  room(mostMs) {
    return new Promise((resolve) => {
      this.#waiting.push({ mostSamples: samplesOfMs(mostMs), resolve });
      this.#makeRoom();
    });
  }

  /**
   * Show the session to others from here on, or have it over with that. A ticket names the share, so it takes another
   * socket.
   * @param {boolean} shared
   */
  share(shared) {
    this.#course.isShared = shared;
    this.#isShown = false;
    this.#step();
  }

  /** Leave, whatever is missing. */
  leave() {
    this.#isLeft = true;
    this.#release();
  }

  // --- the clock -----------------------------------------------------------------------------------------------------

  /** Do all that is due. Called whenever something happened; audio comes even where a hidden page's timers are slow. */
  #step() {
    if (this.#isLeft) return;
    const course = this.#course;
    if (course.isShared && !this.#isShown) course.renew(nowS());
    if (course.deadline !== null && nowS() >= course.deadline) {
      if (course.awaitsConnection) this.#connect();
      else course.wake(nowS(), Math.random());
    }
    this.#write();
    this.#tell();
    this.#makeRoom();
    if (course.isOver) {
      this.#isLeft = true;
      this.#release();
      this.#needs.onEnd(course.refusal);
      return;
    }
    if (this.#socket && !course.isPresent(course.socket)) this.#drop();
    clearTimeout(this.#timer);
    if (course.deadline === null) return;
    this.#timer = setTimeout(() => this.#step(), Math.max(0, (course.deadline - nowS()) * 1000));
  }

  #makeRoom() {
    const hasRoom = (/** @type {number} */ most) => this.#isLeft || this.#course.behindSamples < most;
    for (const { resolve } of this.#waiting.filter(({ mostSamples }) => hasRoom(mostSamples))) resolve();
    this.#waiting = this.#waiting.filter(({ mostSamples }) => !hasRoom(mostSamples));
  }

  #tell() {
    for (const event of this.#course.takeEvents()) {
      const offsetMs = event.kind === "partial" || event.kind === "final" ? event.offsetMs : null;
      this.#needs.onEvent(event, offsetMs === null ? null : this.#lag.lagMs(offsetMs, performance.now()));
    }
  }

  #takeNetwork() {
    // Without this a browser would notice a lost network only when its socket's buffers are full.
    if (!navigator.onLine && this.#socket) this.#lose(this.#course.socket, this.#socket);
    if (navigator.onLine) this.#course.hasten(nowS());
    this.#step();
  }

  // --- the socket ----------------------------------------------------------------------------------------------------

  async #connect() {
    this.#drop(); // one that was left for another
    const number = this.#course.connect();
    this.#isShown = this.#course.isShared;
    try {
      const ticket = await this.#needs.takeTicket();
      if (this.#course.isPresent(number) && !this.#isLeft) this.#open(number, ticket);
    } catch (error) {
      this.#course.failed(number, refusalOfCall(error), nowS(), Math.random());
      this.#step();
    }
  }

  /** @param {number} number @param {string} ticket */
  #open(number, ticket) {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/v2/realtime?token=${encodeURIComponent(ticket)}`);
    this.#socket = socket;
    const overdue = setTimeout(() => this.#lose(number, socket), CONNECT_WAIT_S * 1000);
    socket.addEventListener("open", () => {
      clearTimeout(overdue);
      this.#course.opened(number, nowS());
      this.#step();
    });
    socket.addEventListener("message", ({ data }) => {
      this.#course.receive(number, data, nowS(), Math.random());
      this.#step();
    });
    socket.addEventListener("close", ({ code, reason }) => {
      clearTimeout(overdue);
      if (this.#socket === socket) this.#socket = null;
      this.#course.closed(number, code, reason, nowS(), Math.random());
      this.#step();
    });
  }

  /** Take for lost what the browser has not given up yet. @param {number} number @param {WebSocket} socket */
  #lose(number, socket) {
    if (socket.readyState === WebSocket.CONNECTING) {
      this.#course.failed(number, UNREACHABLE, nowS(), Math.random());
    } else this.#course.closed(number, ABNORMAL, DISCONNECTED.sentence, nowS(), Math.random());
    this.#step();
  }

  #write() {
    const socket = this.#socket;
    if (!socket || socket.readyState !== WebSocket.OPEN) return;
    while (socket.bufferedAmount < MOST_BUFFERED_BYTES) {
      const frame = this.#course.nextFrame(this.#course.socket);
      if (frame === null) return;
      socket.send(frame);
      this.#lag.sent(this.#course.sentUntilMs, performance.now());
    }
    clearTimeout(this.#bufferTimer);
    this.#bufferTimer = setTimeout(() => this.#step(), BUFFER_LOOK_MS);
  }

  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  #release() {
    this.#makeRoom();
    clearTimeout(this.#timer);
    clearTimeout(this.#bufferTimer);
    removeEventListener("online", this.#onNetwork);
    removeEventListener("offline", this.#onNetwork);
    this.#drop();
  }
}

const nowS = () => performance.now() / 1000;

/** @param {any} error @returns {Refusal} */
function refusalOfCall({ status, detail, retryable, retryAfterS }) {
  if (status === undefined) return refusalOf("The page could not ask for a ticket.", "");
  return { ...refusalOf(detail, "", retryAfterS), retryable };
}
