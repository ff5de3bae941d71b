"""``drupe completion``: prints what makes a shell complete drupe's words."""

from __future__ import annotations

import argparse

DESCRIPTION = """
The script asks drupe itself for what could come next, so it need not be made again for another
version: verbs, options, their values, names of containers, images and so on.
"""
EXAMPLES = (
    ("in this shell", 'eval "$(drupe completion bash)"'),
    (
        "in every bash from now on",
        "drupe completion bash >~/.local/share/bash-completion/completions/drupe",
    ),
    ("in every zsh, from a directory of $fpath", "drupe completion zsh >~/.zfunc/_drupe"),
    ("in every fish", "drupe completion fish >~/.config/fish/completions/drupe.fish"),
)

_BASH = r"""
_drupe() {
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        if [[ $line == :files ]]; then
            compopt -o default
        else
            COMPREPLY+=("$line")
        fi
    done < <("${COMP_WORDS[0]}" __complete bash "$COMP_LINE" "$COMP_POINT" 2>/dev/null)
    [[ ${#COMPREPLY[@]} != 1 || ${COMPREPLY[0]} != *[=:] ]] || compopt -o nospace
}
complete -F _drupe drupe
"""

_ZSH = r"""
#compdef drupe
_drupe() {
    local line files=0
    local -a found
    while IFS= read -r line; do
        if [[ $line == :files ]]; then
            files=1
        else
            found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
        fi
    done < <("$words[1]" __complete zsh "${(@)words[1,CURRENT]}" 2>/dev/null)
    (( ! $#found )) || _describe drupe found
    (( ! files )) || _files
}
if [[ $funcstack[1] == _drupe ]]; then
    _drupe "$@"
else
    compdef _drupe drupe
fi
"""

_FISH = r"""
function __drupe_complete
    set -l words (commandline -opc) (commandline -ct)
    for line in ($words[1] __complete fish $words 2>/dev/null)
        if test "$line" = :files
            __fish_complete_path $words[-1]
        else
            echo $line
        end
    end
end
complete -c drupe -f -a '(__drupe_complete)'
"""

SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument("shell", choices=tuple(SCRIPTS), help="bash, zsh or fish")


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    print(SCRIPTS[args.shell].lstrip(), end="")
    return 0
