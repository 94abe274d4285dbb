# Sourced by test/matrix/run, packages and upgrade: chroots of releases of Debian, in the directory $cache.

cache=${ODOO_BUS_MATRIX_CACHE:-/var/cache/odoo_bus/matrix}

require_root_and_debootstrap() {
    [ "$(id -u)" = 0 ] || { echo "$0: making and entering chroots needs root" >&2; exit 1; }
    command -v debootstrap >/dev/null || { echo "$0: install debootstrap" >&2; exit 1; }
}

# make_root RELEASE [ROOT]: a minimal system. Certificate authorities of this machine are known there, too.
make_root() {
    local root=${2:-$cache/$1}
    if [ ! -e "$root" ]; then
        echo "making $root"
        rm -rf "$root.part"
        mkdir -p "$(dirname "$root")"
        # shellcheck disable=SC2086
        debootstrap --variant=minbase --include=ca-certificates "$1" "$root.part" ${ODOO_BUS_MATRIX_MIRROR:-} || return 1
        echo force-unsafe-io >"$root.part/etc/dpkg/dpkg.cfg.d/unsafe-io"
        # Mirrors that lag behind sid are as good.
        echo 'Acquire::Check-Valid-Until "false";' >"$root.part/etc/apt/apt.conf.d/old-release"
        mv "$root.part" "$root"
    fi
    mkdir -p "$root/usr/local/share/ca-certificates" "$root/source" "$root/ccache"
    cp -r /usr/local/share/ca-certificates/. "$root/usr/local/share/ca-certificates/"
}

# Of the working tree, without what .gitignore names; build/ of the last time stays.
copy_source() {
    local target=$1/source
    find "$target" -mindepth 1 -maxdepth 1 ! -name build -exec rm -rf {} +
    git ls-files -z --cached --others --exclude-standard | tar -c --null --ignore-failed-read -T - 2>/dev/null |
        tar -x --no-same-owner -C "$target"
}

# inside ROOT COMMAND...: in a mount and a process namespace of their own, so that nothing stays mounted or running. ROOT
# is mounted on itself: who makes another mount namespace in there, as tests do, needs / to be a mount.
inside() {
    local root=$1
    shift
    env -i root="$root" ccache="${CCACHE_DIR:-}" unshare --mount --pid --fork --kill-child bash -c '
        mount --bind "$root" "$root" || exit 1
        mount -t proc proc "$root/proc" && mount --rbind /sys "$root/sys" && mount --rbind /dev "$root/dev" || exit 1
        mount -t tmpfs -o mode=1777 tmpfs "$root/tmp" || exit 1
        [ -z "$ccache" ] || mount --bind "$ccache" "$root/ccache" || exit 1
        exec chroot "$root" /usr/bin/env -i "$@"' bash \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
        ${CCACHE_DIR:+CCACHE_DIR=/ccache CMAKE_CXX_COMPILER_LAUNCHER=ccache} "$@"
}
