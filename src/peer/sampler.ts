// A validator lets the model that it has just measured write a little text, so that people see it learn; judging comes first.
import { CodedError } from '../errors.ts';
import type { RunView } from '../protocol/messages.ts';
import type { RoleContext } from './role.ts';

const LIMITS = {
  write_ms: 2000, // the text written by then is shown
  prompt: 400, // characters, the protocol's limit
  text: 2000,
  part: 0.05, // of a validator's time, at most, over a run
} as const;

export interface Sampler {
  /** Writes with the model of a view, and sends it to the hub; resolves also when there is nothing to send. */
  write(view: RunView, state: unknown): Promise<void>;
  /** Ends writing when there is work to judge. */
  onView(view: RunView): void;
}

export function openSampler(context: RoleContext): Sampler {
  const { game, params, device, clock, identity } = context;
  let stop = new AbortController();
  /** Earlier than this, writing would take more than its part of the time. */
  let next_ms = Number.NEGATIVE_INFINITY;

  return {
    async write(view, state) {
      const begun_ms = clock.elapsed_ms();
      if (!game.sample || (begun_ms < next_ms && view.phase !== 'finished')) return;
      stop = new AbortController();
      const timer = clock.setTimeout(() => stop.abort(), LIMITS.write_ms);
      try {
        const written = await game.sample(params, state, device, stop.signal);
        if (!written?.text) return;
        const { prompt, text } = written;
        const model = view.model;
        context.sample({ model, prompt: cut(prompt, LIMITS.prompt), text: cut(text, LIMITS.text) });
      } catch (error) {
        if (!(error instanceof CodedError)) throw error;
        context.tell({ type: 'problem', code: error.code, message: `no sample of the model: ${error.message}` });
      } finally {
        clock.clearTimeout(timer);
        next_ms = begun_ms + (clock.elapsed_ms() - begun_ms) / LIMITS.part;
      }
    },
    onView({ phase, submissions }) {
      const due = submissions.some(
        ({ judges, sealed }) => judges.includes(identity.id) && !sealed.includes(identity.id),
      );
      if (due || phase === 'judging' || phase === 'revealing') stop.abort();
    },
  };
}

/** The beginning of a text, without half a character at its end. */
const cut = (text: string, most: number): string => text.slice(0, most).toWellFormed();
