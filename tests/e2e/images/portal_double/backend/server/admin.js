// The few administrator's calls that tests need. Each writes an audit row last; with an
// admin API key that fails (its user id is no UUID), after the change itself is done.
import { HttpError, route } from "./http.js";
import { present } from "./models.js";

export function adminRoutes({ database, litellm, authentication }) {
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
  async function restrict(id) {
    await database.rows("UPDATE subscriptions SET status = 'pending', updated_at = now() WHERE model_id = $1 AND status = 'active'", [id]);
    const keys = await database.rows(
      `DELETE FROM api_key_models l USING api_keys k WHERE l.api_key_id = k.id AND l.model_id = $1
       RETURNING k.lite_llm_key_value AS key,
         array(SELECT model_id FROM api_key_models WHERE api_key_id = k.id AND model_id <> $1) AS models`,
      [id],
    );
    for (const body of keys) await litellm.call("POST", "/key/update", { body });
  }

  async function changeModel(request) {
    const { id } = request.params;
    const { restrictedAccess, description } = request.body ?? {};
    const before = await database.one("SELECT * FROM models WHERE id = $1", [id]);
    if (!before) throw new HttpError(404, "Model not found");
    const row = await database.one(
      `UPDATE models SET restricted_access = coalesce($2, restricted_access), description = coalesce($3, description)
        WHERE id = $1 RETURNING *`,
      [id, restrictedAccess ?? null, description ?? null],
    );
    if (row.restricted_access && !before.restricted_access) await restrict(id);
    await audit(request, "MODEL_UPDATE", id);
    return present(row);
  }

  const guard = authentication.admin;
  return [
    route("GET", "/api/v1/admin/users", users, guard),
    route("PATCH", "/api/v1/admin/users/:id", changeUser, guard),
    route("PUT", "/api/v1/admin/models/:id", changeModel, guard),
  ];
}
