// Usage, as far as tests read it: the budget at once, the analytics with the real five minutes of delay.
import { HttpError, route } from "./http.js";

export function usageRoutes({ settings, litellm, authentication }) {
  const cache = new Map();

  async function budget(request) {
    const { user_info: info = {} } = await litellm.call("GET", `/user/info?user_id=${encodeURIComponent(request.user.userId)}`);
    const maxBudget = info.max_budget ?? 0;
    const currentSpend = info.spend ?? 0;
    return { maxBudget, currentSpend, remaining: maxBudget - currentSpend };
  }

  async function analytics(request) {
    const { startDate, endDate } = request.body ?? {};
    if (!startDate || !endDate) throw new HttpError(400, "body must have required properties 'startDate', 'endDate'");
    const name = `${request.user.userId} ${startDate} ${endDate}`;
    const cached = cache.get(name);
    if (cached && cached.ends > Date.now()) return cached.answer;
    const query = new URLSearchParams({ start_date: startDate, end_date: endDate, page: "1", page_size: "1000" });
    const { results = [] } = await litellm.call("GET", `/user/daily/activity?${query}`);
    const answer = summary(results, request.user.userId);
    cache.set(name, { answer, ends: Date.now() + settings.usageCacheMinutes * 60000 });
    return answer;
  }

  const guard = authentication.lenient;
  const zeros = () => ({ totalRequests: 0, totalTokens: 0, totalCost: 0 });
  return [
    route("GET", "/api/v1/usage/budget", budget, guard),
    route("POST", "/api/v1/usage/analytics", analytics, guard),
    route("GET", "/api/v1/usage/metrics", zeros, guard),
    route("GET", "/api/v1/usage/dashboard", zeros, guard),
    route(
      "POST",
      "/api/v1/admin/usage/refresh-today",
      () => {
        cache.clear();
        return { success: true };
      },
      authentication.admin,
    ),
  ];
}

// A user's own figures, from the keys that LiteLLM names; without the breakdown by user
// (which depends on its version) those of all.
function summary(results, user) {
  const total = { totalRequests: 0, successfulRequests: 0, failedRequests: 0, totalTokens: 0, totalCost: 0 };
  for (const { breakdown = {}, metrics = {} } of results) {
    const own = breakdown.entities?.[user]?.metrics ?? metrics;
    total.totalRequests += own.api_requests ?? 0;
    total.successfulRequests += own.successful_requests ?? 0;
    total.failedRequests += own.failed_requests ?? 0;
    total.totalTokens += own.total_tokens ?? 0;
    total.totalCost += own.spend ?? 0;
  }
  return total;
}
