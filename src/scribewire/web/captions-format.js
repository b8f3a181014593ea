// Downloads: finals spelled as plain text, SubRip, WebVTT and JSON.

import { cuesOf } from "./cues.js";

/** @typedef {import("./wire.js").Final} Final */
/** @typedef {{ language: string, type: string, startedAt: string, finals: readonly Final[] }} Transcript */
/** @typedef {{ kind: string, spell: (transcript: Transcript) => string }} Format */

/** @type {Record<"txt" | "srt" | "vtt" | "json", Format>} */
export const FORMATS = {
  txt: { kind: "text/plain", spell: toText },
  srt: { kind: "application/x-subrip", spell: toSrt },
  vtt: { kind: "text/vtt", spell: toVtt },
  json: { kind: "application/json", spell: toJson },
};

/** @param {Transcript} transcript */
function toText({ finals }) {
  return finals.map(({ text }) => `${text}\n`).join("");
}

/** Lines end as SubRip itself ends them, since some television sets take no other. @param {Transcript} transcript */
function toSrt(transcript) {
  return cuesIn(transcript)
    .map(({ startMs, endMs, lines }, at) =>
      [at + 1, `${clock(startMs, ",")} --> ${clock(endMs, ",")}`, ...lines, "", ""].join("\r\n"),
    )
    .join("");
}

/** @param {Transcript} transcript */
function toVtt(transcript) {
  const cues = cuesIn(transcript).map(({ startMs, endMs, lines }) =>
    [`${clock(startMs, ".")} --> ${clock(endMs, ".")}`, ...lines.map(escaped), "", ""].join("\n"),
  );
  return `WEBVTT\n\n${cues.join("")}`;
}

/** The finals as the service spells them. @param {Transcript} transcript */
function toJson({ language, type, startedAt, finals }) {
  const spelled = finals.map(({ text, offsetMs, words, speaker }) => ({
    text,
    is_final: true,
    offset_ms: offsetMs,
    words,
    ...(speaker ? { speaker } : {}),
  }));
  return `${JSON.stringify({ language, type, started_at: startedAt, finals: spelled }, null, 2)}\n`;
}

/** @param {Transcript} transcript */
function cuesIn({ language, finals }) {
  const words = finals.flatMap((final) => final.words.map(([text, startMs, endMs]) => ({ text, startMs, endMs })));
  return cuesOf(words, language);
}

/** @param {number} ms @param {string} mark */
function clock(ms, mark) {
  const two = (/** @type {number} */ number) => String(number).padStart(2, "0");
  const seconds = Math.floor(ms / 1000);
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return `${two(hours)}:${two(minutes)}:${two(seconds % 60)}${mark}${String(ms % 1000).padStart(3, "0")}`;
}

/** @param {string} text */
const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
