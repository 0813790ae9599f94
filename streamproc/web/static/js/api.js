// Calls the daemon as any AWS client would, signed where it asks for that. Knows protocols and
// keys; what operations mean is the views' matter.

import { query, signed } from "./sigv4.js";

const STORED = "streamproc-key";
const BUSY = /Throttling|ProvisionedThroughputExceeded|TooManyRequests/;
const WRONG_KEY = /MissingAuthenticationToken|UnrecognizedClient|InvalidSignature|ExpiredToken|IncompleteSignature/;
const REST = {
  ListStreams: "/listStreams",
  CreateStream: "/createStream",
  DescribeStream: "/describeStream",
  DeleteStream: "/deleteStream",
};

export class ApiError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** The person's key: {id, secret, token, region}; null while the daemon asks for none. */
export let key = JSON.parse(sessionStorage.getItem(STORED) ?? "null");

let asked = null; // one question to the person, however many calls wait for its answer
let ask = async () => Promise.reject(new ApiError("MissingAuthenticationToken", "A key is needed."));

/** whoAsks(why) shows the form and answers with a key; it rejects if the person will not. */
export function askBy(whoAsks) {
  ask = whoAsks;
}

export function setKey(value) {
  key = value;
  if (value) sessionStorage.setItem(STORED, JSON.stringify(value));
  else sessionStorage.removeItem(STORED);
}

/** rekognition("ListFaces", {...}): the answer's members. Raises ApiError. */
export const rekognition = (operation, members = {}, signal) =>
  posted("rekognition", "RekognitionService", operation, members, signal);

export const kinesis = (operation, members = {}) => posted("kinesis", "Kinesis_20131202", operation, members);

export const kinesisVideo = (operation, members = {}) =>
  patiently(async () => {
    const headers = { "content-type": "application/json" };
    return read(await send("POST", REST[operation], { headers, body: JSON.stringify(members), service: "kinesisvideo" }));
  });

/** All pages of a listing, up to items_max entries of this member. */
export async function all(call, operation, members, list, itemsMax = 100_000) {
  const found = [];
  let token;
  do {
    const page = await call(operation, { ...members, ...(token ? { NextToken: token } : {}) });
    found.push(...(page[list] ?? []));
    token = page.NextToken;
  } while (token && found.length < itemsMax);
  return found;
}

/** A GET of the daemon's own pages: the response, once it is a good one. */
export async function get(path, parameters, signal) {
  const url = new URL(path, location.href);
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  const asked = query(url);
  return answered(() => send("GET", url.pathname + (asked && `?${asked}`), { service: "rekognition", signal }));
}

function posted(service, prefix, operation, members, signal) {
  const headers = { "content-type": "application/x-amz-json-1.1", "x-amz-target": `${prefix}.${operation}` };
  return patiently(async () => read(await send("POST", "/", { headers, body: JSON.stringify(members), service, signal })));
}

/** Tries what is throttled again, a little later each time. */
async function patiently(attempt) {
  for (let tries = 0; ; tries++) {
    try {
      return await answered(attempt);
    } catch (error) {
      if (tries === 3 || !BUSY.test(error.code ?? "")) throw error;
      await new Promise((resolve) => setTimeout(resolve, 250 * 2 ** tries * (0.5 + Math.random())));
    }
  }
}

/** Asks for a key where one is missing or no longer good, and tries again with it. */
async function answered(attempt) {
  for (;;) {
    const used = key;
    try {
      return await attempt();
    } catch (error) {
      if (!WRONG_KEY.test(error.code ?? "")) throw error;
      if (used === key) {
        asked ??= ask(used ? error.message : "").finally(() => (asked = null));
        setKey(await asked);
      }
    }
  }
}

async function send(method, path, { headers = {}, body = "", service, signal }) {
  const url = new URL(path, location.href);
  const complete = key ? await signed({ method, url, headers, body, service, key }) : headers;
  let response;
  try {
    response = await fetch(url, { method, headers: complete, body: method === "GET" ? undefined : body, signal, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("Unreachable", "The daemon does not answer.");
  }
  if (!response.ok) throw await failure(response);
  return response;
}

async function failure(response) {
  let told = {};
  try {
    told = await response.json();
  } catch {
    // not in the daemon's words: a proxy, or a page that is gone
  }
  const code = (response.headers.get("x-amzn-errortype") ?? told.__type ?? `Http${response.status}`).split(":")[0];
  return new ApiError(code.split("#").at(-1), told.message ?? told.Message ?? `The daemon answered ${response.status}.`);
}

async function read(response) {
  const text = await response.text();
  return text ? JSON.parse(text) : {};
}
