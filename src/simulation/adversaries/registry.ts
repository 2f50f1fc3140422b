// All adversaries by name. A hub that drops work is not among them: it needs no game, and the worker's receipt convicts it in an audit
// (test/audit.test.ts, "receipts").
import { SimulationError } from '../errors.ts';
import type { Adversary } from './adversary.ts';
import { briber, colluders, freshKeys, friendlySleeper, ghosts, grinder, visitors } from './cartels.ts';
import { copier, copierNoisy, selfBlur, stale, sybils } from './copying-workers.ts';
import { accusers, contrarian, copyingValidator, grudge, lazy, silent } from './false-judges.ts';
import { backdoor, scaled, signFlip, slowPoison } from './harmful-workers.ts';
import {
  boast,
  fewSteps,
  noise,
  ownData,
  slacker,
  slackerTwo,
  sleeper,
  sleepingSlacker,
  zeros,
} from './idle-workers.ts';
import { PIPELINE_LIARS } from './pipeline-liars.ts';
import {
  cacher,
  coarseWeights,
  earlierModel,
  nowAndThen,
  otherSeed,
  padder,
  shortContext,
  smallerModel,
  topPIgnored,
} from './serving-liars.ts';

export const ADVERSARIES: readonly Adversary[] = [
  ...[noise, zeros, stale, copier, copierNoisy, ownData, fewSteps, boast, sybils, sleeper],
  ...[signFlip, scaled, slowPoison, backdoor],
  ...[slacker, slackerTwo, sleepingSlacker, selfBlur],
  ...[coarseWeights, nowAndThen, smallerModel, earlierModel, shortContext, topPIgnored, otherSeed, padder, cacher],
  ...PIPELINE_LIARS,
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
