// The workers, and the button that drains one.

import { isSure } from "./console-confirm.js";
import { make, setBadge, setText } from "./console-dom.js";
import { NONE, lag, memory } from "./console-format.js";
import { Panel, sentenceOfError } from "./console-panel.js";
import { Rows } from "./console-table.js";
import { byId } from "./dom.js";

/**
 * A worker as the service tells of it, and how many cores it used since it was looked at before.
 * @typedef {{
 *   worker: string, phase: string, slots: number, live: number, rtf: number, lag_s: number, cpu_s: number,
 *   memory_bytes: number, reason: string,
 * }} Worker
 * @typedef {Worker & { busy: number | null }} Watched
 */

/** @type {Record<string, import("./console-dom.js").Tone>} */
const TONES = { ready: "good", starting: "warn", loading: "warn", draining: "warn", stopping: "idle", failed: "bad" };
// In the other phases it is going already, or has nothing to move.
const DRAINABLE = new Set(["ready", "loading"]);

/** Shows the workers. */
export class WorkersPanel {
  #panel;
  #rows;
  #call;
  #refresh;
  // CPU time is told as a sum; what people want to know is how busy a worker is.
  /** @type {Map<string, { cpuS: number, atMs: number }>} */
  #seen = new Map();

  /**
   * @param {(method: string, path: string) => Promise<any>} call
   * @param {() => void} refresh
   */
  constructor(call, refresh) {
    this.#call = call;
    this.#refresh = refresh;
    this.#panel = new Panel(byId("workers"), refresh);
    /** @type {import("./console-table.js").Column<Watched>[]} */
    const columns = [
      { label: "Worker", text: ({ worker }) => worker },
      { label: "Phase", fill: (cell, { phase }) => setBadge(cell, phase, TONES[phase] ?? "idle") },
      { label: "Live / slots", text: ({ live, slots }) => `${live} / ${slots}` },
      { label: "Real-time factor", text: ({ rtf }) => (rtf ? rtf.toFixed(3) : NONE) },
      { label: "Lag", text: ({ slots, lag_s }) => (slots ? lag(lag_s) : NONE) },
      { label: "CPU", text: ({ busy }) => (busy === null ? NONE : `${Math.round(busy * 100)} %`) },
      { label: "Memory", text: ({ memory_bytes }) => (memory_bytes ? memory(memory_bytes) : NONE) },
      { label: "Reason", text: ({ reason }) => reason || NONE },
      { label: "Action", fill: (cell, worker) => this.#fillAction(cell, worker) },
    ];
    const table = /** @type {HTMLTableElement} */ (byId("workers-table"));
    this.#rows = new Rows(table, columns, ({ worker }) => worker, this.#panel.heading);
  }

  clear() {
    this.#panel.clear();
    this.#rows.show([]);
    this.#seen.clear();
  }

  /** @param {string} sentence */
  fail(sentence) {
    this.#panel.fail(sentence);
  }

  /** @param {{target: number, workers: Worker[]}} fleet */
  show({ target, workers }) {
    const atMs = performance.now();
    this.#rows.show(workers.map((worker) => ({ ...worker, busy: this.#busyOf(worker, atMs) })));
    for (const name of this.#seen.keys()) {
      if (!workers.some(({ worker }) => worker === name)) this.#seen.delete(name);
    }
    const none = target ? "No worker yet." : "No workers: the service is scaled down.";
    this.#panel.fill(workers.length ? "" : none);
  }

  /**
   * Give the cores that a worker used since it was looked at before; null at first.
   * @param {Worker} worker @param {number} atMs
   */
  #busyOf({ worker, cpu_s: cpuS }, atMs) {
    const before = this.#seen.get(worker);
    this.#seen.set(worker, { cpuS, atMs });
    if (!before || cpuS < before.cpuS || atMs <= before.atMs) return null;
    return ((cpuS - before.cpuS) * 1000) / (atMs - before.atMs);
  }

  /** @param {HTMLElement} cell @param {Watched} worker */
  #fillAction(cell, { worker, phase, live }) {
    if (!DRAINABLE.has(phase)) {
      if (cell.contains(document.activeElement)) this.#panel.heading.focus();
      setText(cell, NONE);
      return;
    }
    cell.dataset.live = `${live}`;
    if (cell.querySelector("button")) return;
    const button = make("button", "Drain", { type: "button", "aria-label": `Drain ${worker}` });
    button.addEventListener("click", () => this.#drain(worker, Number(cell.dataset.live)));
    cell.replaceChildren(button);
  }

  /** @param {string} worker @param {number} live */
  async #drain(worker, live) {
    const moving =
      live === 1 ? "Its session moves to another and loses" : `Its ${live} sessions move to others and lose`;
    const sessions = live ? `${moving} nothing.` : "It has no session now.";
    const sure = await isSure({
      title: `Drain ${worker}?`,
      sentence: `It takes no more sessions, ends, and is replaced if the load needs it. ${sessions}`,
      action: "Drain",
    });
    if (!sure) return;
    this.#panel.refuse("");
    try {
      await this.#call("POST", `/api/v4/fleet/workers/${encodeURIComponent(worker)}/drain`);
    } catch (error) {
      this.#panel.refuse(sentenceOfError(error));
    }
    this.#refresh();
  }
}
