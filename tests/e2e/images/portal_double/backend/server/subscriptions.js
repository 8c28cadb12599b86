// A user's subscriptions: one row per model, which comes back to life when it is asked for again.
import { HttpError, reply, route } from "./http.js";

const present = (row) => ({
  id: row.id,
  userId: row.user_id,
  modelId: row.model_id,
  modelName: row.model_id,
  status: row.status,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
});

export function subscriptionRoutes({ database, litellm, people, authentication }) {
  async function create(request) {
    const { user, body } = request;
    if (typeof body?.modelId !== "string") throw new HttpError(400, "body must have required property 'modelId'");
    const model = await database.one("SELECT * FROM models WHERE id = $1", [body.modelId]);
    if (model?.availability !== "available") throw new HttpError(400, `Model ${body.modelId} not found`);
    const before = await database.one("SELECT * FROM subscriptions WHERE user_id::text = $1 AND model_id = $2", [
      user.userId,
      model.id,
    ]);
    if (before && before.status !== "inactive") throw new HttpError(409, "A subscription for this model exists");
    const status = model.restricted_access ? "pending" : "active";
    const row = await database.transaction(async (run) => {
      // First, so that a user who does not exist fails on the foreign key and not in LiteLLM.
      const [made] = await run(
        `INSERT INTO subscriptions (user_id, model_id, status) VALUES ($1, $2, $3)
         ON CONFLICT (user_id, model_id) DO UPDATE SET status = $3, updated_at = now() RETURNING *`,
        [user.userId, model.id, status],
      );
      await litellm.models();
      await people.ensure({ id: user.userId, username: user.username, roles: user.roles });
      return made;
    });
    return reply(201, present(row));
  }

  async function list(request) {
    const rows = await database.rows(
      "SELECT * FROM subscriptions WHERE user_id::text = $1 AND status <> 'inactive' ORDER BY created_at",
      [request.user.userId],
    );
    return { data: rows.map(present), pagination: { page: 1, limit: rows.length, total: rows.length, totalPages: 1 } };
  }

  async function cancel(request) {
    const { userId } = request.user;
    const row = await database.one("SELECT * FROM subscriptions WHERE id::text = $1 AND user_id::text = $2", [
      request.params.id,
      userId,
    ]);
    if (!row) throw new HttpError(404, "Subscription not found");
    if (row.status === "inactive") throw new HttpError(400, "Subscription is not active");
    await withdraw({ database, litellm }, row.model_id, userId);
    return present(
      await database.one("UPDATE subscriptions SET status = 'inactive', updated_at = now() WHERE id = $1 RETURNING *", [row.id]),
    );
  }

  const guard = authentication.lenient;
  return [
    route("GET", "/api/v1/subscriptions", list, guard),
    route("POST", "/api/v1/subscriptions", create, guard),
    route("POST", "/api/v1/subscriptions/:id/cancel", cancel, guard),
  ];
}

// Takes a model away from a user's keys; a key without models is deleted in LiteLLM,
// where an empty list would mean "all models".
async function withdraw({ database, litellm }, model, user) {
  const keys = await database.rows(
    `SELECT k.*, array(SELECT model_id FROM api_key_models WHERE api_key_id = k.id AND model_id <> $1) AS rest
       FROM api_keys k JOIN api_key_models l ON l.api_key_id = k.id AND l.model_id = $1
      WHERE k.user_id::text = $2 AND k.is_active`,
    [model, user],
  );
  for (const { id, rest, lite_llm_key_value: key } of keys) {
    if (rest.length) await litellm.call("POST", "/key/update", { body: { key, models: rest } });
    else await litellm.call("POST", "/key/delete", { body: { keys: [key] } });
    await database.rows("DELETE FROM api_key_models WHERE api_key_id = $1 AND model_id = $2", [id, model]);
    if (!rest.length) await database.rows("UPDATE api_keys SET is_active = false WHERE id = $1", [id]);
  }
}
