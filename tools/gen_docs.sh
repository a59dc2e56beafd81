#!/bin/sh
# The pages of docs/commands/ and the bash completion, from the option tables.
# With --check: fails when what is committed differs.
set -eu
witmill=$1
mode=${2:-write}
out=docs/commands
completion=tools/completion.bash
if [ "$mode" = --check ]; then
    out=$(mktemp -d)
    trap 'rm -rf "$out"' EXIT
    completion=$out/completion.bash
fi
mkdir -p "$out"
for command in $("$witmill" --words); do
    "$witmill" "$command" --markdown >"$out/$command.md"
done
{
    echo '# bash completion for witmill; made by tools/gen_docs.sh'
    echo '_witmill()'
    echo '{'
    # shellcheck disable=SC2016  # for the completion, not for here
    printf '    local word=${COMP_WORDS[COMP_CWORD]} options=\n'
    # shellcheck disable=SC2016
    printf '    case ${COMP_CWORD}:${COMP_WORDS[1]} in\n'
    printf '    1:*) options="%s" ;;\n' "$("$witmill" --words)"
    for command in $("$witmill" --words); do
        printf '    *:%s) options="%s" ;;\n' "$command" \
            "$("$witmill" --words "$command")"
    done
    echo '    esac'
    # shellcheck disable=SC2016
    printf '    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")\n'
    echo '}'
    echo 'complete -o default -F _witmill witmill'
} >"$completion"
if [ "$mode" = --check ]; then
    diff -u tools/completion.bash "$completion" &&
        rm "$completion" &&
        diff -ru docs/commands "$out" ||
        { echo "docs differ from the option tables: run make docs" >&2
          exit 1; }
    echo "docs: pages and completion agree with the option tables"
fi
