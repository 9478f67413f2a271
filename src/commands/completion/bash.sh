# Completion of @name@ in bash. File names are put on the line as bash itself puts them there:
# what is in a name is never run, split or expanded.
_@function@_complete() {
    local answer line sort=""
    COMPREPLY=()
    answer="$(MESHAGENT_COMPLETE=bash _CLAP_COMPLETE_INDEX="$COMP_CWORD" \
        "@name@" -- "${COMP_WORDS[@]}" 2>/dev/null)" || return
    while IFS= read -r line; do
        if [[ -z $sort ]]; then
            sort="$line"
        elif [[ -n $line ]]; then
            COMPREPLY+=("$line")
        fi
    done <<< "$answer"
    if compopt +o nospace 2>/dev/null; then
        [[ ${COMPREPLY-} == *[=/:] ]] && compopt -o nospace
        # Bash puts the slash behind a folder itself.
        [[ $sort == files ]] && compopt -o filenames && COMPREPLY=("${COMPREPLY[@]%/}")
    elif [[ $sort == files ]]; then
        # Bash 3 has no compopt, so the names are quoted here.
        for line in "${!COMPREPLY[@]}"; do
            printf -v "COMPREPLY[$line]" '%q' "${COMPREPLY[$line]}"
        done
    fi
    return 0
}
if [[ ${BASH_VERSINFO[0]} -gt 4 || ( ${BASH_VERSINFO[0]} -eq 4 && ${BASH_VERSINFO[1]} -ge 4 ) ]]; then
    complete -o nospace -o bashdefault -o nosort -F _@function@_complete "@name@"
else
    complete -o nospace -o bashdefault -F _@function@_complete "@name@"
fi
