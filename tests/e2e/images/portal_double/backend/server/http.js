// A small HTTP server: routes by pattern, JSON bodies, errors and logging in the real backend's form.
import http from "node:http";
import { randomUUID } from "node:crypto";

const BODY_LIMIT = 1024 * 1024;

export class HttpError extends Error {
  constructor(status, message, code) {
    super(message);
    this.status = status;
    this.code = code ?? http.STATUS_CODES[status].toUpperCase().replaceAll(" ", "_");
  }
}

export const reply = (status, body, headers = {}) => ({ status, body, headers, isReply: true });

// A handler gets one request object and returns a body (200) or reply(...).
export function route(method, pattern, handler, guard) {
  const expression = pattern.replace(/:(\w+)/g, "(?<$1>[^/]+)");
  return { method, matches: new RegExp(`^${expression}/?$`), handler, guard };
}

// Left-most address: the real backend trusts whoever sends the header.
const address = (raw) => raw.headers["x-forwarded-for"]?.split(",")[0].trim() || raw.socket.remoteAddress;

async function readBody(raw) {
  let size = 0;
  const parts = [];
  for await (const part of raw) {
    size += part.length;
    if (size > BODY_LIMIT) throw new HttpError(413, "Request body is too large");
    parts.push(part);
  }
  const text = Buffer.concat(parts).toString();
  if (!raw.headers["content-type"]?.startsWith("application/json")) return undefined;
  if (!text) throw new HttpError(400, "Body cannot be empty when content-type is set to 'application/json'");
  try {
    return JSON.parse(text);
  } catch {
    throw new HttpError(400, "Body is not valid JSON");
  }
}

async function answer(routes, raw, request) {
  const matching = routes.filter((one) => one.matches.test(request.path));
  const found = matching.find((one) => one.method === raw.method);
  // As the real one: a wrong method is 404, too.
  if (!found) throw new HttpError(404, `Route ${raw.method}:${request.path} not found`);
  request.params = Object.fromEntries(
    Object.entries(found.matches.exec(request.path).groups ?? {}).map(([key, value]) => [key, decodeURIComponent(value)]),
  );
  await found.guard?.(request);
  request.body = await readBody(raw);
  return found.handler(request);
}

// What the real backend says of how browsers are to treat its answers.
const SECURITY = {
  "content-security-policy": "default-src 'self'",
  "strict-transport-security": "max-age=15552000; includeSubDomains",
  "x-content-type-options": "nosniff",
  "x-frame-options": "SAMEORIGIN",
};

export function makeServer({ routes, settings, log, limiter }) {
  return http.createServer(async (raw, response) => {
    const id = randomUUID();
    const headers = { "x-litemaas-double": "true", ...SECURITY };
    if (raw.headers.origin === settings.corsOrigin) {
      headers["access-control-allow-origin"] = settings.corsOrigin;
      headers["access-control-allow-credentials"] = "true";
    }
    log.info("incoming request", { reqId: id, req: { method: raw.method, url: raw.url, headers: raw.headers } });
    const send = (status, body, more = {}) => {
      const text = body === undefined ? "" : typeof body === "string" ? body : JSON.stringify(body);
      response.writeHead(status, { "content-type": "application/json; charset=utf-8", ...headers, ...more });
      response.end(text);
      log.info("request completed", { reqId: id, res: { statusCode: status } });
    };
    try {
      // Before authentication, and for probes as well.
      Object.assign(headers, limiter(address(raw)));
      const url = new URL(raw.url.startsWith("/") ? `http://backend${raw.url}` : raw.url);
      const path = decodeURI(url.pathname).split(";")[0];
      const result = await answer(routes, raw, { id, path, query: url.searchParams, headers: raw.headers, log });
      if (result?.isReply) send(result.status, result.body, result.headers);
      else send(200, result);
    } catch (error) {
      const status = error.status ?? 500;
      if (status >= 500) log.error("request failed", { reqId: id, error });
      const message = error.status ? error.message : "Internal server error";
      send(status, { error: { code: error.code ?? "INTERNAL_ERROR", message }, requestId: id });
    }
  });
}

// Counted by address in this process only: with N replicas the limit is N times as high.
export function makeLimiter({ rateLimit, rateSeconds }) {
  const windows = new Map();
  return (key) => {
    const now = Date.now();
    let window = windows.get(key);
    if (!window || window.ends <= now) {
      window = { count: 0, ends: now + rateSeconds * 1000 };
      windows.set(key, window);
    }
    window.count += 1;
    if (window.count > rateLimit) throw new HttpError(429, "Rate limit exceeded");
    return { "x-ratelimit-limit": String(rateLimit), "x-ratelimit-remaining": String(rateLimit - window.count) };
  };
}
