// Requests to this server, and what it says when it refuses one.

const KEY = "understudy-key";

export class Problem extends Error {
  constructor(status, told) {
    super(told.detail ?? told.title ?? `the server answered with status ${status}`);
    this.status = status;
  }
}

export const keys = {
  get: () => sessionStorage.getItem(KEY),
  keep: (key) => sessionStorage.setItem(KEY, key),
  forget: () => sessionStorage.removeItem(KEY),
};

let unauthorized = () => {};

/** `listener` hears why, each time that a key is missing or wrong. */
export const onUnauthorized = (listener) => (unauthorized = listener);

export async function request(path, { method = "GET", body, signal } = {}) {
  const headers = body === undefined ? {} : { "Content-Type": "application/json" };
  const key = keys.get();
  if (key) headers.Authorization = `Bearer ${key}`;
  const reply = await fetch(path, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) }).catch(explain);
  if (reply.ok) return reply;
  const problem = new Problem(reply.status, await reply.json().catch(() => ({})));
  if (reply.status === 401 && key === keys.get()) unauthorized(problem.message);
  throw problem;
}

export async function json(path, options) {
  const reply = await request(path, options);
  return reply.status === 204 ? null : reply.json();
}

function explain(error) {
  if (error.name === "AbortError") throw error;
  throw new Problem(0, { detail: "The server cannot be reached: is it still running?" });
}

/** Server-sent events of a reply, as [name, data]; comments are dropped. */
export async function* events(reply) {
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read().catch(explain);
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks.filter((each) => each.startsWith("event: "))) {
      const [name, data] = block.split("\n");
      yield [name.slice("event: ".length), JSON.parse(data.slice("data: ".length))];
    }
  }
}
