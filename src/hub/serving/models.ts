// The models of the pool by the names that callers use: what the hub knows of a model, and what devices offer of it.
import type { Margins } from '../../core/events/limits-published.ts';
import type { NetworkState } from '../../core/state.ts';
import type { Offer } from '../../protocol/serving-from-peer.ts';
import type { OfferedModel } from '../../serving/answers.ts';
import { type ModelKey, modelKey } from './devices.ts';

/** A model that devices may offer. */
export interface KnownModel {
  readonly hash: string;
  /** What callers may call it. Where several models have a name in common, the first one that is offered is meant. */
  readonly names: readonly [string, ...string[]];
  readonly created_ms: number;
  readonly licence: string | null;
}

/** As devices offer it. */
interface PoolModel extends OfferedModel {
  readonly quantisation: Offer['quantisation'];
}

/** Where a caller does not say which: the most exact one that is offered. */
const BEST_FIRST: readonly Offer['quantisation'][] = ['f32', 'f16', 'q8_0', 'q4_0'];
/** How many of a run's models devices may still serve after it has learned on: those that answers have begun with. */
const MODELS_OF_A_RUN = 4;

/** `poems:q8_0`; f32 is not said. */
const nameOf = (name: string, quantisation: Offer['quantisation']): string =>
  quantisation === 'f32' ? name : `${name}:${quantisation}`;

/**
 * What callers may ask for: each model and quantisation that is offered, by a name that is its alone, so that what is asked for tomorrow is
 * the same as today; and by each name that it shares with older ones, if it is the newest that is offered.
 */
export function offeredModels(known: readonly KnownModel[], offers: Iterable<Offer>): PoolModel[] {
  const byKey = new Map<ModelKey, Offer[]>();
  for (const offer of offers) {
    const key = modelKey(offer);
    byKey.set(key, [...(byKey.get(key) ?? []), offer]);
  }
  const found = new Map<string, PoolModel>();
  for (const { hash, names, created_ms, licence } of known) {
    for (const quantisation of BEST_FIRST) {
      const those = byKey.get(modelKey({ model: hash, quantisation }));
      if (!those) continue;
      const engines = new Set(those.map(({ engine }) => engine));
      const engine = engines.size > 1 ? 'several' : those[0].engine;
      const context_tokens = Math.max(...those.map((offer) => offer.context_tokens));
      const chat = those.some((offer) => offer.chat);
      const tools = those.some((offer) => offer.chat && offer.tools);
      const model = { hash, quantisation, engine, context_tokens, created_ms, licence, chat, tools, embeddings: false };
      for (const name of names) {
        for (const one of new Set([name, nameOf(name, quantisation)])) {
          if (!found.has(one)) found.set(one, { name: one, ...model });
        }
      }
    }
  }
  return [...found.values()];
}

/** The model that a name means, among those that are offered; undefined: none of them. */
export const modelNamed = (
  name: string,
  known: readonly KnownModel[],
  offers: Iterable<Offer>,
): PoolModel | undefined => offeredModels(known, offers).find((model) => model.name === name);

/** The models of a hub's runs, the newest of each run first: by the run's name, and by name and hash. */
export function modelsOfRuns(state: Pick<NetworkState, 'runs'>): KnownModel[] {
  const runs = [...state.runs.values()];
  const named = new Map<string, number>();
  for (const { spec } of runs) named.set(spec.name, (named.get(spec.name) ?? 0) + 1);
  return runs.flatMap((run) => {
    const isOnly = named.get(run.spec.name) === 1;
    const name = isOnly ? run.spec.name : `${run.spec.name}-${run.id.slice(0, 8)}`;
    const hashes = new Set([run.model, ...run.recent.map(({ model }) => model).reverse()]);
    return [...hashes].slice(0, MODELS_OF_A_RUN).map((hash) => ({
      ...{ hash, names: [name, `${name}@${hash.slice(0, 8)}`] as const, created_ms: run.opened_ms, licence: null },
    }));
  });
}

/** What the owner of a model's run has published of honest answers; undefined: nothing. */
export function marginsOf(
  { runs }: Pick<NetworkState, 'runs'>,
  { model, quantisation }: Pick<Offer, 'model' | 'quantisation'>,
): Margins | undefined {
  for (const run of runs.values()) {
    const isOfRun = run.model === model || run.recent.some((merged) => merged.model === model);
    const margins = isOfRun ? run.serving.margins.get(quantisation) : undefined;
    if (margins) return margins;
  }
  return undefined;
}
