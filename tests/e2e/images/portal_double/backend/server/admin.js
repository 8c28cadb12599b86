// The few administrator's calls that tests need. What changes something writes an audit row; with an
// admin API key that fails (its user id is no UUID): a user is changed by then, a model only in LiteLLM.
import { HttpError, route } from "./http.js";

// The real one lets LiteLLM write first.
const COMMIT_MS = 2000;

export function adminRoutes({ database, litellm, sync, authentication }) {
  const audit = (request, action, id) =>
    database.rows("INSERT INTO audit_logs (user_id, action, resource_type, resource_id) VALUES ($1, $2, 'ADMIN', $3)", [
      request.user.userId,
      action,
      id,
    ]);

  async function users() {
    const rows = await database.rows("SELECT id, username, email, roles, is_active FROM users ORDER BY username");
    return { data: rows.map(({ is_active: isActive, ...row }) => ({ ...row, isActive })) };
  }

  async function changeUser(request) {
    const { isActive, roles } = request.body ?? {};
    const row = await database.one(
      `UPDATE users SET is_active = coalesce($2, is_active), roles = coalesce($3, roles)
        WHERE id::text = $1 RETURNING id, username, roles, is_active`,
      [request.params.id, isActive ?? null, roles ?? null],
    );
    if (!row) throw new HttpError(404, "User not found");
    await audit(request, "USER_UPDATE", row.id);
    return row;
  }

  // Restricting a model takes it away from existing keys by a plain update. A key that has
  // no other is left with an empty list, which LiteLLM takes for "all models": the real hole.
  // No longer restricted, whoever waits is let in.
  async function restrict(id, restricted) {
    const [from, to] = restricted ? ["active", "pending"] : ["pending", "active"];
    if (restricted) {
      const keys = await database.rows(
        `DELETE FROM api_key_models l USING api_keys k WHERE l.api_key_id = k.id AND l.model_id = $1
         RETURNING k.lite_llm_key_value AS key,
           array(SELECT model_id FROM api_key_models WHERE api_key_id = k.id AND model_id <> $1) AS models`,
        [id],
      );
      for (const body of keys) await litellm.call("POST", "/key/update", { body });
    }
    const text = "UPDATE subscriptions SET status = $2, updated_at = now() WHERE model_id = $1 AND status = $3";
    await database.rows(text, [id, to, from]);
  }

  // The audit row comes before the portal's own columns: with an admin API key the request fails
  // there, and neither description nor restriction is ever stored.
  async function changeModel(request) {
    const { id } = request.params;
    const { restrictedAccess, description } = request.body ?? {};
    const before = await database.one("SELECT * FROM models WHERE id = $1", [id]);
    if (!before?.litellm_model_id) throw new HttpError(400, `Model '${id}' not found or missing LiteLLM model ID`);
    await litellm.call("PATCH", `/model/${before.litellm_model_id}/update`, { body: {} });
    await audit(request, "MODEL_UPDATE", id);
    await new Promise((done) => setTimeout(done, COMMIT_MS));
    await sync();
    if (description !== undefined) await database.rows("UPDATE models SET description = $2 WHERE id = $1", [id, description]);
    if (restrictedAccess !== undefined && restrictedAccess !== before.restricted_access) {
      await database.rows("UPDATE models SET restricted_access = $2 WHERE id = $1", [id, restrictedAccess]);
      await restrict(id, restrictedAccess);
    }
    return { success: true, message: `Model '${id}' updated successfully`, model: { id, model_name: id } };
  }

  async function subscriptions(request) {
    const { query } = request;
    const [page, limit] = [Number(query.get("page") ?? 1), Number(query.get("limit") ?? 20)];
    // One value or several; none stands for all.
    const chosen = (name) => (query.has(name) ? query.getAll(name) : null);
    const found = await database.rows(
      `SELECT id, user_id AS "userId", model_id AS "modelId", status FROM subscriptions
        WHERE ($1::text[] IS NULL OR status = ANY($1)) AND ($2::text[] IS NULL OR model_id = ANY($2))
        ORDER BY updated_at DESC`,
      [chosen("statuses"), chosen("modelIds")],
    );
    const pagination = { page, limit, total: found.length, totalPages: Math.ceil(found.length / limit) };
    return { data: found.slice((page - 1) * limit, page * limit), pagination };
  }

  const guard = authentication.admin;
  return [
    route("GET", "/api/v1/admin/users", users, guard),
    route("PATCH", "/api/v1/admin/users/:id", changeUser, guard),
    route("PUT", "/api/v1/admin/models/:id", changeModel, guard),
    route("GET", "/api/v1/admin/subscriptions", subscriptions, guard),
  ];
}
