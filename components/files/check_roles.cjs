// Takes away the roles in the portal that nothing gives any more: the backend adds roles at each login and never
// removes one (docs/decisions/0032). What gives a role are Groups and the list of initial administrators. Only
// the roles that some Group can give are touched, and only of people who log in through OpenShift.
//
// Whatever cannot be read for certain ends the run before anything is changed. Safe to repeat and to interrupt.
// In: KUBERNETES_URL, TOKEN_FILE, ROLES (JSON: Group -> role), OWN_GROUPS (those that must exist), INITIAL_ADMINS,
// DATABASE_URL, LITELLM_URL, LITELLM_API_KEY. Out: one line per person who lost something, and a count; exit code 1
// with the reason if somebody could not be looked at or changed.
const { readFileSync } = require("node:fs");
const { createRequire } = require("node:module");
// The driver of the backend itself, wherever its workspace put it.
const { Client } = createRequire("/app/backend/package.json")("pg");

const ADMIN = "admin";
// What LiteLLM is told of the portal's administrators when they first log in, and of everybody else.
const GATEWAY_ADMIN = "proxy_admin";
const GATEWAY_USER = "internal_user";
const PAGE_SIZE = 100;
const TIMEOUT_MS = 10000;
// An API server, LiteLLM or PostgreSQL may be rolling; and for the first seconds of a pod, what enforces the network
// policies may not know it yet, and refuses it everything.
const ATTEMPTS = 5;
const PAUSE_MS = 2000;

const list = (text) => (text ?? "").split(",").filter(Boolean);

// What `call` gives, tried again where it throws.
async function patiently(call) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await call();
    } catch (error) {
      if (attempt === ATTEMPTS) throw new Error((error.cause ?? error).message, { cause: error });
      await new Promise((done) => setTimeout(done, PAUSE_MS));
    }
  }
}

// Status and decoded body (null if it is no JSON).
const ask = (method, url, token, body) =>
  patiently(async () => {
    const answer = await fetch(url, {
      method,
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const text = await answer.text();
    if (answer.status >= 500) throw new Error(`answer ${answer.status}: ${text.slice(0, 300)}`);
    return { status: answer.status, body: parsed(text), text };
  });

// A client cannot be connected twice.
const connected = () =>
  patiently(async () => {
    const client = new Client({ connectionString: process.env.DATABASE_URL, connectionTimeoutMillis: TIMEOUT_MS });
    // A connection that ends is told by the query that needs it.
    client.on("error", () => {});
    await client.connect();
    return client;
  });

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

async function members(group, own) {
  const url = `${process.env.KUBERNETES_URL}/apis/user.openshift.io/v1/groups/${group}`;
  const { status, body, text } = await ask("GET", url, readFileSync(process.env.TOKEN_FILE, "utf8").trim());
  if (status === 200 && body?.kind === "Group" && body.metadata?.name === group) return body.users ?? [];
  // An API that is not served answers 404 too, but not about this name.
  if (status === 404 && body?.kind === "Status" && body.details?.name === group) {
    if (!own.includes(group)) return [];
    throw new Error("it is gone, though this installation has made it: `pulumi up --refresh` makes it again");
  }
  throw new Error(`answer ${status}: ${text.slice(0, 300)}`);
}

// Who has which roles, by user name.
async function given() {
  const roles = JSON.parse(process.env.ROLES);
  const own = list(process.env.OWN_GROUPS);
  const granted = new Map();
  const grant = (name, role) => granted.set(name, (granted.get(name) ?? new Set()).add(role));
  await Promise.all(
    Object.entries(roles).map(async ([group, role]) => {
      try {
        for (const name of await members(group, own)) grant(name, role);
      } catch (error) {
        throw new Error(`Group ${group} cannot be read: ${error.message}`);
      }
    }),
  );
  for (const name of list(process.env.INITIAL_ADMINS)) grant(name, ADMIN);
  return { granted, touched: [...new Set(Object.values(roles))] };
}

const TAKE = `
  UPDATE users SET updated_at = now(), roles =
         ARRAY(SELECT role FROM unnest(roles) WITH ORDINALITY AS had (role, place) WHERE role <> ALL ($2) ORDER BY place)
   WHERE id = $1 AND roles && $2 RETURNING roles`;
const RECORD = `
  INSERT INTO audit_logs (action, resource_type, resource_id, metadata) VALUES ('ROLES_ENFORCED', 'USER', $1, $2)`;

// In the portal: the role, and an entry of its audit log, or neither.
async function take(database, person, surplus) {
  await database.query("BEGIN");
  try {
    const { rows } = await database.query(TAKE, [person.id, surplus]);
    if (rows.length) {
      const told = { username: person.username, removed: surplus, left: rows[0].roles, by: "role-check" };
      await database.query(RECORD, [person.id, JSON.stringify(told)]);
    }
    await database.query("COMMIT");
    return rows[0]?.roles;
  } catch (error) {
    await database.query("ROLLBACK").catch(() => {});
    throw error;
  }
}

const gateway = (method, path, body) =>
  ask(method, `${process.env.LITELLM_URL}${path}`, process.env.LITELLM_API_KEY, body);

// Ids of LiteLLM's administrators, of all pages before any is changed.
async function gatewayAdmins() {
  const ids = new Set();
  for (let page = 1, pages = 1; page <= pages; page += 1) {
    // By a column in which no two are equal, else one could fall between two pages.
    const query = `role=${GATEWAY_ADMIN}&sort_by=user_id&page=${page}&page_size=${PAGE_SIZE}`;
    const { status, body, text } = await gateway("GET", `/user/list?${query}`);
    if (status !== 200 || !Array.isArray(body?.users)) throw new Error(`answer ${status}: ${text.slice(0, 300)}`);
    for (const user of body.users) if (user.user_role === GATEWAY_ADMIN) ids.add(user.user_id);
    pages = body.total_pages ?? 1;
  }
  return ids;
}

async function main() {
  const { granted, touched } = await given();
  const database = await connected();
  let changed = 0;
  let failed = 0;
  const attempt = async (name, what) => {
    try {
      if (await what()) changed += 1;
    } catch (error) {
      failed += 1;
      console.error(`NOT changed: ${name}: ${error.message}`);
    }
  };
  try {
    const { rows: people } = await database.query(
      "SELECT id::text, username, roles FROM users WHERE oauth_provider = 'openshift' ORDER BY username",
    );
    for (const person of people) {
      const kept = granted.get(person.username) ?? new Set();
      const surplus = (person.roles ?? []).filter((role) => touched.includes(role) && !kept.has(role));
      if (!surplus.length) continue;
      await attempt(person.username, async () => {
        const left = await take(database, person, surplus);
        if (left) console.log(`${person.username}: lost ${surplus.join(", ")}; left: ${left.join(", ") || "none"}`);
        return left;
      });
    }
    // Keys of a person act with the person's role in LiteLLM, whatever the portal says.
    await attempt("administrators of LiteLLM", async () => {
      const admins = await gatewayAdmins();
      const former = people.filter(({ id, username }) => admins.has(id) && !granted.get(username)?.has(ADMIN));
      for (const { id, username } of former) {
        await attempt(`${username} in LiteLLM`, async () => {
          const { status, text } = await gateway("POST", "/user/update", { user_id: id, user_role: GATEWAY_USER });
          if (status !== 200) throw new Error(`answer ${status}: ${text.slice(0, 300)}`);
          console.log(`${username}: no administrator of LiteLLM any more`);
          return true;
        });
      }
    });
    console.log(`${people.length} people looked at, ${changed} changes, ${failed} failed`);
  } finally {
    await database.end().catch(() => {});
  }
  if (failed) process.exitCode = 1;
}

main().catch((error) => {
  console.error(`nothing was changed: ${error.message}`);
  process.exitCode = 1;
});
