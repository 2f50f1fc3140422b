// Whether and how a tab answers callers of the hub's pool: as its owner has said in the page, only in sight, and with training held meanwhile.
import type { ServeOptions, ServingWish } from '../../peer/serving-part.ts';
import type { Runtime } from '../../tensor/runtime.ts';
import type { Answering } from './answering.ts';
import type { Pace } from './pace.ts';
import type { AnsweringState } from './state.ts';

export interface TabServing {
  /** As its owner wants it from now on. Where that is less than before, what is being written is handed over within a token. */
  setAnswering(answering: Answering): void;
  /** A hidden tab answers nobody: browsers slow it down, and a caller would wait. */
  setHidden(hidden: boolean): void;
  /** Resolves when nobody is being answered: what trains waits so long. */
  idle(): Promise<void>;
  /** The hub knows of the model that is loaded. */
  offered(): void;
  /** How a session of this tab serves. */
  optionsOn(runtime: Runtime): ServeOptions;
}

/** `onChange` hears what the page is to show. */
export function openTabServing(
  pace: Pick<Pace, 'rested' | 'answered'>,
  onChange: (state: AnsweringState) => void,
): TabServing {
  let wish: ServingWish = { places: 0, paused: false, region: null };
  let hear: (wish: ServingWish) => void = () => {};
  let state: AnsweringState = { places: 0, hidden: false, ready: false, writing: 0, written: 0 };
  /** Of stretches of work before this one. */
  let written_before = 0;
  let idle = Promise.withResolvers<void>();
  idle.resolve();

  const show = (change: Partial<AnsweringState>): void => {
    const wasWriting = state.writing > 0;
    state = { ...state, ...change };
    if (wasWriting && state.writing === 0) idle.resolve();
    if (!wasWriting && state.writing > 0) idle = Promise.withResolvers();
    onChange(state);
  };
  const want = (change: Partial<ServingWish>): void => {
    wish = { ...wish, ...change };
    hear(wish);
  };

  return {
    setAnswering({ places, region }) {
      if (places === wish.places && region === wish.region) return;
      show({ places, ready: state.ready && places === wish.places });
      want({ places, region });
    },
    setHidden(hidden) {
      if (hidden === wish.paused) return;
      show({ hidden });
      want({ paused: hidden });
    },
    idle: () => idle.promise,
    offered: () => show({ ready: wish.places > 0 }),
    optionsOn(runtime) {
      written_before = state.written;
      return {
        ...{ only: false, places: 0, price_in: 0, price_out: 0, region: null },
        async openEngine(model, places) {
          const { openOwnEngine } = await import('../../serving/engine-own.ts');
          const cache_tokens = places * model.config.max_position_embeddings;
          return openOwnEngine(runtime, model, { cache_tokens });
        },
        wishes(tell) {
          hear = tell;
          tell(wish);
          return () => {
            hear = () => {};
            show({ ready: false, writing: 0 });
          };
        },
        rested: pace.rested,
        worked: pace.answered,
        onAnswers: (writing, written) => show({ writing, written: written_before + written }),
      };
    },
  };
}
