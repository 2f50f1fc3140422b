// Checks one submission with what every judge knows about it: its task, its work, and the work before it.
import { decodeBundle } from '../games/bundle.ts';
import type { Device, Judging, Verdict } from '../games/game.ts';
import { comparedWith } from '../games/judging-draw.ts';
import type { JudgedView } from '../protocol/from-hub.ts';
import { type RoleContext, roundOf } from './role.ts';
import type { SeenRun } from './round-work.ts';

/** The game's verdict on a submission; `state` is the model of its round. Throws PeerError where its blobs cannot be fetched, GameError. */
export async function checkSubmission(
  { game, params, device }: Pick<RoleContext, 'game' | 'params' | 'device'>,
  state: unknown,
  view: SeenRun,
  submission: JudgedView,
  judging: Pick<Judging, 'repeat_permille' | 'looks' | 'place' | 'time_ms'>,
): Promise<Verdict> {
  const { stage } = submission;
  const round = { ...roundOf(view), ...(stage !== undefined && { stage }) };
  const task = await game.task(params, round, submission.worker, state);
  const work = await device.fetchBlob(submission.work);
  const { amount, numbers, runtime } = submission;
  return game.check(task, { work, amount, numbers }, device, {
    ...{ runtime, ...judging },
    earlier: () => earlierWork(device, view, submission),
  });
}

/** The work in the log before a submission: that of the last merged round, then that of this round. */
async function earlierWork({ fetchBlob }: Device, view: SeenRun, submission: JudgedView): Promise<Uint8Array[]> {
  const last = view.recent.at(-1);
  const before = last ? decodeBundle(await fetchBlob(last.bundle)) : [];
  const merged = before.map(
    ({ work }) =>
      async () =>
        work,
  );
  const handedIn = view.handed_in.map(
    ({ work }) =>
      () =>
        fetchBlob(work),
  );
  return Promise.all(comparedWith(merged, handedIn, submission.place).map((fetch) => fetch()));
}
