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
  /** The run that made it, whose holders get a part of what it earns; null: no run here. */
  readonly run: string | null;
}

/** As devices offer it. */
export interface PoolModel extends OfferedModel {
  readonly run: string | null;
  readonly offered: Pick<Offer, 'model' | 'quantisation'>;
}

/** What one device offers. */
export interface OfferOf {
  readonly peer: string;
  readonly offer: Offer;
}

/** Where a caller does not say which: the most exact one that is offered. */
const BEST_FIRST: readonly Offer['quantisation'][] = ['f32', 'f16', 'q8_0', 'q4_0'];
/** How many of a run's models devices may still serve after it has learned on: those that answers have begun with. */
const MODELS_OF_A_RUN = 4;

/** The name of a file: nothing but its hash, so that no stranger's file has the name of another, or of a run. */
const nameOfFile = (hash: string): string => `gguf:${hash}`;
/** Devices with one file may name different licences; more than these nobody reads. */
const SAID_LICENCES = 3;

/** `poems:q8_0`; f32 is not said. */
const nameOf = (name: string, quantisation: Offer['quantisation']): string =>
  quantisation === 'f32' ? name : `${name}:${quantisation}`;

/**
 * What callers may ask for: each model and quantisation that is offered, by a name that is its alone, so that what is asked for tomorrow is
 * the same as today; and by each name that it shares with older ones, if it is the newest that is offered. Files have no other name than their hash.
 */
export function offeredModels(
  known: readonly KnownModel[],
  offers: Iterable<OfferOf>,
  ownerOf: (peer: string) => string | null,
): PoolModel[] {
  const byKey = new Map<ModelKey, OfferOf[]>();
  for (const one of offers) {
    const key = modelKey(one.offer);
    const those = byKey.get(key);
    if (those) those.push(one);
    else byKey.set(key, [one]);
  }
  const found = new Map<string, PoolModel>();
  for (const { hash, names, created_ms, licence, run } of known) {
    for (const quantisation of BEST_FIRST) {
      const those = byKey.get(modelKey({ model: hash, quantisation }));
      if (!those) continue;
      const model = { hash, quantisation, created_ms, licence, run, ...offeredBy(those) };
      for (const name of names) {
        for (const one of new Set([name, nameOf(name, quantisation)])) {
          if (!found.has(one)) found.set(one, { name: one, ...model });
        }
      }
    }
  }
  for (const those of byKey.values()) if (those[0].offer.file) found.set(...fileModel(those, ownerOf));
  return [...found.values()];
}

/** What follows from the offers of all devices that have it. */
function offeredBy(those: readonly OfferOf[]) {
  const offers = those.map(({ offer }) => offer);
  const [{ model, quantisation, engine }] = offers;
  return {
    offered: { model, quantisation },
    engine: offers.every((offer) => offer.engine === engine) ? engine : 'several',
    context_tokens: offers.reduce((most, offer) => Math.max(most, offer.context_tokens), 0),
    chat: offers.some((offer) => offer.chat),
    tools: offers.some((offer) => offer.chat && offer.tools),
    embeddings: offers.some((offer) => offer.embeddings === true),
  };
}

/** A file, in the words of the owners of the devices that have it; the first one's where only one can be told. */
function fileModel(those: readonly OfferOf[], ownerOf: (peer: string) => string | null): [string, PoolModel] {
  const files = those.map(({ offer }) => offer.file!);
  const [{ label, weights }] = files;
  const licences = [...new Set(files.map(({ licence }) => licence))].slice(0, SAID_LICENCES);
  const owners = new Set(those.map(({ peer }) => ownerOf(peer)));
  const [owner] = owners;
  const model = {
    ...{ quantisation: weights, label, licence: licences.join(' | '), created_ms: 0, run: null, ...offeredBy(those) },
    owner: owners.size > 1 ? 'several' : (owner ?? 'unknown'),
  };
  const { model: hash } = model.offered;
  const name = nameOfFile(hash);
  return [name, { name, hash, ...model }];
}

/** The model that a name means, among those that are offered; undefined: none of them. */
export const modelNamed = (
  name: string,
  ...[known, offers, ownerOf]: Parameters<typeof offeredModels>
): PoolModel | undefined => offeredModels(known, offers, ownerOf).find((model) => model.name === name);

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
      run: run.id,
    }));
  });
}

/**
 * What the owner of a model's run has published of honest answers; undefined: nothing. Of several runs with a model the first one made it, or began with it
 * first: anybody may create another one from it, and is not asked.
 */
export function marginsOf(
  { runs }: Pick<NetworkState, 'runs'>,
  { model, quantisation }: Pick<Offer, 'model' | 'quantisation'>,
): Margins | undefined {
  if (quantisation === 'gguf') return undefined;
  for (const run of runs.values()) {
    const isOfRun = run.model === model || run.recent.some((merged) => merged.model === model);
    if (isOfRun) return run.serving.margins.get(quantisation);
  }
  return undefined;
}
