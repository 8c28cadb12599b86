// What the tests of the backend double need around it: LiteLLM and OpenShift as stubs, the
// backend as a process, databases of their own.
import http from "node:http";
import { createRequire } from "node:module";
import { randomUUID } from "node:crypto";
import { spawn } from "node:child_process";

const { APP, PG_URL } = process.env;
const pg = createRequire(`${APP}/backend/package.json`)("pg");
export const ADMIN_KEY = "ltm_admin_test";

export async function until(check, what, ms = 15000) {
  for (const end = Date.now() + ms; Date.now() < end; await new Promise((done) => setTimeout(done, 50))) {
    const result = await check();
    if (result) return result;
  }
  throw new Error(`timed out: ${what}`);
}

async function serve(answer) {
  const server = http.createServer(async (raw, response) => {
    let text = "";
    for await (const part of raw) text += part;
    const [status, body] = answer(raw, text, new URL(raw.url, "http://stub"));
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const close = () => {
    server.closeAllConnections();
    return new Promise((done) => server.close(done));
  };
  return { url: `http://127.0.0.1:${server.address().port}`, close };
}

export const model = (name, more = {}) => ({
  model_name: name,
  litellm_params: { model: `hosted_vllm/${name}`, api_base: "http://x/v1", input_cost_per_token: 5e-7, output_cost_per_token: 1.5e-6 },
  model_info: { id: `id-${name}`, max_tokens: 8192, supports_function_calling: true, ...more },
});

export async function liteLLM(...models) {
  const stub = { calls: [], models, users: new Map(), teams: new Set(), keys: new Map(), broken: false };
  const reply = (raw, text, url) => {
    const body = text ? JSON.parse(text) : undefined;
    const name = `${raw.method} ${url.pathname}`;
    stub.calls.push({ name, body, key: raw.headers["x-litellm-api-key"] });
    if (stub.broken) return [stub.broken.status ?? 500, stub.broken.body ?? { error: "broken" }];
    const found = (value) => (value ? [200, value] : [404, { error: "not found" }]);
    const forget = () => [200, { deleted: body.keys.filter((key) => stub.keys.delete(key)) }];
    const actions = {
      "GET /model/info": () => [200, { data: stub.models }],
      "GET /health/liveness": () => [200, "I'm alive!"],
      "GET /user/info": () => found(stub.users.get(url.searchParams.get("user_id"))),
      "GET /team/info": () => found(stub.teams.has(url.searchParams.get("team_id")) && {}),
      "POST /team/new": () => [200, stub.teams.add(body.team_id) && {}],
      "POST /user/new": () => [200, stub.users.set(body.user_id, { teams: body.teams, user_info: { max_budget: 100, spend: 0.25 } }) && {}],
      "POST /key/generate": () => {
        const key = `sk-${randomUUID()}`;
        stub.keys.set(key, body);
        return [200, { key, token: "hash" }];
      },
      "GET /key/info": () => found(stub.keys.has(raw.headers["x-litellm-api-key"]) && { info: { spend: 0.5 } }),
      "POST /key/update": () => found(stub.keys.has(body.key) && Object.assign(stub.keys.get(body.key), { models: body.models })),
      "POST /key/delete": forget,
      "GET /user/daily/activity": () => [200, { results: [{ metrics: { api_requests: stub.calls.length } }] }],
    };
    const patched = raw.method === "PATCH" && stub.models.some((each) => url.pathname === `/model/${each.model_info.id}/update`);
    return actions[name]?.() ?? (patched ? [200, {}] : [404, { error: name }]);
  };
  return Object.assign(stub, await serve(reply), { count: (name) => stub.calls.filter((call) => call.name === name).length });
}

export async function openShift() {
  const stub = { people: { alice: { groups: ["litemaas-admins"] }, bob: { groups: [] } }, exchanges: [] };
  const reply = (raw, text, url) => {
    if (url.pathname === "/oauth/token") {
      const form = Object.fromEntries(new URLSearchParams(text));
      stub.exchanges.push(form);
      return stub.people[form.code] ? [200, { access_token: form.code }] : [400, { error: "invalid_grant" }];
    }
    const name = raw.headers.authorization?.replace("Bearer ", "");
    if (url.pathname !== "/apis/user.openshift.io/v1/users/~" || !stub.people[name]) return [404, {}];
    const { uid = `uid-${name}`, groups } = stub.people[name];
    return [200, { metadata: { name, uid: uid || undefined }, fullName: `The ${name}`, groups }];
  };
  return Object.assign(stub, await serve(reply));
}

// An OpenID Connect provider; `code` is the name of somebody in `people`.
export async function provider() {
  const stub = { people: { alice: { groups: ["litemaas-admins"] }, bob: { groups: "no list" } }, exchanges: [], nonce: "" };
  const reply = (raw, text, url) => {
    if (url.pathname === "/realms/x/.well-known/openid-configuration") {
      const [authorization_endpoint, token_endpoint, userinfo_endpoint] = ["auth", "token", "me"].map((end) => `${stub.url}/${end}`);
      return [200, { issuer: `${stub.url}/realms/x`, authorization_endpoint, token_endpoint, userinfo_endpoint }];
    }
    if (url.pathname === "/token") {
      const form = Object.fromEntries(new URLSearchParams(text));
      stub.exchanges.push(form);
      const claims = Buffer.from(JSON.stringify({ nonce: stub.nonce })).toString("base64url");
      return [200, { access_token: form.code, id_token: `e30.${claims}.x` }];
    }
    const name = raw.headers.authorization?.replace("Bearer ", "");
    if (url.pathname !== "/me" || !stub.people[name]) return [401, {}];
    return [200, { sub: `sub-${name}`, preferred_username: name, email: `${name}@example.com`, ...stub.people[name] }];
  };
  return Object.assign(stub, await serve(reply));
}

export async function freshDatabase(setUp = "") {
  const name = `t${randomUUID().replaceAll("-", "")}`;
  const admin = new pg.Client(PG_URL);
  await admin.connect();
  await admin.query(`CREATE DATABASE ${name}`);
  await admin.end();
  const url = PG_URL.replace(/\/[^/?]*\?/, `/${name}?`);
  const query = async (text, values) => {
    const client = new pg.Client(url);
    await client.connect();
    try {
      return (await client.query(text, values)).rows;
    } finally {
      await client.end();
    }
  };
  if (setUp) await query(setUp);
  return { url, name, query };
}

let port = 20000 + (process.pid % 20000);

// Resolves when the backend answers; with `wait: false` at once.
export async function backend(env, { wait = true } = {}) {
  port += 1;
  const settings = {
    PATH: process.env.PATH, HOST: "127.0.0.1", PORT: String(port), NODE_ENV: "production", LOG_LEVEL: "warn",
    JWT_SECRET: "jwt", OAUTH_CLIENT_ID: "portal", OAUTH_CLIENT_SECRET: "s3", OAUTH_ISSUER: "http://127.0.0.1:1",
    OAUTH_CALLBACK_URL: "https://portal.example.com/api/auth/callback", CORS_ORIGIN: "https://portal.example.com",
    ADMIN_API_KEYS: ADMIN_KEY, ALLOWED_FRONTEND_ORIGINS: "none.invalid", RATE_LIMIT_MAX: "1000",
    DATABASE_URL: "postgresql://x:x@127.0.0.1:1/x?sslmode=disable", LITELLM_API_URL: "http://127.0.0.1:1", ...env,
  };
  for (const [name, value] of Object.entries(settings)) if (value === null) delete settings[name];
  const child = spawn(process.execPath, ["backend/dist/index.js"], { cwd: APP, env: settings });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (part) => (output += part));
  const exited = new Promise((done) => child.on("exit", (code) => done(code)));
  const url = `http://127.0.0.1:${port}`;

  async function send(method, path, { body, token, headers = {} } = {}) {
    const answer = await fetch(url + path, {
      method,
      redirect: "manual",
      headers: {
        "user-agent": "test", ...(body && { "content-type": "application/json" }),
        ...(token && { authorization: `Bearer ${token}` }), ...headers,
      },
      body: body && JSON.stringify(body),
    });
    const text = await answer.text();
    const isJson = (answer.headers.get("content-type") ?? "").startsWith("application/json");
    return { status: answer.status, headers: answer.headers, text, json: text && isJson ? JSON.parse(text) : undefined };
  }

  // A portal token for somebody known to the OpenShift stub.
  async function login(name) {
    const origin = "https://portal.example.com";
    const { json } = await send("POST", "/api/auth/login", { body: {}, headers: { origin } });
    const state = new URL(json.authUrl).searchParams.get("state");
    const answer = await send("GET", `/api/auth/callback?code=${name}&state=${state}`);
    return { ...answer, token: /#token=([^&]+)&/.exec(answer.headers.get("location") ?? "")?.[1] };
  }

  const stop = () => {
    child.kill("SIGTERM");
    return exited;
  };
  if (wait) {
    await Promise.race([
      until(() => fetch(`${url}/api/v1/health/live`).then(({ ok }) => ok, () => false), "the backend's start"),
      exited.then((code) => Promise.reject(new Error(`exit ${code}: ${output}`))),
    ]);
  }
  return { url, send, login, stop, exited, log: () => output, sync: () => send("POST", "/api/v1/models/sync", { body: {}, token: ADMIN_KEY }) };
}
