// Waits until the database takes the backend's own login. Without this the backend
// would serve invented data for the rest of its life, and call itself healthy.
const { createRequire } = require("node:module");
// The driver of the server itself, wherever its workspace put it.
const { Client } = createRequire("/app/backend/package.json")("pg");

const url = process.env.DATABASE_URL;
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

async function answers() {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5000 });
  client.on("error", () => {});
  try {
    await client.connect();
    await client.query("select 1");
    return true;
  } catch (error) {
    console.log(`waiting for the database: ${error.message}`);
    return false;
  } finally {
    await client.end().catch(() => {});
  }
}

(async () => {
  while (!(await answers())) await pause(2000);
})();
