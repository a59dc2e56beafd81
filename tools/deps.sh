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
# Used where it is there: installed if the archive has it, else done without.
optional='libcld2-dev'

case "${1:-deps}" in
deps) wanted=$deps ;;
deps-dev) wanted="$deps $dev" ;;
*) echo "usage: tools/deps.sh deps|deps-dev" >&2; exit 2 ;;
esac

absent()
{
    state=$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null || :)
    [ "$state" != installed ]
}

missing=
for package in $wanted; do
    ! absent "$package" || missing="$missing $package"
done
extra=
for package in $optional; do
    ! absent "$package" || extra="$extra $package"
done
# What could not be had once is not asked for at every build.
tried=build/deps.tried
[ "$(cat "$tried" 2>/dev/null)" != "$extra" ] || extra=
[ -n "$missing$extra" ] || exit 0

if [ "$(id -u)" != 0 ]; then
    [ -z "$extra" ] || echo "optional packages that are not there:$extra" >&2
    [ -n "$missing" ] || exit 0
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
    apt-get install -y -q --no-install-recommends "$@"
}
if [ -n "$missing" ]; then
    echo "installing" $missing
    echo "(apt-get's own words: $log)"
    {
        install -s $missing >/dev/null 2>&1 || apt-get update -q
        install $missing || {
            apt-get update -q
            install $missing
        }
    } >"$log" 2>&1 || {
        cat "$log" >&2
        exit 1
    }
fi
if [ -n "$extra" ]; then
    echo "installing, if they can be had:" $extra
    install $extra >>"$log" 2>&1 || {
        echo "done without$extra; remove $tried to try again"
        echo "$extra" >"$tried"
    }
fi
