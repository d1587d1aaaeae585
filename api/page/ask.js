// Asking: one question at a time, its answer shown as it comes.

import { AnswerCard, evidenceSaid } from "./answer.js";
import { byId } from "./dom.js";
import { duration } from "./format.js";
import { events, request } from "./http.js";
import { asOf } from "./versions.js";

let running = null;

/** `answered` hears of every answer that is complete. */
export function watchAsking(answered) {
  byId("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    ask(byId("question").value.trim(), answered);
  });
  byId("question").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    byId("ask").requestSubmit();
  });
  byId("stop").addEventListener("click", () => running?.abort());
}

async function ask(question, answered) {
  if (!question) return;
  running?.abort();
  const mine = (running = new AbortController());
  const shown = { card: null };
  busy(true, "Searching…");
  try {
    await follow(question, mine.signal, shown);
    answered();
  } catch (problem) {
    if (running !== mine) return;
    fail(shown.card, problem);
  }
  if (running === mine) busy(false);
}

async function follow(question, signal, shown) {
  const reply = await request("/v1/answers", { method: "POST", body: { question, stream: true, as_of: asOf() }, signal });
  shown.card = new AnswerCard(question);
  for await (const [name, data] of events(reply)) {
    if (signal.aborted) throw new DOMException("stopped", "AbortError");
    if (name === "evidence") begin(shown.card, data);
    else if (name === "text") shown.card.text(data.text);
    else if (name === "citation") shown.card.citation(data);
    else if (name === "error") throw new Error(data.detail);
    else if (name === "answer") return finish(shown.card, data);
  }
  throw new Error("The answer was cut off: ask again.");
}

function begin(card, found) {
  card.evidence(found);
  say(evidenceSaid(found));
}

function finish(card, answer) {
  card.done(answer);
  say(`${answer.abstained ? "No answer" : "Answered"} after ${duration(answer.timings_ms.total ?? 0)}.`);
}

function fail(card, problem) {
  const stopped = problem.name === "AbortError";
  const message = stopped ? "Stopped." : problem.message;
  if (card) card.failed(message);
  say(card ? "" : message, !stopped);
}

function busy(is, said) {
  byId("stop").hidden = !is;
  byId("phase").classList.toggle("working", is);
  if (said) say(said);
}

function say(text, refused = false) {
  byId("phase").classList.toggle("refused", refused);
  byId("phase").textContent = text;
}
