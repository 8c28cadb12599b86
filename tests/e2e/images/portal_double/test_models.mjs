// Models, their sync and cascade; subscriptions and keys.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { ADMIN_KEY, backend, freshDatabase, liteLLM, model, openShift, until } from "./stubs.mjs";

let one, gateway, cluster, database, store, token;

const TABLE = 'CREATE TABLE "LiteLLM_ProxyModelTable" (model_name text)';
const register = async (...names) => {
  gateway.models = names.map((name) => model(name));
  // At once: a round of the timer that finds the table empty drops every model, and the subscriptions with it.
  const emptied = 'WITH gone AS (DELETE FROM "LiteLLM_ProxyModelTable")';
  await store.query(`${emptied} INSERT INTO "LiteLLM_ProxyModelTable" SELECT unnest($1::text[])`, [names]);
};
const call = (method, path, body) => one.send(method, `/api/v1${path}`, { body, token });
const listed = async () => (await call("GET", "/models")).json.data.map(({ id }) => id);

before(async () => {
  [gateway, cluster, database, store] = await Promise.all([liteLLM(), openShift(), freshDatabase(), freshDatabase(TABLE)]);
  one = await backend({
    DATABASE_URL: database.url, LITELLM_DATABASE_URL: store.url, LITELLM_API_URL: gateway.url, LITELLM_API_KEY: "sk-master",
    OAUTH_ISSUER: cluster.url, OPENSHIFT_API_URL: cluster.url, LITELLM_AUTO_SYNC: "true", LITELLM_SYNC_INTERVAL: "0.05",
  });
  ({ token } = await one.login("alice"));
});

beforeEach(async () => {
  await database.query("TRUNCATE subscriptions, api_keys, api_key_models, models CASCADE");
  await register("granite", "mistral");
  const { errors } = (await one.sync()).json;
  assert.deepEqual(errors.filter((text) => !text.includes("duplicate key")), []);
});

after(async () => {
  await one.stop();
  await Promise.all([gateway.close(), cluster.close()]);
});

test("a model shows its context, prices and backend to anybody", async () => {
  const { json } = await one.send("GET", "/api/v1/models/granite");
  const { contextLength, inputCostPerToken, backendModelName, provider, supportsFunctionCalling, apiBase } = json;
  assert.deepEqual(
    { contextLength, inputCostPerToken, backendModelName, provider, supportsFunctionCalling, apiBase },
    { contextLength: 8192, inputCostPerToken: 5e-7, backendModelName: "granite", provider: "hosted_vllm", supportsFunctionCalling: true, apiBase: "http://x/v1" },
  );
});

test("an embedding model shows that it is one, by either name of the flag", async () => {
  await register("granite", "e5", "old-e5");
  Object.assign(gateway.models[1].model_info, { supports_embeddings: true, supports_function_calling: false });
  Object.assign(gateway.models[2].model_info, { supports_embedding: true });
  await one.sync();
  const shown = (await call("GET", "/models")).json.data.map((each) => [each.id, each.supportsEmbeddings, each.restrictedAccess]);
  assert.deepEqual(shown, [["e5", true, false], ["granite", false, false], ["old-e5", true, false]]);
});

test("the timer finds new models by itself", async () => {
  await register("granite", "mistral", "devstral");
  await until(async () => (await listed()).includes("devstral"), "the timer");
});

test("a sync needs an administrator and a body, and says in it that it failed", async () => {
  assert.equal((await one.send("POST", "/api/v1/models/sync", { body: {} })).status, 401);
  assert.equal((await one.send("POST", "/api/v1/models/sync", { token })).status, 400);
  gateway.broken = { status: 503 };
  const answer = await one.sync();
  gateway.broken = false;
  assert.deepEqual([answer.status, answer.json.success], [200, false]);
  assert.deepEqual(await listed(), ["granite", "mistral"]);
});

test("a model that is only in LiteLLM's file is stale", async () => {
  gateway.models.push(model("from-file"));
  await one.sync();
  assert.deepEqual(await listed(), ["granite", "mistral"]);
  await store.query(`DELETE FROM "LiteLLM_ProxyModelTable" WHERE model_name = 'mistral'`);
  await one.sync();
  assert.deepEqual(await listed(), ["granite"]);
});

test("an empty answer is harmless for models of LiteLLM's database", async () => {
  gateway.models = [];
  assert.equal((await one.sync()).json.success, true);
  assert.deepEqual(await listed(), ["granite", "mistral"]);
});

test("without LiteLLM's database, a list that is not loaded empties the portal", async () => {
  const other = await backend({ DATABASE_URL: (await freshDatabase()).url, LITELLM_API_URL: gateway.url });
  const names = async () => (await other.send("GET", "/api/v1/models")).json.data.length;
  await until(async () => (await names()) === 2, "the first sync");
  gateway.broken = { status: 500, body: { error: "Model List not loaded in" } };
  assert.equal((await other.sync()).json.success, true);
  gateway.broken = false;
  assert.equal(await names(), 0);
  await other.stop();
});

test("subscriptions: once, for models that exist, and back to life", async () => {
  const first = await call("POST", "/subscriptions", { modelId: "granite" });
  assert.deepEqual([first.status, first.json.status], [201, "active"]);
  assert.equal((await call("POST", "/subscriptions", { modelId: "granite" })).status, 409);
  assert.equal((await call("POST", "/subscriptions", { modelId: "none" })).status, 400);
  assert.equal((await call("POST", `/subscriptions/${first.json.id}/cancel`)).json.status, "inactive");
  assert.deepEqual((await call("GET", "/subscriptions")).json.data, []);
  assert.equal((await call("POST", "/subscriptions", { modelId: "granite" })).json.id, first.json.id);
});

test("a key is made in LiteLLM, shown once, and deleted there", async () => {
  await call("POST", "/subscriptions", { modelId: "granite" });
  assert.equal((await call("POST", "/api-keys", { name: "k", modelIds: ["mistral"] })).status, 400);
  const made = await call("POST", "/api-keys", { name: "k", modelIds: ["granite"], maxBudget: 5, rpmLimit: 4 });
  assert.equal(made.status, 201);
  const sent = gateway.keys.get(made.json.key);
  assert.match(sent.key_alias, /^k_[0-9a-f]{8}$/);
  const { models, max_budget: budget, rpm_limit: rpm, metadata, team_id: team } = sent;
  assert.deepEqual([models, budget, rpm, metadata.created_by, team], [["granite"], 5, 4, "litemaas", undefined]);
  const [shown] = (await call("GET", "/api-keys")).json.data;
  assert.deepEqual([shown.key, shown.currentSpend, shown.models], [undefined, 0.5, ["granite"]]);
  assert.equal(gateway.calls.find(({ name }) => name === "GET /key/info").key, made.json.key);
  assert.equal((await call("DELETE", `/api-keys/${made.json.id}`)).status, 200);
  assert.equal(gateway.keys.size, 0);
});

async function keyFor(...models) {
  for (const modelId of models) await call("POST", "/subscriptions", { modelId });
  return (await call("POST", "/api-keys", { modelIds: models })).json;
}
const keyState = async ({ id }) => (await call("GET", "/api-keys")).json.data.find((key) => key.id === id);

test("a cancelled subscription leaves a key its other models, and deletes it with the last", async () => {
  const key = await keyFor("granite", "mistral");
  const [first, second] = (await call("GET", "/subscriptions")).json.data;
  await call("POST", `/subscriptions/${first.id}/cancel`);
  assert.deepEqual(gateway.keys.get(key.key).models, [second.modelId]);
  await call("POST", `/subscriptions/${second.id}/cancel`);
  assert.equal(gateway.keys.has(key.key), false);
});

test("a model that goes takes subscriptions and keys along, and brings none back", async () => {
  const [single, double] = [await keyFor("granite"), await keyFor("granite", "mistral")];
  await register("mistral");
  await one.sync();
  assert.deepEqual((await call("GET", "/subscriptions")).json.data.map(({ modelId }) => modelId), ["mistral"]);
  await register("granite", "mistral");
  await one.sync();
  assert.deepEqual(await listed(), ["granite", "mistral"]);
  const [lost, kept] = [await keyState(single), await keyState(double)];
  assert.deepEqual([lost.isActive, lost.models, kept.isActive, kept.models], [false, [], true, ["mistral"]]);
  assert.deepEqual(gateway.keys.get(single.key).models, ["granite"]);
});

test("restricting a model leaves a key with an empty list: all models", async () => {
  const key = await keyFor("granite");
  assert.equal((await call("PUT", "/admin/models/granite", { restrictedAccess: true })).status, 200);
  assert.deepEqual(gateway.keys.get(key.key).models, []);
  assert.equal((await call("GET", "/subscriptions")).json.data[0].status, "pending");
});

test("a model that is open again lets in whoever waits", async () => {
  await call("PUT", "/admin/models/granite", { restrictedAccess: true });
  assert.equal((await call("POST", "/subscriptions", { modelId: "granite" })).json.status, "pending");
  await call("PUT", "/admin/models/granite", { restrictedAccess: false });
  assert.equal((await call("GET", "/subscriptions")).json.data[0].status, "active");
});

test("with an admin API key a model is changed in LiteLLM, and is never restricted", async () => {
  const body = { restrictedAccess: true, description: "not stored" };
  const changes = gateway.count("PATCH /model/id-granite/update");
  assert.equal((await one.send("PUT", "/api/v1/admin/models/granite", { body, token: ADMIN_KEY })).status, 500);
  assert.equal(gateway.count("PATCH /model/id-granite/update"), changes + 1);
  const { restrictedAccess, description } = (await one.send("GET", "/api/v1/models/granite")).json;
  assert.deepEqual([restrictedAccess, description], [false, "granite model"]);
});

test("an admin API key sees how many have subscribed to a model", async () => {
  const total = async (query) => {
    const answer = await one.send("GET", `/api/v1/admin/subscriptions?limit=1&${query}`, { token: ADMIN_KEY });
    return [answer.status, answer.json.pagination?.total];
  };
  await call("POST", "/subscriptions", { modelId: "granite" });
  const { json } = await call("POST", "/subscriptions", { modelId: "mistral" });
  await call("POST", `/subscriptions/${json.id}/cancel`);
  assert.deepEqual(await total("statuses=active&modelIds=granite"), [200, 1]);
  assert.deepEqual(await total("statuses=active&modelIds=mistral"), [200, 0]);
  assert.deepEqual(await total("modelIds=mistral&modelIds=granite"), [200, 2]);
  assert.equal((await one.send("GET", "/api/v1/admin/subscriptions")).status, 401);
});

test("the phantom user's writes fail on the foreign key and never reach LiteLLM", async () => {
  const users = gateway.count("POST /user/new");
  const headers = { "user-agent": "Mozilla/5.0" };
  assert.equal((await one.send("POST", "/api/v1/subscriptions", { body: { modelId: "granite" }, headers })).status, 500);
  assert.equal(gateway.count("POST /user/new"), users);
});

test("the budget is LiteLLM's, the analytics are five minutes old", async () => {
  assert.deepEqual((await call("GET", "/usage/budget")).json, { maxBudget: 100, currentSpend: 0.25, remaining: 99.75 });
  const ask = async () => (await call("POST", "/usage/analytics", { startDate: "2026-01-01", endDate: "2026-01-31" })).json.totalRequests;
  const first = await ask();
  assert.equal(await ask(), first);
  await call("POST", "/admin/usage/refresh-today");
  assert.notEqual(await ask(), first);
});
