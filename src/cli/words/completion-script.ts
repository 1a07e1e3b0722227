/**
 * Scripts with which a shell asks this program how a command line may continue. A word that begins without a dash may
 * also be the name of a file.
 */

const BASH = `# command completion of ckptfs for bash: ckptfs completion bash >> ~/.bashrc
_ckptfs() {
  local word=\${COMP_WORDS[COMP_CWORD]} list
  mapfile -t list < <(SHELL=bash ckptfs --get-yargs-completions "\${COMP_WORDS[@]:0:COMP_CWORD+1}" 2> /dev/null)
  [[ $word == -* ]] || mapfile -t list < <(printf '%s\\n' "\${list[@]}" | grep -v '^-')
  mapfile -t COMPREPLY < <(compgen -W "\${list[*]}" -- "$word")
}
complete -o bashdefault -o default -F _ckptfs ckptfs
`;

const ZSH = `#compdef ckptfs
# command completion of ckptfs for zsh: ckptfs completion zsh >> ~/.zshrc, after compinit
_ckptfs() {
  local -a list
  list=(\${(f)"$(SHELL=bash ckptfs --get-yargs-completions "\${(@)words[1,CURRENT]}" 2> /dev/null)"})
  [[ $PREFIX == -* ]] || list=(\${list:#-*})
  if (( \${#list} )); then compadd -a list; else _files; fi
}
if [[ \${zsh_eval_context[-1]} == loadautofunc ]]; then _ckptfs "$@"; else compdef _ckptfs ckptfs; fi
`;

export const completionScripts = { bash: BASH, zsh: ZSH } as const;

export const shells = Object.keys(completionScripts) as (keyof typeof completionScripts)[];
