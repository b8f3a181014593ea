// The choice of a source: a microphone and which, a file and at what pace, or the sound of a tab.

import { byId } from "./dom.js";
import { FileSource, decode } from "./file-source.js";
import { SourceError, listMicrophones, openMicrophone, openTab } from "./live-source.js";

/** @typedef {"microphone" | "file" | "tab"} Kind */
/** @typedef {{ source: import("./speaking.js").Source, lengthMs: number }} Chosen `lengthMs`: 0 where it has none */

const KINDS = /** @type {const} */ (["microphone", "file", "tab"]);

/** The fields of the source, of which those are shown that matter to it. */
export class SourceChoice {
  #kinds = KINDS.map((kind) => /** @type {HTMLInputElement} */ (byId(`source-${kind}`)));
  #file = /** @type {HTMLInputElement} */ (byId("file"));
  #device = /** @type {HTMLSelectElement} */ (byId("device"));
  #realtime = /** @type {HTMLInputElement} */ (byId("pace-realtime"));

  constructor() {
    for (const radio of this.#kinds) radio.addEventListener("change", () => this.#show());
    navigator.mediaDevices?.addEventListener("devicechange", () => this.#listDevices());
    this.#show();
  }

  /** @returns {Kind} */
  get kind() {
    return KINDS[this.#kinds.findIndex(({ checked }) => checked)];
  }

  /** Ask reader and browser for what is chosen. Rejects with SourceError. @returns {Promise<Chosen>} */
  async open() {
    if (this.kind === "file") return this.#openFile();
    const isTab = this.kind === "tab";
    const source = await (isTab ? openTab() : openMicrophone(this.#device.value));
    if (!isTab) this.#listDevices(); // their names are known now
    return { source, lengthMs: 0 };
  }

  /** @returns {Promise<Chosen>} */
  async #openFile() {
    const file = this.#file.files?.[0];
    if (!file) throw new SourceError("Choose a file first.");
    const sound = await decode(file);
    const pace = this.#realtime.checked ? "realtime" : "fast";
    return { source: new FileSource(sound, pace), lengthMs: sound.duration * 1000 };
  }

  #show() {
    byId("file-field").hidden = byId("pace-field").hidden = this.kind !== "file";
    if (this.kind === "microphone") this.#listDevices();
    else byId("device-field").hidden = true;
  }

  /** Offer a choice of microphones where there is one. */
  async #listDevices() {
    const named = (await listMicrophones()).filter(({ label }) => label);
    const chosen = this.#device.value;
    this.#device.replaceChildren(
      new Option("The usual one", ""),
      ...named.map(({ deviceId, label }) => new Option(label, deviceId)),
    );
    this.#device.value = named.some(({ deviceId }) => deviceId === chosen) ? chosen : "";
    byId("device-field").hidden = named.length < 2 || this.kind !== "microphone";
  }
}
