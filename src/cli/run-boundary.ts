// The flags of `potluck run create` that say how a boundary between two stages is coded, and which of them cannot be.
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { LlamaConfig } from '../model/config.ts';
import {
  type BoundaryInput,
  LARGEST_BITS,
  LIMIT_SCALE_ROWS,
  LIMIT_WIDTH,
  TOKEN_PARTS,
  WHOLE_BITS,
} from '../model/pipeline/boundary.ts';
import { integer } from './options.ts';
import { CliError } from './output.ts';

export interface BoundaryFlags {
  boundaryBits?: number;
  boundaryGradientBits?: number;
  boundaryWidth?: number;
  boundaryTokens?: BoundaryInput['tokens'];
  boundaryScaleTokens?: number;
}

/** Their names in commander. */
export const OF_A_BOUNDARY = [
  ...['boundaryBits', 'boundaryGradientBits', 'boundaryWidth', 'boundaryTokens', 'boundaryScaleTokens'],
] as const satisfies readonly (keyof BoundaryFlags)[];

export const boundaryOptions = (command: Command): Command =>
  command
    .option(
      '--boundary-bits <n>',
      `bits of a value that goes from stage to stage, 1 to ${LARGEST_BITS}, or ${WHOLE_BITS} (default: ${WHOLE_BITS})`,
      bits,
    )
    .option(
      '--boundary-gradient-bits <n>',
      'bits of one that comes back (default: as many, or 4 where that is fewer)',
      bits,
    )
    .option(
      '--boundary-width <n>',
      'values that a token takes between stages (default: the width of the model); one that is narrower makes it no Llama',
      integer(1, LIMIT_WIDTH),
    )
    .addOption(
      new Option(
        '--boundary-tokens <what>',
        'a table in each stage that says what the token does, so that only the rest is sent; it makes the model no Llama',
      ).choices(TOKEN_PARTS),
    )
    .option('--boundary-scale-tokens <n>', 'tokens that share a scale (1)', integer(1, LIMIT_SCALE_ROWS));

function bits(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && ((value >= 1 && value <= LARGEST_BITS) || value === WHOLE_BITS)) return value;
  throw new InvalidArgumentError(`expected 1 to ${LARGEST_BITS} bits, or ${WHOLE_BITS} for float32.`);
}

/** Coarser gradients cost more of the loss than they save (docs/experiments.md). */
const USUAL_GRADIENT_BITS = 4;

/** The boundary of a run's settings; missing: float32. */
export function boundaryOf(flags: BoundaryFlags): BoundaryInput | undefined {
  if (OF_A_BOUNDARY.every((name) => flags[name] === undefined)) return undefined;
  const { boundaryBits = WHOLE_BITS, boundaryWidth: width, boundaryTokens: tokens } = flags;
  const { boundaryScaleTokens: scale_rows } = flags;
  return {
    bits: boundaryBits,
    gradient_bits: flags.boundaryGradientBits ?? Math.max(boundaryBits, USUAL_GRADIENT_BITS),
    ...(width !== undefined && { width }),
    ...(tokens !== undefined && { tokens }),
    ...(scale_rows !== undefined && { scale_rows }),
  };
}

/** Refuses what does not fit the model or its micro-batches. Throws CliError `bad-argument`. */
export function checkBoundary(
  flags: BoundaryFlags & { readonly batch: number; readonly context: number },
  { hidden_size }: Pick<LlamaConfig, 'hidden_size'>,
): void {
  const { boundaryWidth: width, boundaryScaleTokens: tokens = 1, batch, context } = flags;
  if (width !== undefined && width > hidden_size) {
    const fact = `--boundary-width ${width}: the model is ${hidden_size} wide, so that a narrower boundary is expected`;
    throw new CliError('bad-argument', fact);
  }
  if ((batch * context) % tokens === 0) return;
  const fact = `--boundary-scale-tokens ${tokens}: expected a number that divides the ${batch * context} tokens of a micro-batch`;
  throw new CliError('bad-argument', fact);
}
