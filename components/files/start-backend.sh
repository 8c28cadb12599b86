# Starts the backend once its database answers. In the main container, because a
# container that restarts does not run init containers again; and exec, so that the
# server itself gets the signal to stop.
set -eu
cd /app
node /opt/litemaas/wait-for-database.cjs
exec node backend/dist/index.js
