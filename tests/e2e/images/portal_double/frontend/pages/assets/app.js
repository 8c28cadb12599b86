// The portal's pages as a double: the same addresses and the same relative API paths as
// the real ones; all data from the backend, the playground's call straight to LiteLLM.
const TOKEN = "access_token";
const page = document.getElementById("page");
const token = () => localStorage.getItem(TOKEN);

// ["tag#id", {attribute: value, onclick: function}, child, ...]
function make([tag, attributes = {}, ...children]) {
  const [name, id] = tag.split("#");
  const element = document.createElement(name);
  if (id) element.id = id;
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element[key] = (event) => guarded(() => value(event));
    else element.setAttribute(key, value);
  }
  element.append(...children.map((child) => (Array.isArray(child) ? make(child) : child)));
  return element;
}

const show = (...parts) => page.replaceChildren(...parts.map(make));

async function guarded(work) {
  document.getElementById("problem").textContent = "";
  try {
    await work();
  } catch (error) {
    document.getElementById("problem").textContent = error.message;
  }
}

async function api(method, path, body) {
  const headers = {};
  if (token()) headers.authorization = `Bearer ${token()}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  const answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  if (answer.status === 401) localStorage.removeItem(TOKEN);
  const document = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(`${answer.status} ${document.error?.message ?? answer.statusText}`);
  return document;
}

function table(id, heads, rows) {
  const cells = (kind, values) => ["tr", {}, ...values.map((value) => [kind, {}, Array.isArray(value) ? value : String(value)])];
  return [`table#${id}`, {}, cells("th", heads), ...rows.map((row) => cells("td", row))];
}

async function login() {
  const { authUrl } = await api("POST", "/api/auth/login", {});
  location.assign(authUrl);
}

async function home() {
  if (!token()) return show(["button#login", { onclick: login }, "Log in with OpenShift"]);
  const { username, roles } = await api("GET", "/api/v1/auth/me");
  const { currentSpend, maxBudget } = await api("GET", "/api/v1/usage/budget").catch(() => ({}));
  return show(["h1", {}, `Welcome, ${username}`], ["p#roles", {}, roles.join(", ")], [
    "p#budget", {}, `spent ${currentSpend ?? "unknown"} of ${maxBudget ?? "unknown"}`,
  ]);
}

async function models() {
  const { data } = await api("GET", "/api/v1/models");
  const rows = data.map((model) => [
    model.name,
    model.contextLength,
    `${model.inputCostPerToken ?? 0} / ${model.outputCostPerToken ?? 0}`,
    ["button", { "data-model": model.id, onclick: () => subscribe(model.id) }, "Subscribe"],
  ]);
  show(["h1", {}, "Models"], table("models", ["name", "context", "price per token in/out", ""], rows));
}

async function subscribe(modelId) {
  await api("POST", "/api/v1/subscriptions", { modelId });
  location.assign("/subscriptions");
}

async function subscriptions() {
  const { data } = await api("GET", "/api/v1/subscriptions");
  const cancel = async (id) => {
    await api("POST", `/api/v1/subscriptions/${id}/cancel`);
    await subscriptions();
  };
  const rows = data.map(({ id, modelId, status }) => [modelId, status, ["button", { onclick: () => cancel(id) }, "Cancel"]]);
  show(["h1", {}, "Subscriptions"], table("subscriptions", ["model", "status", ""], rows));
}

async function keys(created) {
  const [{ data }, subscribed, { litellmApiUrl }] = await Promise.all([
    api("GET", "/api/v1/api-keys"),
    api("GET", "/api/v1/subscriptions"),
    api("GET", "/api/v1/config"),
  ]);
  const modelIds = subscribed.data.filter(({ status }) => status === "active").map(({ modelId }) => modelId);
  const create = async () => {
    const name = document.getElementById("key-name").value || "key";
    await keys(await api("POST", "/api/v1/api-keys", { name, modelIds }));
  };
  const remove = async (id) => {
    await api("DELETE", `/api/v1/api-keys/${id}`);
    await keys();
  };
  const rows = data.map((key) => [
    key.name,
    `${key.keyPrefix}…`,
    key.models.join(", "),
    key.isActive ? "active" : "inactive",
    key.currentSpend,
    ["button", { onclick: () => remove(key.id) }, "Delete"],
  ]);
  const parts = [
    ["h1", {}, "API keys"],
    ["input#key-name", { placeholder: "name" }],
    ["button#create-key", { onclick: create }, "Create a key for all subscribed models"],
  ];
  if (created) {
    const body = JSON.stringify({ model: created.models[0], messages: [{ role: "user", content: "Hello" }] });
    parts.push(["code#new-key", {}, created.key], [
      "pre#example", {},
      `curl -X POST ${litellmApiUrl}/v1/chat/completions -H 'Authorization: Bearer ${created.key}' -H 'Content-Type: application/json' -d '${body}'`,
    ]);
  }
  show(...parts, table("keys", ["name", "key", "models", "state", "spent", ""], rows));
}

async function playground() {
  const [{ litellmApiUrl }, { data }] = await Promise.all([api("GET", "/api/v1/config"), api("GET", "/api/v1/models")]);
  const value = (id) => document.getElementById(id).value;
  const send = async () => {
    const messages = [{ role: "user", content: value("prompt") }];
    const answer = await fetch(`${litellmApiUrl}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${value("key")}`, "content-type": "application/json" },
      body: JSON.stringify({ model: value("model"), messages }),
    });
    const body = await answer.json();
    if (!answer.ok) throw new Error(`${answer.status} ${JSON.stringify(body)}`);
    document.getElementById("answer").textContent = body.choices[0].message.content;
  };
  show(
    ["h1", {}, "Playground"],
    ["select#model", {}, ...data.map(({ id }) => ["option", { value: id }, id])],
    ["input#key", { placeholder: "sk-…" }],
    ["input#prompt", { placeholder: "prompt" }],
    ["button#send", { onclick: send }, "Send"],
    ["p#answer", {}],
  );
}

// The token comes in the fragment, which no server sees.
function callback() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!given) throw new Error("no token in the address");
  localStorage.setItem(TOKEN, given);
  location.replace("/");
}

const PAGES = {
  "/auth/callback": callback,
  "/models": models,
  "/subscriptions": subscriptions,
  "/api-keys": () => keys(),
  "/playground": playground,
};

document.getElementById("logout").hidden = !token();
document.getElementById("logout").onclick = () => {
  localStorage.removeItem(TOKEN);
  location.assign("/");
};
guarded(PAGES[location.pathname] ?? home);
