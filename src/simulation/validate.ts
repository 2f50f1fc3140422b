// Validates a game with its own honest work, before any liar plays it (an idea of `verifiers`: every task runs its gold answer through its own grader).

import { isDeepStrictEqual } from 'node:util';
import { CodedError } from '../errors.ts';
import { encodeBundle } from '../games/bundle.ts';
import type { AnyGame, Claim, Device, Judging, Round } from '../games/game.ts';
import { memoryDrawer } from '../games/memory-drawer.ts';
import type { Capability } from '../games/needs.ts';
import { decodeParams } from '../games/params.ts';
import { runProgram } from '../games/programs/node-programs.ts';
import { hashOfState, keepState, mergeState, readState } from '../games/state.ts';
import { sha256Hex, utf8 } from '../protocol/hash.ts';
import { seededRandom } from '../protocol/random.ts';
import type { Runtime } from '../tensor/runtime.ts';
import type { GameSetup } from './play-setup.ts';

/** One requirement of a game: the part of the game, what was expected, and what came instead; null: as expected. */
export interface Check {
  readonly part: string;
  readonly expected: string;
  readonly got: string | null;
}

export interface Validating {
  readonly setup: GameSetup;
  readonly runtime: Runtime;
  /** How long a check may take, as a validator is told. */
  readonly call_ms: number;
  /** Called before each call of the game. */
  readonly begins: (part: string) => void;
  readonly tell: (check: Check) => void;
}

/** Checks a requirement: null, or what came instead. An error that it throws counts as what came instead. */
type Look = () => Promise<string | null>;
type Hold = (part: string, expected: string, look: Look) => Promise<boolean>;

const ROUNDS = 2;
/** The number of workers in a round. */
const WORKERS = 2;
const hashOf = (word: string): string => sha256Hex(utf8(`potluck-validate\n${word}`));

/** The peers that may be asked: an honest device may find nothing in a round. */
const PEERS: readonly string[] = Array.from({ length: 8 }, (_, i) => hashOf(`peer ${i}`));
const [ADA, BOB] = PEERS;

const roundOf = (number: number, last: string | null, draw: string | null): Round => ({
  ...{ run: hashOf('run'), number, rounds: ROUNDS, seed: hashOf(`seed ${number}`), draw, last },
});

/**
 * Checks everything that a run with honest devices needs of a game. Reports each requirement once, and leaves out those that need a
 * requirement that was not met. Never throws an error of the game; but if a call of the game never returns, the caller's thread hangs.
 */
export async function validateGame(validating: Validating): Promise<void> {
  const { setup, begins, tell } = validating;
  const options: Watched = { ...validating, used: new Set() };
  const promise: Hold = async (part, expected, look) => {
    begins(part);
    const got = await look().catch(wordsOf);
    tell({ part, expected, got });
    return got === null;
  };
  const settled = await settings(promise, setup);
  const encoded = await states(promise, setup);
  if (!settled || !encoded) return;
  let state = setup.first;
  let last: string | null = null;
  for (let number = 0; number < ROUNDS; number++) {
    const played = await playRound({ ...options, promise }, { number, last, state });
    if (!played) return;
    ({ state, last } = played);
  }
  await promise('needs', 'every capability that the game used of a device', async () => {
    const unnamed = [...options.used].filter((used) => !setup.game.needs?.includes(used));
    return unnamed.length === 0 ? null : `no ${unnamed.join(' and no ')}: a device without it would join, and fail`;
  });
}

/** The game as it is validated, with the capabilities that it has used so far. */
interface Watched extends Validating {
  readonly used: Set<Capability>;
}

const wordsOf = (error: unknown): string =>
  error instanceof Error ? `${'code' in error ? `${error.code}: ` : ''}${error.message}` : String(error);

async function settings(promise: Hold, { game, params }: GameSetup): Promise<boolean> {
  const written = utf8(JSON.stringify(params));
  const same = await promise('params', 'the same settings when they are written as JSON and read again', async () =>
    isDeepStrictEqual(await decodeParams(game, written), params)
      ? null
      : JSON.stringify(await decodeParams(game, written)),
  );
  const sized = await promise('sizes', 'the same sizes whenever it is asked, as whole numbers', async () =>
    isDeepStrictEqual(await game.sizes(params), await game.sizes(params))
      ? null
      : JSON.stringify(await game.sizes(params)),
  );
  return same && sized;
}

/** The state before the first round, and its bytes. */
async function states(promise: Hold, { game, params, first }: GameSetup): Promise<boolean> {
  const begun = await promise('first', 'the same first state whenever it is asked', async () => {
    if (!game.first) return null; // the run's owner provides it
    return sameState(await hashOfState(game, params, first), await hashOfState(game, params, await game.first(params)));
  });
  return begun && (await survives(promise, { game, params }, first, 'the first state'));
}

const survives = (promise: Hold, { game, params }: Played, state: unknown, which: string): Promise<boolean> =>
  promise('encodeState', `${which} as bytes that decodeState and encodeState turn into the same bytes`, async () => {
    const { hash, read } = await kept(game, params, state);
    return sameState(hash, await hashOfState(game, params, await read()));
  });

/** A state's hash, and a way to read it again. */
async function kept(game: AnyGame, params: unknown, state: unknown) {
  const blobs = new Map<string, Uint8Array>();
  const hash = await keepState(game, params, state, async (bytes) => {
    blobs.set(sha256Hex(bytes), bytes.slice());
    return sha256Hex(bytes);
  });
  return { hash, read: () => readState(game, params, hash, async (name) => blobs.get(name)!) };
}

const sameState = (expected: string, got: string): string | null =>
  expected === got ? null : `the state ${got.slice(0, 12)} instead of ${expected.slice(0, 12)}`;

interface Played {
  readonly game: AnyGame;
  readonly params: unknown;
}

interface Playing extends Watched {
  readonly promise: Hold;
}

interface Before {
  readonly number: number;
  readonly last: string | null;
  readonly state: unknown;
}

/** One honest round: work of two devices, judged and merged. null if a requirement was not met that the next round needs. */
async function playRound(options: Playing, before: Before): Promise<Omit<Before, 'number'> | null> {
  const { promise, setup } = options;
  const { game, params } = setup;
  if (!(await tasks(promise, setup, before))) return null;
  const claims = await worked(options, before);
  if (claims.size < WORKERS) return null;
  for (const [peer, claim] of claims) if (!(await taken(options, before, peer, claim))) return null;
  if (before.number === 0) {
    await whenStopped(options, before);
    await garbage(options, before, claims.get(ADA) ?? [...claims.values()][0]);
  }
  const works = [...claims.values()].map(({ work, amount }) => ({ work, weight: amount }));
  const parent = await kept(game, params, before.state);
  let state: unknown;
  const merged = await promise(
    'merge',
    'the same next state from the same work, and the state before unchanged',
    async () => {
      state = await mergeState(game, params, before.state, works);
      const again = await mergeState(game, params, await parent.read(), works);
      return (
        sameState(await hashOfState(game, params, state), await hashOfState(game, params, again)) ??
        sameState(parent.hash, await hashOfState(game, params, before.state))
      );
    },
  );
  if (!merged || !(await survives(promise, setup, state, 'a merged state'))) return null;
  await promise('evaluate', 'of the merged state, a whole number for each metric', async () => {
    await game.evaluate(params, state, deviceFor(options));
    return null;
  });
  if (game.sample) {
    await promise('sample', 'a prompt and a text, or null', async () => {
      await game.sample!(params, state, deviceFor(options), new AbortController().signal);
      return null;
    });
  }
  const bundle = encodeBundle(works);
  const last = sha256Hex(bundle);
  (setup.blobs as Map<string, Uint8Array>).set(last, bundle);
  return { state, last };
}

const tasks = (promise: Hold, { game, params }: Played, { number, last, state }: Before): Promise<boolean> =>
  promise('task', 'the same task twice, and another one for another peer or seed', async () => {
    const round = roundOf(number, last, null);
    const task = await game.task(params, round, ADA, state);
    if (!isDeepStrictEqual(task, await game.task(params, round, ADA, state)))
      return 'another task when it is derived again';
    if (isDeepStrictEqual(task, await game.task(params, round, BOB, state))) return 'the same task for another peer';
    const other = await game.task(params, { ...round, seed: hashOf('another seed') }, ADA, state);
    return isDeepStrictEqual(task, other) ? 'the same task for another seed' : null;
  });

/** A new device with an empty drawer. `onProgress` is called after each piece of work. */
const deviceFor = ({ setup, runtime, used }: Watched, onProgress = (): void => {}): Device => ({
  runtime: {
    ...runtime,
    load(graph) {
      used.add('compute');
      return runtime.load(graph);
    },
    staged: runtime.staged && {
      ...runtime.staged,
      load(graph) {
        used.add('compute');
        return runtime.staged!.load(graph);
      },
    },
  },
  async fetchBlob(hash) {
    const bytes = setup.blobs.get(hash);
    if (bytes) return bytes;
    throw new CodedError('missing-blob', `no blob ${hash}: a game is validated with the blobs of its settings only`);
  },
  drawer: memoryDrawer(),
  run(...given) {
    used.add('run');
    return runProgram(...given);
  },
  progress: async () => onProgress(),
});

/** The first two works that devices hand in, by peer. */
async function worked(options: Playing, before: Before): Promise<Map<string, Claim>> {
  const claims = new Map<string, Claim>();
  await options.promise('perform', `work of ${WORKERS} devices among ${PEERS.length}`, async () => {
    for (const peer of PEERS) {
      const claim = await perform(options, before, peer, new AbortController().signal);
      if (claim) claims.set(peer, claim);
      if (claims.size === WORKERS) return null;
    }
    return `work of ${claims.size}, null of the others`;
  });
  return claims;
}

/** Whether a hub and a judge accept honest work. */
async function taken(options: Playing, before: Before, peer: string, claim: Claim): Promise<boolean> {
  const { promise, setup } = options;
  const { game, params } = setup;
  const formed = await promise('checkForm', 'to take the honest work, of at most max_bytes', async () => {
    const { max_bytes } = await game.sizes(params);
    await game.checkForm(params, claim.work);
    await game.goesOn?.(claim.work);
    return claim.work.length <= max_bytes ? null : `work of ${claim.work.length} bytes where max_bytes is ${max_bytes}`;
  });
  const judged = await promise('check', 'to accept the honest work, of its own task only', async () => {
    const refusal = await refusalOf(options, before, peer, claim);
    if (refusal !== null) return refusal;
    const { accepted } = await judge(options, before, peer === ADA ? BOB : ADA, claim);
    return accepted ? "another peer's work accepted" : null;
  });
  return formed && judged;
}

async function perform(options: Playing, before: Before, peer: string, signal: AbortSignal, stop?: () => void) {
  const { game, params } = options.setup;
  const device = deviceFor(options, stop);
  await game.prepare?.(params, device);
  const most_amount = before.number === 0 ? await game.firstAmount?.(params) : undefined;
  const round = { ...roundOf(before.number, before.last, null), ...(most_amount !== undefined && { most_amount }) };
  const claim = await game.perform(await game.task(params, round, peer, before.state), device, signal);
  if (claim && most_amount !== undefined && claim.amount > most_amount) {
    throw new CodedError(
      'too-much',
      `a first work of ${claim.amount} ${game.unit} where firstAmount allows ${most_amount}`,
    );
  }
  return claim;
}

/** The verdict of a judge that repeats as much of the work as the game can. */
async function judge(options: Playing, before: Before, peer: string, claim: Claim) {
  const { setup, runtime, call_ms } = options;
  const { game, params } = setup;
  const device = deviceFor(options);
  await game.prepare?.(params, device);
  const round = roundOf(before.number, before.last, hashOf(`draw ${before.number}`));
  const judging: Judging = {
    ...{
      runtime: runtime.class,
      repeat_permille: 1000,
      looks: true,
      place: 0.5,
      time_ms: call_ms,
      earlier: async () => [],
    },
  };
  return game.check(await game.task(params, round, peer, before.state), claim, device, judging);
}

async function refusalOf(options: Playing, before: Before, peer: string, claim: Claim): Promise<string | null> {
  const { accepted, code } = await judge(options, before, peer, claim);
  return accepted ? null : `refused (${code})`;
}

/** If a device is stopped, before it begins or after its first piece of work, it submits what it has, and that must be valid. */
async function whenStopped(options: Playing, before: Before): Promise<void> {
  const { promise, setup } = options;
  for (const when of ['before it begins', 'after its first piece of work']) {
    await promise('perform', `sound work or null where it is stopped ${when}`, async () => {
      const stop = new AbortController();
      if (when === 'before it begins') stop.abort();
      const claim = await perform(options, before, ADA, stop.signal, () => stop.abort());
      if (!claim) return null;
      await setup.game.checkForm(setup.params, claim.work);
      return refusalOf(options, before, ADA, claim);
    });
  }
}

/** Invalid work: the hub's check of form refuses it with a typed error, or a judge refuses it without an error. */
async function garbage(options: Playing, before: Before, honest: Claim): Promise<void> {
  const { promise, setup } = options;
  const { game, params } = setup;
  const random = seededRandom('potluck-validate', 'noise');
  const noise = (length: number): Uint8Array => Uint8Array.from({ length }, () => random.below(256));
  const pieces: readonly (readonly [string, Uint8Array])[] = [
    ['no bytes', new Uint8Array()],
    ['noise of three bytes', noise(3)],
    ['noise as long as the work', noise(honest.work.length)],
    ['the work without its last byte', honest.work.subarray(0, -1)],
  ];
  let formless = 0;
  for (const [what, bytes] of pieces) {
    let refused = false;
    const typed = await promise('checkForm', `${what} taken, or refused with a CodedError`, async () => {
      try {
        await game.checkForm(params, bytes);
      } catch (error) {
        refused = true;
        if (!(error instanceof CodedError) || error.code === 'game-threw') return wordsOf(error);
      }
      return null;
    });
    if (refused) formless++;
    if (!typed || refused) continue;
    await promise('check', `${what} refused, without an error`, async () =>
      (await judge(options, before, ADA, { ...honest, work: bytes })).accepted ? 'accepted' : null,
    );
  }
  await promise('checkForm', 'at least one of them refused', async () => (formless > 0 ? null : 'all taken'));
}
