// The portal's database, or invented data when it cannot be reached at the start.
import pg from "pg";

// Parameters of the URL win over `ssl`: the table of sslmode values is the driver's own.
export async function openDatabase(settings, log) {
  const pool = new pg.Pool({
    connectionString: settings.databaseUrl,
    ssl: settings.production ? { rejectUnauthorized: false } : false,
    max: settings.maxConnections,
    idleTimeoutMillis: settings.idleTimeout,
    connectionTimeoutMillis: settings.connectionTimeout,
  });
  // No listener for the pool's errors: when the server ends an idle connection, the
  // process ends too, as the real one does.
  try {
    await pool.query("SELECT now()");
    log.info("Database connection established");
    return realDatabase(pool);
  } catch (error) {
    log.warn("PostgreSQL not available, using mock data for development", { error });
    await pool.end().catch(() => {});
    return mockDatabase();
  }
}

function realDatabase(pool) {
  const rows = async (text, values) => (await pool.query(text, values)).rows;
  return {
    mock: false,
    rows,
    one: async (text, values) => (await rows(text, values))[0] ?? null,
    // Several statements in one message are one transaction.
    script: (text) => pool.query(text),
    async transaction(work) {
      const client = await pool.connect();
      try {
        await client.query("BEGIN");
        const result = await work(async (text, values) => (await client.query(text, values)).rows);
        await client.query("COMMIT");
        return result;
      } catch (error) {
        await client.query("ROLLBACK").catch(() => {});
        throw error;
      } finally {
        client.release();
      }
    },
    close: () => pool.end(),
  };
}

// Every statement finds nothing and changes nothing.
function mockDatabase() {
  const rows = async () => [];
  return {
    mock: true,
    rows,
    one: async () => null,
    script: async () => {},
    transaction: async (work) => work(rows),
    close: async () => {},
  };
}

export const MOCK_USER = { id: "mock-user-1", username: "dev-user", email: "dev@example.com", roles: ["user"] };

export const MOCK_BANNERS = [
  { id: "mock-banner-1", name: "Welcome", isActive: true, content: { en: "Welcome to LiteMaaS (mock data)" } },
];

export const MOCK_MODELS = [
  { id: "mock-model-1", name: "mock-model-1", provider: "mock", availability: "available", features: ["chat"] },
];
