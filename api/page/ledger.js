// What was spent, and what the same traffic would have cost otherwise.

import { byId, el, svg, terms } from "./dom.js";
import { count, money, percent } from "./format.js";
import { json } from "./http.js";

const WIDTH = 300;
const HEIGHT = 110;
const EDGE = 4;
const DAY_MS = 86_400_000;
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
  const paths = drawn.map(([field, , name]) => svg("path", { class: name, d: pathOf(lines, field, top) }));
  const said = `Running total, ${lines[0].day} to ${lines.at(-1).day}: ` + drawn.map(([field, label]) => `${label} ${money(total[field])}`).join(", ");
  const axis = svg("path", { class: "axis", d: `M${EDGE} ${HEIGHT - EDGE}H${WIDTH - EDGE}` });
  return [
    svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": said }, axis, ...paths),
    el("p", { class: "days hint" }, ...[...new Set([lines[0].day, lines.at(-1).day])].map((day) => el("span", {}, day))),
    el("ul", { class: "legend", "aria-hidden": "true" }, ...drawn.map(([, label, name]) => el("li", { class: name }, label))),
  ];
}

/** The running total, from nothing before the first day; flat over days without an answer. */
function pathOf(lines, field, top) {
  const days = lines.map((line) => Date.parse(line.day) / DAY_MS);
  const step = (WIDTH - 2 * EDGE) / (days.at(-1) - days[0] + 1);
  const point = (day, sum) => `L${(EDGE + (day - days[0]) * step).toFixed(1)} ${(HEIGHT - EDGE - (sum / top) * (HEIGHT - 2 * EDGE)).toFixed(1)}`;
  let sum = 0;
  const points = lines.map((line, at) => {
    const flat = at > 0 && days[at] > days[at - 1] + 1 ? point(days[at], sum) : "";
    sum += line[field];
    return flat + point(days[at] + 1, sum);
  });
  return `M${EDGE} ${HEIGHT - EDGE}${points.join("")}`;
}
