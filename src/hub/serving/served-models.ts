// What the pool offers to marketplaces: each model once, with what callers pay for it, how many devices could take a request now, and its uptime.
import type { Offer } from '../../protocol/serving-from-peer.ts';
import type { UnpaidCode } from '../../protocol/serving-messages.ts';
import { SAMPLING_PARAMETERS } from '../../serving/api/sampling-fields.ts';
import { SERVING_LIMITS } from '../../serving/limits.ts';
import { askedPrice, type Split, splitOf } from '../../serving/price.ts';
import type { ServedModel } from '../../serving/provider-document.ts';
import { type Devices, modelKey, type PoolDevice } from './devices.ts';
import { type KnownModel, type OfferOf, offeredModels, type PoolModel } from './models.ts';

interface Around {
  readonly devices: Devices;
  readonly models: readonly KnownModel[];
  /** What may serve those that a marketplace sends. */
  readonly offers: Iterable<OfferOf>;
  ownerOf(peer: string): string | null;
  /** What others than the device get; missing: nothing is paid here. */
  readonly split: Split | undefined;
  unpaid(peer: string, offer: Offer): UnpaidCode | null;
  /** How a model's last answers ended. */
  uptime(key: string): readonly boolean[];
}

export function servedModels(around: Around): ServedModel[] {
  const offers = [...around.offers];
  const may = new Set(offers.map(({ peer }) => peer));
  const once = new Map<string, PoolModel>();
  for (const model of offeredModels(around.models, offers, around.ownerOf)) {
    const key = modelKey(model.offered);
    if (!once.has(key)) once.set(key, model); // its newest name comes first
  }
  return [...once].map(([key, model]) => describe(key, model, may, around));
}

function describe(key: string, model: PoolModel, may: ReadonlySet<string>, around: Around): ServedModel {
  const { devices, unpaid, split, uptime } = around;
  const all = [...devices.with(key)].filter(({ peer }) => may.has(peer));
  const offerOf = (device: PoolDevice): Offer => device.offers.get(key)!.offer;
  const able = all.filter((device) => unpaid(device.peer, offerOf(device)) === null);
  const offers = able.map(offerOf);
  const energies = offers.flatMap(({ energy }) => (energy ? [energy] : []));
  return {
    ...{ id: model.name, name: model.label ?? model.name, created_s: Math.floor(model.created_ms / 1000) },
    ...{ quantisation: model.quantisation, context_tokens: model.context_tokens },
    answer_tokens: SERVING_LIMITS.answer_tokens,
    price: priceOf(offers, split, model.run),
    sampling_parameters: SAMPLING_PARAMETERS,
    features: ['json_mode', 'structured_outputs', 'logprobs', ...(model.tools ? ['tools'] : [])],
    devices: able.filter((device) => !device.silent && devices.placesOf(device, key) > 0).length,
    answers: uptime(key),
    energy:
      energies.length === 0
        ? null
        : {
            joules: energies.reduce((sum, { joules }) => sum + joules, 0) / energies.length,
            how: energies.every(({ how }) => how === 'measured') ? 'measured' : 'stated',
          },
  };
}

/** The most that a token may cost: which device writes is not known before. */
function priceOf(offers: readonly Offer[], split: Split | undefined, run: string | null) {
  const most = (of: 'price_in' | 'price_out'): number => Math.max(0, ...offers.map((offer) => offer[of]));
  const dearest = { input_micro: most('price_in'), output_micro: most('price_out') };
  if (!split) return dearest;
  return askedPrice(dearest, splitOf(split, run));
}
