# Completion of flocks(1) for bash. Every word comes from `flocks __complete`.

_flocks() {
    local IFS=$' \t\n' line=${COMP_LINE:0:COMP_POINT} word full strip kind before candidate i
    local -a words=() found=()
    # Bash also breaks words at = @ and :, flocks does not: what stands together is one word.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if ((i == COMP_CWORD)); then
            word=${line#"${line%%[![:space:]]*}"}
        fi
        if ((i == 0)) || [[ $line == [[:space:]]* || -z $line ]]; then
            words+=("$word")
        else
            words[${#words[@]} - 1]+=$word
        fi
        line=${line#"${line%%[![:space:]]*}"}
        line=${line#"$word"}
    done
    full=${words[${#words[@]} - 1]}
    # What bash keeps of the last word.
    strip=${full%"$2"}
    COMPREPLY=()
    while IFS=$'\t' read -r candidate before; do
        case $candidate in
        :file | :directory)
            kind=${candidate#:}
            # Told that these are files, bash quotes them, with what it keeps of the word before them.
            [[ $strip == "$before" ]] && compopt -o filenames
            while IFS= read -r word; do
                if [[ $strip != "$before" ]]; then
                    [[ -d $word ]] && word+=/ && compopt -o nospace
                    printf -v word '%s%q' "$before" "$word"
                fi
                found+=("${word#"$strip"}")
            done < <(compgen -A "$kind" -- "${full#"$before"}")
            ;;
        *) found+=("${candidate#"$strip"}") ;;
        esac
    done < <("${words[0]/#\~/$HOME}" __complete -- "${words[@]:1}" 2>/dev/null)
    COMPREPLY=("${found[@]}")
}

complete -F _flocks flocks
