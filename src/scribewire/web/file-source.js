// A file: decoded by the browser, resampled by a worker, given at the pace of speech or as fast as it is taken.

import { SourceError } from "./live-source.js";

// What a tab can hold of decoded audio: of a longer file the browser itself gives less a second, and not quite as well.
const MOST_S = 2 * 3600;
const LONG_S = 20 * 60;
const LONG_RATE_HZ = 16_000;
const USUAL_RATE_HZ = 48_000;
const METADATA_WAIT_MS = 5_000; // some browsers say nothing of what they cannot play
const RATES_HZ = { least: 8_000, most: 192_000 };
const BLOCK_S = { realtime: 0.1, fast: 1 };

/** @typedef {keyof typeof BLOCK_S} Pace */
/**
 * What listens: `onAudio` may give a promise, which is waited for before more is given.
 * @typedef {{
 *   onAudio: (pcm: Int16Array, peak: number) => void | Promise<void>,
 *   onEnd: (problem: string) => void,
 * }} Listener
 */

/** Gives the sound of a file until it is stopped or ends. */
export class FileSource {
  #sound;
  #pace;
  #worker = new Worker("/web/file-worker.js", { type: "module" });
  #isStopped = false;

  /** @param {AudioBuffer} sound @param {Pace} pace */
  constructor(sound, pace) {
    this.#sound = sound;
    this.#pace = pace;
  }

  /** Begin. @param {Listener} listener */
  async start(listener) {
    this.#give(listener).then(
      () => !this.#isStopped && listener.onEnd(""),
      () => listener.onEnd("The file could not be read on."),
    );
  }

  /** Stop where it is. */
  async stop() {
    this.#isStopped = true;
    this.#worker.terminate();
  }

  /** @param {Listener} listener */
  async #give(listener) {
    const { sampleRate: rateHz, length } = this.#sound;
    const step = Math.round(BLOCK_S[this.#pace] * rateHz);
    for (let at = 0; at < length + step; at += step) {
      const end = Math.min(length, at + step);
      const channels = at < length ? this.#read(at, end) : null;
      const { pcm, peak } = await this.#resample(channels, this.#pace === "realtime" ? (end / rateHz) * 1000 : 0);
      if (this.#isStopped) return;
      await listener.onAudio(pcm, peak);
    }
    this.#worker.terminate();
  }

  /** @param {number} start @param {number} end */
  #read(start, end) {
    return Array.from({ length: this.#sound.numberOfChannels }, (_, channel) =>
      this.#sound.getChannelData(channel).slice(start, end),
    );
  }

  /**
   * @param {Float32Array[] | null} channels null for what is left @param {number} dueMs
   * @returns {Promise<{ pcm: Int16Array, peak: number }>}
   */
  #resample(channels, dueMs) {
    return new Promise((resolve, reject) => {
      this.#worker.onmessage = ({ data }) => resolve(data);
      this.#worker.onerror = () => reject(new Error("the worker failed"));
      const moved = (channels ?? []).map(({ buffer }) => /** @type {ArrayBuffer} */ (buffer));
      this.#worker.postMessage({ rateHz: this.#sound.sampleRate, channels, dueMs }, moved);
    });
  }
}

/**
 * Decode a file. Rejects with SourceError.
 * @param {File} file
 */
export async function decode(file) {
  const lengthS = await lengthOf(file);
  if (lengthS > MOST_S) {
    throw new SourceError(`${file.name} is longer than two hours, which is more than a page can hold.`);
  }
  try {
    const bytes = await file.arrayBuffer();
    const rateHz = lengthS > LONG_S ? LONG_RATE_HZ : (wavRateHz(bytes) ?? USUAL_RATE_HZ);
    const sound = await new OfflineAudioContext(1, 1, rateHz).decodeAudioData(bytes);
    return sound;
  } catch (error) {
    throw new SourceError(`The browser could not read ${file.name} as sound.`, { cause: error });
  }
}

/** Give how long a file is, 0 where that is not known beforehand. @param {File} file @returns {Promise<number>} */
function lengthOf(file) {
  return new Promise((resolve) => {
    const player = new Audio();
    const url = URL.createObjectURL(file);
    /** @param {number} lengthS */
    const answer = (lengthS) => {
      URL.revokeObjectURL(url);
      resolve(Number.isFinite(lengthS) ? lengthS : 0);
    };
    setTimeout(() => answer(0), METADATA_WAIT_MS);
    player.preload = "metadata";
    player.onloadedmetadata = () => answer(player.duration);
    player.onerror = () => answer(0);
    player.src = url;
  });
}

/**
 * Give the rate that a WAV file says it has, null for another file or rate: decoded at its own, it is not altered.
 * @param {ArrayBuffer} bytes
 */
export function wavRateHz(bytes) {
  if (bytes.byteLength < 28) return null;
  const view = new DataView(bytes);
  const name = (/** @type {number} */ at) => String.fromCharCode(...new Uint8Array(bytes, at, 4));
  if (name(0) !== "RIFF" || name(8) !== "WAVE" || name(12) !== "fmt ") return null;
  const rateHz = view.getUint32(24, true);
  return rateHz >= RATES_HZ.least && rateHz <= RATES_HZ.most ? rateHz : null;
}
