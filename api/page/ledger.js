// What was spent, and what the same traffic would have cost otherwise.

import { byId, el, svg, terms } from "./dom.js";
import { count, money, percent } from "./format.js";
import { json } from "./http.js";

const WIDTH = 300;
const HEIGHT = 110;
const EDGE = 4;
const CURVES = [["frontier_only_micro_usd", "frontier only", "instead"], ["cost_micro_usd", "spent", "spent"]];

/** Only an admin's key may see it: for others it stays hidden. */
export async function showLedger() {
  const ledger = await json("/v1/ledger").catch(() => null);
  byId("ledger").hidden = ledger === null || ledger.lines.length === 0;
  if (byId("ledger").hidden) return;
  const total = ledger.total;
  terms(byId("spent"), [
    ["Spent", money(total.cost_micro_usd)],
    ...(total.untold ? [["Not told", `${count(total.untold, "call")}, at most ${money(total.untold_micro_usd)}`]] : []),
    ["Answers", total.answers.toLocaleString("en")],
    ["Frontier only", money(total.frontier_only_micro_usd)],
    ["Without cache", money(total.uncached_micro_usd)],
    ...(total.cache_hit_rate === null ? [] : [["Cache hits", percent(total.cache_hit_rate)]]),
  ]);
  byId("ledger-said").textContent = ledger.frontier_mean === null ? "No frontier model has answered yet, so what it would cost is not known." : "";
  byId("curve").replaceChildren(...curveOf(ledger));
}

function curveOf({ lines, total }) {
  const drawn = CURVES.filter(([field]) => lines.every((line) => line[field] !== null) && total[field] !== null);
  const top = Math.max(...drawn.map(([field]) => total[field]));
  if (!(top > 0)) return [];
  const paths = drawn.map(([field, , name]) => svg("path", { class: name, d: pathOf(lines.map((line) => line[field]), top) }));
  const said = `Running total, ${lines[0].day} to ${lines.at(-1).day}: ` + drawn.map(([field, label]) => `${label} ${money(total[field])}`).join(", ");
  const axis = svg("path", { class: "axis", d: `M${EDGE} ${HEIGHT - EDGE}H${WIDTH - EDGE}` });
  return [
    svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": said }, axis, ...paths),
    el("p", { class: "days hint" }, el("span", {}, lines[0].day), el("span", {}, lines.at(-1).day)),
    el("ul", { class: "legend", "aria-hidden": "true" }, ...drawn.map(([, label, name]) => el("li", { class: name }, label))),
  ];
}

/** The running total, from nothing before the first day. */
function pathOf(amounts, top) {
  const step = (WIDTH - 2 * EDGE) / amounts.length;
  let sum = 0;
  const points = amounts.map((amount, day) => {
    sum += amount;
    return `L${(EDGE + (day + 1) * step).toFixed(1)} ${(HEIGHT - EDGE - (sum / top) * (HEIGHT - 2 * EDGE)).toFixed(1)}`;
  });
  return `M${EDGE} ${HEIGHT - EDGE}${points.join("")}`;
}
