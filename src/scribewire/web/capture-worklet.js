// The capture, in the audio thread: what a microphone or a tab sounds, resampled and posted in blocks of 50 ms.

import { Resampler, mixDown, toPcm } from "./resampler.js";

const BLOCKS_PER_S = 20;

/** Posts `{ pcm, peak }` and, after it was told `finish`, a last one with `finished`. */
class Capture extends AudioWorkletProcessor {
  #resampler = new Resampler(sampleRate);
  #block = new Float32Array(Math.ceil(sampleRate / BLOCKS_PER_S));
  #filled = 0;
  #isFinished = false;

  constructor() {
    super();
    this.port.onmessage = () => this.#finish();
  }

  /** @param {Float32Array[][]} inputs */
  process([channels]) {
    if (this.#isFinished) return false;
    if (!channels.length) return true; // nothing is connected yet, or any more
    const samples = mixDown(channels);
    for (let at = 0; at < samples.length; ) {
      const part = samples.subarray(at, at + this.#block.length - this.#filled);
      this.#block.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled === this.#block.length) this.#post();
    }
    return true;
  }

  #post() {
    const block = this.#block.subarray(0, this.#filled);
    const peak = block.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
    this.#send(this.#resampler.push(block), peak, false);
    this.#filled = 0;
  }

  #finish() {
    if (this.#isFinished) return;
    this.#isFinished = true;
    this.#post();
    this.#send(this.#resampler.finish(), 0, true);
  }

  /** @param {Float32Array} samples @param {number} peak @param {boolean} finished */
  #send(samples, peak, finished) {
    const pcm = toPcm(samples);
    this.port.postMessage({ pcm, peak, finished }, [pcm.buffer]);
  }
}

registerProcessor("capture", Capture);
