#!/usr/bin/env bash
# Install what is missing of the named system programs, by apt, if that can be done here.
#
#   install_system.sh venv postgis pgbouncer     for `make install`
#   install_system.sh node chromium              for the tests
#
# Nothing is asked of apt when nothing is missing, so an ordinary user needs no rights on
# a machine that has it all. No system cluster is created and no service is started.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

release() { # the PostgreSQL release to install PostGIS for: the newest apt has, >= 15
    apt-cache search --names-only '^postgresql-[0-9]+-postgis-3$' |
        cut -d- -f2 | sort -n | awk '$1 >= 15' | tail -1
}

has_postgis() {
    local control
    for control in /usr/share/postgresql/*/extension/postgis.control \
        /usr/pgsql-*/share/extension/postgis.control \
        "$(pg_config --sharedir 2>/dev/null || true)"/extension/postgis.control; do
        case "$control" in
        /usr/share/postgresql/*) # the server itself must be there, not PostGIS alone
            local major=${control#/usr/share/postgresql/}
            major=${major%%/*}
            if [ -f "$control" ] && [ "$major" -ge 15 ] &&
                [ -x "/usr/lib/postgresql/$major/bin/initdb" ]; then return 0; fi
            ;;
        *) if [ -f "$control" ]; then return 0; fi ;;
        esac
    done
    return 1
}

has_pgbouncer() { PATH=$PATH:/usr/sbin:/usr/local/sbin command -v pgbouncer >/dev/null; }

has_chromium() {
    command -v chromium >/dev/null || command -v chromium-browser >/dev/null ||
        command -v google-chrome >/dev/null
}

has_node() {
    command -v npm >/dev/null &&
        [ "$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)" -ge 18 ]
}

has_venv() { # Debian keeps Python's venv in a package of its own
    [ -x .venv/bin/python ] || command -v uv >/dev/null ||
        python3 -c 'import ensurepip, venv' 2>/dev/null
}

packages_of() {
    case "$1" in
    postgis) echo "postgresql-$(release)-postgis-3" ;;
    pgbouncer) echo "pgbouncer" ;;
    chromium) echo "chromium chromium-driver" ;;
    node) echo "nodejs npm" ;;
    venv) echo "python3-venv" ;;
    *)
        echo "unknown program: $1" >&2
        return 2
        ;;
    esac
}

# Without PgBouncer Dagster is slower, no more.
give_up() {
    if [ "$*" = pgbouncer ]; then
        echo "going on without PgBouncer"
        exit 0
    fi
}

explain() { # what to install where there is no apt
    cat >&2 <<END
Missing: $*. This machine has no apt-get to install it with. Install by hand:
  postgis    PostgreSQL 15 or later with PostGIS 3.3 or later
             (Fedora: postgresql-server postgis; macOS: brew install postgresql@17 postgis),
             or set STRATA_DATABASE_URL to a database that has PostGIS
  pgbouncer  PgBouncer (optional: Dagster is slower without it)
  node       Node.js 18 or later with npm (only for the tests)
  chromium   Chromium (only for the tests)
  venv       Python's venv module
or use containers, which need none of it: docker compose up (compose.yaml).
END
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo -n "$@"
    fi
}

install_packages() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y \
        --no-install-recommends "$@" >"$log" 2>&1 || {
        tail -20 "$log" >&2
        echo "apt-get could not install: $*" >&2
        return 1
    }
}

# Keep Debian's packages from making a cluster `main` and from starting services: both
# settings are put back as they were when we are done.
forbid_services() {
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
        as_root chmod 755 $policy
        undo+=("as_root rm -f $policy")
    fi
}

forbid_cluster() {
    local conf=/etc/postgresql-common/createcluster.conf
    install_packages postgresql-common
    as_root cp -p $conf "$conf.strata"
    undo+=("as_root mv $conf.strata $conf")
    as_root pg_conftool $conf set create_main_cluster off
}

undo_all() {
    local step
    for step in "${undo[@]}"; do $step; done
    rm -f "$log"
}

missing=()
for name in "$@"; do
    "has_$name" || missing+=("$name")
done
if [ ${#missing[@]} = 0 ]; then exit 0; fi

if ! command -v apt-get >/dev/null; then
    give_up "${missing[@]}"
    explain "${missing[@]}"
    exit 1
fi

log=$(mktemp)
undo=()
trap undo_all EXIT
if [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; then
    as_root apt-get update -qq >"$log" 2>&1 || tail -3 "$log" >&2
fi
packages=()
for name in "${missing[@]}"; do
    read -ra found <<<"$(packages_of "$name")"
    packages+=("${found[@]}")
done
if [ "$(id -u)" != 0 ] && ! sudo -n true 2>/dev/null; then
    give_up "${missing[@]}"
    echo "Missing: ${missing[*]}. Ask an administrator to run" >&2
    echo "  sudo apt-get install --no-install-recommends ${packages[*]}" >&2
    echo "or use containers: docker compose up (compose.yaml)." >&2
    exit 1
fi

echo "installing Debian packages: ${packages[*]}"
forbid_services
case " ${missing[*]} " in *" postgis "*) forbid_cluster ;; esac
install_packages "${packages[@]}"
if [ -d /run/systemd/system ] && [[ " ${missing[*]} " == *" pgbouncer "* ]]; then
    as_root systemctl disable --quiet pgbouncer # ours is started by `strata up`
fi
