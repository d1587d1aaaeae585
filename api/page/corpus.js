// What is indexed, and reading it again.

import { byId, el, terms } from "./dom.js";
import { count, when } from "./format.js";
import { json } from "./http.js";
import { openPassage } from "./passage.js";

const POLL_MS = 400;
const FOLLOW_MS = 2000;
const STEPS = {
  elsewhere: "A sync is running", listing: "Listing files", parsing: "Reading files", embedding: "Embedding", building: "Building the index", publishing: "Publishing",
};

let next = null;
let shown = null;
let syncing = false;

/** `changed` hears that another version was published, by whomever; `reached` each time whether the server can be reached. */
export function watchCorpus(changed, reached) {
  follow(changed, reached);
  byId("sync").addEventListener("click", () => sync(changed));
  byId("more").addEventListener("click", () => listDocuments(next));
  byId("catalogue").addEventListener("toggle", () => byId("catalogue").open && listDocuments(""));
}

export async function showIndex() {
  const index = (shown = await readIndex());
  terms(byId("index"), [
    ["Version", index.version === null ? "none" : `${index.version}`],
    ["Documents", index.documents.toLocaleString("en")],
    ["Chunks", index.chunks.toLocaleString("en")],
    ...(index.published_at ? [["Published", when(index.published_at)]] : []),
  ]);
  byId("held").textContent = index.held ? `Rolled back to version ${index.held.version}: the sources are not read until you release them.` : "";
  byId("sync").textContent = index.held ? "Release and sync" : "Sync now";
  byId("folders").replaceChildren(...index.sources.map(sourceOf));
  byId("folders-part").hidden = index.sources.length === 0;
  byId("catalogue").hidden = index.version === null;
  byId("failed").replaceChildren(...index.failed.map((each) => el("li", {}, el("strong", {}, each.source), ` ${each.reason}`)));
  byId("sync").disabled = syncing || index.sources.length === 0;
  byId("empty").hidden = index.version !== null;
  if (byId("catalogue").open) await listDocuments("");
  return index;
}

/** Nothing is followed where the server wants a key. */
function readIndex() {
  return json("/v1/index").catch((problem) => {
    if (problem.status === 401) shown = null;
    throw problem;
  });
}

function sourceOf(source) {
  const followed = source.kind === "git" ? ` · ${source.ref ?? "default branch"}${source.revision ? ` at ${source.revision.slice(0, 12)}` : ""}` : "";
  return el("li", {}, el("span", { class: "tier" }, source.name), el("span", { class: "hint" }, source.kind), el("span", { class: "file" }, source.location + followed));
}

/** Other pages, the command line and a watcher publish too, and their syncs are seen here. */
async function follow(changed, reached) {
  if (!document.hidden && shown !== null && !syncing) await look(changed, reached).catch(() => {});
  setTimeout(() => follow(changed, reached), byId("sync-part").hidden ? FOLLOW_MS : POLL_MS);
}

async function look(changed, reached) {
  const index = await readIndex().catch((problem) => problem);
  reached(index.status !== 0);
  if (index instanceof Error || syncing) return;
  running(index.sync_running);
  if (index.sync_running) showProgress(index.sync_progress ?? { step: "elsewhere" });
  if (JSON.stringify(standing(index)) === JSON.stringify(standing(shown))) return;
  byId("sync-said").textContent = "";
  await changed();
}

/** What is drawn of an index. */
const standing = ({ sync_running, sync_progress, ...rest }) => rest;

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
  if (is) showProgress({});
}

function told(report) {
  const parts = ["added", "changed", "renamed", "removed"].filter((name) => report[name]).map((name) => `${report[name]} ${name}`);
  const failed = report.failed.length ? `; ${count(report.failed.length, "file")} could not be read` : "";
  return `Version ${report.version}: ${parts.join(", ") || "nothing has changed"}${failed}, in ${report.seconds.toFixed(1)} s.`;
}
