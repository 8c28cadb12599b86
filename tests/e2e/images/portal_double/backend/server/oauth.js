// Login through OpenShift: the state of a login lives in this process for five minutes.
import { randomBytes } from "node:crypto";
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

  function login(request) {
    const state = randomBytes(32).toString("hex");
    const origin = request.headers.origin ?? settings.corsOrigin;
    for (const [key, one] of states) if (one.ends < Date.now()) states.delete(key);
    states.set(state, { origin, ends: Date.now() + STATE_MS });
    if (settings.mockOAuth) return { authUrl: `${origin}/api/auth/mock-login?state=${state}` };
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

  async function portalUser({ metadata, fullName, groups = [] }) {
    if (!metadata?.uid) throw new HttpError(400, "Authentication failed");
    if (database.mock) return MOCK_USER;
    const granted = union(groupRoles(groups), settings.initialAdmins.includes(metadata.name) ? ["admin", "user"] : []);
    const before = await database.one(
      "SELECT * FROM users WHERE (oauth_provider = 'openshift' AND oauth_id = $1) OR email = $2",
      [metadata.uid, metadata.name],
    );
    if (before && !before.is_active) throw new HttpError(403, "User account is deactivated");
    // Roles only ever grow.
    const values = [metadata.uid, metadata.name, fullName ?? metadata.name, union(before?.roles ?? [], granted)];
    if (before) {
      return database.one(
        `UPDATE users SET oauth_id = $1, username = $2, email = $2, full_name = $3, roles = $4,
           last_login_at = now() WHERE id = $5 RETURNING *`,
        [...values, before.id],
      );
    }
    return database.one(
      `INSERT INTO users (oauth_id, username, email, full_name, roles, oauth_provider, last_login_at)
       VALUES ($1, $2, $2, $3, $4, 'openshift', now()) RETURNING *`,
      values,
    );
  }

  async function callback(request) {
    const name = request.query.get("state");
    const state = states.get(name);
    if (!state || state.ends < Date.now()) throw new HttpError(400, "Invalid or expired state parameter");
    const code = request.query.get("code");
    if (!code) throw new HttpError(400, request.query.get("error") ?? "querystring must have required property 'code'");
    const user = await portalUser(await openShiftUser(code));
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
