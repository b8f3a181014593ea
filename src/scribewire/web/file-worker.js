// The worker of a file: resamples its blocks off the page's thread, and gives each back when it is due.

import { Resampler, mixDown, toPcm } from "./resampler.js";

// A worker's clock goes on in a page that nobody looks at, where the page's own is slowed down.
/** @type {Resampler | null} */
let resampler = null;
let beganMs = 0;

/** @param {MessageEvent<{ rateHz: number, channels: Float32Array[] | null, dueMs: number }>} message */
self.onmessage = ({ data: { rateHz, channels, dueMs } }) => {
  if (!resampler) [resampler, beganMs] = [new Resampler(rateHz), performance.now()];
  const samples = channels ? resampler.push(mixDown(channels)) : resampler.finish();
  const pcm = toPcm(samples);
  const peak = samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
  setTimeout(() => self.postMessage({ pcm, peak }, { transfer: [pcm.buffer] }), beganMs + dueMs - performance.now());
};
