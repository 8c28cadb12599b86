// Liveness: fails when the server serves mock data (it lost its database at start, and
// never recovers by itself) or does not answer. Needs no login.
const port = process.env.PORT || "8080";

fetch(`http://127.0.0.1:${port}/api/v1/banners`, { signal: AbortSignal.timeout(8000) })
  .then((answer) => answer.text())
  .then((text) => {
    if (!text.includes("mock-banner-1")) return;
    console.error("the backend serves mock data instead of its database's");
    process.exitCode = 1;
  })
  .catch((error) => {
    console.error(`the backend does not answer: ${error.message}`);
    process.exitCode = 1;
  });
