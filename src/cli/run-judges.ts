// Who judges a run and by which rules, from the flags of `potluck run create`: by default the validators of the creating key.
import { type Command, InvalidArgumentError } from 'commander';
import { type Rules, RulesSchema } from '../core/rules.ts';
import { firstIssue } from '../errors.ts';
import { isPeerId } from '../protocol/identity.ts';
import { readSettings } from './options.ts';
import { CliError } from './output.ts';

export interface JudgesFlags {
  validator?: string[];
  open: boolean;
  rules?: string;
}

/** Adds the flags to a command. */
export function judgesOptions(command: Command): Command {
  return command
    .option('--validator <account...>', 'whose validators judge (default: those of your own key)', accounts)
    .option('--open', 'any validator that stays may judge: for people who trust each other', false)
    .option('--rules <file>', 'all rules of judging and pay as JSON, as "potluck rules show" prints them');
}

function accounts(text: string, before: string[] = []): string[] {
  if (!isPeerId(text)) {
    throw new InvalidArgumentError('expected the 64 hexadecimal digits that "potluck id show" prints.');
  }
  return [...before, text];
}

/** Refuses contradictory flags. Throws CliError `bad-argument`. */
export function checkJudges({ validator, open, rules }: JudgesFlags): void {
  const given = [validator && '--validator', open && '--open', rules !== undefined && '--rules'].filter(Boolean);
  if (given.length > 1)
    throw new CliError('bad-argument', `expected ${given.join(' or ')}, not both: each says who judges`);
}

/** The accounts that judge; none: any validator that stays. */
export function validatorsOf({ open, validator }: JudgesFlags, owner: string): string[] {
  return open ? [] : [...new Set(validator ?? [owner])];
}

/** The settings of a run, with the rules of a file if one is named. Throws CliError `missing-file`, `bad-argument`. */
export function withRules<T extends { readonly schedule: { readonly rules: Rules } }>(flags: JudgesFlags, made: T): T {
  if (flags.rules === undefined) return made;
  const parsed = RulesSchema.safeParse(readSettings(flags.rules));
  if (!parsed.success) throw new CliError('bad-argument', `--rules ${flags.rules}: ${firstIssue(parsed.error)}`);
  return { ...made, schedule: { ...made.schedule, rules: parsed.data } };
}

/** Who may check work, after "a validator". */
export function whoseValidator({ validators }: Rules, owner: string): string {
  if (validators.length === 0) return '';
  if (validators.length === 1 && validators[0].account === owner) return ' of yours';
  return ` of ${validators.length === 1 ? 'the account' : 'the accounts'} that the rules name`;
}
