// Faults of one line in how runs move between the logs of hubs: histories over several logs must find each, and a test of the core.
import type { PlantedFault } from './planted-rules.ts';

const ARRIVING = 'core/moving/arriving.ts';
const CAME = 'core/moving/came.ts';
const LEAVING = 'core/moving/leaving.ts';
const FOREIGN = 'core/moving/foreign-event.ts';
const FORM = 'core/moving/moved-run.ts';
const TEST = 'core/moving/moving.test.ts';
const ARRIVES = 'core/moving/arriving.test.ts';

const WHOLE = [TEST, 'a run goes to another log, with all that it takes along'] as const;
const ONCE = [TEST, 'a departure opens one log, once'] as const;
const PROOF = [ARRIVES, 'an arrival without proof, with another first event'] as const;
const CARRIES = ['core/moving/moved-run.test.ts', 'what a run takes along is all that it has been'] as const;
const COUNTS = ['core/moving/moved-run.test.ts', 'a form that says more, less, or what no log can'] as const;
const DEPARTURE = [ARRIVES, 'nothing but a departure lets a run go'] as const;
const LEAVES = ['core/moving/leaving.test.ts', 'a run leaves only while it is paused and at rest'] as const;
const BEGINS = [TEST, 'a run that is on its way does not begin, one that has come back is here'] as const;
const WAY = [TEST, 'a run that names its first hub shows the whole way from there'] as const;
const SLOW = [ARRIVES, 'what no part names is missed, and what comes too slowly'] as const;

export const MOVES: readonly PlantedFault[] = [
  {
    name: 'a-departure-that-no-log-has',
    file: FOREIGN,
    find: 'if (!verifyInclusion(leafHash(event), index, head.size, inclusion_proof, hexToBytes(head.root))) {',
    replace: 'if (index > head.size) {',
    by: 'moves',
    unit: PROOF,
  },
  {
    name: 'a-head-that-no-hub-has-signed',
    file: FOREIGN,
    find: '    openCheckpoint(assembleCheckpoint(parts, log), { id: hub, origin: log.name });\n',
    replace: '    assembleCheckpoint(parts, log);\n',
    by: 'moves',
    unit: PROOF,
  },
  {
    name: 'a-departure-in-the-name-of-a-hub',
    file: CAME,
    find: 'if (event.author === moved.hub) return parsed.data;',
    replace: 'if (event.author === moved.hub || true) return parsed.data;',
    // A run shows its whole way, and no hub on it takes such a word by anybody else into its log.
    by: null,
    unit: PROOF,
  },
  {
    name: 'let-go-to-any-hub',
    file: CAME,
    find: 'if (departure.to !== hub) {',
    replace: 'if (departure.to === departure.owner) {',
    by: 'moves',
    unit: ONCE,
  },
  {
    name: 'an-old-departure-forks-a-run',
    file: ARRIVING,
    find: 'if (opened.moves <= least) {',
    replace: 'if (opened.moves < least - 1000) {',
    by: 'moves',
    unit: ONCE,
  },
  {
    name: 'anybody-brings-a-run',
    file: ARRIVING,
    find: '  return author === opened.by\n',
    replace: '  return author !== ""\n',
    by: 'moves',
    unit: ONCE,
  },
  {
    name: 'events-taken-after-the-move',
    file: 'core/reduce.ts',
    find: 'if (kind.in_run && run?.moved && !kind.after_move) {',
    replace: 'if (kind.in_run && run?.moved && kind.by_hub && !kind.after_move) {',
    by: 'moves',
    unit: WHOLE,
  },
  {
    name: 'another-state-than-the-stated',
    file: ARRIVING,
    find: 'if (hash !== arrival.state) return',
    replace: 'if (hash.length !== arrival.state.length) return',
    by: 'moves',
    unit: [ARRIVES, 'what has come is what was stated, to the last number'],
  },
  {
    name: 'what-was-settled-stays-behind',
    file: FORM,
    find: '[field, run[field]]',
    replace: "[field, field === 'settled' ? new Map() : run[field]]",
    by: 'moves',
    unit: CARRIES,
  },
  {
    name: 'what-is-withheld-stays-behind',
    file: FORM,
    find: '[field, run[field]]',
    replace: "[field, field === 'withheld' ? new Map() : run[field]]",
    by: 'moves',
    unit: CARRIES,
  },
  {
    name: 'locked-shares-stay-behind',
    file: FORM,
    find: '[field, run[field]]',
    replace: "[field, field === 'locks' ? [] : run[field]]",
    by: 'moves',
    unit: CARRIES,
  },
  {
    name: 'settlements-are-counted-anew',
    file: FORM,
    find: '[field, run[field]]',
    replace: "[field, field === 'settlements' ? 0 : run[field]]",
    by: 'moves',
    unit: CARRIES,
  },
  {
    name: 'changes-of-stake-are-counted-anew',
    file: FORM,
    find: '[field, run[field]]',
    replace: "[field, field === 'stake_changes' ? new Map() : run[field]]",
    by: 'moves',
    unit: CARRIES,
  },
  {
    name: 'proposals-are-counted-anew',
    file: FORM,
    find: '[field, run[field]]',
    replace: "[field, field === 'proposals' ? 0 : run[field]]",
    by: 'moves',
    unit: CARRIES,
  },
  {
    name: 'sessions-are-counted-anew',
    file: FORM,
    find: 'const { present, handed_in, openings, ...record } = peer;',
    replace: 'const { present, handed_in, openings, ...record } = { ...peer, joins: 1 };',
    by: 'moves',
    unit: CARRIES,
  },
  {
    name: 'a-revoked-device-keeps-its-record-elsewhere',
    file: FORM,
    find: 'devices.get(peer.id)?.revoked ? { ...record, consecutive_valid: 0 } : record',
    replace: 'devices.get(peer.id)?.revoked ? { ...record } : record',
    by: 'moves',
    unit: CARRIES,
  },
  {
    name: 'the-word-that-sends-away-is-said-again',
    file: LEAVING,
    find: '  run.attempt++;\n',
    replace: '',
    by: 'moves',
    unit: [TEST, 'the word that sends a run away is used once'],
  },
  {
    name: 'it-leaves-while-something-is-contested',
    file: LEAVING,
    find: 'if (run.contests.size === 0) return null;',
    replace: 'if (run.contests.size >= 0) return null;',
    by: 'moves',
    unit: LEAVES,
  },
  {
    name: 'moves-are-not-counted',
    file: LEAVING,
    find: 'moves: run.moves + 1 });',
    replace: 'moves: Math.max(1, run.moves) });',
    by: 'moves',
    unit: ONCE,
  },
  {
    name: 'it-is-here-and-goes-on',
    file: ARRIVING,
    find: "phase: 'paused', moves: arrival.moves }",
    replace: "phase: 'gathering', moves: arrival.moves }",
    by: 'moves',
    unit: WHOLE,
  },
  {
    name: 'it-comes-without-its-blobs',
    file: ARRIVING,
    find: 'if (missing) return',
    replace: 'if (missing && named.size > 1000) return',
    by: 'moves',
    unit: SLOW,
  },
  {
    name: 'it-begins-in-any-log',
    file: 'core/events/run-created.ts',
    find: 'body.hub !== undefined && body.hub !== state.hub',
    replace: 'body.hub !== undefined && body.hub.length !== state.hub.length',
    by: 'moves',
    unit: BEGINS,
  },
  {
    name: 'a-run-comes-from-anywhere',
    file: 'core/moving/arriving.ts',
    find: 'refusalOfStages(spec) ?? refusalOfWay(run, spec.hub, [...way, moved])',
    replace: 'refusalOfStages(spec)',
    by: 'moves',
    unit: WAY,
  },
  {
    name: 'the-way-may-have-gaps',
    file: 'core/moving/arriving.ts',
    find: 'left.hub !== at || departure.run !== run',
    replace: 'departure.run !== run',
    by: 'moves',
    unit: WAY,
  },
  {
    name: 'a-departure-of-nothing',
    file: 'core/events/run-moved.ts',
    find: 'size_bytes: z.int().min(1)',
    replace: 'size_bytes: z.int().min(0)',
    by: 'moves',
    unit: DEPARTURE,
  },
  {
    name: 'it-counts-beyond-what-is-exact',
    file: FORM,
    find: 'const exact = count.max(LOGS_LIMITS.brought_count);',
    replace: 'const exact = count;',
    by: 'moves',
    unit: COUNTS,
  },
  {
    name: 'a-bond-beyond-all-weight',
    file: FORM,
    find: 'count.max(U16_MAX)',
    replace: 'exact',
    by: 'moves',
    unit: COUNTS,
  },
  {
    name: 'an-ancestor-that-its-first-event-does-not-name',
    file: ARRIVING,
    find: 'const wrong = refusalOfLineage(arrival.spec, carried.lineage);',
    replace:
      'const wrong = refusalOfLineage({ ...arrival.spec, ancestor: carried.lineage ?? undefined }, carried.lineage);',
    by: 'moves',
    unit: [ARRIVES, 'a state that could not follow from events is no run'],
  },
  {
    name: 'it-begins-while-it-comes',
    file: 'core/events/run-created.ts',
    find: ' || state.arriving.has(id)) return refuse',
    replace: ') return refuse',
    by: null,
    unit: BEGINS,
  },
  {
    name: 'what-comes-too-slowly-holds-its-place',
    file: 'core/moving/late-arrivals.ts',
    find: '>= LOGS_LIMITS.arriving_ms',
    replace: '>= 2 * LOGS_LIMITS.arriving_ms',
    // No history lasts for an hour.
    by: null,
    unit: SLOW,
  },
];
