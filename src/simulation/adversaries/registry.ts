// All adversaries by name. A hub that drops work is not among them: it needs no game, and the worker's receipt convicts it in an audit
// (test/audit.test.ts, "receipts").
import { SimulationError } from '../errors.ts';
import { accusers } from './accusers.ts';
import type { Adversary } from './adversary.ts';
import { backdoor } from './backdoor.ts';
import { boast } from './boast.ts';
import { briber } from './briber.ts';
import { colluders } from './colluders.ts';
import { contrarian } from './contrarian.ts';
import { copier } from './copier.ts';
import { copierNoisy } from './copier-noisy.ts';
import { copyingValidator } from './copying-validator.ts';
import { fewSteps } from './few-steps.ts';
import { freshKeys } from './fresh-keys.ts';
import { friendlySleeper } from './friendly-sleeper.ts';
import { ghosts } from './ghosts.ts';
import { grinder } from './grinder.ts';
import { grudge } from './grudge.ts';
import { lazy } from './lazy.ts';
import { noise } from './noise.ts';
import { ownData } from './own-data.ts';
import { scaled } from './scaled.ts';
import { selfBlur } from './self-blur.ts';
import { signFlip } from './sign-flip.ts';
import { silent } from './silent.ts';
import { slacker, slackerTwo, sleepingSlacker } from './slacker.ts';
import { sleeper } from './sleeper.ts';
import { slowPoison } from './slow-poison.ts';
import { stale } from './stale.ts';
import { sybils } from './sybils.ts';
import { visitors } from './visitors.ts';
import { zeros } from './zeros.ts';

export const ADVERSARIES: readonly Adversary[] = [
  ...[noise, zeros, stale, copier, copierNoisy, ownData, fewSteps, boast, sybils, sleeper],
  ...[signFlip, scaled, slowPoison, backdoor],
  ...[slacker, slackerTwo, sleepingSlacker, selfBlur],
  ...[freshKeys, grinder, visitors, ghosts, friendlySleeper],
  ...[briber, lazy, silent, copyingValidator, contrarian, accusers, colluders, grudge],
];

/** Throws SimulationError `bad-options` for an unknown name. */
export function adversaryNamed(name: string): Adversary {
  const adversary = ADVERSARIES.find((candidate) => candidate.name === name);
  if (adversary) return adversary;
  const names = ADVERSARIES.map((candidate) => candidate.name).join(', ');
  throw new SimulationError('bad-options', `expected an adversary (${names}), got "${name}"`);
}

/** The adversaries that can play a game. */
export const adversariesOf = (game: string): Adversary[] =>
  ADVERSARIES.filter(({ games }) => games === undefined || games.includes(game));
