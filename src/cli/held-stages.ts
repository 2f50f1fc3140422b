// How much of a model in stages each account has been given, in words: as a part of its weights where the run's settings can be read.
import type { HeldStages, StagesOfRun } from '../audit/held-stages.ts';
import type { PublicBlobs } from '../audit/public-log.ts';
import { decodeParams } from '../games/params.ts';
import { PipelineParamsSchema, stagePlans } from '../games/pipeline/params.ts';
import { parameterCount } from '../games/pretrain/params.ts';
import { nameOf } from '../protocol/shown-name.ts';

/** As StagesOfRun; each account also with the part of the model's weights that its stages are, in thousandths, where it is known. */
export interface WeighedStages extends StagesOfRun {
  readonly accounts: readonly (HeldStages & { readonly weights_permille: number | null })[];
}

/** Weighs what was held. Throws AuditFailure `corrupt-blob`, PublicLogError. */
export async function weigh(log: PublicBlobs, of: StagesOfRun): Promise<WeighedStages> {
  const sizes = await sizesOf(log, of);
  const sum = (stages: readonly number[]): number => stages.reduce((all, stage) => all + sizes![stage], 0);
  const all = sizes && sum([...sizes.keys()]);
  const permille = (held: readonly number[]): number | null => all && Math.round((1000 * sum(held)) / all);
  return { ...of, accounts: of.accounts.map((one) => ({ ...one, weights_permille: permille(one.held) })) };
}

/** How many parameters each stage has; null where only another game knows, or the settings are not kept or not what they should be. */
async function sizesOf(log: PublicBlobs, { game, params, stages }: StagesOfRun): Promise<number[] | null> {
  if (game !== 'pipeline') return null;
  const bytes = await log.blob(params);
  if (!bytes) return null;
  const settings = await decodeParams({ name: game, params: PipelineParamsSchema }, bytes).catch(() => null);
  const read = PipelineParamsSchema.safeParse(settings);
  if (!read.success || read.data.stages !== stages) return null;
  return stagePlans(read.data).map(({ specs }) => parameterCount(specs));
}

/** The lines for people. */
export function linesOfStages({ stages, apart_rounds, remembered_rounds, accounts }: WeighedStages): string[] {
  const lately = `in the last ${remembered_rounds} rounds`;
  const rule =
    apart_rounds === null
      ? `${stages} stages. Any account may be given all of them. What each has held ${lately}:`
      : `${stages} stages. No account but the owner's is given all of them within ${apart_rounds} rounds. What each has held:`;
  if (accounts.length === 0) return [`${stages} stages, of which nobody has held any ${lately}.`];
  return [rule, ...accounts.map((one) => `  ${one.account.slice(0, 12)}  ${describe(one, stages)}`)];
}

function describe({ devices, held, owner, weights_permille }: WeighedStages['accounts'][number], of: number): string {
  const who = [...(owner ? ["the run's owner"] : []), ...devices.map(nameOf)].join(', ');
  const part = weights_permille === null ? '' : ` (${weights_permille / 10} % of the model's weights)`;
  return `${who}: has held ${held.length} of ${of} stages${part}`;
}
