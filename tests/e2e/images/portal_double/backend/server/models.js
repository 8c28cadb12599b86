// Models: the list needs no login and shows internal addresses, as in the real backend.
import { HttpError, route } from "./http.js";
import { MOCK_MODELS } from "./database.js";

const number = (value) => (value === null || value === undefined ? undefined : Number(value));

export function present(row) {
  return {
    id: row.id,
    name: row.name,
    provider: row.provider,
    description: row.description ?? "",
    capabilities: row.features ?? [],
    contextLength: Number(row.context_length ?? 0),
    maxTokens: Number(row.max_tokens ?? 0),
    pricing: { input: Number(row.input_cost_per_token), output: Number(row.output_cost_per_token), unit: "per_token" },
    inputCostPerToken: number(row.input_cost_per_token),
    outputCostPerToken: number(row.output_cost_per_token),
    apiBase: row.api_base ?? undefined,
    backendModelName: row.backend_model_name ?? undefined,
    tpm: number(row.tpm),
    rpm: number(row.rpm),
    supportsVision: Boolean(row.supports_vision),
    supportsFunctionCalling: Boolean(row.supports_function_calling),
    supportsParallelFunctionCalling: Boolean(row.supports_parallel_function_calling),
    supportsToolChoice: Boolean(row.supports_tool_choice),
    supportsEmbeddings: Boolean(row.supports_embeddings),
    restrictedAccess: Boolean(row.restricted_access),
    isActive: row.availability === "available",
  };
}

export function modelRoutes({ database, sync, authentication }) {
  const available = async () =>
    database.mock ? MOCK_MODELS : database.rows("SELECT * FROM models WHERE availability = 'available' ORDER BY provider, name");

  return [
    route("GET", "/api/v1/models", async (request) => {
      const page = Number(request.query.get("page") ?? 1);
      const limit = Number(request.query.get("limit") ?? 20);
      const all = (await available()).map(present);
      const pagination = { page, limit, total: all.length, totalPages: Math.ceil(all.length / limit) };
      return { data: all.slice((page - 1) * limit, page * limit), pagination };
    }),
    route("GET", "/api/v1/models/:id", async (request) => {
      const row = (await available()).find((one) => one.id === request.params.id);
      if (!row) throw new HttpError(404, "Model not found");
      return present(row);
    }),
    route(
      "POST",
      "/api/v1/models/sync",
      (request) => {
        // 200 even when it fails; the answer says so.
        if (request.body === null || typeof request.body !== "object") throw new HttpError(400, "body must be object");
        return sync();
      },
      authentication.admin,
    ),
  ];
}
