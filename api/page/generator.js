// Who answers: the mode, for everyone who uses this server.

import { byId, el } from "./dom.js";
import { json } from "./http.js";

const MODES = {
  tuned: "The small model on this machine answers everything. Nothing leaves it, and nothing is paid.",
  hybrid: "The small model answers what it is sure of; the frontier model is asked for the rest.",
  frontier: "The frontier model answers everything.",
};

let mode = null;
let shown = null;
let changing = false;

/** Others toggle too, and tiers come and go. Draws only what is new: whoever stands on a button stays there. */
export async function showGenerator() {
  const state = await json("/v1/generator");
  if (!changing) draw(state);
}

function draw(state) {
  if (JSON.stringify(state) === shown) return;
  shown = JSON.stringify(state);
  if (mode !== state.mode) byId("mode-said").textContent = "";
  mode = state.mode;
  const focused = byId("modes").contains(document.activeElement);
  byId("modes").replaceChildren(byId("modes").firstElementChild, ...Object.keys(MODES).map((name) => choice(name, state)));
  byId("mode-about").textContent = MODES[mode];
  byId("tiers").replaceChildren(...state.tiers.map(tierOf));
  if (focused) byId("modes").querySelector("input:checked")?.focus();
  document.dispatchEvent(new Event("mode"));
}

export const currentMode = () => mode;

function choice(name, state) {
  const possible = state.modes[name];
  return el("label", { class: possible ? null : "unready", title: possible ? null : "No tier of this mode is ready" },
    el("input", { type: "radio", name: "mode", value: name, checked: name === state.mode, onchange: () => change(name) }),
    el("span", {}, name, possible ? "" : el("span", { class: "unseen" }, ", not ready")),
  );
}

function tierOf(tier) {
  return el("li", { class: tier.ready ? "ready" : "unready" },
    el("span", { class: "tier" }, tier.name), el("span", { class: "state" }, tier.ready ? "ready" : "not ready"),
    el("span", { class: "reason" }, tier.reason),
  );
}

async function change(name) {
  changing = true;
  try {
    draw(await json("/v1/generator", { method: "PUT", body: { mode: name } }));
    byId("mode-said").textContent = `${name[0].toUpperCase()}${name.slice(1)} from the next question on.`;
  } catch (problem) {
    const kept = byId("modes").querySelector(`[value="${mode}"]`);
    kept.checked = true;
    kept.focus();
    byId("mode-said").textContent = problem.message;
  }
  changing = false;
}
