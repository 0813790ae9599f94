// Signature Version 4 with the browser's own cryptography ("AWS Signature Version 4 for API
// requests", IAM user guide). Knows how to sign; knows no operations and keeps no keys.

const encoder = new TextEncoder();

export class CannotSign extends Error {
  code = "CannotSign";
}

/**
 * The headers that sign a request. url is a URL, headers have lower-case names, body is a string.
 * key: {id, secret, token?, region}.
 */
export async function signed({ method, url, headers, body, service, key, now = new Date() }) {
  if (!globalThis.crypto?.subtle) {
    throw new CannotSign("This browser can sign only on https:// or on localhost. Open the console there.");
  }
  const timestamp = now.toISOString().replace(/[:-]|\.\d{3}/g, "");
  const date = timestamp.slice(0, 8);
  const payload = hex(await crypto.subtle.digest("SHA-256", encoder.encode(body)));
  const added = { "x-amz-content-sha256": payload, "x-amz-date": timestamp };
  if (key.token) added["x-amz-security-token"] = key.token;
  const covered = { host: url.host, ...added };
  for (const [name, value] of Object.entries(headers)) if (name.startsWith("x-amz-")) covered[name] = value;
  const names = Object.keys(covered).sort();
  const canonical = [
    method,
    url.pathname,
    query(url),
    ...names.map((name) => `${name}:${covered[name].trim()}`),
    "",
    names.join(";"),
    payload,
  ].join("\n");
  const scope = `${date}/${key.region}/${service}/aws4_request`;
  const digest = hex(await crypto.subtle.digest("SHA-256", encoder.encode(canonical)));
  let secret = encoder.encode(`AWS4${key.secret}`);
  for (const part of [date, key.region, service, "aws4_request"]) secret = await hmac(secret, part);
  const signature = hex(await hmac(secret, ["AWS4-HMAC-SHA256", timestamp, scope, digest].join("\n")));
  const authorization = `AWS4-HMAC-SHA256 Credential=${key.id}/${scope}, SignedHeaders=${names.join(";")}, Signature=${signature}`;
  return { ...headers, ...added, authorization };
}

/** A query as both sides spell it: sorted, with RFC 3986's unreserved characters alone. */
export function query(url) {
  return [...url.searchParams]
    .map(([name, value]) => `${strict(name)}=${strict(value)}`)
    .sort()
    .join("&");
}

function strict(text) {
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

async function hmac(secret, text) {
  const key = await crypto.subtle.importKey("raw", secret, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return crypto.subtle.sign("HMAC", key, encoder.encode(text));
}

function hex(buffer) {
  return [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
