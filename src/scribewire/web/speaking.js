// Speaking: a source and a session, from the start to the last final.

import { Session } from "./session.js";
import { msOfSamples } from "./units.js";

/** @typedef {import("./wire.js").Refusal} Refusal */
/**
 * What sounds: `onAudio` gives a promise, which one that can wait waits for before it gives more; `onEnd` is told why
 * it ended by itself, with an empty sentence where it was just over.
 * @typedef {{
 *   start: (listener: {
 *     onAudio: (pcm: Int16Array, peak: number) => Promise<void>,
 *     onEnd: (problem: string) => void,
 *   }) => Promise<void>,
 *   stop: () => Promise<void>,
 * }} Source
 */
/** @typedef {"connecting" | "listening" | "away" | "finishing" | "stopped" | "failed"} Stage */
/**
 * @typedef {{
 *   onStage: (stage: Stage, refusal: Refusal | null) => void,
 *   onEvent: (event: import("./course.js").Event) => void,
 *   onLag: (lagMs: number) => void,
 *   onHeard: (heardMs: number, peak: number) => void,
 *   onSourceEnd: (problem: string) => void,
 * }} Listener
 */

// Of a source that can wait, so much is read ahead of what is sent.
const MOST_BEHIND_MS = 10_000;

/** One session of the page. */
export class Speaking {
  #listener;
  #session;
  /** @type {Source | null} */
  #source = null;
  /** @type {Stage} */
  #stage = "connecting";
  #heardSamples = 0;
  #hasListened = false;
  #isStopping = false;

  /**
   * @param {{ takeTicket: () => Promise<string>, options: Record<string, unknown>, shared: boolean }} how
   * @param {Listener} listener
   */
  constructor({ takeTicket, options, shared }, listener) {
    this.#listener = listener;
    this.#session = new Session(
      {
        options,
        takeTicket,
        onEvent: (event, lagMs) => this.#take(event, lagMs),
        onEnd: (refusal) => this.#end(refusal),
      },
      { shared },
    );
  }

  /** Whether it goes on. */
  get isLive() {
    return this.#stage !== "stopped" && this.#stage !== "failed";
  }

  /** How much audio was sent, in ms. */
  get sentUntilMs() {
    return this.#session.sentUntilMs;
  }

  /** Take the sound of a source. @param {Source} source */
  async listen(source) {
    this.#source = source;
    try {
      await source.start({
        onAudio: (pcm, peak) => this.#hear(pcm, peak),
        onEnd: (problem) => {
          if (this.#isStopping || !this.isLive) return;
          this.#listener.onSourceEnd(problem);
          this.stop();
        },
      });
    } catch (error) {
      this.#session.leave();
      this.#end(null);
      throw error;
    }
    if (!this.isLive) await source.stop(); // the session ended first
  }

  /** Give a promise of room for more. @param {Int16Array} pcm @param {number} peak */
  #hear(pcm, peak) {
    if (!this.isLive) return Promise.resolve();
    this.#session.hear(pcm);
    this.#heardSamples += pcm.length;
    this.#listener.onHeard(msOfSamples(this.#heardSamples), peak);
    return this.#session.room(MOST_BEHIND_MS);
  }

  /** Stop the source, send what is left, and wait for the last final. */
  async stop() {
    if (this.#isStopping || !this.isLive) return;
    this.#isStopping = true;
    this.#stand("finishing");
    await this.#source?.stop();
    this.#session.stop();
  }

  /** Let others read along, or no more. @param {boolean} shared */
  share(shared) {
    if (this.isLive) this.#session.share(shared);
  }

  /** @param {import("./course.js").Event} event @param {number | null} lagMs */
  #take(event, lagMs) {
    if (lagMs !== null) this.#listener.onLag(lagMs);
    if (event.kind === "listening" || event.kind === "back") {
      this.#hasListened = true;
      this.#stand("listening");
    }
    if (event.kind === "away") this.#stand(this.#hasListened ? "away" : "connecting", event.refusal);
    this.#listener.onEvent(event);
  }

  /** @param {Refusal | null} refusal */
  #end(refusal) {
    this.#source?.stop();
    this.#stand(refusal ? "failed" : "stopped", refusal);
  }

  /** @param {Stage} stage @param {Refusal | null} [refusal] */
  #stand(stage, refusal = null) {
    this.#stage = stage === "listening" && this.#isStopping ? "finishing" : stage;
    this.#listener.onStage(this.#stage, refusal);
  }
}
