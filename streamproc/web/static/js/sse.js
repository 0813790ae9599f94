// Reads server-sent events with fetch, since EventSource cannot sign. Sources: WHATWG HTML, 9.2.

/** The fields of each message of a response: async iterator of {event, data, id}. */
export async function* messages(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      text += value;
      const blocks = text.split(/\r?\n\r?\n/);
      text = blocks.pop();
      for (const block of blocks) {
        const message = parsed(block);
        if (message) yield message;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function parsed(block) {
  const message = { event: "message", data: [], id: null };
  for (const line of block.split(/\r?\n/)) {
    const [, name, value] = /^([^:]*):? ?(.*)$/s.exec(line);
    if (name === "data") message.data.push(value);
    else if (name === "event" || name === "id") message[name] = value;
  }
  return message.data.length ? { ...message, data: message.data.join("\n") } : null;
}

/**
 * Keeps a stream open until signal is aborted: again after a break, at once the first time, then
 * up to 8 s apart. open(signal) answers with the response, tell(message) takes what comes, one
 * after the other, and broken(error) hears of every break: null where the stream ended, or said
 * nothing for silenceMs.
 */
export async function follow(open, tell, broken, signal, silenceMs = 45_000) {
  for (let tries = 0; !signal.aborted; tries++) {
    const attempt = new AbortController();
    const stop = () => attempt.abort();
    signal.addEventListener("abort", stop, { once: true });
    let watch;
    const alive = () => {
      clearTimeout(watch);
      watch = setTimeout(stop, silenceMs);
    };
    try {
      alive();
      const response = await open(attempt.signal);
      const counted = response.body.pipeThrough(
        new TransformStream({
          transform(chunk, out) {
            alive();
            out.enqueue(chunk);
          },
        }),
      );
      for await (const message of messages({ body: counted })) {
        if (signal.aborted) return;
        tries = 0;
        await tell(message);
      }
      if (!signal.aborted) broken(null);
    } catch (error) {
      if (!signal.aborted) broken(attempt.signal.aborted ? null : error);
    } finally {
      clearTimeout(watch);
      signal.removeEventListener("abort", stop);
    }
    if (!signal.aborted) await pause(tries ? Math.min(500 * 2 ** tries, 8000) : 300, signal);
  }
}

function pause(ms, signal) {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
  });
}
