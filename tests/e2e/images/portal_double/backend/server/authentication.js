// Who sends a request. `required` asks for a login; `lenient` is the real backend's hole:
// it lets browsers in without one, as a user nobody knows, with the administrator's role.
import { HttpError } from "./http.js";
import { verify } from "./tokens.js";

const PHANTOM = {
  userId: "550e8400-e29b-41d4-a716-446655440001",
  username: "frontend",
  email: "frontend@litemaas.local",
  roles: ["admin", "user"],
};
const ADMIN_KEY = { userId: "admin-api-key", username: "admin-api", email: "admin@litemaas.local", roles: ["admin", "api"] };
const BROWSER = /Mozilla|Chrome|Safari|Firefox|Edge/;

const refused = () => new HttpError(401, "Invalid or missing authentication token");

export function makeAuthentication({ settings, database }) {
  async function identify(header) {
    const token = header.startsWith("Bearer ") ? header.slice(7) : header;
    if (token.startsWith("ltm_admin_")) {
      if (settings.adminKeys.includes(token)) return ADMIN_KEY;
      throw refused();
    }
    const payload = verify(token, settings.jwtSecret);
    if (!payload) throw refused();
    if (database.mock) return payload;
    // Roles are the token's, whatever the database says by now; only the active flag is looked up.
    const row = await database.one("SELECT is_active FROM users WHERE id::text = $1", [payload.userId]);
    if (!row?.is_active) throw refused();
    return payload;
  }

  async function required(request) {
    if (!request.headers.authorization) throw refused();
    request.user = await identify(request.headers.authorization);
  }

  async function lenient(request) {
    const { authorization, origin = "", referer = "" } = request.headers;
    const from = (text) => settings.trustedOrigins.some((one) => text.includes(one));
    const browser = BROWSER.test(request.headers["user-agent"] ?? "");
    if (!authorization && (browser || from(origin) || from(referer))) request.user = PHANTOM;
    else await required(request);
  }

  async function admin(request) {
    await required(request);
    if (!request.user.roles.includes("admin")) throw new HttpError(403, "Access denied. Required roles: admin");
  }

  return { required, lenient, admin };
}
