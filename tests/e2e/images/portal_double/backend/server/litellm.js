// The backend's calls to LiteLLM: three tries, and a pause for everybody after five failures in a row.

const TRIES = 3;
const TIMEOUT_MS = 30000;
const FAILURES = 5;
const PAUSE_MS = 30000;
const wait = (ms) => new Promise((done) => setTimeout(done, ms));

export class LiteLLMError extends Error {
  constructor(message, status, text = "") {
    super(message);
    this.upstreamStatus = status;
    this.text = text;
  }
}

export function makeLiteLLM({ settings, log }) {
  let failures = 0;
  let closedUntil = 0;

  async function once(method, path, { body, key = settings.litellmKey }) {
    // Certificates are checked against Node's own list and NODE_EXTRA_CA_CERTS, always.
    const answer = await fetch(settings.litellmUrl + path, {
      method,
      headers: { "x-litellm-api-key": key, "content-type": "application/json" },
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    }).catch((error) => {
      throw new LiteLLMError(`LiteLLM cannot be reached: ${error.cause?.message ?? error.message}`, 0);
    });
    const text = await answer.text();
    if (!answer.ok) throw new LiteLLMError(`LiteLLM answered ${answer.status} to ${method} ${path.split("?")[0]}`, answer.status, text);
    return text ? JSON.parse(text) : null;
  }

  async function call(method, path, options = {}) {
    if (Date.now() < closedUntil) throw new LiteLLMError("Circuit breaker is open", 0);
    for (let attempt = 1; ; attempt += 1) {
      try {
        const result = await once(method, path, options);
        failures = 0;
        return result;
      } catch (error) {
        log.debug("LiteLLM call failed", { method, attempt, error });
        if (attempt < TRIES) {
          await wait(1000 * attempt);
          continue;
        }
        failures += 1;
        if (failures >= FAILURES) {
          failures = 0;
          closedUntil = Date.now() + PAUSE_MS;
        }
        throw error;
      }
    }
  }

  return {
    call,
    alive: () => once("GET", "/health/liveness", {}),
    async models() {
      try {
        return (await call("GET", "/model/info")).data;
      } catch (error) {
        // Taken for "there are none": without the cross-check this empties the portal.
        if (error.upstreamStatus === 500 && error.text?.includes("Model List not loaded")) return [];
        throw error;
      }
    },
  };
}
