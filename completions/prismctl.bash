# bash completion of prismctl. Printed by: prismctl completion bash
_prismctl() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words='' i
  COMPREPLY=()
  case $prev in
    -o) prev=--output ;;
  esac
  case $prev in
    --address) COMPREPLY=() ;;
    --admin-address) COMPREPLY=() ;;
    --namespace) COMPREPLY=() ;;
    --output) COMPREPLY=($(compgen -W 'table json yaml' -- "$cur")) ;;
    --timeout) COMPREPLY=() ;;
    --metadata) COMPREPLY=() ;;
    --ca) COMPREPLY=($(compgen -f -- "$cur")) ;;
    --cert) COMPREPLY=($(compgen -f -- "$cur")) ;;
    --key) COMPREPLY=($(compgen -f -- "$cur")) ;;
    --ttl) COMPREPLY=() ;;
    --tag) COMPREPLY=() ;;
    --if-version) COMPREPLY=() ;;
    --idempotency-key) COMPREPLY=() ;;
    --prefix) COMPREPLY=() ;;
    --start) COMPREPLY=() ;;
    --end) COMPREPLY=() ;;
    --limit) COMPREPLY=() ;;
    --page-size) COMPREPLY=() ;;
    --cursor) COMPREPLY=() ;;
    --on-error) COMPREPLY=($(compgen -W 'stop skip' -- "$cur")) ;;
    --batch) COMPREPLY=() ;;
    --parallel) COMPREPLY=() ;;
    --count) COMPREPLY=() ;;
    --block) COMPREPLY=() ;;
    --value) COMPREPLY=() ;;
    --min) COMPREPLY=() ;;
    --max) COMPREPLY=() ;;
    --min) COMPREPLY=() ;;
    --max) COMPREPLY=() ;;
    --weight) COMPREPLY=() ;;
    --aggregate) COMPREPLY=($(compgen -W 'sum min max' -- "$cur")) ;;
    --weight) COMPREPLY=() ;;
    --aggregate) COMPREPLY=($(compgen -W 'sum min max' -- "$cur")) ;;
    --broker) COMPREPLY=() ;;
    --partitions) COMPREPLY=() ;;
    --config) COMPREPLY=() ;;
    --broker) COMPREPLY=() ;;
    --broker) COMPREPLY=() ;;
    --key-text) COMPREPLY=() ;;
    --partition) COMPREPLY=() ;;
    --from) COMPREPLY=() ;;
    --broker) COMPREPLY=() ;;
    --broker) COMPREPLY=() ;;
    --broker) COMPREPLY=() ;;
    *) prev= ;;
  esac
  [ -n "$prev" ] && return
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      --address|-a|--admin-address|--namespace|-n|--output|-o|--timeout|--metadata|-m|--ca|--cert|--key) i=$((i + 1)) ;;
      -*) ;;
      *) words+="${COMP_WORDS[i]} " ;;
    esac
  done
  local global=' --address --admin-address --namespace --output --timeout --wait --metadata --tls --ca --cert --key --insecure --verbose --help --version'
  case $words in
    '') COMPREPLY=($(compgen -W "health status namespace backend kv call services describe config completion help list set sortedset counter stream $global" -- "$cur")) ;;
    'namespace ') COMPREPLY=($(compgen -W 'list describe' -- "$cur")) ;;
    'backend ') COMPREPLY=($(compgen -W 'list health stats test' -- "$cur")) ;;
    'kv ') COMPREPLY=($(compgen -W 'get set delete exists ttl expire persist count scan import export' -- "$cur")) ;;
    'list ') COMPREPLY=($(compgen -W 'push pop get set insert remove range trim clear' -- "$cur")) ;;
    'set ') COMPREPLY=($(compgen -W 'add remove contains members size random union intersection difference clear' -- "$cur")) ;;
    'sortedset ') COMPREPLY=($(compgen -W 'add remove score rank range scores lex union intersection clear' -- "$cur")) ;;
    'counter ') COMPREPLY=($(compgen -W 'add get clear' -- "$cur")) ;;
    'stream ') COMPREPLY=($(compgen -W 'topics create delete config produce consume groups lag forget' -- "$cur")) ;;
    'config ') COMPREPLY=($(compgen -W 'validate reload' -- "$cur")) ;;
    'health '*) COMPREPLY=($(compgen -W " $global" -- "$cur")) ;;
    'status '*) COMPREPLY=($(compgen -W " $global" -- "$cur")) ;;
    'namespace list '*) COMPREPLY=($(compgen -W " $global" -- "$cur")) ;;
    'namespace describe '*) COMPREPLY=($(compgen -W " $global" -- "$cur")) ;;
    'backend list '*) COMPREPLY=($(compgen -W " $global" -- "$cur")) ;;
    'backend health '*) COMPREPLY=($(compgen -W " $global" -- "$cur")) ;;
    'backend stats '*) COMPREPLY=($(compgen -W " $global" -- "$cur")) ;;
    'backend test '*) COMPREPLY=($(compgen -W " $global" -- "$cur")) ;;
    'kv get '*) COMPREPLY=($(compgen -W " --hex --base64 $global" -- "$cur")) ;;
    'kv set '*) COMPREPLY=($(compgen -f -W " --ttl --tag --if-version --if-absent --idempotency-key --hex --base64 $global" -- "$cur")) ;;
    'kv delete '*) COMPREPLY=($(compgen -W " --if-version --idempotency-key --hex --base64 $global" -- "$cur")) ;;
    'kv exists '*) COMPREPLY=($(compgen -W " --hex --base64 $global" -- "$cur")) ;;
    'kv ttl '*) COMPREPLY=($(compgen -W " --hex --base64 $global" -- "$cur")) ;;
    'kv expire '*) COMPREPLY=($(compgen -W " --hex --base64 $global" -- "$cur")) ;;
    'kv persist '*) COMPREPLY=($(compgen -W " --hex --base64 $global" -- "$cur")) ;;
    'kv count '*) COMPREPLY=($(compgen -W " --prefix --start --end --hex --base64 $global" -- "$cur")) ;;
    'kv scan '*) COMPREPLY=($(compgen -W " --prefix --start --end --limit --page-size --cursor --reverse --keys-only --hex --base64 $global" -- "$cur")) ;;
    'kv import '*) COMPREPLY=($(compgen -f -W " --on-error --prefix --ttl --batch --parallel --resume --quiet $global" -- "$cur")) ;;
    'kv export '*) COMPREPLY=($(compgen -f -W " --prefix --start --end --hex --base64 --quiet $global" -- "$cur")) ;;
    'call '*) COMPREPLY=($(compgen -f -W " --admin $global" -- "$cur")) ;;
    'services '*) COMPREPLY=($(compgen -W " --admin $global" -- "$cur")) ;;
    'describe '*) COMPREPLY=($(compgen -W " --admin $global" -- "$cur")) ;;
    'config validate '*) COMPREPLY=($(compgen -f -W " $global" -- "$cur")) ;;
    'config reload '*) COMPREPLY=($(compgen -W " --dry-run $global" -- "$cur")) ;;
    'completion '*) COMPREPLY=($(compgen -W "bash zsh $global" -- "$cur")) ;;
    'help '*) COMPREPLY=($(compgen -W "health status namespace backend kv call services describe config completion help list set sortedset counter stream --man $global" -- "$cur")) ;;
    'list push '*) COMPREPLY=($(compgen -f -W " --left --idempotency-key --hex --base64 $global" -- "$cur")) ;;
    'list pop '*) COMPREPLY=($(compgen -W " --right --count --block --idempotency-key --hex --base64 $global" -- "$cur")) ;;
    'list get '*) COMPREPLY=($(compgen -W " --hex --base64 $global" -- "$cur")) ;;
    'list set '*) COMPREPLY=($(compgen -f -W " --idempotency-key --hex --base64 $global" -- "$cur")) ;;
    'list insert '*) COMPREPLY=($(compgen -f -W " --idempotency-key --hex --base64 $global" -- "$cur")) ;;
    'list remove '*) COMPREPLY=($(compgen -W " --value --count --idempotency-key --hex --base64 $global" -- "$cur")) ;;
    'list range '*) COMPREPLY=($(compgen -W " --limit --hex --base64 $global" -- "$cur")) ;;
    'list trim '*) COMPREPLY=($(compgen -W " --idempotency-key --hex --base64 $global" -- "$cur")) ;;
    'list clear '*) COMPREPLY=($(compgen -W " --idempotency-key --hex --base64 $global" -- "$cur")) ;;
    'set add '*) COMPREPLY=($(compgen -W " --idempotency-key --hex --base64 $global" -- "$cur")) ;;
    'set remove '*) COMPREPLY=($(compgen -W " --idempotency-key --hex --base64 $global" -- "$cur")) ;;
    'set contains '*) COMPREPLY=($(compgen -W " --hex --base64 $global" -- "$cur")) ;;
    'set members '*) COMPREPLY=($(compgen -W " --limit --hex --base64 $global" -- "$cur")) ;;
    'set size '*) COMPREPLY=($(compgen -W " --hex --base64 $global" -- "$cur")) ;;
    'set random '*) COMPREPLY=($(compgen -W " --count --pop --idempotency-key --hex --base64 $global" -- "$cur")) ;;
    'set union '*) COMPREPLY=($(compgen -W " --limit --hex --base64 $global" -- "$cur")) ;;
    'set intersection '*) COMPREPLY=($(compgen -W " --limit --hex --base64 $global" -- "$cur")) ;;
    'set difference '*) COMPREPLY=($(compgen -W " --limit --hex --base64 $global" -- "$cur")) ;;
    'set clear '*) COMPREPLY=($(compgen -W " --idempotency-key --hex --base64 $global" -- "$cur")) ;;
    'sortedset add '*) COMPREPLY=($(compgen -W " --idempotency-key --hex --base64 $global" -- "$cur")) ;;
    'sortedset remove '*) COMPREPLY=($(compgen -W " --idempotency-key --hex --base64 $global" -- "$cur")) ;;
    'sortedset score '*) COMPREPLY=($(compgen -W " --hex --base64 $global" -- "$cur")) ;;
    'sortedset rank '*) COMPREPLY=($(compgen -W " --reverse --hex --base64 $global" -- "$cur")) ;;
    'sortedset range '*) COMPREPLY=($(compgen -W " --reverse --limit --hex --base64 $global" -- "$cur")) ;;
    'sortedset scores '*) COMPREPLY=($(compgen -W " --min --max --reverse --limit --hex --base64 $global" -- "$cur")) ;;
    'sortedset lex '*) COMPREPLY=($(compgen -W " --min --max --reverse --limit --hex --base64 $global" -- "$cur")) ;;
    'sortedset union '*) COMPREPLY=($(compgen -W " --weight --aggregate --reverse --limit --hex --base64 $global" -- "$cur")) ;;
    'sortedset intersection '*) COMPREPLY=($(compgen -W " --weight --aggregate --reverse --limit --hex --base64 $global" -- "$cur")) ;;
    'sortedset clear '*) COMPREPLY=($(compgen -W " --idempotency-key --hex --base64 $global" -- "$cur")) ;;
    'counter add '*) COMPREPLY=($(compgen -W " --idempotency-key --hex --base64 $global" -- "$cur")) ;;
    'counter get '*) COMPREPLY=($(compgen -W " --hex --base64 $global" -- "$cur")) ;;
    'counter clear '*) COMPREPLY=($(compgen -W " --idempotency-key --hex --base64 $global" -- "$cur")) ;;
    'stream topics '*) COMPREPLY=($(compgen -W " --broker $global" -- "$cur")) ;;
    'stream create '*) COMPREPLY=($(compgen -W " --broker --partitions --config $global" -- "$cur")) ;;
    'stream delete '*) COMPREPLY=($(compgen -W " --broker $global" -- "$cur")) ;;
    'stream config '*) COMPREPLY=($(compgen -W " --broker $global" -- "$cur")) ;;
    'stream produce '*) COMPREPLY=($(compgen -f -W " --broker --key-text --partition $global" -- "$cur")) ;;
    'stream consume '*) COMPREPLY=($(compgen -W " --broker --from --partition --limit --follow --keys $global" -- "$cur")) ;;
    'stream groups '*) COMPREPLY=($(compgen -W " --broker $global" -- "$cur")) ;;
    'stream lag '*) COMPREPLY=($(compgen -W " --broker $global" -- "$cur")) ;;
    'stream forget '*) COMPREPLY=($(compgen -W " --broker $global" -- "$cur")) ;;
  esac
}
complete -o filenames -F _prismctl prismctl
