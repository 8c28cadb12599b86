// Login, roles, and the hole for browsers.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ADMIN_KEY, backend, freshDatabase, liteLLM, openShift } from "./stubs.mjs";

let one, gateway, cluster, database, env;

before(async () => {
  [gateway, cluster, database] = await Promise.all([liteLLM(), openShift(), freshDatabase()]);
  env = { DATABASE_URL: database.url, OAUTH_ISSUER: cluster.url, OPENSHIFT_API_URL: cluster.url, LITELLM_API_URL: gateway.url };
  one = await backend({ ...env, LITELLM_API_KEY: "sk-master", INITIAL_ADMIN_USERS: "root, dave" });
});

after(async () => {
  await one.stop();
  await Promise.all([gateway.close(), cluster.close()]);
});

test("the address of the login is the contract's, to the letter", async () => {
  const { json } = await one.send("POST", "/api/auth/login", { body: {} });
  const expected = `${cluster.url}/oauth/authorize?response_type=code&client_id=portal&redirect_uri=https%3A%2F%2Fportal.example.com%2Fapi%2Fauth%2Fcallback&scope=user%3Ainfo\\+user%3Acheck-access&state=[0-9a-f]{64}$`;
  assert.match(json.authUrl, new RegExp(expected.replaceAll("?", "\\?")));
  assert.equal((await one.send("GET", "/api/auth/login")).status, 404);
});

test("a first login makes team and user in LiteLLM, and ends at the portal's own page", async () => {
  const answer = await one.login("alice");
  assert.equal(answer.status, 302);
  assert.match(answer.headers.get("location"), /^https:\/\/portal\.example\.com\/auth\/callback#token=[^&]+&expires_in=86400$/);
  assert.deepEqual(cluster.exchanges.at(-1), {
    grant_type: "authorization_code", code: "alice", client_id: "portal", client_secret: "s3",
    redirect_uri: "https://portal.example.com/api/auth/callback",
  });
  const { json } = await one.send("GET", "/api/v1/auth/me", { token: answer.token });
  assert.deepEqual(json.roles, ["admin", "user"]);
  const made = gateway.calls.find(({ name }) => name === "POST /user/new");
  assert.equal(made.key, "sk-master");
  assert.deepEqual(
    { ...made.body, user_id: json.id },
    {
      user_id: json.id, user_email: "alice", user_alias: "alice", user_role: "proxy_admin", max_budget: 100,
      tpm_limit: 100000, rpm_limit: 120, auto_create_key: false, teams: ["a0000000-0000-4000-8000-000000000001"],
    },
  );
  assert.equal(gateway.count("GET /user/info"), 3);
  assert.equal(gateway.count("GET /team/info"), 3);
  const before = gateway.calls.length;
  await one.login("alice");
  assert.equal(gateway.calls.length, before + 1);
});

test("roles only grow, and the first administrators are named", async () => {
  cluster.people.carol = { groups: ["viewers"] };
  assert.deepEqual(roles(await one.login("carol")), ["admin-readonly", "user"]);
  cluster.people.carol = { groups: ["litemaas-users"] };
  assert.deepEqual(roles(await one.login("carol")), ["admin-readonly", "user"]);
  cluster.people.dave = { groups: [] };
  assert.deepEqual(roles(await one.login("dave")), ["user", "admin"]);
});

const roles = ({ token }) => JSON.parse(Buffer.from(token.split(".")[1], "base64url")).roles;

test("a lost state, a wrong code and a user without uid are 400", async () => {
  const lost = await one.send("GET", "/api/auth/callback?code=alice&state=00");
  assert.deepEqual([lost.status, lost.json.error.message], [400, "Invalid or expired state parameter"]);
  assert.equal((await one.login("mallory")).status, 400);
  cluster.people.ghost = { uid: "", groups: [] };
  assert.equal((await one.login("ghost")).status, 400);
});

test("a state is known to its own replica only, a token to all", async () => {
  const second = await backend(env);
  const { json } = await one.send("POST", "/api/auth/login", { body: {} });
  const state = new URL(json.authUrl).searchParams.get("state");
  assert.equal((await second.send("GET", `/api/auth/callback?code=bob&state=${state}`)).status, 400);
  const { token } = await one.login("bob");
  assert.equal((await second.send("GET", "/api/v1/auth/me", { token })).status, 200);
  await second.stop();
});

test("a deactivated user's token ends, a changed token is none", async () => {
  const { token } = await one.login("bob");
  assert.equal((await one.send("GET", "/api/v1/admin/users", { token })).status, 403);
  assert.equal((await one.send("GET", "/api/v1/auth/me", { token: `${token.slice(0, -2)}xx` })).status, 401);
  await database.query("UPDATE users SET is_active = false WHERE username = 'bob'");
  assert.equal((await one.send("GET", "/api/v1/auth/me", { token })).status, 401);
  await database.query("UPDATE users SET is_active = true");
});

test("browsers need no login on three prefixes; others and bad tokens do", async () => {
  const browser = { "user-agent": "Mozilla/5.0" };
  for (const path of ["/api/v1/api-keys", "/api/v1/subscriptions", "/api/v1/usage/metrics", "/api/v1/%61pi-keys", "/api/v1/api%2Dkeys", "/api/v1/api-keys/", "/api/v1/api-keys;x"]) {
    assert.equal((await one.send("GET", path, { headers: browser })).status, 200, path);
    assert.equal((await one.send("GET", path)).status, 401, path);
    assert.equal((await one.send("GET", path, { headers: browser, token: "bad" })).status, 401, path);
    assert.equal((await one.send("GET", path, { headers: { ...browser, authorization: "\t" } })).status, 200, path);
  }
  assert.equal((await one.send("GET", "/api/v1/auth/me", { headers: browser })).status, 401);
});

test("admin API keys need their prefix, and fail at the audit row after the change", async () => {
  assert.equal((await one.send("GET", "/api/v1/admin/users", { token: ADMIN_KEY })).status, 200);
  assert.equal((await one.send("GET", "/api/v1/admin/users", { token: "ltm_admin_other" })).status, 401);
  const [{ id }] = await database.query("SELECT id FROM users WHERE username = 'carol'");
  const answer = await one.send("PATCH", `/api/v1/admin/users/${id}`, { body: { isActive: false }, token: ADMIN_KEY });
  assert.equal(answer.status, 500);
  const [{ is_active: active }] = await database.query("SELECT is_active FROM users WHERE username = 'carol'");
  assert.equal(active, false);
});

test("with mock data everybody is the mock user", async () => {
  const mock = await backend({ ...env, DATABASE_URL: "postgresql://x:x@127.0.0.1:1/x" });
  const { token } = await mock.login("alice");
  assert.equal((await mock.send("GET", "/api/v1/auth/me", { token })).json.id, "mock-user-1");
  await mock.stop();
});
