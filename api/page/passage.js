// A document with one passage of it marked, in a dialog at the side.

import { byId, el } from "./dom.js";
import { unitsOf } from "./format.js";
import { json } from "./http.js";

const HEADING = /^[^\n]{1,80}[^\n.:;,!?…]$/u;

export function watchPassages() {
  byId("reader-close").addEventListener("click", () => byId("reader").close());
  byId("reader").addEventListener("click", (event) => {
    if (event.target === byId("reader")) byId("reader").close();
  });
}

/** `citation` names the document, and where it has a quote, the place to mark; `version` the index version that it comes from. */
export async function openPassage(citation, version = null) {
  show(citation.title, citation.source, "Opening…", "");
  if (!byId("reader").open) byId("reader").showModal();
  try {
    const found = await read(`/v1/documents/${encodeURIComponent(citation.document_id)}`, version);
    const place = citation.quote === undefined ? null : placeOf(citation, found.text);
    show(found.title, found.source, place || citation.quote === undefined ? "" : gone(citation), found.text, place);
  } catch (problem) {
    show(citation.title, citation.source, problem.message, "");
  }
}

/** As of the version, or as it is now where that version is kept no more. */
async function read(path, version) {
  if (version === null) return json(path);
  return json(`${path}?version=${version}`).catch((problem) => {
    if (problem.status !== 404) throw problem;
    return json(path);
  });
}

function gone(citation) {
  return `The document has changed since, and no longer says: “${citation.quote}”`;
}

/** Where the quote stands in today's text; null where it does not. */
function placeOf(citation, text) {
  const start = unitsOf(text, citation.start);
  if (text.startsWith(citation.quote, start)) return { start, end: start + citation.quote.length };
  const moved = text.indexOf(citation.quote);
  return moved < 0 ? null : { start: moved, end: moved + citation.quote.length };
}

function show(title, source, said, text, place = null) {
  byId("reader-title").textContent = title || source;
  byId("reader-source").textContent = source;
  byId("reader-said").textContent = said;
  byId("reader-text").replaceChildren(...paragraphs(text, place));
  byId("reader-text").scrollTop = 0;
  const mark = byId("reader-text").querySelector("mark");
  if (!mark) return;
  mark.scrollIntoView({ block: "center" });
  mark.focus({ preventScroll: true });
}

function paragraphs(text, place) {
  const made = [];
  for (const { 0: block, index } of text.matchAll(/\S[^]*?(?=\s*\n\s*\n|\s*$)/gu)) {
    made.push(el("p", { class: HEADING.test(block) ? "heading" : null }, ...marked(block, index, place)));
  }
  return made;
}

function marked(block, at, place) {
  const start = Math.max(0, (place?.start ?? 0) - at);
  const end = Math.min(block.length, (place?.end ?? 0) - at);
  if (!place || start >= end) return [block];
  return [block.slice(0, start), el("mark", { tabindex: "-1" }, block.slice(start, end)), block.slice(end)];
}
