// A planned run, and a forecast before anything is sent: size, text, time.
import { type LlamaConfigInput, LlamaConfigSchema, parameterSpecs } from '../../model/config.ts';
import type { SparseOptions } from '../../training/sparse.ts';

/** The settings of a run. */
export interface Plan {
  readonly name: string;
  readonly text: string;
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  readonly context: number;
  /** Whether the embedding is also the head. */
  readonly tied: boolean;
  readonly rounds: number;
  readonly round_seconds: number;
  readonly steps: number;
  readonly batch: number;
  readonly learning_rate: number;
  readonly min_workers: number;
  /** Seed of the initial weights. */
  readonly seed: string;
  readonly merge_rule: SparseOptions['merge_rule'];
}

/** The model of a plan. */
export type Shape = Pick<Plan, 'layers' | 'width' | 'heads' | 'context' | 'tied'>;

/** Runs that are created in a browser use bytes as tokens, plus one token for the end of a text. */
export const VOCABULARY = 257;

/** The model as `potluck run create` would make it from its flags. */
export function modelOf({ layers, width, heads, context, tied }: Shape): Omit<LlamaConfigInput, 'vocab_size'> {
  return {
    hidden_size: width,
    intermediate_size: Math.round(width * 2.75),
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: heads,
    max_position_embeddings: context,
    tie_word_embeddings: tied,
  };
}

/** The number of a model's parameters. Throws ZodError for an impossible model. */
export function parametersOf(config: LlamaConfigInput): number {
  return parameterSpecs(LlamaConfigSchema.parse(config)).reduce(
    (sum, { shape: dimensions }) => sum + dimensions.reduce((product, size) => product * size, 1),
    0,
  );
}

/** A device that works on this hub: its speed, and the size of the model that it trains. */
export interface Working {
  readonly tokens_per_second: number;
  readonly parameters: number;
}

export interface Forecast {
  readonly parameters: number;
  /** Tokens that one device learns from in a round that it finishes. */
  readonly tokens_a_round: number;
  /** The longest possible time without judging: every round runs to its deadline. */
  readonly most_ms: number;
  /** With the devices at work now; null where there are none. */
  readonly expected_ms: number | null;
  /** Steps that the slowest of them finishes before the deadline, at most the requested ones. */
  readonly slowest_steps: number | null;
}

/**
 * The forecast of a plan. A step's work is proportional to the number of parameters, so a device that trains p of them at v tokens a second
 * trains q of them at v · p / q. That is right within a small factor, which is enough for a forecast.
 */
export function forecast(plan: Plan, devices: readonly Working[]): Forecast {
  const parameters = parametersOf({ ...modelOf(plan), vocab_size: VOCABULARY });
  const step_tokens = plan.batch * plan.context;
  const tokens_a_round = step_tokens * plan.steps;
  const round_ms = plan.round_seconds * 1000;
  const speeds = devices.map((device) => (device.tokens_per_second * device.parameters) / parameters);
  const slowest = Math.min(...speeds);
  const measured = speeds.length > 0 && slowest > 0;
  // A round ends when all workers have submitted, or at its deadline.
  const needed_ms = measured ? (1000 * tokens_a_round) / slowest : round_ms;
  return {
    parameters,
    tokens_a_round,
    most_ms: plan.rounds * round_ms,
    expected_ms: measured ? plan.rounds * Math.min(round_ms, needed_ms) : null,
    slowest_steps: measured ? Math.min(plan.steps, Math.floor((slowest * plan.round_seconds) / step_tokens)) : null,
  };
}
