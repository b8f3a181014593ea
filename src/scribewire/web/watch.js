// The watch page's wiring: the transcript of a share, and how it stands.

import { byId, setState } from "./dom.js";
import { Transcript } from "./transcript.js";
import { Watching } from "./watching.js";

/** @type {Record<import("./watching.js").Standing, { tone: "good" | "warn" | "bad" | "idle", sentence: string }>} */
const STANDINGS = {
  connecting: { tone: "idle", sentence: "Connecting…" },
  waiting: { tone: "idle", sentence: "Waiting for the speaker" },
  live: { tone: "good", sentence: "Live" },
  paused: { tone: "idle", sentence: "Paused. It goes on here when the speaker does." },
  away: { tone: "warn", sentence: "The service does not answer. Trying again…" },
  ended: { tone: "idle", sentence: "The speaker has ended the sharing." },
  invalid: { tone: "bad", sentence: "This link is not valid. It may be over, or a part of it may be missing." },
  refused: { tone: "bad", sentence: "The service refused." },
};

const status = byId("status");
const transcript = new Transcript({
  scroller: byId("scroller"),
  log: byId("transcript"),
  partial: byId("partial"),
  newest: byId("newest"),
});

// The other view of the same link.
byId("overlay-link").setAttribute("href", `/captions${location.hash}`);
addEventListener("hashchange", () => location.reload());

new Watching(location.hash, {
  onStanding(standing, said) {
    const { tone, sentence } = STANDINGS[standing];
    setState(status, standing, tone, said || sentence);
  },
  onAnew: () => transcript.clear(),
  onFinal: (final) => transcript.add(final),
  onPartial: (text) => transcript.partial(text),
});
