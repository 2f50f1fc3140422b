// Planted work: what a run's owner hands in as somebody else, knowing what judges must say of it, and how that is proved afterwards.
import { bytesToHex } from '@noble/hashes/utils.js';
import type { PlantRevealed } from '../core/events/plant-revealed.ts';
import { pledgeOf } from '../core/rounds/judging.ts';
import type { AnyGame, Verdict } from '../games/game.ts';
import { onWrongTask } from '../games/wrong-task.ts';
import { sha256, sha256Hex, utf8 } from '../protocol/hash.ts';
import type { Identity } from '../protocol/identity.ts';

/** A submission that is planted: its work's hash, and what judges must say of it. */
export interface Plant {
  readonly run: string;
  readonly work: string;
  readonly accepted: boolean;
}

/**
 * The game as whoever plants plays it. Bad work is real work on another task: it looks like any other, does little harm where it is
 * merged, and the cheapest check of a sound game refuses it. Good work is what the round asks for.
 */
export function plantedGame(game: AnyGame, accepted: boolean): AnyGame {
  // A seed of its own for each round: a task that has no answer is not asked for ever.
  return accepted ? game : onWrongTask(game, ({ seed }) => sha256Hex(utf8(`potluck-plant-task-v1\n${seed}`)));
}

/** What hides the expected verdict: nobody can guess it, its owner can make it again after a restart. */
async function saltOf(owner: Identity, { run, work, accepted }: Plant): Promise<string> {
  const message = `potluck-plant-salt-v1\n${run}\n${work}\n${accepted}`;
  return bytesToHex(sha256(await owner.sign(utf8(message))));
}

/** The pledge for the planted submission: a hash like any other. */
export async function plantPledge(owner: Identity, plant: Plant): Promise<string> {
  return pledgeOf(owner.id, await saltOf(owner, plant), plant.accepted);
}

/** The event that opens the pledge. */
export async function plantReveal(owner: Identity, plant: Plant, submission: string): Promise<PlantRevealed> {
  const { run, accepted } = plant;
  return { type: 'plant.revealed', version: 1, run, submission, salt: await saltOf(owner, plant), accepted };
}

/**
 * Whether a plant may be revealed: only where every check that its owner makes, with what judges knew, says what they are expected to
 * say. A plant that an honest judge could misjudge would cost the honest.
 */
export function isFitToReveal({ accepted }: Plant, own: readonly (Verdict | null)[]): boolean {
  return own.every((verdict) => verdict !== null && verdict.accepted === accepted);
}
