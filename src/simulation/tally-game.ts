// A game that costs nothing: the state is a chain of hashes, work is one more hash that follows from the task, and order matters.
import { z } from 'zod';
import { CodedError } from '../errors.ts';
import { firstSteps, stepsAllowed } from '../games/first-work.ts';
import type { AcceptedWork, Device, Game, Round, Verdict } from '../games/game.ts';
import { gameOf } from '../games/parts.ts';
import { sha256 } from '../protocol/hash.ts';

export const TallyParamsSchema = z.strictObject({
  /** Steps that a worker may take in a round. */
  steps: z.int().min(1).max(1000),
  tokens_per_step: z.int().min(1).max(10_000),
  /** Whether each model is worse than the one before. */
  diverges: z.boolean().optional(),
  /** Whether everybody merges, as in games whose rounds are small. */
  plain: z.boolean().optional(),
});
export type TallyParams = z.infer<typeof TallyParamsSchema>;

/** The merged rounds, and a hash of everything that was merged, in its order. */
export interface Tally {
  readonly count: number;
  readonly digest: Uint8Array;
}

export interface TallyTask {
  readonly params: TallyParams;
  readonly round: Round;
  readonly peer: string;
  readonly state: Tally;
}

const STATE_BYTES = 4 + 32;
/** A step count, then the hash. */
const WORK_BYTES = 4 + 32;
const utf8 = new TextEncoder();

const uint32 = (value: number): Uint8Array => {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
};

/** The only correct work of so many steps. */
export function workOf({ round, peer, state }: TallyTask, steps: number): Uint8Array {
  const result = new Uint8Array(WORK_BYTES);
  result.set(uint32(steps));
  result.set(sha256(utf8.encode(`${round.seed}\n${peer}\n${steps}\n`), state.digest), 4);
  return result;
}

/** The largest loss that a claim can contain, as in a trace of pre-training; larger losses become this one. */
const MOST_TOLD_MICRO = 16_000_000;

/** The loss of a task, in millionths, the same on every device; sometimes far beyond the largest that a claim can contain. */
export const lossOf = ({ round, peer }: TallyTask): number =>
  new DataView(sha256(utf8.encode(`loss\n${round.seed}\n${peer}\n`)).buffer).getUint32(0) % 40_000_000;

export const toldLoss = (task: TallyTask): number => Math.min(MOST_TOLD_MICRO, lossOf(task));

/** A step consists of a few bytes of a hash over all work and over what earlier steps have left out. */
const STEP_BYTES = 16;

function mergeWork(_params: TallyParams, state: Tally, accepted: readonly AcceptedWork[]): Tally {
  let { digest } = state;
  for (const { work, weight } of accepted) digest = sha256(digest, uint32(weight), work);
  return { count: state.count + 1, digest };
}

/** The game that simulated runs play. */
export const tally = gameOf<Game<TallyParams, TallyTask, Tally>>({
  name: 'tally',
  rules: {
    params: TallyParamsSchema,
    unit: 'tokens',
    task: (params, round, peer, state) => ({ params, round, peer, state }),
    firstAmount: ({ steps, tokens_per_step }) => firstSteps(steps) * tokens_per_step,
    merge: mergeWork,
    cut(params, rest, accepted) {
      if (params.plain) return null;
      const whole = mergeWork(params, rest ?? emptyTally, accepted);
      return { step: whole.digest.slice(0, STEP_BYTES), rest: whole };
    },
    follow(_params, { count, digest }, step) {
      if (step.length !== STEP_BYTES) {
        throw new CodedError('bad-step', `a step has ${STEP_BYTES} bytes, got ${step.length}`);
      }
      return { count: count + 1, digest: sha256(digest, step) };
    },
    encodeState(_params, { count, digest }) {
      const bytes = new Uint8Array(STATE_BYTES);
      bytes.set(uint32(count));
      bytes.set(digest, 4);
      return bytes;
    },
    decodeState(_params, bytes) {
      if (bytes.length !== STATE_BYTES) {
        throw new CodedError('bad-state', `a tally has ${STATE_BYTES} bytes, got ${bytes.length}`);
      }
      return { count: new DataView(bytes.buffer, bytes.byteOffset).getUint32(0), digest: bytes.slice(4) };
    },
    checkForm(_params, work) {
      if (work.length !== WORK_BYTES) {
        throw new CodedError('bad-form', `work has ${WORK_BYTES} bytes, got ${work.length}`);
      }
    },
    sizes: () => ({ max_bytes: WORK_BYTES, dense_bytes: 4 * STATE_BYTES }),
  },
  work: {
    async perform(task, device, signal) {
      const { params } = task;
      const most = stepsAllowed(params.steps, params.tokens_per_step, task.round);
      let steps = 0;
      while (steps < most && !signal.aborted) {
        steps++;
        await device.progress({ amount: steps * params.tokens_per_step, numbers: { steps } });
      }
      if (steps === 0) return null;
      await device.drawer.put('last', uint32(task.round.number));
      const numbers = { steps, loss_micro: toldLoss(task) };
      return { work: workOf(task, steps), amount: steps * params.tokens_per_step, numbers };
    },
    async check(task, claim, device) {
      await device.progress({ amount: 0, numbers: {} });
      const { steps, loss_micro } = claim.numbers;
      const right =
        steps <= task.params.steps &&
        claim.amount === steps * task.params.tokens_per_step &&
        loss_micro === toldLoss(task) &&
        Buffer.compare(workOf(task, steps), claim.work) === 0;
      const verdict: Verdict = {
        accepted: right,
        fraud: !right,
        weight: right ? claim.amount : 0,
        code: right ? 'ok' : 'wrong-work',
        score_micro: right ? steps : 0,
        numbers: {},
        evidence: {},
      };
      return verdict;
    },
  },
  shows: {
    metrics: [{ name: 'loss_micro', words: 'validation loss', unit: 'nats', better: 'lower' }],
    numbers: {
      work: [
        { name: 'steps', words: 'steps', unit: 'steps' },
        { name: 'loss_micro', words: 'training loss', unit: 'nats' },
      ],
    },
    async evaluate({ diverges }, state, device: Device) {
      await device.progress({ amount: 0, numbers: {} });
      return { loss_micro: 1_000_000 + state.count * (diverges ? 400_000 : -1) };
    },
  },
});

/** The state before the first round. */
export const emptyTally: Tally = { count: 0, digest: new Uint8Array(32) };
