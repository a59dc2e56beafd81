#!/bin/sh
# The Debian packages that witmill needs (deps), and those that widen its tests
# (deps-dev).  Quick when nothing is missing; installs when root, else prints
# the command; starts no daemon.
set -eu

deps='build-essential pkg-config libcurl4-openssl-dev libc-ares-dev libxml2-dev
libsqlite3-dev libjpeg62-turbo-dev libpng-dev libwebp-dev libgif-dev
libavif-dev liblcms2-dev libarchive-dev zlib1g-dev libdeflate-dev libbz2-dev
libzstd-dev libdnnl-dev libutf8proc-dev libpsl-dev libssl-dev libxxhash-dev
libseccomp-dev libcmocka-dev wordnet-base python3'
dev='clang clang-format libomp-14-dev clang-tidy libclang-rt-14-dev lbzip2
valgrind nginx python3-venv python3-pil python3-html5lib chromium strace
sqlite3 libopenmpi-dev'

case "${1:-deps}" in
deps) wanted=$deps ;;
deps-dev) wanted="$deps $dev" ;;
*) echo "usage: tools/deps.sh deps|deps-dev" >&2; exit 2 ;;
esac

missing=
for package in $wanted; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || :)
    [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
    echo "missing packages; run as root:" >&2
    echo "  apt-get update" >&2
    echo "  apt-get install --no-install-recommends$missing" >&2
    exit 1
fi

# A policy of "no" for the time of the installation: packages that bring a
# service (nginx) do not start it.
policy=/usr/sbin/policy-rc.d
made=
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    made=1
fi
trap '[ -z "$made" ] || rm -f "$policy"' EXIT
trap 'exit 1' INT TERM

# apt's hundreds of lines are kept for when something goes wrong.  A machine
# without package lists (a container's, say) is told so by -s, which changes
# nothing; lists that are there but old show as a download that fails.
export DEBIAN_FRONTEND=noninteractive
log=build/deps.log
mkdir -p build
# shellcheck disable=SC2086  # one word a package
install()
{
    apt-get install -y -q --no-install-recommends "$@" $missing
}
echo "installing" $missing
echo "(apt-get's own words: $log)"
{
    install -s >/dev/null 2>&1 || apt-get update -q
    install || {
        apt-get update -q
        install
    }
} >"$log" 2>&1 || {
    cat "$log" >&2
    exit 1
}
