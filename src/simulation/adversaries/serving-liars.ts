// Workers that serve something else than what they are asked and paid for: each really does, with the game's own parts.
import type { Device } from '../../games/game.ts';
import { openServed, readModel, type ServedModel, servedOn } from '../../games/serve/device.ts';
import type { ServeParams, ServeRequest, ServeTask } from '../../games/serve/params.ts';
import { serveRequests, writeAnswer } from '../../games/serve/write.ts';
import { parameterSpecs } from '../../model/config.ts';
import type { DecodePool } from '../../model/decode-pool.ts';
import type { Adversary } from './adversary.ts';
import { withDeeds } from './task.ts';

interface Lie {
  /** The model that it computes with instead of the promised one. */
  model?(params: ServeParams, device: Device): Promise<ServedModel>;
  /** What it makes of a request. */
  request?(request: ServeRequest, params: ServeParams): ServeRequest;
  /** Which answers it lies in; by default all. */
  lies?(index: number): boolean;
}

/** A worker that serves by a lie. */
function liar(name: string, does: string, { model, request = (asked) => asked, lies = () => true }: Lie): Adversary {
  return {
    ...{ name, does, roles: ['worker'], games: ['serve'] },
    play(game, context) {
      const params = context.params as ServeParams;
      let opened: Promise<DecodePool> | null = null;
      const load = (device: Device): Promise<DecodePool> =>
        model ? model(params, device).then((own) => openServed(own, device)) : servedOn(device, params);
      return withDeeds(game, {
        async perform(task, device, signal) {
          opened ??= load(device);
          const [own, honest] = await Promise.all([opened, servedOn(device, params)]);
          return serveRequests(task.inner as ServeTask, device, signal, (asked, index) => {
            const served = lies(index) ? own : honest;
            const heard = lies(index) ? request(asked, params) : asked;
            return writeAnswer(served, params, heard, signal);
          });
        },
      });
    },
  };
}

const coarse = async (params: ServeParams, device: Device): Promise<ServedModel> => ({
  ...(await readModel(params, params.weights, device)),
  quantisation: 'q4_0',
});

export const coarseWeights = liar('coarse-weights', 'serves with weights of four bits what is sold as whole', {
  model: coarse,
});

export const nowAndThen = liar('now-and-then', 'serves every other answer with weights of four bits', {
  model: coarse,
  lies: (index) => index % 2 === 1,
});

export const smallerModel = liar('smaller-model', 'leaves out the last layer of the model', {
  async model(params, device) {
    const { config, weights, quantisation } = await readModel(params, params.weights, device);
    const smaller = { ...config, num_hidden_layers: Math.max(1, config.num_hidden_layers - 1) };
    const kept = parameterSpecs(smaller).map(({ name }) => [name, weights.get(name)!] as const);
    return { config: smaller, weights: new Map(kept), quantisation };
  },
});

export const earlierModel = liar('earlier-model', 'serves with the version before the one that is asked for', {
  model: (params, device) => readModel(params, params.earlier[0] ?? params.weights, device),
});

export const shortContext = liar('short-context', 'reads only the last half of each prompt', {
  request: (asked) => ({ ...asked, prompt: asked.prompt.slice(Math.floor(asked.prompt.length / 2)) }),
});

export const topPIgnored = liar('top-p-ignored', 'draws from all tokens, not from the likeliest ones', {
  request: (asked) => ({ ...asked, rule: { ...asked.rule, top_p: 1 } }),
});

export const otherSeed = liar('other-seed', 'draws with a seed of its own', {
  request: (asked) => ({ ...asked, rule: { ...asked.rule, seed: 'my own' } }),
});

export const padder = liar('padder', 'goes on where an answer should end, to be paid for more tokens', {
  request(asked, { end_ids }) {
    const never = end_ids.map((id) => [id, -100] as const);
    return { ...asked, rule: { ...asked.rule, logit_bias: [...asked.rule.logit_bias, ...never] } };
  },
});

/** Hands in the answers of its first round, whatever is asked later. */
export const cacher: Adversary = {
  name: 'cacher',
  does: 'hands in the answers of its first round again',
  roles: ['worker'],
  games: ['serve'],
  play(game, { family, peer }) {
    return withDeeds(game, {
      async perform(task, device, signal) {
        const first = family.get(peer);
        if (first) return first;
        const claim = await game.perform(task.inner, device, signal);
        if (claim) family.set(peer, claim);
        return claim;
      },
    });
  },
};
