// A DOUBLE of the LiteMaaS backend, for tests of its deployment; not LiteMaaS.
import { openDatabase } from "./database.js";
import { adminRoutes } from "./admin.js";
import { keyRoutes } from "./keys.js";
import { makeAuthentication } from "./authentication.js";
import { makeLimiter, makeServer } from "./http.js";
import { makeLiteLLM } from "./litellm.js";
import { makeLog } from "./log.js";
import { makePeople } from "./people.js";
import { makeSync } from "./sync.js";
import { migrate } from "./migrations.js";
import { modelRoutes } from "./models.js";
import { oauthRoutes } from "./oauth.js";
import { read } from "./settings.js";
import { subscriptionRoutes } from "./subscriptions.js";
import { systemRoutes } from "./system.js";
import { usageRoutes } from "./usage.js";

const EXPIRY_MS = 60000;

// Timers of the real backend; each keeps going over failures.
function startJobs({ settings, database, sync, log }) {
  if (database.mock) return;
  // Started twice when the timer is on, at the same moment: on an empty table one of them
  // reports duplicate keys.
  sync();
  if (settings.autoSync) {
    sync();
    setInterval(sync, settings.syncMinutes * 60000);
  }
  setInterval(() => {
    const text = "UPDATE subscriptions SET status = 'expired' WHERE status = 'active' AND expires_at < now()";
    database.rows(text).catch((error) => log.error("expiry failed", { error }));
  }, EXPIRY_MS);
}

async function main() {
  const settings = read(process.env);
  const log = makeLog(settings.logLevel);
  console.log("LiteMaaS backend DOUBLE (tests/e2e/images/portal_double); this is not LiteMaaS");
  if (settings.mockOAuth) log.warn("Mock OAuth is on: anybody can log in as an administrator");
  const database = await openDatabase(settings, log);
  await migrate(database, log);
  const parts = { settings, log, database, litellm: makeLiteLLM({ settings, log }) };
  parts.people = makePeople(parts);
  parts.sync = makeSync(parts);
  parts.authentication = makeAuthentication(parts);
  const areas = [systemRoutes, oauthRoutes, modelRoutes, subscriptionRoutes, keyRoutes, usageRoutes, adminRoutes];
  const routes = areas.flatMap((area) => area(parts));
  const server = makeServer({ routes, settings, log, limiter: makeLimiter(settings) });
  // Longer than nginx keeps idle connections, so that it never meets one that is just closed.
  server.keepAliveTimeout = 72000;
  server.listen(settings.port, settings.host, () => log.info(`listening on ${settings.host}:${settings.port}`));
  startJobs(parts);
  const stop = () => {
    server.close(async () => {
      await database.close().catch(() => {});
      process.exit(0);
    });
    server.closeIdleConnections();
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
}

main().catch((error) => {
  console.error(error.stack ?? error.message);
  process.exit(1);
});
