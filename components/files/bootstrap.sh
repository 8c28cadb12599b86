#!/bin/bash
# Makes what both applications need in PostgreSQL: two databases, two roles that own
# nothing else, and the extension. Safe to repeat: it also sets the passwords, so a
# changed one takes effect.
# In: PGHOST PGPORT PGUSER PGPASSWORD, {PORTAL,GATEWAY}_{DATABASE,ROLE,PASSWORD}.
set -euo pipefail

for attempt in $(seq 1 60); do
  pg_isready -q && break
  echo "waiting for PostgreSQL at $PGHOST:$PGPORT ($attempt of 60)"
  sleep 2
done

# The passwords reach psql through its environment, never through its arguments.
run() { psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --dbname "$1"; }

make_database() {
  export ROLE=$1 DATABASE=$2 ROLE_PASSWORD=$3
  run postgres <<'SQL'
-- A statement that fails is logged with its text, and here with the password.
SET log_min_error_statement = panic;
\getenv role ROLE
\getenv database DATABASE
\getenv password ROLE_PASSWORD
SELECT format('CREATE ROLE %I LOGIN', :'role')
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \gexec
SELECT format('ALTER ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD %L', :'role', :'password') \gexec
SELECT format('CREATE DATABASE %I OWNER %I', :'database', :'role')
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', :'database') \gexec
SELECT format('ALTER DATABASE %I OWNER TO %I', :'database', :'role') \gexec
SQL
  run "$DATABASE" <<'SQL'
\getenv role ROLE
SELECT format('ALTER SCHEMA public OWNER TO %I', :'role') \gexec
SQL
  echo "database $DATABASE belongs to role $ROLE"
}

make_database "$PORTAL_ROLE" "$PORTAL_DATABASE" "$PORTAL_PASSWORD"
make_database "$GATEWAY_ROLE" "$GATEWAY_DATABASE" "$GATEWAY_PASSWORD"
echo 'CREATE EXTENSION IF NOT EXISTS pgcrypto' | run "$PORTAL_DATABASE"
echo "done"
