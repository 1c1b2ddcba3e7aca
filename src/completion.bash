# bash completion of rvsweep (zsh: autoload bashcompinit first). Commands and options are those that --help
# of the program on the command line lists, asked for once a shell.
declare -gA _rvsweep_known

_rvsweep() {
  local program=$1 word=$2 before=$3 command=${COMP_WORDS[1]} help pattern
  case $before in
    --config | -c | --out | -o | --model | -m | --dir | -d | --machine | --template)
      compopt -o filenames
      mapfile -t COMPREPLY < <(compgen -f -- "$word")
      return
      ;;
    --device) mapfile -t COMPREPLY < <(compgen -W "cpu cuda auto" -- "$word") && return ;;
    --dtype) mapfile -t COMPREPLY < <(compgen -W "float32 bfloat16 float16 auto" -- "$word") && return ;;
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then
    command= pattern='^  \K[a-z]+(?=  )' # "  plan      validate a sweep ..."
  elif [[ $word == -* ]]; then
    pattern='^ .*?\K--[a-z-]+'
  else
    compopt -o filenames
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
    return
  fi
  if [ -z "${_rvsweep_known[$program $command]}" ]; then
    help=$("$program" $command --help 2>/dev/null | grep -oP -- "$pattern")
    _rvsweep_known[$program $command]=$help
  fi
  mapfile -t COMPREPLY < <(compgen -W "${_rvsweep_known[$program $command]}" -- "$word")
}
complete -F _rvsweep rvsweep
