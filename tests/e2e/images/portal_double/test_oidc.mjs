// Login at an OpenID Connect provider.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, test } from "node:test";
import { backend, freshDatabase, liteLLM, provider } from "./stubs.mjs";

let one, gateway, idp, database;
const ORIGIN = "https://portal.example.com";

before(async () => {
  [gateway, idp, database] = await Promise.all([liteLLM(), provider(), freshDatabase()]);
  one = await backend({
    AUTH_PROVIDER: "oidc", OAUTH_ISSUER: `${idp.url}/realms/x`, OIDC_SCOPES: "openid email groups",
    DATABASE_URL: database.url, LITELLM_API_URL: gateway.url, LITELLM_API_KEY: "sk-master", INITIAL_ADMIN_USERS: "bob",
  });
});

after(async () => {
  await one.stop();
  await Promise.all([gateway.close(), idp.close()]);
});

async function login(name, nonce) {
  const { json } = await one.send("POST", "/api/auth/login", { body: {}, headers: { origin: ORIGIN } });
  const asked = new URL(json.authUrl);
  idp.nonce = nonce ?? asked.searchParams.get("nonce");
  const path = `/api/auth/callback?code=${name}&state=${asked.searchParams.get("state")}`;
  const answer = await one.send("GET", path);
  const token = /#token=([^&]+)&/.exec(answer.headers.get("location") ?? "")?.[1];
  return { asked, answer, claims: token && JSON.parse(Buffer.from(token.split(".")[1], "base64url")) };
}

test("people are sent where the discovery document says, with PKCE and a nonce", async () => {
  const { asked } = await login("alice");
  assert.equal(asked.origin + asked.pathname, `${idp.url}/auth`);
  const query = Object.fromEntries(asked.searchParams);
  assert.deepEqual(
    { client_id: query.client_id, scope: query.scope, redirect_uri: query.redirect_uri, method: query.code_challenge_method },
    { client_id: "portal", scope: "openid email groups", redirect_uri: `${ORIGIN}/api/auth/callback`, method: "S256" },
  );
  const verifier = idp.exchanges.at(-1).code_verifier;
  assert.equal(createHash("sha256").update(verifier).digest("base64url"), query.code_challenge);
});

test("name, e-mail and roles are those of userinfo; groups that are no list give nothing", async () => {
  const alice = await login("alice");
  assert.equal(alice.answer.status, 302);
  assert.equal(alice.claims.email, "alice@example.com");
  assert.deepEqual(alice.claims.roles, ["admin", "user"]);
  idp.people.carol = { groups: "litemaas-admins" };
  assert.deepEqual((await login("carol")).claims.roles, ["user"]);
  assert.deepEqual((await login("bob")).claims.roles, ["user", "admin"], "initialAdmins go by preferred_username");
  const [row] = await database.query("SELECT oauth_provider, oauth_id FROM users WHERE username = 'alice'");
  assert.deepEqual(row, { oauth_provider: "oidc", oauth_id: "sub-alice" });
});

test("an ID token of another login is refused", async () => {
  assert.equal((await login("alice", "of-another-login")).answer.status, 400);
});
