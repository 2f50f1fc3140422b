// Faults of one line in the real source, each of which something must find: those of the rules, and those of hub, peers and disks.
import { CHANNEL } from './planted-channel.ts';
import { CLUSTER_FAULTS } from './planted-cluster.ts';
import { CONTESTS } from './planted-contests.ts';
import { APPEALS, DUTIES, JUDGES } from './planted-judging.ts';
import { MONEY } from './planted-money.ts';
import { MOVES } from './planted-moves.ts';
import { PAYMENT_FAULTS } from './planted-payments.ts';
import { REGISTRY_FAULTS } from './planted-registry.ts';
import { type PlantedFault, RULE_FAULTS } from './planted-rules.ts';
import { SILENCE } from './planted-silence.ts';
import { STAGES } from './planted-stages.ts';
import { VERDICTS } from './planted-verdicts.ts';

const NETWORK: readonly PlantedFault[] = [
  {
    name: 'ended-by-the-hub-while-it-goes-on',
    file: 'core/rounds/run-life.ts',
    find: 'time_ms >= abandonedFrom(run);',
    replace: 'time_ms >= Math.min(9000, abandonedFrom(run));',
    // No drawn history lasts for an hour.
    by: null,
    unit: ['core/rounds/run-life.test.ts', 'an end by the hub, unless nobody has been here'],
  },
  {
    name: 'counts-past-what-is-exact',
    file: 'core/events/work-submitted.ts',
    find: 'run.merged_amount > CORE_LIMITS.merged_amount',
    replace: 'false',
    // No drawn history merges so much.
    by: null,
    unit: ['core/reduce-refusals.test.ts', 'more work than a number can count'],
  },
  {
    name: 'work-weighs-the-same-whatever-its-amount',
    file: 'hub/models.ts',
    find: 'weight: body.amount',
    replace: 'weight: 1',
    by: 'world',
    unit: ['hub/states.test.ts', 'gives what everybody computes'],
  },
  {
    name: 'an-owner-of-devices-becomes-a-device',
    file: 'core/devices.ts',
    find: ' || state.owners.has(author)',
    replace: '',
    // Nobody in a drawn history vouches for an owner.
    by: null,
    unit: ['core/devices.test.ts', 'nobody earns for somebody who earns for another'],
  },
  {
    // Every auditor has the same fault, so no comparison of models shows it.
    name: 'what-rounding-takes-is-lost',
    file: 'training/steps.ts',
    find: '    rest[indices[i]] += added / options.outer_step;\n',
    replace: '    added;\n',
    by: null,
    unit: ['training/steps.test.ts', 'what rounding takes from a step is left out by it'],
  },
  {
    name: 'half-way-rounded-up',
    file: 'model/dtypes.ts',
    find: '+ ((magnitude >>> 16) & 1)',
    replace: '+ 1',
    by: null,
    unit: ['model/dtypes.test.ts', 'half-way to the even one'],
  },
  {
    name: 'unanswered-events-not-sent-again',
    file: 'peer/unanswered.ts',
    find: 'next = [...waiting.keys()];',
    replace: 'next = [];',
    by: 'world',
    unit: ['peer/hostile-hub.test.ts', 'sends again what was not answered, and believes only a receipt'],
  },
  {
    name: 'cut-off-work-not-handed-in',
    file: 'peer/worker-plan.ts',
    find: 'if (claim && counts) return',
    replace: 'if (claim && counts && !stopped) return',
    by: 'world',
  },
  {
    name: 'sealed-verdict-not-on-disk',
    file: 'peer/sealed-verdicts.ts',
    find: '      verdicts.set(verdict.submission, verdict);\n      await write(verdicts);\n',
    replace: '      verdicts.set(verdict.submission, verdict);\n',
    by: 'world',
  },
  {
    name: 'receipts-not-verified',
    file: 'peer/unanswered.ts',
    find: '      verifyReceipt(receipt, found.event, hub);\n',
    replace: '',
    by: 'world',
    unit: ['peer/hostile-hub.test.ts', 'sends again what was not answered, and believes only a receipt'],
  },
  {
    name: 'replay-skips-an-event-after-a-snapshot',
    file: 'hub/sequencer.ts',
    find: 'forEachEntry(log, state.events, log.size, (bytes, index) => {',
    replace: 'forEachEntry(log, state.events && state.events + 1, log.size, (bytes, index) => {',
    by: 'world',
  },
  {
    name: 'answered-before-the-commit',
    file: 'hub/log-writer.ts',
    find: 'const first = await log.append(batch.map(({ bytes }) => bytes));',
    replace: 'const first = log.size; log.append(batch.map(({ bytes }) => bytes)).catch(() => {});',
    by: 'world',
  },
  {
    name: 'commits-not-synced',
    file: 'ledger/sqlite-log-file.ts',
    find: 'PRAGMA synchronous = FULL',
    replace: 'PRAGMA synchronous = NORMAL',
    by: null,
    unit: ['ledger/sqlite-log-store.test.ts', 'a store is opened only where a commit'],
  },
  {
    name: 'answered-before-the-journal',
    file: 'ledger/replica.ts',
    find: '    await journal.append(batch);\n',
    replace: '    journal.append(batch).catch(() => {});\n',
    by: 'world',
    unit: ['ledger/replica.test.ts', 'who is fenced writes nothing more'],
  },
  {
    name: 'lost-answer-not-read-back',
    file: 'ledger/object-journal.ts',
    find: '        if (there && equalHashes(there, bytes)) return;\n',
    replace: '',
    by: 'world',
    unit: ['ledger/object-journal.test.ts', 'a batch that is there already is no failure'],
  },
  {
    name: 'batch-before-not-compared',
    file: 'ledger/object-journal.ts',
    find: "    if (!sameEnd(known, batch)) throw fenced(batch, 'the journal has another batch before it');\n",
    replace: '',
    by: null,
    unit: ['ledger/object-journal.test.ts', 'what does not go on with the journal is fenced'],
  },
];

/** Every fault. */
export const PLANTED_FAULTS: readonly PlantedFault[] = [
  ...JUDGES,
  ...DUTIES,
  ...APPEALS,
  ...SILENCE,
  ...STAGES,
  ...CHANNEL,
  ...CONTESTS,
  ...MONEY,
  ...PAYMENT_FAULTS,
  ...VERDICTS,
  ...REGISTRY_FAULTS,
  ...RULE_FAULTS.map((fault) => ({ ...fault, by: 'rules' as const })),
  ...NETWORK,
  ...CLUSTER_FAULTS,
  ...MOVES,
];
