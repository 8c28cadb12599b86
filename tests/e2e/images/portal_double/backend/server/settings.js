// The backend's environment variables, with its own defaults and its own refusals.

const REQUIRED = ["DATABASE_URL", "JWT_SECRET", "OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET", "OAUTH_ISSUER"];

export class SettingsError extends Error {}

const list = (text) => (text ? text.split(",") : []);

// Without the variable the API server is guessed from the issuer's name; wrong for any
// other form of it, as in the real backend.
function apiServer(env) {
  if (env.OPENSHIFT_API_URL) return env.OPENSHIFT_API_URL;
  const guess = env.OAUTH_ISSUER.replace("oauth-openshift.apps.", "api.");
  return guess === env.OAUTH_ISSUER ? guess : `${guess}:6443`;
}

const UNITS = { s: 1, m: 60, h: 3600, d: 86400 };

export function seconds(text) {
  const [, amount, unit] = /^(\d+)\s*([smhd]?)/.exec(text) ?? [];
  if (!amount) throw new SettingsError(`not a duration: ${text}`);
  return Number(amount) * (UNITS[unit] ?? 1);
}

export function read(env) {
  for (const name of REQUIRED) {
    // Empty strings pass; only the issuer has a pattern.
    if (env[name] === undefined) throw new SettingsError(`env must have required property '${name}'`);
  }
  if (!/^https?:\/\//.test(env.OAUTH_ISSUER)) {
    throw new SettingsError('env/OAUTH_ISSUER must match pattern "^https?://"');
  }
  const environment = env.NODE_ENV ?? "development";
  return {
    environment,
    production: environment === "production",
    mockOAuth: environment !== "production" || env.OAUTH_MOCK_ENABLED === "true",
    devTokens: environment !== "production" || Boolean(env.ALLOW_DEV_TOKENS),
    host: env.HOST ?? "0.0.0.0",
    port: Number(env.PORT ?? 8081),
    logLevel: env.LOG_LEVEL ?? "info",
    databaseUrl: env.DATABASE_URL,
    maxConnections: Number(env.DB_MAX_CONNECTIONS ?? 20),
    idleTimeout: Number(env.DB_IDLE_TIMEOUT ?? 30000),
    connectionTimeout: Number(env.DB_CONNECTION_TIMEOUT ?? 5000),
    jwtSecret: env.JWT_SECRET,
    jwtSeconds: seconds(env.JWT_EXPIRES_IN ?? "24h"),
    provider: env.AUTH_PROVIDER === "oidc" ? "oidc" : "openshift",
    groupsClaim: env.OIDC_GROUPS_CLAIM ?? "groups",
    scopes: env.OIDC_SCOPES ?? "openid profile email",
    clientId: env.OAUTH_CLIENT_ID,
    clientSecret: env.OAUTH_CLIENT_SECRET,
    issuer: env.OAUTH_ISSUER,
    callbackUrl: env.OAUTH_CALLBACK_URL ?? "http://localhost:8081/api/auth/callback",
    apiServer: apiServer(env),
    initialAdmins: list(env.INITIAL_ADMIN_USERS).map((name) => name.trim()),
    // Not trimmed: a key behind ", " does not work.
    adminKeys: list(env.ADMIN_API_KEYS),
    corsOrigin: env.CORS_ORIGIN ?? "http://localhost:3000",
    trustedOrigins: list(env.ALLOWED_FRONTEND_ORIGINS ?? "localhost:3000,localhost:3001,127.0.0.1:3000"),
    litellmUrl: env.LITELLM_API_URL ?? "http://localhost:4000",
    litellmKey: env.LITELLM_API_KEY ?? "",
    litellmDatabaseUrl: env.LITELLM_DATABASE_URL,
    autoSync: env.LITELLM_AUTO_SYNC === "true",
    syncMinutes: Number(env.LITELLM_SYNC_INTERVAL ?? 60),
    rateLimit: Number(env.RATE_LIMIT_MAX ?? 100),
    rateSeconds: seconds(env.RATE_LIMIT_TIME_WINDOW ?? "1m"),
    usageCacheMinutes: Number(env.USAGE_CACHE_TTL_MINUTES ?? 5),
    userLimits: {
      max_budget: Number(env.DEFAULT_USER_MAX_BUDGET ?? 100),
      tpm_limit: Number(env.DEFAULT_USER_TPM_LIMIT ?? 100000),
      rpm_limit: Number(env.DEFAULT_USER_RPM_LIMIT ?? 120),
    },
  };
}
