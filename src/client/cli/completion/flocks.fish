# Completion of flocks(1) for fish. Every word comes from `flocks __complete`.

function __flocks_complete
    set -l said (commandline -opc)
    set -l current (commandline -ct)
    $said[1] __complete -- $said[2..-1] "$current" 2>/dev/null | while read -l line
        set -l parts (string split -m 1 \t -- $line)
        switch $parts[1]
            case :file
                set -l rest (string sub -s (math (string length -- "$parts[2]") + 1) -- "$current")
                for path in (__fish_complete_path "$rest")
                    echo "$parts[2]$path"
                end
            case :directory
                set -l rest (string sub -s (math (string length -- "$parts[2]") + 1) -- "$current")
                for path in (__fish_complete_directories "$rest" "")
                    echo "$parts[2]$path"
                end
            case '*'
                echo $line
        end
    end
end

complete -c flocks -f -a '(__flocks_complete)'
