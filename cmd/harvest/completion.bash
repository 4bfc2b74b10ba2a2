# Completion of harvest, for bash 3.2 and later; it needs no other package. Where harvest offers
# nothing, bash completes the names of files.
_harvest() {
  local line=${COMP_LINE:0:COMP_POINT} typed='' words
  read -r -a words <<<"$line"
  if [[ $line != *[[:space:]] ]]; then
    typed=${words[${#words[@]}-1]}
    unset "words[${#words[@]}-1]"
  fi
  case $typed in
    -*=*) words+=("${typed%%=*}") typed=${typed#*=} ;; # -flag=value
    -*) words+=("$typed") ;;
  esac
  COMPREPLY=()
  while IFS= read -r line; do
    line=${line%%:*} # what is behind the colon explains it
    [[ $line == "$typed"* && ( $line != -* || $typed == -* ) ]] && COMPREPLY+=("$line")
  done < <("${COMP_WORDS[0]/#\~/$HOME}" "${words[@]:1}" --generate-shell-completion 2>/dev/null)
}
complete -o bashdefault -o default -F _harvest harvest
