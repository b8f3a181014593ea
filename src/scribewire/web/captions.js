// The captions page's wiring: a key, the service, a source, a session, and the text that comes of it.

import { Api, ApiError } from "./api.js";
import { byId, setState } from "./dom.js";
import { Downloads } from "./downloads.js";
import { Languages } from "./languages.js";
import { SourceError } from "./live-source.js";
import { Meters } from "./meters.js";
import { ServiceStatus } from "./service-status.js";
import { Sharing } from "./sharing.js";
import { SourceChoice } from "./source-choice.js";
import { Speaking } from "./speaking.js";
import { Stage } from "./stage.js";
import { Transcript } from "./transcript.js";

const STAGE_LINES = 2;
const KEPT = "What is said meanwhile is kept.";
/** @type {Record<import("./speaking.js").Stage, { tone: "good" | "warn" | "bad" | "idle", sentence: string }>} */
const STAGES = {
  connecting: { tone: "warn", sentence: `Connecting… ${KEPT}` },
  listening: { tone: "good", sentence: "Listening" },
  away: { tone: "warn", sentence: `Reconnecting… ${KEPT}` },
  finishing: { tone: "warn", sentence: "Waiting for the last words…" },
  stopped: { tone: "idle", sentence: "Stopped" },
  failed: { tone: "bad", sentence: "Ended by a problem" },
};

const start = /** @type {HTMLButtonElement} */ (byId("start"));
const stop = /** @type {HTMLButtonElement} */ (byId("stop"));
const key = /** @type {HTMLInputElement} */ (byId("key"));
const numbers = /** @type {HTMLInputElement} */ (byId("numbers"));
const choices = /** @type {HTMLFieldSetElement} */ (byId("choices"));
const anew = /** @type {HTMLDialogElement} */ (byId("anew"));
const stageElement = byId("stage");

const transcript = new Transcript({
  scroller: byId("scroller"),
  log: byId("transcript"),
  partial: byId("partial"),
  newest: byId("newest"),
  word: byId("word"),
});
const stage = new Stage(stageElement, byId("stage-lines"), STAGE_LINES);
const downloads = new Downloads();
const languages = new Languages();
const sources = new SourceChoice();
const meters = new Meters();
const sharing = new Sharing({ onChange: () => speaking?.share(sharing.id !== null), onProblem: showProblem });

/** @type {Api | null} */
let api = null;
/** @type {ServiceStatus | null} */
let service = null;
/** @type {Speaking | null} */
let speaking = null;
let lostMs = 0;

byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  connect(key.value.trim());
});
byId("forget").addEventListener("click", forget);
start.addEventListener("click", () => (downloads.unsaved ? anew.showModal() : begin()));
stop.addEventListener("click", () => {
  stop.disabled = true;
  speaking?.stop();
});
byId("anew-no").addEventListener("click", () => anew.close());
byId("anew-yes").addEventListener("click", () => {
  anew.close();
  begin();
});
byId("fullscreen").addEventListener("click", async () => {
  try {
    await stageElement.requestFullscreen();
  } catch {
    stageElement.dataset.open = ""; // where there is no full screen, it covers the page
  }
});
stageElement.addEventListener("click", () => delete stageElement.dataset.open);
addEventListener("keydown", ({ key: pressed }) => pressed === "Escape" && delete stageElement.dataset.open);
addEventListener("beforeunload", (event) => speaking?.isLive && event.preventDefault());

// --- the key ---------------------------------------------------------------------------------------------------------

/** @param {string} secret */
async function connect(secret) {
  const connecting = /** @type {HTMLButtonElement} */ (byId("connect"));
  connecting.disabled = true;
  showProblem("");
  const tried = new Api(secret);
  try {
    languages.show(await tried.call("GET", "/api/v4/realtime/languages"));
  } catch (error) {
    showProblem(sentenceOf(error));
    return;
  } finally {
    connecting.disabled = false;
  }
  api = tried;
  key.value = "";
  service = new ServiceStatus(api, showProblem);
  await service.look();
  sharing.use(api);
  showConnected(true);
  start.focus();
}

function forget() {
  speaking?.stop();
  service?.close();
  sharing.use(null);
  [api, service] = [null, null];
  showProblem("");
  showConnected(false);
  key.focus();
}

/** @param {boolean} connected */
function showConnected(connected) {
  byId("key-form").hidden = connected;
  byId("connected").hidden = byId("setup").hidden = !connected;
  byId("intro").hidden = connected;
  if (connected) byId("text").hidden = false; // and then it stays
}

// --- a session -------------------------------------------------------------------------------------------------------

async function begin() {
  start.disabled = choices.disabled = true;
  showProblem("");
  byId("notice").textContent = "";
  const state = byId("session-state");
  setState(state, "opening", "warn", sources.kind === "file" ? "Reading the file…" : "Waiting for the browser…");
  try {
    const chosen = await sources.open();
    await speak(chosen);
  } catch (error) {
    showProblem(sentenceOf(error));
    setState(state, "failed", "bad", STAGES.failed.sentence);
    start.disabled = choices.disabled = false;
    stop.disabled = true;
  }
}

/** @param {import("./source-choice.js").Chosen} chosen */
async function speak(chosen) {
  const { language, type } = languages;
  downloads.begin({ language, type });
  transcript.clear();
  stage.clear();
  meters.begin(chosen.lengthMs > 0);
  lostMs = 0;
  const begun = new Speaking(
    {
      takeTicket: () => takeTicket({ language, type }),
      options: numbers.checked ? { actual_numbers: true } : {},
      shared: sharing.id !== null,
    },
    {
      onStage: showStage,
      onEvent: showEvent,
      onLag: (lagMs) => meters.latency(lagMs),
      onHeard: (heardMs, peak) => {
        meters.level(peak);
        meters.length(heardMs);
        if (chosen.lengthMs) meters.progress(begun.sentUntilMs, chosen.lengthMs);
      },
      onSourceEnd: showProblem,
    },
  );
  speaking = begun;
  stop.disabled = false;
  stop.focus();
  await begun.listen(chosen.source);
}

/** A ticket for the next socket; where its share is over, for a session that nobody else reads. @param {object} wish */
async function takeTicket(wish) {
  if (!api) throw new ApiError(401, "The key was forgotten.");
  const ask = async (/** @type {object} */ body) =>
    (await /** @type {Api} */ (api).call("POST", "/api/v4/realtime/tickets", body)).ticket;
  if (sharing.id === null) return ask(wish);
  try {
    return await ask({ ...wish, share: sharing.id });
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 404)) throw error;
    sharing.forget();
    speaking?.share(false);
    return ask(wish);
  }
}

/** @param {import("./speaking.js").Stage} stage @param {import("./wire.js").Refusal | null} refusal */
function showStage(stage, refusal) {
  const { tone, sentence } = STAGES[stage];
  // Why it has to wait, where the service said so itself.
  const isSaid = refusal?.code && refusal.code !== "disconnected" && stage !== "failed";
  setState(byId("session-state"), stage, tone, isSaid ? `${refusal.sentence} Trying again… ${KEPT}` : sentence);
  if (stage === "failed" && refusal) showProblem(refusal.sentence);
  if (stage !== "stopped" && stage !== "failed") return;
  transcript.partial("");
  meters.end();
  choices.disabled = false;
  start.disabled = !api;
  stop.disabled = true;
  if (document.activeElement === document.body) start.focus(); // the button that had the focus cannot be pressed now
  service?.look();
}

/** @param {import("./course.js").Event} event */
function showEvent(event) {
  if (event.kind === "partial") {
    byId("empty").hidden = true;
    transcript.partial(event.text);
    stage.partial(event.text);
  } else if (event.kind === "final") {
    byId("empty").hidden = true;
    downloads.add(event);
    transcript.add(event);
    stage.add(event.text);
  } else if (event.kind === "lost" && !event.silent) {
    lostMs += event.endMs - event.startMs;
    showNotice(`${(lostMs / 1000).toFixed(1)} s of sound could not be kept until the service was back.`);
  } else if (event.kind === "back" && !event.wanted && !lostMs) {
    showNotice(`The connection was lost for ${event.gapS.toFixed(1)} s. The session went on, and nothing was lost.`);
  } else if (event.kind === "leaving") {
    showNotice("The service is about to restart. The session will go on after it.");
  }
}

// --- what is said of it ----------------------------------------------------------------------------------------------

/** @param {string} sentence */
function showProblem(sentence) {
  byId("problem").textContent = sentence;
}

/** @param {string} sentence */
function showNotice(sentence) {
  byId("notice").textContent = sentence;
}

/** @param {unknown} error */
function sentenceOf(error) {
  if (error instanceof ApiError) return error.detail;
  if (error instanceof SourceError) return error.message;
  reportError(error);
  return "Something went wrong in this page.";
}
