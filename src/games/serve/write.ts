// Serves a round's requests: each answer is drawn token by token from the model's logits, as every answer of the pool is.
import type { DecodePool } from '../../model/decode-pool.ts';
import { sampleToken } from '../../model/sampling.ts';
import { stepsAllowed } from '../first-work.ts';
import type { Claim, Device } from '../game.ts';
import { encodeAnswers } from './answers.ts';
import { withText } from './device.ts';
import { amountOf, mostOfAnswer, requestsOf, type ServeParams, type ServeRequest, type ServeTask } from './params.ts';

/** One answer with its end token, if one ended it; null: the signal fired before its end. */
export const writeAnswer = (
  pool: DecodePool,
  params: ServeParams,
  { prompt, first_position, rule }: ServeRequest,
  signal: AbortSignal,
): Promise<number[] | null> =>
  withText(pool, params, async (text) => {
    let logits = await text.append(prompt, 'last');
    const ids: number[] = [];
    while (!signal.aborted) {
      const id = sampleToken(logits, rule, { position: first_position + ids.length });
      ids.push(id);
      if (params.end_ids.includes(id) || ids.length === params.max_tokens) return ids;
      logits = await text.append([id], 'last');
    }
    return null;
  });

/** A round's claim: the answers that were whole in time; null: none. `write`: how each is written. */
export async function serveRequests(
  task: ServeTask,
  device: Device,
  signal: AbortSignal,
  write: (request: ServeRequest, index: number) => Promise<number[] | null>,
): Promise<Claim | null> {
  const { params, round } = task;
  const answers: number[][] = [];
  const most = stepsAllowed(params.answers, mostOfAnswer(params), round);
  const told = () => ({ amount: amountOf(params, answers), numbers: countsOf(params, answers) });
  for (const [index, request] of requestsOf(task).slice(0, most).entries()) {
    const ids = signal.aborted ? null : await write(request, index);
    if (!ids) break;
    answers.push(ids);
    await device.progress(told());
  }
  return answers.length > 0 ? { work: encodeAnswers(answers), ...told() } : null;
}

/** Honest service. */
export const serveHonestly = (task: ServeTask, device: Device, pool: DecodePool, signal: AbortSignal) =>
  serveRequests(task, device, signal, (request) => writeAnswer(pool, task.params, request, signal));

/** Tokens in and out: they have prices of their own. */
export const countsOf = ({ prompt_tokens }: ServeParams, answers: readonly (readonly number[])[]) => ({
  input_tokens: answers.length * prompt_tokens,
  output_tokens: answers.reduce((sum, { length }) => sum + length, 0),
});
