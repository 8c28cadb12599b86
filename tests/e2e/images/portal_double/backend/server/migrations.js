// Tables the double needs, of the 17 that the real backend makes. Safe to repeat, without
// a lock or a version: of two replicas on an empty database one may fail.

const DEFAULT_TEAM = "a0000000-0000-4000-8000-000000000001";

const SCHEMA = `
CREATE EXTENSION IF NOT EXISTS pgcrypto;
CREATE TABLE IF NOT EXISTS users (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  username VARCHAR(255) UNIQUE NOT NULL,
  email VARCHAR(255) UNIQUE NOT NULL,
  full_name VARCHAR(255),
  oauth_provider VARCHAR(50) NOT NULL,
  oauth_id VARCHAR(255) NOT NULL,
  roles TEXT[] NOT NULL DEFAULT ARRAY['user'],
  is_active BOOLEAN NOT NULL DEFAULT true,
  last_login_at TIMESTAMPTZ,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS teams (
  id UUID PRIMARY KEY,
  name VARCHAR(255) NOT NULL,
  max_budget NUMERIC,
  tpm_limit INTEGER,
  rpm_limit INTEGER
);
CREATE TABLE IF NOT EXISTS models (
  id VARCHAR(255) PRIMARY KEY,
  name VARCHAR(255) NOT NULL,
  provider VARCHAR(100) NOT NULL,
  description TEXT,
  backend_model_name VARCHAR(255),
  context_length INTEGER,
  max_tokens INTEGER,
  input_cost_per_token NUMERIC(15, 10),
  output_cost_per_token NUMERIC(15, 10),
  api_base VARCHAR(500),
  tpm INTEGER,
  rpm INTEGER,
  supports_vision BOOLEAN,
  supports_function_calling BOOLEAN,
  supports_parallel_function_calling BOOLEAN,
  supports_tool_choice BOOLEAN,
  supports_embeddings BOOLEAN,
  features TEXT[],
  litellm_model_id VARCHAR(255),
  restricted_access BOOLEAN NOT NULL DEFAULT false,
  availability VARCHAR(20) NOT NULL DEFAULT 'available',
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS subscriptions (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id UUID NOT NULL REFERENCES users(id) ON DELETE CASCADE,
  model_id VARCHAR(255) NOT NULL REFERENCES models(id),
  status VARCHAR(20) NOT NULL,
  expires_at TIMESTAMPTZ,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  UNIQUE (user_id, model_id)
);
CREATE TABLE IF NOT EXISTS api_keys (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id UUID NOT NULL REFERENCES users(id) ON DELETE CASCADE,
  name VARCHAR(255) NOT NULL,
  key_prefix VARCHAR(20) NOT NULL,
  lite_llm_key_value VARCHAR(255) NOT NULL,
  is_active BOOLEAN NOT NULL DEFAULT true,
  limits JSONB NOT NULL DEFAULT '{}',
  created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS api_key_models (
  api_key_id UUID NOT NULL REFERENCES api_keys(id) ON DELETE CASCADE,
  model_id VARCHAR(255) NOT NULL REFERENCES models(id) ON DELETE CASCADE,
  PRIMARY KEY (api_key_id, model_id)
);
CREATE TABLE IF NOT EXISTS banners (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  name VARCHAR(255) NOT NULL,
  content JSONB NOT NULL,
  is_active BOOLEAN NOT NULL DEFAULT true
);
CREATE TABLE IF NOT EXISTS audit_logs (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id UUID,
  action VARCHAR(100) NOT NULL,
  resource_type VARCHAR(100) NOT NULL,
  resource_id VARCHAR(255),
  metadata JSONB DEFAULT '{}',
  created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
INSERT INTO teams VALUES ('${DEFAULT_TEAM}', 'Default Team', 10000, 50000, 1000)
  ON CONFLICT (id) DO UPDATE SET max_budget = 10000, tpm_limit = 50000, rpm_limit = 1000;
`;

// A failure is logged and the start goes on, readiness green.
export async function migrate(database, log) {
  if (database.mock) return;
  try {
    await database.script(SCHEMA);
    log.info("Database migrations applied successfully");
  } catch (error) {
    log.error("Failed to apply database migrations", { error });
  }
}
