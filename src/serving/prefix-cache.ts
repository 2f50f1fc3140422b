// Sequences between two answers: the next prompt that begins with the same tokens is read from where they differ.
import type { Engine, Sequence } from './engine.ts';
import { ServingError } from './errors.ts';

/** Less than this in common is no reason to give up what a kept sequence holds. */
const LEAST_SHARED_TOKENS = 8;
/** Conversations that a device keeps at hand; their memory is given back as soon as another sequence needs it. */
const MOST_KEPT = 16;

/** A sequence with the tokens that it holds; whoever uses it keeps `tokens` in step. */
export interface KnownSequence {
  readonly sequence: Sequence;
  readonly capacity: number;
  tokens: number[];
}

export interface PrefixCache {
  /**
   * A sequence for up to `capacity` tokens that holds some of the first tokens of `prompt`, at most all but the last, at most `shared`.
   * It is the caller's until it gives it back. Throws ServingError `no-room`.
   */
  take(prompt: readonly number[], capacity: number, shared?: number): Promise<KnownSequence>;
  /** Takes a sequence back. `whole`: its tokens are known; otherwise it is closed. */
  giveBack(known: KnownSequence, whole: boolean): Promise<void>;
  /** Closes the sequences that nobody uses. */
  close(): Promise<void>;
}

/** Room for what a conversation's next turns add: a sequence that only just holds an answer could never be gone on with. */
const roomy = (needed: number, most: number): number => Math.min(most, 2 ** Math.ceil(Math.log2(2 * needed)));

function commonLength(a: readonly number[], b: readonly number[]): number {
  const most = Math.min(a.length, b.length);
  let length = 0;
  while (length < most && a[length] === b[length]) length++;
  return length;
}

export function prefixCache(engine: Pick<Engine, 'openSequence' | 'model'>): PrefixCache {
  /** The one that was used last is last. */
  let kept: KnownSequence[] = [];
  const remove = (known: KnownSequence): void => {
    kept = kept.filter((other) => other !== known);
  };
  const open = async (needed: number): Promise<KnownSequence> => {
    let capacity = roomy(needed, engine.model.context_tokens);
    for (;;) {
      try {
        return { sequence: await engine.openSequence(capacity), capacity, tokens: [] };
      } catch (error) {
        if (!(error instanceof ServingError && error.code === 'no-room')) throw error;
        if (capacity > needed) {
          capacity = needed;
          continue;
        }
        const oldest = kept[0];
        if (!oldest) throw error;
        remove(oldest);
        await oldest.sequence.close();
      }
    }
  };
  return {
    async take(prompt, capacity, shared = prompt.length) {
      let best: KnownSequence | null = null;
      let most = LEAST_SHARED_TOKENS - 1;
      for (const known of kept) {
        const length = Math.min(shared, prompt.length - 1, commonLength(known.tokens, prompt));
        if (known.capacity < capacity || length <= most) continue;
        best = known;
        most = length;
      }
      if (!best) return open(capacity);
      remove(best);
      best.sequence.rewind(most);
      best.tokens = best.tokens.slice(0, most);
      return best;
    },
    async giveBack(known, whole) {
      if (!whole || known.tokens.length < LEAST_SHARED_TOKENS) return known.sequence.close();
      kept.push(known);
      if (kept.length > MOST_KEPT) await kept.shift()?.sequence.close();
    },
    async close() {
      const closing = kept;
      kept = [];
      await Promise.all(closing.map(({ sequence }) => sequence.close()));
    },
  };
}
