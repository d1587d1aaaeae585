// What is indexed, and reading it again.

import { byId, el, terms } from "./dom.js";
import { count, when } from "./format.js";
import { json } from "./http.js";
import { openPassage } from "./passage.js";

const POLL_MS = 400;
const FOLLOW_MS = 2000;
const STEPS = { elsewhere: "A sync is running", listing: "Listing files", parsing: "Reading files", embedding: "Embedding", building: "Building the index", publishing: "Publishing" };

let next = null;
let shown = null;
let syncing = false;

/** `changed` hears that another version was published, by whomever. */
export function watchCorpus(changed) {
  setInterval(() => follow(changed), FOLLOW_MS);
  byId("sync").addEventListener("click", () => sync(changed));
  byId("more").addEventListener("click", () => listDocuments(next));
  byId("catalogue").addEventListener("toggle", () => byId("catalogue").open && listDocuments(""));
}

export async function showIndex() {
  shown = null; // nothing is followed before the server has answered, nor where it wants a key
  const index = (shown = await json("/v1/index"));
  terms(byId("index"), [
    ["Version", index.version === null ? "none" : `${index.version}`],
    ["Documents", index.documents.toLocaleString("en")],
    ["Chunks", index.chunks.toLocaleString("en")],
    ...(index.published_at ? [["Published", when(index.published_at)]] : []),
  ]);
  byId("held").textContent = index.held ? `Rolled back to version ${index.held.version}: the sources are not read until you release them.` : "";
  byId("sync").textContent = index.held ? "Release and sync" : "Sync now";
  byId("folders").replaceChildren(...index.sources.map((source) => el("li", { title: source.location },
    el("span", { class: "tier" }, source.name), el("span", { class: "hint" }, source.kind))));
  byId("failed").replaceChildren(...index.failed.map((each) => el("li", {}, el("strong", {}, each.source), ` ${each.reason}`)));
  if (index.version === null) byId("sync-said").textContent = "Nothing is indexed yet: run `understudy ingest PATH` first.";
  if (byId("catalogue").open) await listDocuments("");
  return index;
}

/** Other pages, the command line and a watcher publish too, and their syncs are seen here. */
async function follow(changed) {
  if (document.hidden || shown === null || syncing) return;
  const index = await json("/v1/index").catch(() => null);
  if (index === null || syncing) return;
  running(index.sync_running);
  if (index.version !== shown.version || index.failed.length !== shown.failed.length) await changed();
}

async function listDocuments(after) {
  const page = await json(`/v1/documents?limit=500&after=${encodeURIComponent(after)}`).catch((problem) => ({ documents: [], next: null, said: problem.message }));
  const sorted = page.documents.toSorted((one, other) => one.source.localeCompare(other.source, undefined, { numeric: true }));
  const made = sorted.map((each) => el("li", {}, el("button", {
    type: "button", class: "link", onclick: () => openPassage({ document_id: each.id, title: each.title, source: each.source }),
  }, each.title || each.source), el("span", { class: "file" }, each.source)));
  if (after === "") byId("documents").replaceChildren();
  byId("documents").append(...made, ...(page.said ? [el("li", {}, page.said)] : []));
  next = page.next;
  byId("more").hidden = !next;
}

async function sync(changed) {
  syncing = true;
  running(true);
  byId("sync-said").textContent = "";
  try {
    const { job_id: id } = await json(`/v1/index/sync?release=${shown?.held != null}`, { method: "POST" });
    byId("sync-said").textContent = told((await finished(id)).report);
    await changed();
  } catch (problem) {
    byId("sync-said").textContent = problem.message;
  }
  syncing = false;
  running(false);
}

async function finished(id) {
  for (;;) {
    const job = await json(`/v1/jobs/${id}`);
    if (job.state === "failed") throw new Error(job.error);
    if (job.state === "done") return job;
    showProgress(job.progress);
    await new Promise((wake) => setTimeout(wake, POLL_MS));
  }
}

function showProgress(progress) {
  const inChunks = progress.step === "embedding";
  const done = inChunks ? progress.chunks : progress.documents;
  const total = inChunks ? progress.chunks_total : progress.documents_total;
  const known = total > 0 && (inChunks || progress.step === "parsing");
  byId("sync-step").textContent = (STEPS[progress.step] ?? "Starting") + (known ? ` · ${done} of ${total}` : "…");
  if (known) Object.assign(byId("sync-bar"), { max: total, value: done });
  else byId("sync-bar").removeAttribute("value");
}

function running(is) {
  if (byId("sync-part").hidden === !is) return;
  byId("sync").setAttribute("aria-disabled", `${is}`);
  byId("sync").disabled = is;
  byId("sync-part").hidden = !is;
  if (is) showProgress(syncing ? {} : { step: "elsewhere" });
}

function told(report) {
  const parts = ["added", "changed", "renamed", "removed"].filter((name) => report[name]).map((name) => `${report[name]} ${name}`);
  const failed = report.failed.length ? `; ${count(report.failed.length, "file")} could not be read` : "";
  return `Version ${report.version}: ${parts.join(", ") || "nothing has changed"}${failed}, in ${report.seconds.toFixed(1)} s.`;
}
