#!/bin/sh
# Tries the upload manager whole, on this machine and without an account:
#   run.sh FILM.mp4 [PATH TO matinee]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
film=$1
matinee=${2:-matinee}
work=$(mktemp -d)
trap 'kill $host $server 2>/dev/null || true; wait; rm -rf "$work"' EXIT
host='' server=''

# Waits until a line of a file tells an address.
address() {
  for _ in $(seq 300); do
    grep -o 'http://[^" ]*' "$1" && return
    sleep 0.1
  done
  cat "$work"/*.log >&2
  return 1
}

"$matinee" hosts pretend cloudflare --folder "$work/stream" --encode 4 >"$work/host" 2>"$work/host.log" &
host=$!
endpoint=$(address "$work/host" | head -n 1)
sed "s|^endpoint = .*|endpoint = \"$endpoint\"|" "$here/matinee.toml" >"$work/matinee.toml"

"$matinee" --config "$work/matinee.toml" --data "$work/data" --listen 127.0.0.1:0 >"$work/server" 2>"$work/server.log" &
server=$!
url=$(address "$work/server" | head -n 1 | sed 's|/claim.*||')
manage() { "$matinee" "$@" --config "$work/matinee.toml" --data "$work/data"; }

manage collection new lectures >/dev/null
echo '-- a film goes straight to the host'
node "$here/upload.mjs" "$url" lectures stream "$film" | tee "$work/told"
echo '-- another one is given up'
node "$here/upload.mjs" "$url" lectures stream "$film" cancel
echo '-- the film is deleted, and nothing is left at the host'
manage rm "$(sed -n 's/^video \([^ ]*\) .*/\1/p' "$work/told")"
for _ in $(seq 60); do
  left=$(manage hosts ls --json | grep -o '"held":[0-9]*' | cut -d: -f2)
  [ "$left" = 0 ] && break
  sleep 1
done
echo "videos at the host: $left"
manage gc prove
