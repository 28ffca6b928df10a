# A private PostgreSQL cluster in the folder $1, from the programs in $2. Prints `ready`, runs until its standard input
# ends (so it goes with the test that started it, however that ends), and leaves nothing behind.
set -eu
place=$1 programs=$2
run() {
    # The server refuses to run as root.
    if [ "$(id -u)" = 0 ]; then
        setpriv --reuid=postgres --regid=postgres --init-groups "$@"
    else
        "$@"
    fi
}
[ "$(id -u)" != 0 ] || chown postgres "$place"
run "$programs/initdb" -D "$place/data" -U countersign --auth=trust -E UTF8 --no-locale --no-sync </dev/null >/dev/null
run "$programs/postgres" -D "$place/data" -k "$place" -c listen_addresses= -c max_connections=100 \
    </dev/null >"$place/log" 2>&1 &
until run "$programs/pg_isready" -q -h "$place"; do sleep 0.1; done
echo ready
cat >/dev/null
kill -QUIT "$(head -n 1 "$place/data/postmaster.pid")" || true
wait
rm -rf "$place"
