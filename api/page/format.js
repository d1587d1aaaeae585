// Numbers and offsets, as people read them.

export function money(microDollars) {
  if (microDollars === null || microDollars === undefined) return "unknown";
  if (microDollars === 0) return "$0";
  const dollars = microDollars / 1e6;
  const digits = dollars >= 1 ? 2 : Math.min(6, 1 - Math.floor(Math.log10(dollars)));
  return `$${dollars.toFixed(Math.max(2, digits))}`;
}

/** What is known, and what may come on top. */
export const bill = ({ cost_micro_usd: cost, untold_micro_usd: untold }) =>
  untold === null ? money(cost) : `${money(cost)}, at most ${money(untold)} more`;

export function duration(ms) {
  return ms < 995 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(ms < 9950 ? 1 : 0)} s`;
}

export const percent = (share) => (share === null ? "unknown" : `${Math.round(share * 100)} %`);

export const count = (number, one, many = `${one}s`) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;

export function when(seconds) {
  return new Date(seconds * 1000).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

/** The server counts characters, JavaScript counts UTF-16 units: an emoji is one there and two here. */
export function unitsOf(text, characters) {
  let units = 0;
  for (const character of text) {
    if (characters-- <= 0) break;
    units += character.length;
  }
  return units;
}
