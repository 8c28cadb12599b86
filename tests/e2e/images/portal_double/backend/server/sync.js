// Takes LiteLLM's models over into the portal's table, and cuts off what is gone.
import pg from "pg";

// What the portal makes of a model; a missing context length shows as 0.
function columns({ model_name, litellm_params: params = {}, model_info: info = {} }) {
  const [before, ...after] = (params.model ?? "").split("/");
  const price = (name) => info[name] ?? params[name] ?? null;
  const embeddings = Boolean(info.supports_embeddings ?? info.supports_embedding);
  const features = ["function_calling", "parallel_function_calling", "vision", "tool_choice"].filter(
    (name) => info[`supports_${name}`],
  );
  return {
    name: model_name,
    provider: params.custom_llm_provider ?? (after.length ? before : "unknown"),
    backend_model_name: after.length ? after.join("/") : params.model,
    context_length: info.max_tokens ?? 0,
    max_tokens: info.max_tokens ?? 0,
    input_cost_per_token: price("input_cost_per_token"),
    output_cost_per_token: price("output_cost_per_token"),
    api_base: params.api_base ?? null,
    tpm: params.tpm ?? null,
    rpm: params.rpm ?? null,
    supports_vision: Boolean(info.supports_vision),
    supports_function_calling: Boolean(info.supports_function_calling),
    supports_parallel_function_calling: Boolean(info.supports_parallel_function_calling),
    supports_tool_choice: Boolean(info.supports_tool_choice),
    supports_embeddings: embeddings,
    features: [...features, embeddings ? "embeddings" : "chat"],
    litellm_model_id: info.id ?? null,
    availability: "available",
  };
}

export function makeSync({ settings, database, litellm, log }) {
  // Names in LiteLLM's own database, or null when there is no connection to it. Without
  // the production default for TLS: no sslmode means plain text here.
  async function storedNames() {
    if (!settings.litellmDatabaseUrl) return null;
    const client = new pg.Client({ connectionString: settings.litellmDatabaseUrl, connectionTimeoutMillis: 5000 });
    client.on("error", () => {});
    try {
      await client.connect();
      const { rows } = await client.query('SELECT model_name FROM "LiteLLM_ProxyModelTable"');
      return new Set(rows.map((row) => row.model_name));
    } finally {
      await client.end().catch(() => {});
    }
  }

  async function store(model, known) {
    const values = columns(model);
    const names = Object.keys(values);
    if (!known) {
      // No ON CONFLICT: two syncs at once collide, and one of them reports it.
      const places = names.map((_, index) => `$${index + 3}`).join(", ");
      const text = `INSERT INTO models (id, description, ${names.join(", ")}) VALUES ($1, $2, ${places})`;
      return database.rows(text, [model.model_name, `${model.model_name} model`, ...Object.values(values)]);
    }
    const pairs = names.map((name, index) => `${name} = $${index + 2}`).join(", ");
    const text = `UPDATE models SET ${pairs}, updated_at = now() WHERE id = $1`;
    return database.rows(text, [model.model_name, ...Object.values(values)]);
  }

  // The cascade: bringing the model back restores none of it. Keys without a model are
  // deactivated wherever they are, not only those of this model; LiteLLM keeps them all.
  const cutOff = (id) =>
    database.transaction(async (run) => {
      await run("UPDATE models SET availability = 'unavailable', updated_at = now() WHERE id = $1", [id]);
      await run("UPDATE subscriptions SET status = 'inactive', updated_at = now() WHERE model_id = $1 AND status = 'active'", [id]);
      await run("DELETE FROM api_key_models WHERE model_id = $1", [id]);
      await run(
        `UPDATE api_keys SET is_active = false WHERE is_active
           AND NOT EXISTS (SELECT FROM api_key_models WHERE api_key_id = api_keys.id)`,
      );
    });

  async function attempt(result) {
    const served = await litellm.models();
    const stored = await storedNames();
    const current = served.filter(({ model_name }) => !stored || stored.has(model_name));
    for (const { model_name } of served) {
      if (!current.some((one) => one.model_name === model_name)) log.warn("stale model skipped", { model: model_name });
    }
    const existing = new Set((await database.rows("SELECT id FROM models")).map((row) => row.id));
    result.totalModels = served.length;
    for (const model of current) {
      const id = model.model_name;
      try {
        await store(model, existing.has(id));
        // Neither number says "changed", in the real one either.
        if (!existing.has(id)) result.newModels += 1;
        else if (model.model_info?.supports_function_calling) result.updatedModels += 1;
      } catch (error) {
        result.errors.push(`Failed to sync model ${id}: ${error.message}`);
      }
    }
    const names = new Set(current.map((model) => model.model_name));
    for (const id of existing) {
      if (names.has(id) || stored?.has(id)) continue;
      await cutOff(id);
      result.unavailableModels += 1;
    }
  }

  return async function sync() {
    const result = { success: false, totalModels: 0, newModels: 0, updatedModels: 0, unavailableModels: 0, errors: [] };
    try {
      await attempt(result);
    } catch (error) {
      result.errors.push(`Synchronization failed: ${error.message}`);
    }
    result.success = result.errors.length === 0;
    if (result.success) log.info("Model synchronization completed", { result });
    else log.error("Model synchronization completed with errors", { errors: result.errors });
    return { ...result, syncedAt: new Date().toISOString() };
  };
}
