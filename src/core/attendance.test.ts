// The counts by which a round goes on are those that one gets by counting, whatever comes, goes, hands in and judges in whatever order.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { EventBody, PeerRole } from './events.ts';
import { exampleRules, exampleVerdict, sealFor } from './example-events.ts';
import { acceptedSubmissions } from './judging.ts';
import { sessionOf } from './presence.ts';
import { initialState } from './state.ts';
import { apply } from './testing/checked-apply.ts';

const HUB = '0'.repeat(64);
const OWNER = '1'.repeat(64);
const RUN = 'f'.repeat(64);
const MODEL = '5'.repeat(64);
const PEERS = ['a', 'b', 'c', 'd', 'e'].map((letter) => letter.repeat(64));

const emission = {
  shares_per_round: 10,
  halving_rounds: 0,
  owner_permille: 0,
  workers_permille: 1000,
  validators_permille: 0,
};
const created: EventBody = {
  type: 'run.created',
  version: 1,
  name: 'test',
  game: 'pretrain',
  params: MODEL,
  model: MODEL,
  rounds: 1000,
  round_ms: 1000,
  judging_ms: 400,
  min_workers: 1,
  checkpoint_every: 1000,
  rules: exampleRules(emission),
  created_ms: 0,
};

/** What somebody tries; most of it is refused, and then nothing may change. */
const attempts = fc.array(
  fc.record({
    what: fc.constantFrom(
      'join',
      'join',
      'validate',
      'leave',
      'open',
      'work',
      'work',
      'seal',
      'seal',
      'seal',
      'judge',
      'judge',
      'tick',
      'merge',
      'pause',
      'resume',
    ),
    peer: fc.nat({ max: PEERS.length - 1 }),
    nth: fc.nat({ max: 4 }),
  }),
  { minLength: 20, maxLength: 120 },
);

test('attendance is what counting gives', () => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(attempts, (list) => {
      const state = initialState(HUB);
      assert.equal(apply(state, { id: RUN, author: OWNER, body: created }), null);
      const run = state.runs.get(RUN)!;
      list.forEach(({ what, peer, nth }, serial) => {
        const author = PEERS[peer];
        const base = { version: 1, run: RUN } as const;
        const { round, attempt } = run;
        const { session } = sessionOf(run, author);
        const join = (role: PeerRole): [string, EventBody] => [
          author,
          { ...base, type: 'peer.joined', session, role, name: 'x', runtime: 'y' },
        ];
        const submission = [...run.submissions.keys()][nth] ?? MODEL;
        const accepted = acceptedSubmissions(state, run).map((entry) => entry.submission.id);
        const model = accepted.length > 0 ? serial.toString(16).padStart(64, '0') : run.model;
        const said: Record<string, () => [string, EventBody]> = {
          join: () => join('worker'),
          validate: () => join('validator'),
          leave: () => [author, { ...base, type: 'peer.left', peer: author, session, reason: 'goodbye' }],
          open: () => [HUB, { ...base, type: 'round.opened', round, attempt }],
          work: () => [
            author,
            {
              ...base,
              type: 'work.submitted',
              round,
              attempt,
              base: run.model,
              work: MODEL,
              size_bytes: 1,
              steps: 1,
              tokens: 1,
              loss_micro: 0,
              pledge: MODEL,
            },
          ],
          seal: () => [author, sealFor(author, exampleVerdict(RUN, submission, 1, nth % 2 === 0))],
          judge: () => {
            // What somebody has sealed, where somebody has: any other verdict is refused.
            const sealed = [...run.submissions.values()].flatMap(({ id, seals, verdicts }) =>
              [...seals].filter(([by]) => !verdicts.has(by)).map(([by, seal]) => ({ id, by, seal })),
            )[0] ?? { id: submission, by: author, seal: '' };
            const [yes, no] = [true, false].map((accepted) => exampleVerdict(RUN, sealed.id, 1, accepted));
            return [sealed.by, sealed.seal === sealFor(sealed.by, no).seal ? no : yes];
          },
          tick: () => [HUB, { type: 'tick', version: 1, time_ms: state.time_ms + 150 * (nth + 1) }],
          merge: () => [
            HUB,
            {
              ...base,
              type: 'round.merged',
              round,
              attempt,
              accepted,
              model,
              bundle: accepted.length > 0 ? MODEL : null,
              checkpoint: false,
            },
          ],
          // What follows an end changes little: it comes late.
          pause: () => [
            OWNER,
            { ...base, type: nth === 4 && serial > 40 ? 'run.ended' : 'run.paused', round, attempt },
          ],
          resume: () => [OWNER, { ...base, type: 'run.resumed', round, attempt }],
        };
        const [by, body] = said[what]();
        const refusal = apply(state, { id: (serial + 1).toString(16).padStart(64, '0'), author: by, body });
        if (!refusal) seen.add(body.type);
      });
    }),
    // A fixed seed: that every kind of event is met depends on it.
    { numRuns: 300, seed: 20_261_121 },
  );
  const all = [
    'peer.joined',
    'peer.left',
    'round.merged',
    'round.opened',
    'run.ended',
    'run.paused',
    'run.resumed',
    'tick',
    'verdict.given',
    'verdict.sealed',
    'work.submitted',
  ];
  assert.deepEqual([...seen].sort(), all, 'every way in which the counts change was met');
});
