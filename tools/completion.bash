# bash completion for witmill; made by tools/gen_docs.sh
_witmill()
{
    local word=${COMP_WORDS[COMP_CWORD]} options=
    case ${COMP_CWORD}:${COMP_WORDS[1]} in
    1:*) options="queries crawl import match gather balance download dedup pack run merge coverage report explain verify tokenizer train eval embed" ;;
    *:queries) options="--wiki --allow-truncated --text --pageviews --project --queries --wordnet --sources --count-case --redirects --min-word-count --word-budget --min-bigram-count --min-pmi --bigram-budget --min-hour-views --min-views --size --order --policy --seed --bucket-bits --dump-text --export --export-as --check --memory --threads --redo --help" ;;
    *:crawl) options="--seed --seeds --contact --scope --max-depth --max-pages --max-pages-per-host --max-pages-per-domain --min-delay --host-limit --in-flight --max-page-size --retries --backoff-ms --retry-after-max --connect-timeout-ms --timeout-ms --retry-failed --allow-net --resolve --no-dns --dns-servers --ca-file --part-size --part --threads --redo --help" ;;
    *:import) options="--html --base --links --as --format --header --url-column --text-column --page-column --uid-column --part --threads --redo --help" ;;
    *:match) options="--batch --text-rules --min-words --max-words --min-chars --max-chars --min-tokens --max-word-chars --max-char-run --min-letters --rule-svg --rule-boilerplate --rule-filename --rule-repetition --rule-link --rule-markup --rule-entity --rule-template --rule-code --rule-filler --drop-url-with --block-terms --block-hosts --block-urls --language --language-unknown --language-bytes --language-percent --language-reliable --memory --stdin --part --threads --redo --help" ;;
    *:gather) options="--finish --memory --against --against-min-words --against-memory --part --threads --redo --help" ;;
    *:balance) options="--cap --target --tail-share --exact --round --rounds --plan --dry-run --json --memory --part --threads --redo --help" ;;
    *:download) options="--contact --round --min-side --max-aspect --max-pixels --image-size --resize --quality --host-limit --in-flight --retries --backoff-ms --retry-after-max --connect-timeout-ms --timeout-ms --allow-net --resolve --no-dns --dns-servers --ca-file --believe-silence --memory --part --threads --redo --help" ;;
    *:dedup) options="--radius --against --memory --threads --redo --help" ;;
    *:pack) options="--samples --part --threads --redo --help" ;;
    *:run) options="--rounds --threads --redo --help" ;;
    *:merge) options="--catalog --help" ;;
    *:coverage) options="--under --top --json --help" ;;
    *:report) options="--out --title --model --pictures --top --help" ;;
    *:explain) options="--everywhere --help" ;;
    *:verify) options="--deep --threads --help" ;;
    *:tokenizer) options="--vocabulary --specials --context --json --output --size --least --help" ;;
    *:train) options="--data --generated --vocabulary --window --texts --caption-key --balance --crop --fast-decode --workers --cache --model --device --gpu --threads --feed-threads --precision --batch --chunk --bn-batch --steps --samples --epochs --init --seed --caption-tokens --packed --reduce --recompute --objective --loss --lr --warmup --beta1 --beta2 --eps --decay --decay-rule --clip-norm --skip-spikes --stochastic --moments --tune --profile --out --resume --checkpoint-every --checkpoint-minutes --keep --keep-every --log --eval --eval-every --eval-classnames --eval-templates --eval-caption-key --save --help" ;;
    *:eval) options="--model --best --vocabulary --device --gpu --threads --precision --batch --data --split --classnames --templates --cache --caption-key --prefix --workers --fail-under --per-class --json --help" ;;
    *:embed) options="--model --best --vocabulary --device --gpu --threads --precision --batch --data --split --output --type --workers --help" ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
}
complete -o default -F _witmill witmill
