# Starts the backend once its database answers. In the main container, because a
# container that restarts does not run init containers again; and exec, so that the
# server itself gets the signal to stop.
set -eu
# Node reads one file: the cluster's authorities and the injected ones, whichever exist.
cat /etc/litemaas-trust/*.crt > "$NODE_EXTRA_CA_CERTS" 2>/dev/null || echo "no certificate authorities found"
cd /app
node /opt/litemaas/wait-for-database.cjs
exec node backend/dist/index.js
