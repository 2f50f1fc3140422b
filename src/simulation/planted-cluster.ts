// Faults of one line in a hub of several processes: its journal, its followers, its leader, and who counts as connected.
import type { PlantedFault } from './planted-rules.ts';

const CLUSTER = 'hub/cluster/cluster.test.ts';
const BLOBS = ['simulation/cluster/named-while-deleted.test.ts', 'what is in the log has its blobs'] as const;

export const CLUSTER_FAULTS: readonly PlantedFault[] = [
  {
    // A writer whose answer is lost takes its own batch for another's.
    name: 'what-is-there-is-not-read-back',
    file: 'ledger/object-journal.ts',
    find: '        if (there && equalHashes(there, bytes)) return;\n',
    replace: '',
    by: 'cluster',
    unit: ['ledger/object-journal.test.ts', 'objects: a batch that is there already is no failure'],
  },
  {
    name: 'whatever-is-there-is-ours',
    file: 'ledger/object-journal.ts',
    find: "if ((await objects.create(name, bytes)) === 'created') return;",
    replace: 'await objects.create(name, bytes);\n        return;',
    by: 'cluster',
    unit: ['ledger/object-journal.test.ts', 'objects: of eight who create the same batch one wins'],
  },
  {
    name: 'a-batch-names-none-before-it',
    file: 'ledger/journal.ts',
    find: '  bytes.set(batch.prev, 24);\n',
    replace: '',
    by: 'cluster',
    unit: ['ledger/object-journal.test.ts', 'objects: what does not go on with the journal is fenced'],
  },
  {
    name: 'answered-before-the-batch-is-there',
    file: 'ledger/replica.ts',
    find: '    await journal.append(batch);\n',
    replace: '    journal.append(batch).catch(() => {});\n',
    by: 'cluster',
    unit: ['ledger/replica.test.ts', 'who is fenced writes nothing more'],
  },
  {
    // Who has the lease believes that it writes the log, whatever the journal says.
    name: 'the-lease-decides-who-may-write',
    file: 'ledger/replica.ts',
    find: '    await journal.append(batch);\n',
    replace:
      "    await journal.append(batch).catch((error) => {\n      if (error.code !== 'fenced') throw error;\n    });\n",
    by: 'cluster',
    unit: [CLUSTER, 'a leader that was away writes nothing more'],
  },
  {
    name: 'a-leader-that-nobody-asks-stays',
    file: 'hub/cluster/following.ts',
    find: '      void catchUp()\n        .catch(guarded)',
    replace: '      void (sequencer.leads ? Promise.resolve() : catchUp())\n        .catch(guarded)',
    by: 'cluster',
    unit: [CLUSTER, 'a leader that nobody asks'],
  },
  {
    // It refuses an event because it has not heard of what that follows on, or of the event itself.
    name: 'refused-by-what-is-not-heard-yet',
    file: 'hub/intake.ts',
    find: '      await sequencer.caughtUp();\n',
    replace: '',
    by: 'cluster',
    unit: [CLUSTER, 'an event that comes twice'],
  },
  {
    name: 'a-batch-taken-across-a-gap',
    file: 'ledger/replica.ts',
    find: "    if (batch.number > end.number) return 'gap';\n    if (leads) throw fenced(batch, 'another process has written it');\n    if (!sameEnd(end, batch)) {",
    replace:
      "    if (leads) throw fenced(batch, 'another process has written it');\n    if (batch.number < end.number) {",
    by: 'cluster',
    unit: ['ledger/replica.test.ts', 'a follower keeps what follows'],
  },
  {
    name: 'a-receipt-from-a-head-before-it',
    file: 'hub/cluster/following.ts',
    find: 'while (!newest || newest.size < least_size) {',
    replace: 'while (!newest) {',
    by: 'cluster',
    unit: [CLUSTER, 'an event that a follower gets'],
  },
  {
    name: 'a-dead-process-is-never-forgotten',
    file: 'hub/cluster/others.ts',
    find: 'if (own_heard_ms - one.heard_ms > BELIEVED_MS) forget(instance);\n        else if',
    replace: 'if',
    by: 'cluster',
    unit: ['hub/cluster/presence.test.ts', 'who is silent is forgotten'],
  },
  {
    // Its devices hand in events that nobody gets, and are written off although they are connected.
    name: 'a-process-without-the-bus-keeps-its-devices',
    file: 'hub/cluster/cut-off.ts',
    find: 'turn(better ? REASONS[now] : null);',
    replace: 'turn(null);',
    by: 'cluster',
    unit: ['hub/cluster/cut-off.test.ts', 'who lacks the bus for a while'],
  },
  {
    // A bus that stands still, and is not known to, takes all other processes with it.
    name: 'silent-while-the-bus-is-silent',
    file: 'hub/cluster/others.ts',
    find: 'if (own_heard_ms - one.heard_ms > BELIEVED_MS) forget(instance);',
    replace: 'if (clock.elapsed_ms() - one.heard_ms > BELIEVED_MS) forget(instance);',
    by: null,
    unit: ['hub/cluster/presence.test.ts', 'while the bus is away or stands still'],
  },
  {
    // A leader dies with its answer: the next one has the event, and refuses what the follower asks again.
    name: 'signed-for-a-follower-and-not-known-again',
    file: 'hub/cluster/leading.ts',
    find: 'placed(() => sequencer.signed(body), take)',
    replace: 'placed(async () => new Uint8Array(), take)',
    by: null,
    unit: ['hub/cluster/leading.test.ts', 'what a follower has signed by a leader that dies'],
  },
  {
    name: 'connected-elsewhere-is-gone',
    file: 'hub/connections.ts',
    find: 'roll.hasKey(run, peer) || presence.frontOf(run, peer) !== null;',
    replace: 'roll.hasKey(run, peer);',
    by: 'cluster',
    unit: ['hub/connections.test.ts', 'who is connected to another process'],
  },
  {
    // Another process has seen a blob that the leader deletes before it hears of the event. Histories last minutes, and sweeps delete what is days old:
    // a test of drawn times finds the three.
    name: 'what-another-process-has-seen-is-deleted',
    file: 'hub/cluster/leading.ts',
    find: 'return letName(blobsNamedBy(decoded.body), () => sequencer.submit(event, decoded));',
    replace: 'return sequencer.submit(event, decoded);',
    by: null,
    unit: BLOBS,
  },
  {
    name: 'what-was-removed-is-believed-to-be-there',
    file: 'hub/blob-holds.ts',
    find: 'wasRemoved: (hash) => removed.has(hash),',
    replace: 'wasRemoved: (hash) => removed.has(hash.slice(1)),',
    by: null,
    unit: BLOBS,
  },
  {
    name: 'deleted-before-the-event-is-durable',
    file: 'hub/blob-holds.ts',
    find: 'if (held.of(hash) > 0) return;',
    replace: 'if (held.of(hash) > 1000) return;',
    by: null,
    unit: BLOBS,
  },
];
