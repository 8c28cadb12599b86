# Collects what a program trusts into one file, then becomes that program: sh trust.sh COMMAND...
# Python and psql trust that file alone, so the public authorities come first (the image's own);
# those beside this script follow, whichever exist. In: SSL_CERT_FILE, the file to write.
set -eu
pem() {
  # The line break that a file may lack at its end would join two certificates.
  cat "$1"
  echo
}
public() {
  for file in "$(python3 -m certifi 2>/dev/null)" /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/certs/ca-certificates.crt; do
    if [ -s "$file" ]; then
      pem "$file"
      return
    fi
  done
  echo "trust: this image has no public certificate authorities" >&2
}
{
  public
  for file in "${0%/*}"/*.crt; do
    if [ -s "$file" ]; then pem "$file"; fi
  done
} > "$SSL_CERT_FILE"
exec "$@"
