// Start and end of the backend double: settings, database, mock data, logs.
import assert from "node:assert/strict";
import { test } from "node:test";
import { backend, freshDatabase, liteLLM, until } from "./stubs.mjs";

const { PG_TLS_URL, PG_CA } = process.env;
const isMock = async (one) => (await one.send("GET", "/api/v1/banners")).text.includes("mock-banner-1");

test("each missing variable ends the start with its name", async () => {
  for (const name of ["DATABASE_URL", "JWT_SECRET", "OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET", "OAUTH_ISSUER"]) {
    const one = await backend({ [name]: null }, { wait: false });
    assert.equal(await one.exited, 1);
    assert.match(one.log(), new RegExp(name));
  }
});

test("an issuer that is no URL ends the start, an empty secret does not", async () => {
  const wrong = await backend({ OAUTH_ISSUER: "" }, { wait: false });
  assert.equal(await wrong.exited, 1);
  assert.match(wrong.log(), /OAUTH_ISSUER/);
  const empty = await backend({ OAUTH_CLIENT_SECRET: "" });
  assert.equal(await empty.stop(), 0);
});

test("a database away at the start means mock data, for ever and green", async () => {
  const one = await backend({});
  assert.ok(await isMock(one));
  const ready = await one.send("GET", "/api/v1/health/ready");
  assert.equal(ready.status, 200);
  assert.equal(ready.headers.get("x-litemaas-double"), "true");
  assert.match(one.log(), /backend DOUBLE/);
  assert.match(one.log(), /using mock data/);
  await one.stop();
});

test("without sslmode a server without TLS means mock data; disable works", async () => {
  const { url } = await freshDatabase();
  for (const [address, mock] of [[url.replace("?sslmode=disable", ""), true], [url, false]]) {
    const one = await backend({ DATABASE_URL: address });
    assert.equal(await isMock(one), mock, address);
    await one.stop();
  }
});

test("with TLS, only verifying modes need the authority", { skip: !PG_TLS_URL }, async () => {
  const table = [
    ["", null, false], ["?sslmode=disable", null, false], ["?sslmode=no-verify", null, false],
    ["?sslmode=require", null, true], ["?sslmode=verify-full", null, true], ["?sslmode=prefer", null, true],
    ["?sslmode=require", PG_CA, false], ["?sslmode=verify-full", PG_CA, false],
  ];
  for (const [query, authority, mock] of table) {
    const one = await backend({ DATABASE_URL: PG_TLS_URL + query, NODE_EXTRA_CA_CERTS: authority });
    assert.equal(await isMock(one), mock, `${query} ${authority}`);
    await one.stop();
  }
});

test("ended connections end the process", async () => {
  const database = await freshDatabase();
  const one = await backend({ DATABASE_URL: database.url });
  assert.ok(!(await isMock(one)));
  await database.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()", [database.name]);
  assert.notEqual(await one.exited, 0);
});

test("new connections refused turn readiness off, and on again", async () => {
  const database = await freshDatabase();
  const one = await backend({ DATABASE_URL: database.url, DB_IDLE_TIMEOUT: "1" });
  await until(async () => (await database.query(`SELECT 1 FROM pg_stat_activity WHERE datname = '${database.name}'`)).length === 1, "idle");
  const elsewhere = await freshDatabase();
  await elsewhere.query(`ALTER DATABASE ${database.name} ALLOW_CONNECTIONS false`);
  assert.equal((await one.send("GET", "/api/v1/health/ready")).status, 503);
  assert.equal((await one.send("GET", "/api/v1/health/live")).status, 200);
  await elsewhere.query(`ALTER DATABASE ${database.name} ALLOW_CONNECTIONS true`);
  assert.equal((await one.send("GET", "/api/v1/health/ready")).status, 200);
  await one.stop();
});

test("failing migrations are logged, and the start goes on green", async () => {
  const database = await freshDatabase("CREATE VIEW users AS SELECT 1 AS one");
  const one = await backend({ DATABASE_URL: database.url });
  assert.match(one.log(), /Failed to apply database migrations/);
  assert.equal((await one.send("GET", "/api/v1/health/ready")).status, 200);
  assert.equal((await one.send("GET", "/api/v1/banners")).status, 500);
  await one.stop();
});

test("health is 503 without LiteLLM, and 200 with it", async () => {
  const database = await freshDatabase();
  const without = await backend({ DATABASE_URL: database.url });
  assert.equal((await without.send("GET", "/api/v1/health")).status, 503);
  await without.stop();
  const gateway = await liteLLM();
  const one = await backend({ DATABASE_URL: database.url, LITELLM_API_URL: gateway.url });
  assert.equal((await one.send("GET", "/api/v1/health")).status, 200);
  await one.stop();
  await gateway.close();
});

test("at info bearer tokens are logged, at warn they are not", async () => {
  for (const [level, logged] of [["info", true], ["warn", false]]) {
    const one = await backend({ LOG_LEVEL: level });
    await one.send("GET", "/api/v1/auth/me", { token: "very-secret" });
    await one.stop();
    assert.equal(one.log().includes("very-secret"), logged, level);
  }
});

test("mock logins and free tokens exist outside production only", async () => {
  const production = await backend({});
  assert.equal((await production.send("POST", "/api/auth/dev-token", { body: {} })).status, 404);
  assert.equal((await production.send("GET", "/api/v1/config")).json.authMode, "oauth");
  await production.stop();
  const development = await backend({ NODE_ENV: "development" });
  assert.match(development.log(), /Mock OAuth is on/);
  assert.equal((await development.send("POST", "/api/auth/dev-token", { body: {} })).status, 200);
  assert.equal((await development.send("GET", "/api/v1/config")).json.authMode, "mock");
  await development.stop();
});

test("requests over the limit of an address are 429, probes too", async () => {
  const one = await backend({ RATE_LIMIT_MAX: "3" });
  const from = (address) => one.send("GET", "/api/v1/health/live", { headers: { "x-forwarded-for": `${address}, 10.0.0.1` } });
  const answers = [];
  for (let index = 0; index < 4; index += 1) answers.push((await from("1.2.3.4")).status);
  assert.deepEqual(answers, [200, 200, 200, 429]);
  assert.equal((await from("1.2.3.5")).status, 200);
  await one.stop();
});

test("metrics are open to everybody, and answers say how browsers are to treat them", async () => {
  const one = await backend({});
  try {
  const metrics = await one.send("GET", "/api/v1/health/metrics");
  assert.equal(metrics.status, 200);
  assert.match(metrics.text, /^process_uptime_seconds [0-9.]+\n$/);
  assert.equal(metrics.headers.get("x-frame-options"), "SAMEORIGIN");
  } finally {
    await one.stop();
  }
});
