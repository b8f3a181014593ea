// The overlay's wiring: the last lines of a share, looking as the address says.

import { byId } from "./dom.js";
import { Stage } from "./stage.js";
import { Watching } from "./watching.js";

const SIZE_VH = { least: 2, usual: 6, most: 20 };
const LINES = { least: 1, usual: 2, most: 4 };
const BACKGROUNDS = ["black", "green", "transparent"];
// What a reader cannot mend by waiting is said anywhere, the rest only where nobody's picture is under it.
const SENTENCES = /** @type {Record<import("./watching.js").Standing, string>} */ ({
  connecting: "Connecting…",
  waiting: "Waiting for the speaker",
  live: "",
  paused: "",
  away: "The service does not answer. Trying again…",
  ended: "The speaker has ended the sharing.",
  invalid: "This link is not valid.",
  refused: "The service refused.",
});
const LASTING = new Set(["invalid", "refused"]);

const query = new URLSearchParams(location.search);
const place = byId("stage");
const state = byId("state");
const background = BACKGROUNDS.find((name) => name === query.get("background")) ?? "black";
place.dataset.background = background;
if (query.has("size")) place.style.setProperty("--size", `${bounded(query.get("size"), SIZE_VH)}vh`);
const stage = new Stage(place, byId("stage-lines"), Math.round(bounded(query.get("lines"), LINES)));
addEventListener("hashchange", () => location.reload());

new Watching(location.hash, {
  onStanding(standing, said) {
    const isSaid = background === "black" || LASTING.has(standing);
    state.dataset.state = standing;
    state.textContent = isSaid ? said || SENTENCES[standing] : "";
  },
  onAnew: () => stage.clear(),
  onFinal: ({ text }) => stage.add(text),
  onPartial: (text) => stage.partial(text),
});

/** @param {string | null} text @param {{ least: number, usual: number, most: number }} bounds */
function bounded(text, { least, usual, most }) {
  const number = Number(text || usual);
  return Number.isFinite(number) ? Math.min(most, Math.max(least, number)) : usual;
}
