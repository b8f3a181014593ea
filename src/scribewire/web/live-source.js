// Live sound: a microphone, or what a tab plays, as 16 kHz PCM.

/** @typedef {{ onAudio: (pcm: Int16Array, peak: number) => void, onEnd: (problem: string) => void }} Listener */

// The sound as it is: what browsers do to it for ears, recognisers hear as another voice.
const MICROPHONE = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
// A browser that has suspended the sound gives no last block.
const LAST_BLOCK_WAIT_MS = 500;
const REFUSALS = /** @type {Record<string, string>} */ ({
  NotAllowedError: "The browser was not allowed to listen. Allow it for this page, then start again.",
  NotFoundError: "The browser found no microphone.",
  NotReadableError: "The microphone could not be opened. Another program may be using it.",
  OverconstrainedError: "The chosen microphone is not there any more.",
});

/** A problem of a source, in one sentence for people. */
export class SourceError extends Error {}

/**
 * Open a microphone. Rejects with SourceError.
 * @param {string} deviceId empty for the usual one
 */
export function openMicrophone(deviceId) {
  const audio = deviceId ? { ...MICROPHONE, deviceId: { exact: deviceId } } : MICROPHONE;
  return open(() => ask((devices) => devices.getUserMedia({ audio })));
}

/** Open the sound of a tab. Rejects with SourceError. */
export function openTab() {
  return open(async () => {
    // A picture must be asked for with it, and goes on with it; it is looked at by nobody.
    const stream = await ask((devices) => devices.getDisplayMedia({ video: { frameRate: 1 }, audio: true }));
    if (stream.getAudioTracks().length) return stream;
    release(stream);
    throw new SourceError(
      "The browser shares no sound of what was chosen. Choose a tab, and tick that its sound is shared.",
    );
  });
}

/** Give the microphones that there are; their names are empty until the browser was allowed to listen. */
export async function listMicrophones() {
  const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  return devices.filter(({ kind, deviceId }) => kind === "audioinput" && deviceId && deviceId !== "default");
}

/** @param {(devices: MediaDevices) => Promise<MediaStream>} request */
async function ask(request) {
  if (!navigator.mediaDevices) {
    throw new SourceError("Browsers let a page listen only when it came by https or from this machine itself.");
  }
  try {
    return await request(navigator.mediaDevices);
  } catch (error) {
    const { name, message } = /** @type {DOMException} */ (error);
    throw new SourceError(REFUSALS[name] ?? `The browser could not listen: ${message}`, { cause: error });
  }
}

/**
 * What hears is made first: a stream runs as soon as it is there, and its first words would be missed.
 * @param {() => Promise<MediaStream>} request
 */
async function open(request) {
  // At the rate of the device: some browsers connect no stream of another, and the resampler takes any.
  const audio = new AudioContext({ latencyHint: "interactive" });
  try {
    await audio.audioWorklet?.addModule("/web/capture-worklet.js");
    return new LiveSource(audio, await request());
  } catch (error) {
    audio.close();
    if (error instanceof SourceError) throw error;
    throw new SourceError("The browser could not begin to listen.", { cause: error });
  }
}

/** Gives the sound of a stream until it is stopped or ends. */
export class LiveSource {
  #audio;
  #stream;
  /** @type {Listener | null} */
  #listener = null;
  /** @type {AudioWorkletNode | null} */
  #capture = null;

  /** @param {AudioContext} audio with the worklet @param {MediaStream} stream */
  constructor(audio, stream) {
    this.#audio = audio;
    this.#stream = stream;
  }

  /** Begin. @param {Listener} listener */
  async start(listener) {
    this.#listener = listener;
    this.#capture = new AudioWorkletNode(this.#audio, "capture", { numberOfOutputs: 0 });
    this.#capture.port.onmessage = ({ data: { pcm, peak } }) => listener.onAudio(pcm, peak);
    const sound = new MediaStream(this.#stream.getAudioTracks());
    this.#audio.createMediaStreamSource(sound).connect(this.#capture);
    for (const track of this.#stream.getTracks()) {
      track.addEventListener("ended", () => listener.onEnd("The browser stopped listening: the source is gone."));
    }
    await this.#audio.resume();
  }

  /** Stop, once all that was heard is given. */
  async stop() {
    const port = this.#capture?.port;
    if (port) {
      await new Promise((resolve) => {
        setTimeout(resolve, LAST_BLOCK_WAIT_MS);
        port.onmessage = ({ data: { pcm, peak, finished } }) => {
          this.#listener?.onAudio(pcm, peak);
          if (finished) resolve(undefined);
        };
        port.postMessage("finish");
      });
    }
    this.#release();
  }

  #release() {
    release(this.#stream);
    if (this.#audio.state !== "closed") this.#audio.close();
    this.#capture = null;
  }
}

/** @param {MediaStream} stream */
function release(stream) {
  for (const track of stream.getTracks()) track.stop();
}
