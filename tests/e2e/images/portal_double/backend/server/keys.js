// API keys: LiteLLM makes and checks them, the portal keeps who has which for what.
import { randomBytes } from "node:crypto";
import { HttpError, reply, route } from "./http.js";

const LIMITS = { maxBudget: "max_budget", rpmLimit: "rpm_limit", tpmLimit: "tpm_limit", budgetDuration: "budget_duration" };

const present = (row) => ({
  id: row.id,
  userId: row.user_id,
  name: row.name,
  keyPrefix: row.key_prefix,
  models: row.models,
  isActive: row.is_active,
  createdAt: row.created_at,
  ...row.limits,
});

export function keyRoutes({ database, litellm, people, authentication }) {
  const find = `SELECT k.*, array(SELECT model_id FROM api_key_models WHERE api_key_id = k.id ORDER BY 1) AS models
                  FROM api_keys k WHERE k.user_id::text = $1`;

  async function own(request) {
    const row = await database.one(`${find} AND k.id::text = $2`, [request.user.userId, request.params.id]);
    if (!row) throw new HttpError(404, "API key not found");
    return row;
  }

  async function checkModels(user, models) {
    if (!Array.isArray(models) || !models.length) throw new HttpError(400, "At least one model is required");
    const rows = await database.rows(
      "SELECT model_id FROM subscriptions WHERE user_id::text = $1 AND status = 'active' AND model_id = ANY($2)",
      [user.userId, models],
    );
    const missing = models.filter((id) => !rows.some((row) => row.model_id === id));
    if (missing.length) throw new HttpError(400, `You do not have active subscriptions for: ${missing.join(", ")}`);
  }

  async function create(request) {
    const { user, body } = request;
    await checkModels(user, body?.modelIds);
    await people.ensure({ id: user.userId, username: user.username, roles: user.roles });
    const limits = Object.fromEntries(Object.keys(LIMITS).filter((name) => body[name] !== undefined).map((name) => [name, body[name]]));
    const name = body.name ?? "API Key";
    const made = await litellm.call("POST", "/key/generate", {
      body: {
        key_alias: `${name}_${randomBytes(4).toString("hex")}`,
        models: body.modelIds,
        user_id: user.userId,
        metadata: { created_by: "litemaas", model_count: body.modelIds.length, legacy_request: false },
        ...Object.fromEntries(Object.entries(limits).map(([key, value]) => [LIMITS[key], value])),
      },
    });
    const row = await database.transaction(async (run) => {
      const [key] = await run(
        `INSERT INTO api_keys (user_id, name, key_prefix, lite_llm_key_value, limits) VALUES ($1, $2, $3, $4, $5) RETURNING *`,
        [user.userId, name, made.key.slice(0, 7), made.key, limits],
      );
      await run("INSERT INTO api_key_models SELECT $1, unnest($2::text[])", [key.id, body.modelIds]);
      return { ...key, models: body.modelIds };
    });
    // In clear this once.
    return reply(201, { ...present(row), key: made.key });
  }

  async function spend(row) {
    try {
      // The key itself is the credential.
      return (await litellm.call("GET", "/key/info", { key: row.lite_llm_key_value })).info?.spend ?? 0;
    } catch {
      return 0;
    }
  }

  async function list(request) {
    const rows = await database.rows(`${find} ORDER BY k.created_at`, [request.user.userId]);
    const spends = await Promise.all(rows.map((row) => (row.is_active ? spend(row) : 0)));
    const data = rows.map((row, index) => ({ ...present(row), currentSpend: spends[index] }));
    return { data, pagination: { page: 1, limit: data.length, total: data.length, totalPages: 1 } };
  }

  async function change(request) {
    const row = await own(request);
    const models = request.body?.modelIds;
    await checkModels(request.user, models);
    await litellm.call("POST", "/key/update", { body: { key: row.lite_llm_key_value, models } });
    await database.transaction(async (run) => {
      await run("DELETE FROM api_key_models WHERE api_key_id = $1", [row.id]);
      await run("INSERT INTO api_key_models SELECT $1, unnest($2::text[])", [row.id, models]);
    });
    return present({ ...row, models });
  }

  async function remove(request) {
    const row = await own(request);
    try {
      await litellm.call("POST", "/key/delete", { body: { keys: [row.lite_llm_key_value] } });
    } catch (error) {
      if (error.upstreamStatus !== 404) throw error;
    }
    await database.rows("DELETE FROM api_keys WHERE id = $1", [row.id]);
    return { message: "API key deleted successfully", deletedAt: new Date().toISOString() };
  }

  const guard = authentication.lenient;
  return [
    route("GET", "/api/v1/api-keys", list, guard),
    route("POST", "/api/v1/api-keys", create, guard),
    route("PATCH", "/api/v1/api-keys/:id", change, guard),
    route("DELETE", "/api/v1/api-keys/:id", remove, guard),
  ];
}
