#!/bin/bash
# Makes what both applications need in PostgreSQL: two databases, two roles that own nothing else,
# and the extension. Safe to repeat: it also sets the passwords, so a changed one takes effect.
# With ROLES=ready all of that exists already: it is only looked at, with the roles' own logins.
# In: PGHOST PGPORT PGSSLMODE PGSSLROOTCERT, ROLES, {PORTAL,GATEWAY}_{DATABASE,ROLE,PASSWORD}, PATIENCE_SECONDS;
# managed: PGUSER PGPASSWORD and ADMIN_DATABASE, where that user may connect.
set -euo pipefail
export LC_ALL=C PGCONNECT_TIMEOUT=10 PGAPPNAME=litemaas-bootstrap

# EX_CONFIG of sysexits.h, which neither bash nor psql use for anything else: another try would end the same.
readonly REFUSED=78
refuse() {
  echo "refused: $*" >&2
  exit "$REFUSED"
}

# The Job has one try, so that a refusal is on the screen at once; what may pass, like a connection that
# breaks, is tried again here.
if [ "${1:-}" != once ]; then
  for pause in 2 5 10 "$PATIENCE_SECONDS"; do
    code=0
    bash "$0" once || code=$?
    if [ "$code" = 0 ] || [ "$code" = "$REFUSED" ] || [ $((SECONDS + pause)) -ge "$PATIENCE_SECONDS" ]; then
      exit "$code"
    fi
    echo "ended with $code; once more in $pause s"
    sleep "$pause"
  done
fi

# Passwords reach psql through its environment, never through its arguments.
run() { psql --no-psqlrc --quiet --no-align --tuples-only --set ON_ERROR_STOP=1 --dbname "$1"; }

# Which answers come from a server that is not up yet, and which will never change by waiting.
connect() {
  local database=$1 said="" end=$((SECONDS + PATIENCE_SECONDS))
  while true; do
    if said=$(run "$database" <<< 'SELECT 1' 2>&1); then return; fi
    case $said in
      *"is starting up"* | *"is shutting down"* | *"in recovery mode"* | *"not yet accepting"* | *"too many clients"*) ;;
      *"password authentication failed"*)
        refuse "$said" "the server at $PGHOST:$PGPORT does not take the password of $PGUSER; give" \
          "litemaas:secrets.$3 the one that it has there, or set that one on the server" ;;
      *certificate* | *SSL*)
        refuse "$said" "the connection to $PGHOST:$PGPORT cannot be trusted; check database.external.ca, that" \
          "database.external.host is a name that its certificate has, and database.external.sslMode" ;;
      *FATAL:*)
        refuse "$said" "the server at $PGHOST:$PGPORT does not let $PGUSER into database $database ($2)" ;;
    esac
    [ "$SECONDS" -lt "$end" ] || break
    echo "waiting for PostgreSQL at $PGHOST:$PGPORT"
    sleep 2
  done
  refuse "$said" "PostgreSQL at $PGHOST:$PGPORT does not answer; check database.external.host and port, and what stands between"
}

check_version() {
  local version
  version=$(run "$1" <<< "SELECT current_setting('server_version_num')::int / 10000")
  [ "$version" -ge 13 ] || refuse "PostgreSQL $version at $PGHOST:$PGPORT is too old: an owner cannot make the" \
    "extension pgcrypto there, and it gets no fixes; use version 13 or newer"
}

# What would be lost or fail later: tables of others, and tables that the role may not change. Those that
# belong to an extension are nobody's.
check_tables() {
  local database=$1 role=$2 kind=$3 found
  export ROLE=$role KIND=$kind
  found=$(run "$database" <<'SQL'
\getenv role ROLE
\getenv kind KIND
WITH own AS (
  SELECT c.* FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
     AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
), faults AS (
  SELECT 1 AS rank, relname, '' AS owner FROM own WHERE relkind IN ('r', 'p') AND CASE :'kind'
     WHEN 'gateway' THEN relname NOT LIKE 'LiteLLM\_%' AND relname <> '_prisma_migrations'
     ELSE relname LIKE 'LiteLLM\_%' END
  UNION ALL
  SELECT 2, relname, pg_get_userbyid(relowner) FROM own
   WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = :'role' AND pg_has_role(r.oid, relowner, 'USAGE'))
)
SELECT rank || ' ' || count(*) || ' ' || coalesce(nullif(min(owner), ''), '-') || ' '
       || string_agg(relname, ', ' ORDER BY relname) FILTER (WHERE number <= 5)
  FROM (SELECT *, row_number() OVER (PARTITION BY rank ORDER BY relname) AS number FROM faults) AS numbered
 GROUP BY rank ORDER BY rank LIMIT 1
SQL
  )
  [ -n "$found" ] || return 0
  local rank count owner names
  read -r rank count owner names <<< "$found"
  case $rank$kind in
    1gateway) refuse "database $database is LiteLLM's and has $count tables that are not LiteLLM's ($names);" \
      "its migrations would stop or drop them; give LiteLLM a database of its own, or move these tables elsewhere" ;;
    1portal) refuse "database $database is the portal's and has $count tables of LiteLLM ($names);" \
      "both in one database break each other's migrations; give the portal a database of its own" ;;
    *) refuse "database $database has $count tables or views that role $role does not own ($names; owner $owner);" \
      "its migrations would fail half-way; run in that database: REASSIGN OWNED BY \"$owner\" TO \"$role\"" \
      "(or ALTER TABLE ... OWNER TO, where that owner has more than these)" ;;
  esac
}

make_role() {
  export ROLE=$1 ROLE_PASSWORD=$2
  run "$ADMIN_DATABASE" <<'SQL'
\getenv role ROLE
\getenv password ROLE_PASSWORD
SELECT rolsuper AS superuser FROM pg_roles WHERE rolname = current_user \gset
\if :superuser
-- A statement that fails, or that the server logs, is logged with its text, and here with the password.
-- Only a superuser may turn that off.
SET log_min_error_statement = panic;
SET log_statement = none;
\endif
SELECT format('CREATE ROLE %I LOGIN', :'role')
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \gexec
SELECT format('ALTER ROLE %I LOGIN PASSWORD %L', :'role', :'password') \gexec
-- Naming a right, even to take it away, needs more than a managed server's administrator has.
SELECT format('ALTER ROLE %I %s', rolname, concat_ws(' ', CASE WHEN rolsuper THEN 'NOSUPERUSER' END,
         CASE WHEN rolcreatedb THEN 'NOCREATEDB' END, CASE WHEN rolcreaterole THEN 'NOCREATEROLE' END,
         CASE WHEN rolreplication THEN 'NOREPLICATION' END, CASE WHEN rolbypassrls THEN 'NOBYPASSRLS' END))
  FROM pg_roles
 WHERE rolname = :'role' AND (rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls) \gexec
-- Whoever is no superuser can only give a database to a role that it is a member of.
SELECT format('GRANT %I TO CURRENT_USER', :'role')
 WHERE NOT pg_has_role(current_user, :'role', 'USAGE') \gexec
SQL
}

exists() {
  export DATABASE=$1
  run "$ADMIN_DATABASE" <<'SQL'
\getenv database DATABASE
SELECT 1 FROM pg_database WHERE datname = :'database'
SQL
}

make_database() {
  local database=$1 role=$2 kind=$3
  # Before anything of it is changed: it may be somebody else's.
  if [ -n "$(exists "$database")" ]; then check_tables "$database" "$role" "$kind"; fi
  export ROLE=$role DATABASE=$database
  run "$ADMIN_DATABASE" <<'SQL'
\getenv role ROLE
\getenv database DATABASE
SELECT format('CREATE DATABASE %I OWNER %I', :'database', :'role')
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
SELECT format('ALTER DATABASE %I OWNER TO %I', :'database', :'role')
  FROM pg_database WHERE datname = :'database' AND pg_get_userbyid(datdba) <> :'role' \gexec
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', :'database') \gexec
SQL
  run "$database" <<'SQL'
\getenv role ROLE
-- Since PostgreSQL 15 the schema follows the database's owner. Before, only a superuser can hand it over, and
-- everybody may make tables in it.
SELECT format('ALTER SCHEMA public OWNER TO %I', :'role')
  FROM pg_namespace, pg_roles me
 WHERE nspname = 'public' AND me.rolname = current_user AND NOT pg_has_role(:'role', nspowner, 'USAGE')
   AND (me.rolsuper OR NOT has_schema_privilege(:'role', 'public', 'CREATE')) \gexec
SQL
  echo "database $database belongs to role $role"
}

# What make_database would have made, seen by the role itself.
check_ready() {
  local database=$1 kind=$3 secret=$5 lacking
  export PGUSER=$2 PGPASSWORD=$4
  connect "$database" "database.external.roles is ready, so database, role and password must exist" "$secret"
  check_version "$database"
  lacking=$(run "$database" <<'SQL'
SELECT string_agg(fault, '; ') FROM (
  SELECT 'is a superuser, and would own the whole server: ALTER ROLE ' || quote_ident(current_user) || ' NOSUPERUSER' AS fault
    FROM pg_roles WHERE rolname = current_user AND rolsuper
  UNION ALL
  SELECT 'may not make tables in schema public: GRANT ALL ON SCHEMA public TO ' || quote_ident(current_user)
   WHERE NOT has_schema_privilege('public', 'CREATE')
  UNION ALL
  SELECT 'may not make extensions and schemas: GRANT CREATE ON DATABASE '
         || quote_ident(current_database()) || ' TO ' || quote_ident(current_user)
   WHERE NOT has_database_privilege(current_database(), 'CREATE')
) AS faults
SQL
  )
  [ -z "$lacking" ] || refuse "role $PGUSER in database $database $lacking"
  check_tables "$database" "$PGUSER" "$kind"
  echo "role $PGUSER can use database $database"
}

# With one role, or one database, for both, each would read and break what is the other's.
[ "$PORTAL_DATABASE" != "$GATEWAY_DATABASE" ] || refuse "portal and LiteLLM are given one database, $PORTAL_DATABASE; each needs its own"
[ "$PORTAL_ROLE" != "$GATEWAY_ROLE" ] || refuse "portal and LiteLLM are given one role, $PORTAL_ROLE; each needs its own"

if [ "$ROLES" = ready ]; then
  check_ready "$PORTAL_DATABASE" "$PORTAL_ROLE" portal "$PORTAL_PASSWORD" portalDatabasePassword
  check_ready "$GATEWAY_DATABASE" "$GATEWAY_ROLE" gateway "$GATEWAY_PASSWORD" gatewayDatabasePassword
else
  connect "$ADMIN_DATABASE" "it has to, to make databases and roles" postgresAdminPassword
  check_version "$ADMIN_DATABASE"
  make_role "$PORTAL_ROLE" "$PORTAL_PASSWORD"
  make_role "$GATEWAY_ROLE" "$GATEWAY_PASSWORD"
  make_database "$PORTAL_DATABASE" "$PORTAL_ROLE" portal
  make_database "$GATEWAY_DATABASE" "$GATEWAY_ROLE" gateway
  # A trusted extension: whoever may create in the database may create it.
  echo 'CREATE EXTENSION IF NOT EXISTS pgcrypto' | run "$PORTAL_DATABASE"
fi
echo "done"
