// Games that misbehave, for tests: each breaks one promise of the interface, in a round where a game that works would work.
import { game as chain } from '../../games/addition-chain.ts';
import type { AnyGame } from '../../games/game.ts';

const sound: AnyGame = chain;

/** By what goes wrong. */
export const BROKEN: Readonly<Record<string, AnyGame>> = {
  'perform-throws': {
    ...sound,
    async perform() {
      throw new TypeError('no such thing');
    },
  },
  'perform-nonsense': { ...sound, perform: async () => ({ work: 'text', amount: -1 }) as never },
  'perform-never': { ...sound, perform: () => new Promise(() => {}) },
  'check-throws': {
    ...sound,
    async check() {
      throw new TypeError('no such thing');
    },
  },
  'check-nonsense': { ...sound, check: async () => ({ accepted: 'yes' }) as never },
  'check-never': { ...sound, check: () => new Promise(() => {}) },
  'check-too-generous': {
    ...sound,
    check: async (task, claim, device, judging) => ({
      ...(await sound.check(task, claim, device, judging)),
      weight: claim.amount + 1,
    }),
  },
  'merge-throws': {
    ...sound,
    merge() {
      throw new TypeError('no such thing');
    },
  },
  'sizes-nonsense': { ...sound, sizes: () => 3 as never },
  'state-nonsense': { ...sound, encodeState: () => 'text' as never },
};
