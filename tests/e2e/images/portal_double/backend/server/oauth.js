// Login through OpenShift or an OpenID Connect provider: the state of a login lives in this process for five minutes.
import { createHash, randomBytes } from "node:crypto";
import { HttpError, reply, route } from "./http.js";
import { MOCK_USER } from "./database.js";
import { sign } from "./tokens.js";
import { groupRoles, union } from "./roles.js";

const STATE_MS = 5 * 60 * 1000;
const TIMEOUT_MS = 10000;
// What the redirect claims, whatever JWT_EXPIRES_IN says.
const CLAIMED_SECONDS = 86400;
const MOCK_LOGINS = ["admin", "user", "readonly"];

export function oauthRoutes({ settings, database, people, log }) {
  const states = new Map();

  const openId = () => fetchJson("discovery", `${settings.issuer}/.well-known/openid-configuration`, {});

  async function login(request) {
    const state = randomBytes(32).toString("hex");
    const origin = request.headers.origin ?? settings.corsOrigin;
    for (const [key, one] of states) if (one.ends < Date.now()) states.delete(key);
    const kept = { origin, ends: Date.now() + STATE_MS };
    states.set(state, kept);
    if (settings.mockOAuth) return { authUrl: `${origin}/api/auth/mock-login?state=${state}` };
    if (settings.provider === "oidc") {
      Object.assign(kept, { nonce: randomBytes(16).toString("hex"), verifier: randomBytes(32).toString("base64url") });
      const query = new URLSearchParams({
        response_type: "code",
        client_id: settings.clientId,
        redirect_uri: settings.callbackUrl,
        scope: settings.scopes,
        state,
        nonce: kept.nonce,
        code_challenge: createHash("sha256").update(kept.verifier).digest("base64url"),
        code_challenge_method: "S256",
      });
      return { authUrl: `${(await openId()).authorization_endpoint}?${query}` };
    }
    const query = new URLSearchParams({
      response_type: "code",
      client_id: settings.clientId,
      redirect_uri: settings.callbackUrl,
      scope: "user:info user:check-access",
      state,
    });
    return { authUrl: `${settings.issuer}/oauth/authorize?${query}` };
  }

  async function fetchJson(what, url, options) {
    let answer;
    try {
      answer = await fetch(url, { ...options, signal: AbortSignal.timeout(TIMEOUT_MS) });
    } catch (error) {
      log.error(`${what} failed`, { error: error.cause ?? error });
      throw new HttpError(400, "Authentication failed");
    }
    if (answer.ok) return answer.json();
    log.error(`${what} failed`, { status: answer.status, body: await answer.text() });
    throw new HttpError(400, "Authentication failed");
  }

  async function openShiftUser(code) {
    if (settings.mockOAuth) {
      const name = MOCK_LOGINS[Number(code)] ?? "user";
      return { metadata: { uid: `mock-${name}`, name }, groups: name === "user" ? [] : [`litemaas-${name}s`] };
    }
    const form = new URLSearchParams({
      grant_type: "authorization_code",
      code,
      client_id: settings.clientId,
      client_secret: settings.clientSecret,
      redirect_uri: settings.callbackUrl,
    });
    const token = await fetchJson("token exchange", `${settings.issuer}/oauth/token`, { method: "POST", body: form });
    return fetchJson("user lookup", `${settings.apiServer}/apis/user.openshift.io/v1/users/~`, {
      headers: { authorization: `Bearer ${token.access_token}` },
    });
  }

  // By discovery document and userinfo; who is who says the ID token's nonce, which is not verified further here.
  async function providerUser(code, { nonce, verifier }) {
    const ends = await openId();
    const body = new URLSearchParams({
      grant_type: "authorization_code",
      code,
      client_id: settings.clientId,
      client_secret: settings.clientSecret,
      redirect_uri: settings.callbackUrl,
      code_verifier: verifier,
    });
    const token = await fetchJson("token exchange", ends.token_endpoint, { method: "POST", body });
    const claims = JSON.parse(Buffer.from((token.id_token ?? "").split(".")[1] ?? "e30", "base64url"));
    if (claims.nonce !== nonce) throw new HttpError(400, "Authentication failed");
    const headers = { authorization: `Bearer ${token.access_token}` };
    const user = await fetchJson("user lookup", ends.userinfo_endpoint, { headers });
    const groups = user[settings.groupsClaim];
    return {
      metadata: { uid: user.sub, name: user.preferred_username },
      fullName: user.name,
      email: user.email,
      groups: Array.isArray(groups) ? groups : [],
    };
  }

  async function portalUser({ metadata, fullName, email, groups = [] }) {
    if (!metadata?.uid) throw new HttpError(400, "Authentication failed");
    if (database.mock) return MOCK_USER;
    const granted = union(groupRoles(groups), settings.initialAdmins.includes(metadata.name) ? ["admin", "user"] : []);
    const before = await database.one(
      "SELECT * FROM users WHERE (oauth_provider = $3 AND oauth_id = $1) OR email = $2",
      [metadata.uid, email ?? metadata.name, settings.provider],
    );
    if (before && !before.is_active) throw new HttpError(403, "User account is deactivated");
    // Roles only ever grow.
    const values = [metadata.uid, metadata.name, fullName ?? metadata.name, union(before?.roles ?? [], granted)];
    values.push(email ?? metadata.name);
    if (before) {
      return database.one(
        `UPDATE users SET oauth_id = $1, username = $2, email = $5, full_name = $3, roles = $4,
           last_login_at = now() WHERE id = $6 RETURNING *`,
        [...values, before.id],
      );
    }
    return database.one(
      `INSERT INTO users (oauth_id, username, email, full_name, roles, oauth_provider, last_login_at)
       VALUES ($1, $2, $5, $3, $4, $6, now()) RETURNING *`,
      [...values, settings.provider],
    );
  }

  async function callback(request) {
    const name = request.query.get("state");
    const state = states.get(name);
    if (!state || state.ends < Date.now()) throw new HttpError(400, "Invalid or expired state parameter");
    const code = request.query.get("code");
    if (!code) throw new HttpError(400, request.query.get("error") ?? "querystring must have required property 'code'");
    const known = settings.provider === "oidc" && !settings.mockOAuth;
    const user = await portalUser(await (known ? providerUser(code, state) : openShiftUser(code)));
    states.delete(name);
    // LiteLLM away: the login succeeds, the user is made there at the first subscription.
    await people.ensure(user).catch((error) => log.warn("user could not be made in LiteLLM", { error }));
    await database.rows("INSERT INTO audit_logs (user_id, action, resource_type) VALUES ($1, 'LOGIN', 'AUTH')", [user.id]);
    const claims = { userId: user.id, username: user.username, email: user.email, roles: user.roles };
    const token = sign(claims, settings.jwtSecret, settings.jwtSeconds);
    const location = `${state.origin}/auth/callback#token=${token}&expires_in=${CLAIMED_SECONDS}`;
    return reply(302, undefined, { location });
  }

  function mockLogin(request) {
    if (settings.production) throw new HttpError(404, "Endpoint not found");
    const query = new URLSearchParams({ code: request.query.get("user") ?? "0", state: request.query.get("state") });
    return reply(302, undefined, { location: `/api/auth/callback?${query}` });
  }

  function devToken(request) {
    if (!settings.devTokens) throw new HttpError(404, "Endpoint not available");
    const { username = "developer", roles = ["admin", "user"] } = request.body ?? {};
    const userId = "550e8400-e29b-41d4-a716-446655440001";
    const claims = { userId, username, email: `${username}@litemaas.local`, roles };
    const token = sign(claims, settings.jwtSecret, settings.jwtSeconds);
    return { access_token: token, token_type: "Bearer", expires_in: CLAIMED_SECONDS };
  }

  return [
    route("POST", "/api/auth/login", login),
    route("GET", "/api/auth/callback", callback),
    route("GET", "/api/auth/mock-login", mockLogin),
    route("POST", "/api/auth/dev-token", devToken),
  ];
}
