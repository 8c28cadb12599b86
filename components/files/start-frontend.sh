# Starts nginx as the image's own scripts would, without what they write to the image:
# with a read-only root their passwd file cannot be made, and nginx needs none.
set -eu
ln -sf /dev/stdout /var/log/nginx/access.log
ln -sf /dev/stderr /var/log/nginx/error.log
exec nginx -g "daemon off;"
