// Planted work: a run's owner submits it under another name, knows the right verdict on it, and proves that afterwards.
import { bytesToHex } from '@noble/hashes/utils.js';
import type { PlantRevealed } from '../core/events/plant-revealed.ts';
import { pledgeOf } from '../core/rounds/judging.ts';
import type { AnyGame, Verdict } from '../games/game.ts';
import { onWrongTask } from '../games/wrong-task.ts';
import { sha256, sha256Hex, utf8 } from '../protocol/hash.ts';
import type { Identity } from '../protocol/identity.ts';

/** A planted submission: its work's hash, and the right verdict. */
export interface Plant {
  readonly run: string;
  readonly work: string;
  readonly accepted: boolean;
}

/**
 * The game as the planting worker plays it. Bad work is real work on another task: it looks like any other, does little harm if it is
 * merged, and the cheapest check of a sound game refuses it. Good work is what the round asks for.
 */
export function plantedGame(game: AnyGame, accepted: boolean): AnyGame {
  // A new seed for each round, so that a task without an answer is not repeated forever.
  return accepted ? game : onWrongTask(game, ({ seed }) => sha256Hex(utf8(`potluck-plant-task-v1\n${seed}`)));
}

/** The secret behind the pledge: nobody can guess it, and its owner can compute it again after a restart. */
async function saltOf(owner: Identity, { run, work, accepted }: Plant): Promise<string> {
  const message = `potluck-plant-salt-v1\n${run}\n${work}\n${accepted}`;
  return bytesToHex(sha256(await owner.sign(utf8(message))));
}

/** The pledge of the planted submission: a hash that looks like any other. */
export async function plantPledge(owner: Identity, plant: Plant): Promise<string> {
  return pledgeOf(owner.id, await saltOf(owner, plant), plant.accepted);
}

/** The event that reveals the pledge. */
export async function plantReveal(owner: Identity, plant: Plant, submission: string): Promise<PlantRevealed> {
  const { run, accepted } = plant;
  return { type: 'plant.revealed', version: 1, run, submission, salt: await saltOf(owner, plant), accepted };
}

/**
 * Whether a plant may be revealed: only if each check that its owner makes, with the knowledge that judges had, gives the expected
 * verdict. A plant that an honest judge could misjudge would cost honest judges.
 */
export function isFitToReveal({ accepted }: Plant, own: readonly (Verdict | null)[]): boolean {
  return own.every((verdict) => verdict !== null && verdict.accepted === accepted);
}
