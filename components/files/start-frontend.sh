# Starts nginx as the image's own scripts would, without what they write to the image:
# with a read-only root their passwd file cannot be made, and nginx needs none.
set -eu
ln -sf /dev/stdout /var/log/nginx/access.log
ln -sf /dev/stderr /var/log/nginx/error.log
# A renewed certificate is on the disk within a minute; nginx reads it when it is told to, and drops no connection.
certificate=/etc/litemaas-serving/tls.crt
if [ -e "$certificate" ]; then
  seen=$(cksum < "$certificate")
  (
    while sleep 20; do
      now=$(cksum < "$certificate") || continue
      if [ "$now" != "$seen" ]; then
        nginx -s reload && seen=$now
      fi
    done
  ) &
fi
exec nginx -g "daemon off;"
