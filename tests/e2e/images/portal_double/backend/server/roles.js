// OpenShift groups to portal roles; the names are fixed, the generic ones count as well.

const GRANTS = {
  "litemaas-admins": ["admin", "user"],
  administrators: ["admin", "user"],
  "litemaas-readonly": ["admin-readonly", "user"],
  viewers: ["admin-readonly", "user"],
  "litemaas-users": ["user"],
  developers: ["user"],
};

export const union = (...lists) => [...new Set(lists.flat())];

// Whoever can log in to the cluster is a user, with no group at all.
export function groupRoles(groups) {
  const roles = union(...groups.map((group) => GRANTS[group] ?? []));
  return roles.length ? roles : ["user"];
}
