// The kept versions: what each one changed, asking as of one, and going back to one.

import { byId, el } from "./dom.js";
import { count, when } from "./format.js";
import { json } from "./http.js";

const CAUSES = {
  sync: "Sync", put: "A document was put in", delete: "A document was taken out", forget: "Something was forgotten", rollback: "Rollback", rebuild: "Rebuild",
};

let chosen = null;

/** The version that questions are asked of; null: the newest. */
export const asOf = () => chosen;

/** `changed` hears that another version was published. */
export function watchVersions(changed) {
  byId("newest").addEventListener("click", () => choose(null));
  byId("rollback-do").addEventListener("click", () => rollBack(changed));
}

export async function showVersions() {
  const { versions } = await json("/v1/index/versions?limit=100");
  const newest = versions.find((each) => each.published);
  byId("latest").textContent = newest ? `${CAUSES[newest.cause] ?? "Published"}: ${changesOf(newest)}.` : "";
  byId("history").hidden = versions.length < 2;
  byId("versions").replaceChildren(...versions.map(versionOf));
  if (chosen !== null && !versions.some((each) => each.version === chosen)) drop();
}

function versionOf(version) {
  const name = `version ${version.version}`;
  const offers = version.published ? [el("span", { class: "outcome accepted" }, "published")] : [
    el("button", { type: "button", class: "link", "aria-label": `Ask ${name}`, onclick: () => choose(version) }, "Ask it"),
    el("button", { type: "button", class: "link", "aria-label": `Roll back to ${name}`, onclick: () => confirm(version) }, "Roll back"),
  ];
  return el("li", {},
    el("span", { class: "tier" }, `Version ${version.version}`), ...offers,
    el("span", { class: "reason" }, `${when(version.published_at)} · ${count(version.documents, "document")} · ${changesOf(version)}`),
  );
}

function changesOf(version) {
  const parts = ["added", "changed", "renamed", "removed"].filter((name) => version[name]).map((name) => `${version[name]} ${name}`);
  const failed = version.failed ? [`${count(version.failed, "file")} could not be read`] : [];
  return [parts.join(", ") || "no document changed", ...failed].join("; ");
}

function choose(version) {
  chosen = version?.version ?? null;
  byId("as-of").hidden = chosen === null;
  byId("newest").hidden = false;
  byId("as-of-said").textContent = chosen === null ? "" : `You are asking version ${chosen} of ${when(version.published_at)}.`;
  byId("question").focus();
}

/** While somebody may be writing elsewhere on the page. */
function drop() {
  byId("as-of-said").textContent = `Version ${chosen} is kept no more: you are asking the newest.`;
  byId("newest").hidden = true;
  chosen = null;
}

function confirm(version) {
  byId("rollback").dataset.version = version.version;
  byId("rollback-title").textContent = `Roll back to version ${version.version}?`;
  byId("rollback-said").textContent = "";
  byId("rollback").showModal();
}

async function rollBack(changed) {
  const version = Number(byId("rollback").dataset.version);
  byId("rollback-do").disabled = true;
  byId("rollback-said").textContent = "Rolling back…";
  try {
    await json("/v1/index/rollback", { method: "POST", body: { version } });
    byId("rollback").close();
    await changed();
    byId("history").querySelector("summary").focus(); // the button that opened the question is gone
  } catch (problem) {
    byId("rollback-said").textContent = problem.message;
  }
  byId("rollback-do").disabled = false;
}
