// JSON Web Tokens, HS256 only.
import { createHmac, timingSafeEqual } from "node:crypto";

const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const decode = (text) => JSON.parse(Buffer.from(text, "base64url").toString());
const signature = (text, secret) => createHmac("sha256", secret).update(text).digest();
const now = () => Math.floor(Date.now() / 1000);

export function sign(payload, secret, lifetime) {
  const claims = { ...payload, iat: now(), exp: now() + lifetime };
  const text = `${encode({ alg: "HS256", typ: "JWT" })}.${encode(claims)}`;
  return `${text}.${signature(text, secret).toString("base64url")}`;
}

// The payload, or null for a token that is malformed, altered or too old.
export function verify(token, secret) {
  try {
    const [head, body, seal, ...rest] = token.split(".");
    if (rest.length || decode(head).alg !== "HS256") return null;
    const expected = signature(`${head}.${body}`, secret);
    const given = Buffer.from(seal, "base64url");
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) return null;
    const payload = decode(body);
    return payload.exp > now() ? payload : null;
  } catch {
    return null;
  }
}
