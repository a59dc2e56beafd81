#!/bin/sh
# make demo: a corpus from real pages and real pictures, start to report, and a
# small model of it (tools/demo_model.py).
#
# Two Debian packages are the web: the GIMP manual (gimp-help-en) and the stamps
# of Tux Paint (tuxpaint-stamps-default).  They are downloaded by apt-get into
# build/apt, as any user, and kept; DEMO_DEBS=DIR takes them from there.  Our
# test server shows them as http://manual.test/ and http://stamps.test/ on a
# free loopback port, answers 404 for every 20th picture and forbids one folder
# in robots.txt.  Nothing else is asked: --no-dns.
set -eu

build=$1
witmill=$build/witmill
demo=build/demo
apt=$PWD/build/apt
packages='gimp-help-en tuxpaint-stamps-default'

say() { printf '\n=== %s\n' "$*"; }

fetch_packages()
{
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/coming" \
        "$debs"
    set -- -q -o Dir::State::lists="$apt/lists" -o Dir::Cache="$apt/cache" \
        -o APT::Sandbox::User="$(id -un)"
    apt-get "$@" update >"$apt/update.log" 2>&1 || {
        cat "$apt/update.log" >&2
        echo "apt-get could not update; with the two .debs at hand, run" \
            "make demo DEMO_DEBS=FOLDER" >&2
        exit 1
    }
    # apt-get writes under the final name from the first byte on, and goes on
    # with what it finds: only what it has checked leaves its folder.
    # shellcheck disable=SC2086  # one word a package
    (cd "$apt/coming" && apt-get "$@" download $packages)
    mv "$apt"/coming/*.deb "$debs"
}

find_deb()
{
    find "$1" -maxdepth 1 -name "$2_*.deb" 2>/dev/null | sort | tail -n 1
}

debs=${DEMO_DEBS:-$apt/debs}
for package in $packages; do
    if [ -z "$(find_deb "$debs" "$package")" ]; then
        [ -z "${DEMO_DEBS:-}" ] || {
            echo "$DEMO_DEBS holds no $package" >&2
            exit 1
        }
        say "downloading $packages (210 MB, once)"
        fetch_packages
        break
    fi
done

if [ ! -e "$demo/sites/done" ]; then
    say "unpacking their pages, texts and pictures"
    rm -rf "$demo/sites"
    mkdir -p "$demo/sites/unpacked"
    for package in $packages; do
        dpkg-deb --fsys-tarfile "$(find_deb "$debs" "$package")" |
            python3 -c '
import sys, tarfile
wanted = (".png", ".jpg", ".html", ".txt")
with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as tar:
    for member in tar:
        path = member.name
        if member.isfile() and path.endswith(wanted) and ".." not in path:
            tar.extract(member, sys.argv[1])
' "$demo/sites/unpacked"
    done
    mv "$demo/sites/unpacked/usr/share/gimp/2.0/help/en" "$demo/sites/manual"
    mv "$demo/sites/unpacked/usr/share/tuxpaint/stamps" "$demo/sites/stamps"
    rm -rf "$demo/sites/unpacked"
    tools/demo_gallery.py "$demo/sites/stamps"
    printf 'User-agent: *\nDisallow: /images/tutorials/\n' \
        >"$demo/sites/manual-robots.txt"
    touch "$demo/sites/done"
fi

say "serving them on loopback"
rm -rf "$demo/corpus" "$demo/port"
mkfifo "$demo/port"
"$build/httpd" --host manual.test="$demo/sites/manual" \
    --host stamps.test="$demo/sites/stamps" \
    --robots manual.test="$demo/sites/manual-robots.txt" \
    --missing-every 20 --log "$demo/httpd.log" --die-with-parent \
    >"$demo/port" &
server=$!
trap 'kill $server 2>/dev/null || :' EXIT # it is gone already after a Ctrl-C
trap 'rm -f "$demo/port"; exit 1' INT TERM
read -r port <"$demo/port" || {
    echo "the test server did not start" >&2
    exit 1
}
rm -f "$demo/port"

cat >"$demo/demo.ini" <<INI
# The demo's settings, as make demo wrote them.

[queries]
text = $demo/sites/manual
min-word-count = 20
min-bigram-count = 10

[crawl]
seed = http://manual.test/index.html http://stamps.test/index.html
contact = demo@example.org
allow-net = 127.0.0.0/8
resolve = manual.test:80:127.0.0.1:$port stamps.test:80:127.0.0.1:$port
no-dns = yes
min-delay = 0

[balance]
cap = 10

[download]
contact = demo@example.org
allow-net = 127.0.0.0/8
resolve = manual.test:80:127.0.0.1:$port stamps.test:80:127.0.0.1:$port
no-dns = yes
min-side = 64

[pack]
samples = 250
INI

say "the chain (witmill run $demo/corpus $demo/demo.ini)"
tools/demo_chain.py "$witmill" "$demo/corpus" "$demo/demo.ini" "$demo" || {
    tail -n 20 "$demo/run.log" >&2
    exit 1
}
say "is it whole? (witmill verify $demo/corpus)"
"$witmill" verify "$demo/corpus" 2>>"$demo/run.log" || {
    tail -n 20 "$demo/run.log" >&2
    exit 1
}
say "one query (witmill coverage $demo/corpus penguin --top 12)"
"$witmill" coverage "$demo/corpus" penguin --top 12
say "a branch of WordNet (witmill coverage $demo/corpus --under aquatic_bird.n.01)"
"$witmill" coverage "$demo/corpus" --under aquatic_bird.n.01 >"$demo/branch.txt"
# The entries without a pair would fill screens.
awk '$(NF - 3) != "0"' "$demo/branch.txt"
say "all of it (witmill coverage $demo/corpus --top 5)"
"$witmill" coverage "$demo/corpus" --top 5 >"$demo/coverage.txt"
# The funnel, and then the model, last, where they are still on the screen.
sed '1,/^$/d' "$demo/coverage.txt"
echo
sed '/^$/,$d' "$demo/coverage.txt"
say "a small model of it (witmill tokenizer, train, eval, embed, report)"
tools/demo_model.py "$witmill" "$demo/corpus" "$demo"
cat <<TXT

The report:     $PWD/$demo/corpus/report.html
The shards:     $PWD/$demo/corpus/shards/
The model:      $PWD/$demo/corpus/models/demo/
The settings:   $PWD/$demo/demo.ini
What it said:   $PWD/$demo/chain.txt, model.log
TXT
