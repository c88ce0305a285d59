#compdef flocks
# Completion of flocks(1) for zsh. Every word comes from `flocks __complete`.

_flocks() {
    local line candidate about
    local -a said candidates
    said=("${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}")
    while IFS= read -r line; do
        candidate=${line%%$'\t'*}
        about=${line#"$candidate"}
        about=${about#$'\t'}
        case $candidate in
        :file | :directory)
            IPREFIX+=$about
            PREFIX=${PREFIX#"$about"}
            if [[ $candidate == :file ]]; then
                _files
            else
                _files -/
            fi
            return
            ;;
        esac
        candidates+=("${candidate//:/\\:}${about:+:$about}")
    done < <(${(Q)words[1]/#\~/$HOME} __complete -- "${said[@]}" 2>/dev/null)
    ((${#candidates})) && _describe -V flocks candidates
}

if [[ ${funcstack[1]} == _flocks ]]; then
    _flocks "$@"
else
    compdef _flocks flocks
fi
