# Sourced by what tests packages inside of a chroot.

user=odoo-bus-gateway
conf=/etc/odoo-bus-gateway/odoo-bus-gateway.conf
extension_package=$(cd /packages/first && ls | sed -n 's/^\(postgresql-[0-9]*-odoo-bus\)_.*/\1/p')
postgresql=$(echo "$extension_package" | tr -dc 0-9)
passed=0
failed=0

# check WHAT COMMAND...: passes when the command succeeds, and shows what it said when not.
check() {
    local what=$1 said
    shift
    if said=$("$@" 2>&1); then
        passed=$((passed + 1))
        echo "passed: $what"
    else
        failed=$((failed + 1))
        echo "FAILED: $what"
        printf '%s\n' "$said" | tail -n 40 | sed 's/^/    /'
    fi
}

install() { apt-get -q -y --no-install-recommends install "$@"; }
version_of() { dpkg-query -W -f '${Version}' "$1"; }
mode() { [ "$(stat -c '%a %U:%G' "$1")" = "$2" ] || { stat "$1"; return 1; }; }
all_exist() { ls -d "$@" >/dev/null; }
none_is_left() { [ -z "$1" ] || { printf 'left: %s\n' "$1"; return 1; }; }
psql() { runuser -u postgres -- psql -X -q -A -t -v ON_ERROR_STOP=1 "$@"; }

# until_true COMMAND...: for what tells nobody when it happens.
until_true() {
    local n
    for n in $(seq 300); do
        if "$@"; then return 0; fi
        sleep 0.1
    done
    return 1
}

# The gateway gets in by peer authentication.
make_database() {
    check "a database and a role for peer authentication are made" psql \
        -c 'CREATE DATABASE app' -c "CREATE ROLE \"$user\" LOGIN"
    check "CREATE EXTENSION" psql -d app -c 'CREATE EXTENSION odoo_bus' -c 'SELECT bus_create_table()' \
        -c "GRANT SELECT ON ALL TABLES IN SCHEMA public TO \"$user\"" \
        -c "GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO \"$user\""
    echo 'database = host=/run/postgresql dbname=app' >>$conf
}

# The Nth notification from SQL to a client that has the one before it, by what is installed.
delivers() {
    psql -d app -c "SELECT bus_sendone('orders', 'new', '{\"order\": $1}')" >/dev/null &&
        timeout 60 odoo-bus-gateway tail ws://127.0.0.1:8073/websocket orders --last $(($1 - 1)) --count 1 |
        grep "#$1 .*\"order\": *$1}"
}

finish() {
    echo "$passed passed, $failed failed"
    [ "$failed" = 0 ]
    exit
}
