// `potluck completion`: a shell script made from the commands, so that completing a word starts no process.
import { Argument, Command, type Option } from 'commander';
import { jsonOption } from './options.ts';
import { openOutput } from './output.ts';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

export function completionCommand(allCommands: () => Promise<readonly Command[]>): Command {
  return new Command('completion')
    .addArgument(new Argument('<shell>', 'which shell').choices(SHELLS))
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ potluck completion bash > ~/.local/share/bash-completion/completions/potluck
  $ potluck completion zsh >> ~/.zshrc
  $ potluck completion fish > ~/.config/fish/completions/potluck.fish`,
    )
    .action(async (shell: Shell, { json }: { json: boolean }) => {
      const commands = await allCommands();
      const script = shell === 'fish' ? fishScript(commands) : bashScript(commands, shell);
      openOutput(json).say(script.trimEnd(), { type: 'completion', shell, script });
    });
}

/** A command with the words that lead to it: `['run', 'create']`. */
interface Place {
  readonly words: readonly string[];
  readonly command: Command;
}

function placesOf(commands: readonly Command[], before: readonly string[] = []): Place[] {
  return commands.flatMap((command) => {
    const words = [...before, command.name()];
    return [{ words, command }, ...placesOf(command.commands, words)];
  });
}

const optionsOf = (command: Command): readonly Option[] => command.createHelp().visibleOptions(command);
const namesOf = (command: Command): string[] => command.commands.map((part) => part.name());

/** What may follow the words of a command. */
const nextWords = ({ command }: Place): string[] => [
  ...namesOf(command),
  ...command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []),
  ...optionsOf(command).map(({ long }) => long ?? ''),
];

function bashScript(commands: readonly Command[], shell: Shell): string {
  const places = placesOf(commands);
  const cases = places.map((place) => `    '${place.words.join(' ')}') words='${nextWords(place).join(' ')}' ;;`);
  const choices = new Map(
    places.flatMap(({ command }) =>
      optionsOf(command).flatMap(({ long, argChoices }) => (argChoices ? [[long, argChoices.join(' ')] as const] : [])),
    ),
  );
  const values = [...choices].map(
    ([long, list]) => `    ${long}) COMPREPLY=($(compgen -W '${list}' -- "$cur")); return ;;`,
  );
  const takesValue = new Set(
    places.flatMap(({ command }) =>
      optionsOf(command).flatMap((one) => (one.required || one.optional ? one.long : [])),
    ),
  );
  return `# Completes potluck in ${shell}; made by \`potluck completion ${shell}\`.
${shell === 'zsh' ? 'autoload -Uz +X compinit bashcompinit && compinit && bashcompinit\n' : ''}_potluck() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} place='' words='' i
  case "$prev" in
${values.join('\n')}
    ${[...takesValue].join('|')}) COMPREPLY=(); return ;;
  esac
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$place \${COMP_WORDS[i]}" in
      ${places.map(({ words }) => `' ${words.join(' ')}'`).join('|')}) place="$place \${COMP_WORDS[i]}" ;;
      *) break ;;
    esac
  done
  case "\${place# }" in
    '') words='${commands.map((command) => command.name()).join(' ')} --help --version' ;;
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _potluck potluck
`;
}

function fishScript(commands: readonly Command[]): string {
  const quoted = (text: string): string => `'${text.replace(/[\\']/g, '\\$&').replaceAll('\n', ' ')}'`;
  const lines = commands.map(
    (command) =>
      `complete -c potluck -n __fish_use_subcommand -f -a ${command.name()} -d ${quoted(command.description())}`,
  );
  for (const { words, command } of placesOf(commands)) {
    const here = words.map((word) => `__fish_seen_subcommand_from ${word}`).join('; and ');
    for (const part of command.commands) {
      lines.push(`complete -c potluck -n '${here}' -f -a ${part.name()} -d ${quoted(part.description())}`);
    }
    for (const { long, description, argChoices, required, optional } of optionsOf(command)) {
      const value = argChoices ? ` -x -a ${quoted(argChoices.join(' '))}` : required || optional ? ' -r' : '';
      if (long) lines.push(`complete -c potluck -n '${here}' -l ${long.slice(2)}${value} -d ${quoted(description)}`);
    }
  }
  return `# Completes potluck in fish; made by \`potluck completion fish\`.\n${lines.join('\n')}\n`;
}
