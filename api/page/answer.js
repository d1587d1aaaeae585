// One answer as it is made: its text, what it rests on, and how it came about.

import { byId, el, terms } from "./dom.js";
import { bill, count, duration, percent } from "./format.js";
import { json } from "./http.js";
import { openPassage } from "./passage.js";

const OUTCOMES = {
  accepted: "taken", below_threshold: "not sure enough", not_found: "found no answer", uncited: "could not prove it", failed: "failed", cancelled: "cancelled",
};

export class AnswerCard {
  constructor(question) {
    this.cited = [];
    this.version = null;
    byId("asked").textContent = question;
    byId("answer-text").replaceChildren();
    byId("answer-text").setAttribute("aria-busy", "true");
    byId("sources").replaceChildren();
    for (const id of ["sources-part", "facts-part", "doubt"]) byId(id).hidden = true;
    byId("welcome").hidden = true;
    byId("answer").hidden = false;
    byId("answer").classList.remove("abstained", "cut");
  }

  /** What it is answered from. */
  evidence({ index_version: version }) {
    this.version = version;
  }

  text(piece) {
    byId("answer-text").append(piece);
  }

  /** A number in the text, and the sentence below. */
  citation(citation) {
    const number = this.numberOf(citation);
    byId("answer-text").append(el("button", {
      type: "button", class: "mark", "aria-label": `Source ${number}: ${citation.title || citation.source}`, onclick: () => openPassage(citation, this.version),
    }, `${number}`));
  }

  numberOf(citation) {
    const key = `${citation.document_id} ${citation.start} ${citation.end}`;
    if (!this.cited.includes(key)) {
      this.cited.push(key);
      byId("sources-part").hidden = false;
      byId("sources").append(sourceOf(citation, this.version));
    }
    return this.cited.indexOf(key) + 1;
  }

  /** The whole of it, which has the last word. */
  done(answer) {
    if (answer.abstained) {
      byId("answer").classList.add("abstained");
      byId("answer-text").replaceChildren("The documents give no answer that can be relied on.");
    } else if (plain(byId("answer-text")) !== answer.answer) {
      byId("answer-text").replaceChildren(answer.answer);
    }
    byId("doubt").hidden = !answer.below_threshold;
    byId("feedback-asked").textContent = answer.abstained ? "Was it right not to answer?" : "Was this right?";
    byId("sources-title").textContent = answer.abstained ? "The nearest passages" : "Sources";
    answer.citations.forEach((each) => this.numberOf(each));
    this.end();
    showFacts(answer);
    showRoute(answer.route);
    watchFeedback(answer.id);
    byId("facts-part").hidden = false;
  }

  failed(message) {
    byId("answer").classList.add("cut");
    byId("answer-text").append(el("p", { class: "failure" }, message));
    this.end();
  }

  end() {
    byId("answer-text").setAttribute("aria-busy", "false");
  }
}

/** The text without the numbers of its sources. */
function plain(node) {
  return [...node.childNodes].filter((each) => each.nodeType === Node.TEXT_NODE).map((each) => each.data).join("");
}

function sourceOf(citation, version) {
  return el("li", {}, el("button", { type: "button", class: "source", onclick: () => openPassage(citation, version) },
    el("span", { class: "quote" }, citation.quote),
    el("span", { class: "place" }, placeOf(citation)),
    el("span", { class: "file" }, citation.source),
  ));
}

/** Title and heading, once where one begins with the other: long ones are cut. */
function placeOf({ title, heading }) {
  const [shorter, longer] = [title, heading].sort((one, other) => one.length - other.length);
  return (longer.startsWith(shorter) ? longer : `${title} › ${heading}`).replaceAll(" > ", " › ");
}

function showFacts(answer) {
  const sure = answer.confidence;
  terms(byId("facts"), [
    [answer.abstained ? "Asked last" : "Answered by", answer.tier ?? "nobody"],
    ["Mode", answer.mode],
    ["Confidence", ...(sure === null ? ["unknown"] : [percent(sure), el("meter", { min: 0, max: 1, value: sure, "aria-label": "Confidence" })])],
    ["Time", duration(answer.timings_ms.total ?? 0)],
    ["Cost", bill(answer)],
    ["Version", `${answer.index_version}`],
  ]);
  byId("made-by").textContent = [answer.model && `model ${answer.model}`, answer.confidence !== null && `confidence by ${answer.confidence_source}`].filter(Boolean).join(" · ");
}

function showRoute(route) {
  byId("route").replaceChildren(...route.map((tried) => el("li", {},
    el("span", { class: "tier" }, tried.tier),
    el("span", { class: `outcome ${tried.outcome}` }, OUTCOMES[tried.outcome] ?? tried.outcome),
    el("span", { class: "figures" }, figures(tried)),
    el("span", { class: "reason" }, tried.reason),
  )));
}

function figures(tried) {
  const sure = tried.confidence === null ? [] : [`confidence ${percent(tried.confidence)}`];
  return [...sure, duration(tried.latency_ms), bill(tried)].join(" · ");
}

function watchFeedback(answerId) {
  byId("feedback-said").textContent = "";
  for (const [id, correct] of [["right", true], ["wrong", false]]) {
    byId(id).setAttribute("aria-pressed", "false");
    byId(id).onclick = () => label(answerId, correct);
  }
}

async function label(answerId, correct) {
  try {
    await json("/v1/feedback", { method: "POST", body: { answer_id: answerId, correct } });
    byId("right").setAttribute("aria-pressed", `${correct}`);
    byId("wrong").setAttribute("aria-pressed", `${!correct}`);
    byId("feedback-said").textContent = "Noted. The small model learns from this.";
  } catch (problem) {
    byId("feedback-said").textContent = problem.message;
  }
}

export const evidenceSaid = ({ hits, index_version: version }) =>
  hits.length ? `Reading ${count(hits.length, "passage")} of version ${version}…` : "No passage fits the question.";
