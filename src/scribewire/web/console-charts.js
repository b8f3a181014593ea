// The last hour in three charts: sessions, lag, workers.

import { Chart } from "./charts.js";
import { NONE, lag } from "./console-format.js";
import { Panel } from "./console-panel.js";
import { byId } from "./dom.js";

/**
 * How the service stood at one instant.
 * @typedef {{
 *   at: string, sessions: number, waiting: number, workers: number, lag_p50_s: number | null, lag_p95_s: number | null,
 * }} Point
 * @typedef {Point & { atMs: number }} Moment
 */

const spellCount = (/** @type {number | null} */ value) => (value === null ? NONE : `${value}`);

/** @type {Record<string, import("./charts.js").Plan<Moment>>} */
const PLANS = {
  "chart-sessions": {
    title: "Sessions",
    lines: [
      { label: "Live", pick: ({ sessions }) => sessions },
      { label: "Waiting", pick: ({ waiting }) => waiting },
    ],
    spell: spellCount,
    stepped: true,
  },
  "chart-lag": {
    title: "Lag of partials",
    lines: [
      { label: "Median", pick: ({ lag_p50_s: lagS }) => lagS },
      { label: "95th percentile", pick: ({ lag_p95_s: lagS }) => lagS },
    ],
    spell: lag,
    stepped: false,
  },
  "chart-workers": {
    title: "Ready workers",
    lines: [{ label: "Workers", pick: ({ workers }) => workers }],
    spell: spellCount,
    stepped: true,
  },
};

/** Shows the charts. */
export class ChartsPanel {
  #panel;
  #charts;

  /** @param {() => void} refresh */
  constructor(refresh) {
    this.#panel = new Panel(byId("history"), refresh);
    this.#charts = Object.entries(PLANS).map(([id, plan]) => new Chart(byId(id), plan));
  }

  clear() {
    this.#panel.clear();
    for (const chart of this.#charts) chart.show([], 0);
  }

  /** @param {string} sentence */
  fail(sentence) {
    this.#panel.fail(sentence);
  }

  /** @param {{step_s: number, points: Point[]}} history */
  show({ step_s: stepS, points }) {
    const timed = points.map((point) => ({ ...point, atMs: Date.parse(point.at) }));
    for (const chart of this.#charts) chart.show(timed, stepS * 1000);
    this.#panel.fill(points.length ? "" : "No figures yet: the first come within a few seconds.");
  }
}
