// Health, banners, configuration, and who is logged in.
import { reply, route } from "./http.js";
import { MOCK_BANNERS, MOCK_USER } from "./database.js";

export function systemRoutes({ settings, database, litellm, authentication }) {
  async function databaseState() {
    if (database.mock) return "mock";
    return database.rows("SELECT 1").then(
      () => "healthy",
      () => "unhealthy",
    );
  }

  // Green with mock data, too.
  async function ready() {
    const state = await databaseState();
    const checks = { database: state, auth: "healthy" };
    return state === "unhealthy" ? reply(503, { status: "not ready", checks }) : { status: "ready", checks };
  }

  async function health() {
    const services = { database: await databaseState() };
    services.litellm = await litellm.alive().then(
      () => "healthy",
      () => "unhealthy",
    );
    const healthy = !Object.values(services).includes("unhealthy");
    return reply(healthy ? 200 : 503, { status: healthy ? "healthy" : "unhealthy", version: "double", services });
  }

  async function banners() {
    if (database.mock) return MOCK_BANNERS;
    const rows = await database.rows("SELECT id, name, content FROM banners WHERE is_active ORDER BY name");
    return rows.map((row) => ({ ...row, isActive: true }));
  }

  async function me({ user }) {
    if (database.mock) return MOCK_USER;
    const row = await database.one("SELECT * FROM users WHERE id::text = $1", [user.userId]);
    if (!row) return { id: user.userId, username: user.username, email: user.email, roles: user.roles };
    return { id: row.id, username: row.username, email: row.email, name: row.full_name, roles: row.roles };
  }

  // For Prometheus, and open to everybody.
  const metrics = () =>
    reply(200, `process_uptime_seconds ${process.uptime()}\n`, { "content-type": "text/plain; version=0.0.4" });

  const config = () => ({
    version: "double",
    usageCacheTtlMinutes: settings.usageCacheMinutes,
    environment: settings.production ? "production" : "development",
    authMode: settings.mockOAuth ? "mock" : "oauth",
    litellmApiUrl: settings.litellmUrl,
  });

  return [
    route("GET", "/api/v1/health/live", () => ({ status: "alive" })),
    route("GET", "/api/v1/health/ready", ready),
    route("GET", "/api/v1/health", health),
    route("GET", "/api/v1/health/metrics", metrics),
    route("GET", "/api/v1/banners", banners),
    route("GET", "/api/v1/config", config),
    route("GET", "/api/v1/branding", () => ({})),
    route("GET", "/api/v1/auth/me", me, authentication.required),
  ];
}
