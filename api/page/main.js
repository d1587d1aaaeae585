// Puts the parts of the page together.

import { watchAsking } from "./ask.js";
import { showIndex, watchCorpus } from "./corpus.js";
import { byId } from "./dom.js";
import { count } from "./format.js";
import { currentMode, showGenerator } from "./generator.js";
import { keys, onUnauthorized } from "./http.js";
import { showLedger } from "./ledger.js";
import { watchPassages } from "./passage.js";
import { showVersions, watchVersions } from "./versions.js";

async function showServer() {
  try {
    const [index] = await Promise.all([showIndex(), showGenerator(), showVersions()]);
    summarize(index);
  } catch (problem) {
    byId("phase").textContent = problem.status === 401 ? "" : problem.message;
    return;
  }
  await showLedger();
}

let last = null;
let lost = false;

/** Nothing on the page tells otherwise that its server has gone. */
async function reached(is) {
  if (is && !lost) return showGenerator().catch(() => {});
  if (lost === !is) return;
  lost = !is;
  byId("summary").classList.toggle("lost", lost);
  if (lost) byId("summary").textContent = "The server cannot be reached";
  else await backAgain();
}

async function backAgain() {
  for (const id of ["phase", "mode-said", "sync-said"]) byId(id).textContent = "";
  await showServer();
}

function summarize(index = last) {
  last = index;
  if (!index || lost) return;
  const held = index.version === null ? "nothing indexed yet" : `version ${index.version} · ${count(index.documents, "document")}`;
  byId("summary").textContent = `${held} · ${currentMode()} mode`;
}

function watchKey() {
  onUnauthorized((reason) => {
    byId("key-reason").textContent = reason;
    byId("key").hidden = false;
    byId("key-input").focus();
  });
  byId("key-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    useKey(byId("key-input").value.trim());
    byId("question").focus();
    await showServer();
  });
  byId("forget").addEventListener("click", async () => {
    useKey(null);
    await showServer();
  });
  byId("forget").hidden = !keys.get();
}

function useKey(key) {
  if (key) keys.keep(key);
  else keys.forget();
  byId("key").hidden = true;
  byId("key-input").value = "";
  byId("forget").hidden = !key;
  byId("phase").textContent = "";
}

watchKey();
watchPassages();
watchCorpus(showServer, reached);
watchVersions(showServer);
watchAsking(showLedger);
document.addEventListener("mode", () => summarize());
byId("question").focus();
showServer();
