// Users and the default team, as LiteLLM knows them.

const TEAM = "a0000000-0000-4000-8000-000000000001";

export function makePeople({ litellm, settings }) {
  async function ensureTeam() {
    try {
      await litellm.call("GET", `/team/info?team_id=${TEAM}`);
    } catch (error) {
      if (error.upstreamStatus !== 404) throw error;
      const limits = { max_budget: 10000, tpm_limit: 50000, rpm_limit: 1000 };
      const body = { team_id: TEAM, team_alias: "Default Team", ...limits, models: [], admins: [] };
      await litellm.call("POST", "/team/new", { body });
    }
  }

  // A user without any team counts as missing, as in the real backend.
  async function known(id) {
    try {
      return (await litellm.call("GET", `/user/info?user_id=${encodeURIComponent(id)}`)).teams?.length > 0;
    } catch (error) {
      if (error.upstreamStatus === 404) return false;
      throw error;
    }
  }

  return {
    async ensure({ id, username, roles }) {
      if (await known(id)) return;
      await ensureTeam();
      const body = {
        user_id: id,
        user_email: username,
        user_alias: username,
        user_role: roles.includes("admin") ? "proxy_admin" : "internal_user",
        ...settings.userLimits,
        auto_create_key: false,
        teams: [TEAM],
      };
      await litellm.call("POST", "/user/new", { body });
    },
  };
}
