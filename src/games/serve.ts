// Serving as a game: answer requests with the run's model, hand in the tokens, be judged by whether each is the one that model, seed and rule give.
import { parameterSpecs } from '../model/config.ts';
import { GameError } from './errors.ts';
import { firstSteps } from './first-work.ts';
import type { Game } from './game.ts';
import { gameOf } from './parts.ts';
import { parameterCount } from './pretrain/params.ts';
import { decodeAnswers, mostBytes } from './serve/answers.ts';
import { type ServedCounts, ServedCountsSchema } from './serve/counts.ts';
import { servedOn } from './serve/device.ts';
import { judgeClaim } from './serve/judge.ts';
import { mostOfAnswer, type ServeParams, ServeParamsSchema, type ServeTask } from './serve/params.ts';
import { countsOf, serveHonestly } from './serve/write.ts';

export const game = gameOf<Game<ServeParams, ServeTask, ServedCounts>>({
  name: 'serve',
  needs: ['compute'],
  rules: {
    params: ServeParamsSchema,
    unit: 'tokens',
    first: () => ({ answers: 0, input_tokens: 0, output_tokens: 0 }),
    task: (params, round, peer) => ({ params, round, peer }),
    firstAmount: (params) => Math.min(params.answers, firstSteps(params.answers)) * mostOfAnswer(params),
    merge(params, state, accepted) {
      let { answers, input_tokens, output_tokens } = state;
      for (const { work } of accepted) {
        const served = decodeAnswers(params, work);
        const counts = countsOf(params, served);
        answers += served.length;
        input_tokens += counts.input_tokens;
        output_tokens += counts.output_tokens;
      }
      return { answers, input_tokens, output_tokens };
    },
    encodeState: (_params, state) => new TextEncoder().encode(JSON.stringify(state)),
    decodeState(_params, bytes) {
      try {
        return ServedCountsSchema.parse(JSON.parse(new TextDecoder().decode(bytes)));
      } catch {
        throw new GameError('bad-work', `state: expected counts as JSON, got ${bytes.length} bytes`);
      }
    },
    checkForm: (params, work) => void decodeAnswers(params, work),
    sizes(params) {
      const dense_bytes = 4 * params.answers * params.max_tokens;
      return {
        max_bytes: mostBytes(params),
        dense_bytes,
        memory_bytes: 4 * parameterCount(parameterSpecs(params.model)),
      };
    },
  },
  work: {
    async prepare(params, device) {
      await servedOn(device, params);
    },
    async perform(task, device, signal) {
      return serveHonestly(task, device, await servedOn(device, task.params), signal);
    },
    check: judgeClaim,
  },
  shows: {
    metrics: [{ name: 'output_tokens', words: 'tokens written', unit: 'tokens', better: 'higher' }],
    numbers: {
      work: [
        { name: 'input_tokens', words: 'tokens read', unit: 'tokens' },
        { name: 'output_tokens', words: 'tokens written', unit: 'tokens' },
      ],
      verdict: [
        { name: 'draws', words: 'draws repeated', unit: 'draws' },
        { name: 'differing', words: 'of which others', unit: 'draws' },
        { name: 'margin_micro', words: 'mean margin', unit: 'nats' },
      ],
    },
    evaluate: async (_params, { output_tokens }) => ({ output_tokens }),
  },
});
