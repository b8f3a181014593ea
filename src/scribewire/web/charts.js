// Line charts over the last hour as inline SVG, each with a summary in words and its figures as a table.

import { make, setText } from "./console-dom.js";
import { minute } from "./console-format.js";
import { Rows } from "./console-table.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 1000;
const HEIGHT = 200;
const SPAN_MS = 3_600_000;

/** @typedef {{ atMs: number, value: number | null }} Point */
/** @typedef {{ atMs: number, value: number }} Figure */
/** @typedef {{ atMs: number, values: (number | null)[] }} Minute */
/**
 * A line; `pick` takes its figure from what a point of time is given as.
 * @template T
 * @typedef {{ label: string, pick: (moment: T) => number | null }} Line
 */
/**
 * What a chart shows; `stepped` are figures that hold until the next, as counts do.
 * @template T
 * @typedef {{ title: string, lines: Line<T>[], spell: (value: number | null) => string, stepped: boolean }} Plan
 */

/**
 * Give where an axis ends: the least of 1, 2, 4, 10, 20, 40, … times `least` that is no less than a value.
 * @param {number} value
 * @param {number} [least]
 */
export function topOf(value, least = 0.1) {
  for (let decade = least; ; decade *= 10) {
    const top = [1, 2, 4].map((step) => step * decade).find((end) => end >= value);
    if (top) return top;
  }
}

/**
 * Give the paths of a line through the points: broken where there is no figure or none for longer than `gapMs`, and
 * figures that stand alone as dots.
 * @param {Point[]} points oldest first
 * @param {{endMs: number, top: number, gapMs: number, stepped: boolean}} frame
 * @returns {{line: string, dots: string}}
 */
export function pathsOf(points, { endMs, top, gapMs, stepped }) {
  const x = (/** @type {Figure} */ { atMs }) => Math.max(0, WIDTH * (1 - (endMs - atMs) / SPAN_MS)).toFixed(1);
  const y = (/** @type {Figure} */ { value }) => (HEIGHT * (1 - value / top)).toFixed(1);
  const next = (/** @type {Figure} */ point) => (stepped ? `H${x(point)}V${y(point)}` : `L${x(point)},${y(point)}`);
  const paths = { line: "", dots: "" };
  for (const [first, ...rest] of runsOf(points, gapMs)) {
    const begin = `M${x(first)},${y(first)}`;
    if (rest.length) paths.line += begin + rest.map(next).join("");
    else paths.dots += `${begin}h0`;
  }
  return paths;
}

/** Give the points that have a figure, in runs without a gap. @param {Point[]} points @param {number} gapMs */
function runsOf(points, gapMs) {
  /** @type {Figure[][]} */
  const runs = [];
  /** @type {Figure[] | null} */
  let run = null;
  let beforeMs = 0;
  for (const { atMs, value } of points) {
    if (value === null) run = null;
    else if (run && atMs - beforeMs <= gapMs) run.push({ atMs, value });
    else runs.push((run = [{ atMs, value }]));
    beforeMs = atMs;
  }
  return runs;
}

/**
 * Say in one sentence what a line shows.
 * @param {string} label
 * @param {(number | null)[]} values
 * @param {(value: number | null) => string} spell
 */
export function summaryOf(label, values, spell) {
  const known = values.filter((value) => value !== null);
  if (!known.length) return `${label}: no figures.`;
  const now = values.at(-1) ?? null;
  const range = `lowest ${spell(Math.min(...known))}, highest ${spell(Math.max(...known))}`;
  return `${label}: ${now === null ? "none" : spell(now)} now, ${range}.`;
}

/**
 * Give the highest figure of each minute, newest first.
 * @template {{ atMs: number }} T
 * @param {T[]} moments
 * @param {Line<T>[]} lines
 * @returns {Minute[]}
 */
export function minutesOf(moments, lines) {
  /** @type {Map<number, (number | null)[]>} */
  const minutes = new Map();
  for (const moment of moments) {
    const atMs = Math.floor(moment.atMs / 60_000) * 60_000;
    const values = minutes.get(atMs) ?? lines.map(() => null);
    minutes.set(
      atMs,
      lines.map(({ pick }, index) => highest(values[index], pick(moment))),
    );
  }
  return [...minutes].map(([atMs, values]) => ({ atMs, values })).reverse();
}

/** @param {number | null} one @param {number | null} other */
function highest(one, other) {
  if (one === null || other === null) return one ?? other;
  return Math.max(one, other);
}

/**
 * A chart in a figure of its own.
 * @template {{ atMs: number }} T
 */
export class Chart {
  #plan;
  #svg = document.createElementNS(SVG, "svg");
  #paths;
  #newest;
  #scale = [make("span"), make("span"), make("span")];
  #details = document.createElement("details");
  #table;
  /** @type {Minute[]} */
  #minutes = [];

  /**
   * @param {HTMLElement} figure an empty one
   * @param {Plan<T>} plan
   */
  constructor(figure, plan) {
    this.#plan = plan;
    this.#svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    this.#svg.setAttribute("preserveAspectRatio", "none");
    this.#svg.setAttribute("role", "img");
    for (const share of [0, 0.5, 1]) this.#svg.append(gridLine(HEIGHT * share));
    this.#paths = plan.lines.map((_, index) => ({
      line: pathElement(`line line-${index + 1}`),
      dots: pathElement(`line line-${index + 1} dots`),
    }));
    // The first line lies on top.
    this.#svg.append(...this.#paths.toReversed().flatMap(({ line, dots }) => [line, dots]));
    const caption = make("figcaption", "", { class: "chart-caption" });
    this.#newest = plan.lines.map(() => make("strong"));
    caption.append(
      make("span", plan.title, { class: "chart-title" }),
      ...plan.lines.map((line, index) => {
        const entry = make("span", "", { class: `legend legend-${index + 1}` });
        entry.append(...(plan.lines.length > 1 ? [make("span", line.label)] : []), this.#newest[index]);
        return entry;
      }),
    );
    const scale = make("div", "", { class: "chart-scale", "aria-hidden": "true" });
    scale.append(...this.#scale);
    const plot = make("div", "", { class: "chart-plot" });
    plot.append(scale, this.#svg);
    const time = make("div", "", { class: "chart-time", "aria-hidden": "true" });
    time.append(make("span", "60 min ago"), make("span", "30 min ago"), make("span", "now"));
    this.#table = this.#makeTable();
    figure.replaceChildren(caption, plot, time, this.#details);
  }

  /**
   * Show the last hour.
   * @param {T[]} moments oldest first
   * @param {number} stepMs how far apart they should be
   */
  show(moments, stepMs) {
    const { lines, spell, stepped } = this.#plan;
    const columns = lines.map(({ pick }) => moments.map(pick));
    const top = topOf(Math.max(0, ...columns.flat().filter((value) => value !== null)), stepped ? 1 : 0.1);
    const frame = { endMs: moments.at(-1)?.atMs ?? 0, top, gapMs: 2.5 * stepMs, stepped };
    this.#paths.forEach(({ line, dots }, index) => {
      const paths = pathsOf(
        moments.map(({ atMs }, at) => ({ atMs, value: columns[index][at] })),
        frame,
      );
      line.setAttribute("d", paths.line);
      dots.setAttribute("d", paths.dots);
      setText(this.#newest[index], spell(columns[index].at(-1) ?? null));
    });
    const half = stepped && top % 2 ? "" : spell(top / 2);
    [spell(top), half, spell(0)].forEach((text, index) => setText(this.#scale[index], text));
    const said = lines.map(({ label }, index) => summaryOf(label, columns[index], spell));
    this.#svg.setAttribute("aria-label", `${this.#plan.title}, the last hour. ${said.join(" ")}`);
    this.#minutes = minutesOf(moments, lines);
    this.#showTable();
  }

  #makeTable() {
    const { title, lines, spell } = this.#plan;
    const table = document.createElement("table");
    table.className = "chart-table";
    table.append(make("caption", `${title}: the highest of each minute`));
    const summary = make("summary", "As a table");
    // Sixty rows are more than a page should hold at once.
    const scroll = make("div", "", {
      class: "chart-scroll",
      tabindex: "0",
      role: "region",
      "aria-label": `${title} as a table`,
    });
    scroll.append(table);
    this.#details.append(summary, scroll);
    this.#details.addEventListener("toggle", () => this.#showTable());
    /** @type {import("./console-table.js").Column<Minute>[]} */
    const columns = [
      { label: "Minute", text: ({ atMs }) => minute(atMs) },
      ...lines.map(({ label }, index) => ({ label, text: (/** @type {Minute} */ { values }) => spell(values[index]) })),
    ];
    return new Rows(table, columns, ({ atMs }) => `${atMs}`, summary);
  }

  #showTable() {
    if (this.#details.open) this.#table.show(this.#minutes);
  }
}

/** @param {string} className */
function pathElement(className) {
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("class", className);
  return path;
}

/** @param {number} y */
function gridLine(y) {
  const line = document.createElementNS(SVG, "line");
  for (const [name, value] of Object.entries({ x1: 0, x2: WIDTH, y1: y, y2: y, class: "grid" })) {
    line.setAttribute(name, `${value}`);
  }
  return line;
}
