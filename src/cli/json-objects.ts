// What commands print with --json: one object a line, each by its `type`. docs/json.md is written from these schemas.
import { z } from 'zod';
import { ROUNDED_DTYPES } from '../model/dtypes.ts';
import { DayCountsSchema } from '../peer/owner-policy/day-book.ts';
import { DeviceReportSchema, OwnerSettingsSchema } from '../protocol/device-letters.ts';
import { RunStatusSchema } from '../protocol/messages.ts';
import { DeviceWorkerSchema, ReasonSchema } from './device-worker.ts';

const id = z.string().meta({ description: 'an id: 64 hexadecimal digits' });
const count = z.int();
const path = z.string();
const nested = z.looseObject({}) as unknown as z.ZodType<object, object>;
const role = z.enum(['worker', 'validator']);
const share_count = count;
const listed_run = z.strictObject({
  run: id,
  name: z.string(),
  owner: id,
  game: z.string(),
  phase: z.string(),
  merged_rounds: count,
  rounds: count,
  metrics: RunStatusSchema.shape.metrics,
  workers: count,
  validators: count,
});
/** Of a device that takes part: which run it is about, once it has joined one. */
const of_run = { run: id.optional() };
/** By the names that the run's game gives them. */
const numbers = z.record(z.string(), count);
const obstacle = z.strictObject({ code: z.string(), message: z.string() });
/** What a reader should know though nothing is untrue: that the hub's clock is ahead of theirs. */
const warning = z.string().nullable();
/** Who has cosigned a head, and when by its clock. */
const witness = z.strictObject({ name: z.string(), time_s: count });
const verdict_code = { accepted: z.boolean(), code: z.string() };

/** What a bucket has got of a folder so far, and what it had. */
const copied = z.strictObject({ entries: count, blobs: count, known_blobs: count, size_bytes: count });

/** What a run will be, by `potluck run create`. */
const run_summary = {
  files: count,
  kinds: z.record(z.string(), count),
  left_out: z.array(z.strictObject({ reason: z.string(), count, example: path })),
  validation_files: count,
  bad_records: count,
  first_bad_record: z.string().nullable(),
  crlf_files: count,
  utf16_files: count,
  documents: count,
  chats: count,
  train_tokens: count,
  validation_tokens: count,
  shard_tokens: count,
  shards: count,
  dataset: id,
  parameters: count,
  stages: count.nullable(),
  largest_stage_parameters: count,
  boundary_bytes: z.number().nullable(),
  is_llama: z.boolean(),
  weights: z.enum(ROUNDED_DTYPES),
  tokens_per_worker: count,
  epochs_per_worker: z.number(),
  update_bytes: count,
};

/** An object's fields besides `type`, `version` and `time_ms`, and who says it when. */
const object = <T extends z.ZodRawShape>(said: string, fields: T) => z.strictObject(fields).meta({ description: said });

const own_device = z.strictObject({
  device: id,
  standing: z.enum(['works', 'slower', 'paused', 'off', 'silent']),
  revoked: z.boolean(),
  report: DeviceReportSchema.nullable(),
  age_ms: count.nullable(),
  wanted: OwnerSettingsSchema.extend({ sequence: count }).nullable(),
  taken: z.boolean(),
  problem: z.string().nullable(),
});

/** What a run's owner has said; `merges_first`: the open round, which is merged before. */
const owners_word = {
  ...{ run: id, name: z.string(), merged_rounds: count, rounds: count, event: id },
  merges_first: count.nullable(),
};

/** What a certificate says. */
const certificate_fields = {
  format: z.string().optional(),
  hub: id,
  run: id,
  name: z.string(),
  model: id,
  merged_rounds: count,
  holder: nested,
  shares: share_count,
  total_shares: share_count,
  unit: z.string(),
  amount: count,
  total_amount: count,
  evidence: nested,
  events: count,
};

/** What a device worked, took, cost and earned on a day; `device`, `id` and `number`: of its receipt, null while the day is open. */
const day_fields = {
  ...{
    device: id.nullable(),
    id: id.nullable(),
    number: count.nullable(),
    day: z.string(),
    from_ms: count,
    to_ms: count,
  },
  ...{ currency: z.string().nullable(), earned_micro: count, cost_micro: count, ...DayCountsSchema.shape },
};

export const JSON_OBJECTS = {
  error: object('any command: why it failed', {
    error: z.strictObject({ code: z.string(), message: z.string(), details: nested }),
  }),
  // A device that takes part.
  adversary: object('join --adversary: this device lies on purpose', { name: z.string(), does: z.string() }),
  joined: object('join, plant: the hub took this device into the run', {
    peer: id,
    run: id,
    run_name: z.string(),
    unit: z.string(),
  }),
  serves: object('join --serve: the model that callers are offered from now on', {
    ...of_run,
    model: id,
    places: count,
  }),
  asks: object('join: what a device whose owner names no price asks for a million tokens from now on', {
    input_micro: count,
    output_micro: count,
    message: z.string(),
  }),
  computes: object('join: what the device computes with, and why; what was timed, where there was a choice', {
    ...of_run,
    runtime: z.string(),
    why: z.string(),
    measured: z.array(z.strictObject({ class: z.string(), tokens_per_second: z.number() })),
  }),
  progress: object('join: what the device is doing', {
    ...of_run,
    progress: z.strictObject({
      state: z.string(),
      round: count,
      amount: count,
      amount_per_second: z.number(),
      numbers,
      obstacle: obstacle.optional(),
    }),
  }),
  accepted: object('join, plant: the hub has put a submission into its log, at `index`', {
    ...of_run,
    round: count,
    submission: id,
    index: count,
    amount: count,
    numbers,
    size_bytes: count,
  }),
  refused: object('join: the hub did not take a submission', {
    ...of_run,
    round: count,
    code: z.string(),
    message: z.string(),
  }),
  judged: object('join --role validator: a verdict was given', {
    ...of_run,
    round: count,
    submission: id,
    ...verdict_code,
  }),
  evaluated: object('join --role validator: the model was measured, an integer for each metric', {
    ...of_run,
    merged_rounds: count,
    measured: numbers,
  }),
  obstacle: object('join: why the device achieves nothing for now; null when that is over', {
    ...of_run,
    obstacle: obstacle.nullable(),
  }),
  away: object('join: the hub does not answer; the device goes on trying', { ...of_run, reason: z.string() }),
  transfer: object('join, export, run create: how much of a blob has been sent or received', {
    ...of_run,
    direction: z.enum(['down', 'up']),
    hash: id,
    done_bytes: count,
    total_bytes: count.nullable(),
    trouble: z.string().nullable(),
  }),
  problem: object('join, hub, witness, serve: something went wrong, and the command goes on', {
    ...of_run,
    code: z.string().optional(),
    where: z.string().optional(),
    message: z.string(),
    level: z.string().optional(),
    again: count.optional().describe('hub: how often the same has come since it was told last; 0 the first time'),
  }),
  ended: object('join: the device has left, or `run end`: the run is over', {
    reason: z.string().optional(),
    run: id.optional(),
    name: z.string().optional(),
    merged_rounds: count.optional(),
    rounds: count.optional(),
    event: id.optional(),
    merges_first: count.nullable().optional(),
  }),
  policy: object("join: what the owner's rules allow the device now, and why not more", {
    do: z.enum(['run', 'slow-down', 'pause']),
    duty: z.number(),
    reasons: z.array(ReasonSchema),
    gpu_reasons: z.array(ReasonSchema),
  }),
  struck: object(
    'join: the system has ended the process that works; `again_ms`: when it starts again, null: it does not',
    {
      signal: z.string(),
      again_ms: count.nullable(),
    },
  ),
  // The devices of a machine.
  device: object('device show: what is set on this machine, and what its devices do', {
    settings: nested,
    orders: nested,
    workers: z.array(DeviceWorkerSchema),
    problem: z.string().nullable(),
  }),
  device_set: object('device set: a setting was changed', { name: z.string(), value: z.unknown() }),
  day_receipts: object('device receipts: each day of the devices here, and what is wrong with receipts', {
    days: z.array(z.strictObject(day_fields)),
    problems: z.array(z.string()),
  }),
  day_receipt: object('verify: a receipt of a day is signed by the device, and its sums are right', {
    valid: z.literal(true),
    ...day_fields,
  }),
  device_orders: object('device pause, finish, resume, snooze: what devices here are to do', { orders: nested }),
  devices: object('devices list, show: the devices of your key on a hub, and what each has told you', {
    hub: z.string(),
    owner: id,
    devices: z.array(own_device),
  }),
  devices_wanted: object('devices set, pause, resume: what you want of a device from now on', {
    device: id,
    name: z.string(),
    wanted: OwnerSettingsSchema,
    accepts: z
      .boolean()
      .nullable()
      .meta({ description: 'whether it takes settings from elsewhere; null: it has not told' }),
  }),
  service: object('service status: whether the service of this machine is there and runs; `runs` is what it was told', {
    installed: z.boolean(),
    enabled: z.boolean(),
    running: z.boolean(),
    pid: count.nullable(),
    since_ms: count.nullable(),
    last_exit: z.string().nullable(),
    restarts: count,
    runs: z.array(z.string()),
    devices: z.array(DeviceWorkerSchema),
  }),
  service_change: object('service install, remove: what will be written and run, or (`done`) was', {
    does: z.enum(['install', 'remove', 'nothing']),
    done: z.boolean(),
    runs: z.array(z.string()),
    files: z.array(z.strictObject({ path, text: z.string() })),
    commands: z.array(z.array(z.string())),
  }),
  service_note: object('service install, remove: a command failed that may fail, and what follows', {
    message: z.string(),
  }),
  service_log: object('service logs: a line that the service said', { line: z.string() }),
  // A hub.
  filling: object('hub --fill-bucket: the folder is on its way into the bucket', { bucket: z.string(), copied }),
  filled: object('hub --fill-bucket: all of the folder is in the bucket; null: it was before', {
    bucket: z.string(),
    copied: copied.nullable(),
  }),
  listening: object('hub: peers can come', {
    ...{ url: z.string(), hub: id, folder: path, verifier_key: z.string() },
    bucket: z.array(z.string()).optional().describe('with --s3: what was found about the bucket, a line each'),
  }),
  event: object('hub: an event is in the log at `index`', {
    index: count,
    id,
    author: id,
    body: nested,
    level: z.string(),
  }),
  usage: object('hub --usage: what a folder holds, and what came lately', {
    folder: path,
    log_bytes: count,
    age_days: z.number(),
    blobs: count,
    blob_bytes: count,
    last_day_bytes: count,
    last_week_bytes: count,
    free_bytes: count,
    total_bytes: count,
  }),
  condition: object(
    'hub: its disk fills up, it is cut off from its other processes, it goes on, or its log cannot be written any more',
    {
      level: z.string(),
      state: z.enum(['ready', 'disk-low', 'disk-full', 'log-failed', 'cut-off']),
      reason: z.string().nullable(),
      message: z.string().nullable(),
    },
  ),
  page: object('hub: the page is built once, where it is not there', {
    state: z.enum(['building', 'built', 'failed']),
    message: z.string().optional(),
  }),
  stopped: object('hub, demo, serve: it was stopped', {}),
  // The API on this machine.
  serving: object('serve: the API listens', {
    url: z.string(),
    models: z.array(
      z.strictObject({
        ...{ name: z.string(), hash: id, quantisation: z.string(), engine: z.string(), context_tokens: count },
        ...{ created_ms: count, licence: z.string().nullable() },
        ...{ chat: z.boolean(), tools: z.boolean(), embeddings: z.boolean() },
      }),
    ),
    keys: z.boolean().meta({ description: 'whether callers need one' }),
  }),
  forwarded: object('serve: a request goes on to the pool of --pool', {
    ...{ path: z.string(), model: z.string(), why: z.string(), url: z.string() },
  }),
  answered: object('serve: a request has ended; nothing of what was asked or answered', {
    ...{ request: z.string(), caller: z.string(), model: z.string(), end: z.enum(['whole', 'gone', 'failed']) },
    ...{ prompt_tokens: count, completion_tokens: count, total_tokens: count, duration_ms: count },
  }),
  key_made: object('serve keys add: the key, which is shown this once', {
    ...{ id: z.string(), name: z.string(), key: z.string(), account: id },
  }),
  keys: object('serve keys list', {
    since: z.string().meta({ description: 'the first day that is counted, in UTC' }),
    keys: z.array(
      z.strictObject({
        ...{ id: z.string(), name: z.string(), created_ms: count, account: id },
        ...{ requests_per_minute: count.nullable(), tokens_per_minute: count.nullable() },
        owners: z.array(id).nullable().meta({ description: 'whose devices alone may answer it; null: any' }),
        used: z.strictObject({
          ...{ requests: count, input_tokens: count, output_tokens: count, errors: count },
          too_many: count.meta({ description: 'answered with 429' }),
        }),
      }),
    ),
  }),
  key_removed: object('serve keys remove', { id: z.string(), name: z.string() }),
  graded: object('grade: graded answers are in the file', { file: path, answers: count, right: count }),
  talking: object('chat: who answers', { model: z.string(), url: z.string() }),
  said: object('chat: an answer; the counts are those of the server', {
    ...{ model: z.string(), text: z.string(), finish_reason: z.string().nullable() },
    ...{ prompt_tokens: count.nullable(), completion_tokens: count.nullable() },
  }),
  // Runs.
  creating: object('run create: what is being done, and how far that is where it takes long', {
    what: z.string(),
    done_bytes: count.optional(),
    total_bytes: count.nullable().optional(),
  }),
  teacher: object('distil: who is asked, for how many tokens at most', {
    teacher: z.string(),
    model: z.string(),
    budget_tokens: count,
  }),
  'teacher-waits': object('distil: the teacher is busy or away, and is asked again', { why: z.string() }),
  taught: object('distil: what the teacher said is in the folder; `asked` false: since an earlier call', {
    folder: path,
    asked: z.boolean(),
    ...{ format: z.string(), teacher: z.string(), model: z.string(), dataset: id },
    ...{ top: count, texts: count, spent_tokens: count, train_tokens: count, validation_tokens: count },
  }),
  planned: object('run create --dry-run: what the run would be', run_summary),
  created: object('run create, demo: the run is on the hub', {
    run: id,
    hub: z.string().optional(),
    ...z.strictObject(run_summary).partial().shape, // of pre-training
  }),
  runs: object('run list: the runs of a hub', { hub: id, url: z.string(), runs: z.array(listed_run) }),
  'listed-runs': object("run list --registry: the runs of a registry's directory, and where each is now", {
    registry: id,
    url: z.string(),
    runs: z.array(
      z.strictObject({
        ...{ run: id, name: z.string(), owner: id, hub: id, hub_url: z.string(), why: z.string().nullable() },
        ...{ phase: z.string().nullable(), merged_rounds: count.nullable(), rounds: count.nullable() },
      }),
    ),
  }),
  registered: object("run register: the run is in a registry's directory", {
    ...{ run: id, name: z.string(), hub: id, url: z.string() },
    ...{ registry: id, registry_url: z.string(), listed: count, event: id },
  }),
  status: object('status: the runs of a hub and who takes part', {
    hub: id,
    runs: z.array(RunStatusSchema),
    devices: z.array(DeviceWorkerSchema),
  }),
  paused: object('run pause: the run is paused, or will be when round `merges_first` is merged', owners_word),
  resumed: object('run resume', owners_word),
  moving: object('run move: what it does now', {
    do: z.enum(['pausing', 'leaving', 'bringing', 'copying', 'resuming']),
    done: count.optional(),
    blobs: count.optional(),
  }),
  moved: object('join: the run has gone to another hub, and the device follows; run move: it is there', {
    ...of_run,
    url: z.string().optional(),
    hub: id.optional(),
    name: z.string().optional(),
    from: id.optional(),
    to: id.optional(),
    merged_rounds: count.optional(),
    rounds: count.optional(),
    state_bytes: count.optional(),
    blobs: count.optional(),
  }),
  exported: object('export: the model, or the state of another game, is in the folder', {
    run: id,
    merged_rounds: count,
    folder: path,
    model: id.optional(),
    files: z.unknown().optional(),
    signer: id.optional(),
    game: z.string().optional(),
    state: id.optional(),
    file: path.optional(),
  }),
  // The demo.
  starting: object('demo: a hub is being started', {}),
  hub: object('demo: the hub listens', { url: z.string() }),
  mirror: object('demo --cluster: where the log and the blobs lie as files', { url: z.string() }),
  auditing: object('demo --cluster: the files are being audited', {}),
  mirror_audited: object('demo --cluster: what potluck audit --mirror says of them', {
    url: z.string(),
    report: z.string(),
  }),
  continued: object('demo: a run goes on that was begun before', { run: id, round: count, rounds: count.optional() }),
  reading: object('demo: the text is being read', { source: z.string() }),
  round: object('demo: a round was measured', RunStatusSchema.shape),
  died: object('demo: one of its processes ended and starts again', { name: z.string(), last_words: z.string() }),
  exporting: object('demo: the model is being written', {}),
  finished: object('demo: the run is over', {
    run: id,
    model: id,
    first_loss: z.number().nullable(),
    last_loss: z.number().nullable(),
    folder: path,
    sample: z.string(),
  }),
  // Ownership.
  identity: object('id: who you are here', {
    owner: id,
    file: path,
    devices: z.array(nested),
  }),
  'exported-key': object('id export', { owner: id, file: path, set_aside: path.nullable() }),
  'imported-key': object('id import', { owner: id, set_aside: path.nullable() }),
  'locked-key': object('id lock, id unlock', { owner: id, file: path, locked: z.boolean() }),
  phrase: object('id phrase', { owner: id, phrase: z.string() }),
  revoked: object('id revoke', { device: id }),
  address: object('id address', { owner: id, address: z.string() }),
  shares: object('shares: who holds what of a run', {
    run: id,
    name: z.string(),
    phase: z.string(),
    merged_rounds: count,
    rounds: count,
    emitted: share_count,
    unearned: share_count,
    to_come: share_count,
    lineage: nested.nullable(),
    holders: z.array(nested),
    forfeits: z.array(nested),
    stages: nested.nullable(),
    warning,
  }),
  credit: object('credit: what answers have cost and brought an account', {
    account: id,
    left_micro: count,
    owed_micro: count,
    granted_micro: count,
    charged_micro: count,
    earned_micro: count,
    paid_micro: count,
    accepted_parts: count,
    refused_parts: count,
    movements: z.array(nested),
  }),
  credit_granted: object('credit grant: what the hub has granted', {
    ...{ account: id, amount_micro: count, event: id, left_micro: count },
  }),
  earnings_paid: object('credit pay: what the hub says that it has paid elsewhere', {
    ...{ account: id, amount_micro: count, event: id, owed_micro: count },
  }),
  certificate: object('certificate: written; verify: checked', {
    ...certificate_fields,
    file: path.optional(),
    valid: z.boolean().optional(),
    /** Only where it was written: rounds that were merged after the model stated last. */
    later_rounds: count.optional(),
    warning: warning.optional(),
  }),
  proof: object('verify: a .tlog-proof was checked: the hub has the event in its log', {
    valid: z.boolean(),
    hub: id,
    index: count,
    size: count,
    event: id,
    author: id,
    body: nested,
    witnesses: z.array(witness),
  }),
  answer: object('verify: an answer was paid: its receipt is in a batch of the log', {
    valid: z.boolean(),
    hub: id,
    batch: count,
    place: count,
    receipts: count,
    event: id,
    request: id,
    part: count,
    device: id,
    model: id,
    quantisation: z.string(),
    input_tokens: count,
    output_tokens: count,
    answer: id,
    caller: id,
    run: id.nullable(),
    earns_micro: count,
    holders_micro: count,
    gateway_micro: count,
    charge_micro: count,
    ended_ms: count,
    witnesses: z.array(witness),
  }),
  folder: object('verify: an exported folder was checked', {
    valid: z.boolean(),
    signer: id,
    files: z.record(z.string(), z.unknown()),
    stated: z.boolean(),
    shares: nested.nullable(),
  }),
  stakes: object('stake show', {
    run: id,
    name: z.string(),
    phase: z.string(),
    merged_rounds: count,
    account: id,
    balance: nested,
    release_rounds: count,
    next_change: count,
    devices: z.array(nested),
  }),
  locked: object('stake lock', { run: id, behind: id, shares: share_count, event: id }),
  released: object('stake release', { run: id, behind: id, shares: share_count, event: id, free_round: count }),
  settlement: object('settle: balances to be paid elsewhere', {
    file: path,
    format: z.string(),
    run: id,
    settlement: count,
    log_size: count,
    root: z.string(),
    settled_shares: share_count,
    event: id.nullable(),
    balances: z.array(nested),
    unsettled: z.array(nested),
    withheld: share_count,
    locked: share_count,
    settled_before: share_count,
    unearned_shares: share_count,
    warning,
  }),
  // Belief.
  audit: object('audit: what was checked, or the first thing that is not true', {
    verdict: z.enum(['true', 'unchecked', 'untrue']),
    where: z.string(),
    code: z.string().optional(),
    message: z.string().optional(),
    details: nested.optional(),
    hub: id.optional(),
    signed_size: count.nullable().optional(),
    root: z.string().optional(),
    events: count.optional(),
    unsigned_events: count.optional(),
    tiles: count.optional(),
    receipts: count.nullable().optional(),
    runs: count.optional(),
    state_hash: id.optional(),
    shares: nested.optional(),
    models: nested.nullable().optional(),
    evidence: count.nullable().optional(),
    answers: nested.nullable().optional(),
    status_compared: z.boolean().optional(),
    witnesses: z.array(witness.extend({ size: count })).optional(),
    heads: nested.optional(),
    clocks: nested.optional(),
    departures: nested.optional(),
    moves: nested.optional(),
    registry: nested.nullable().optional(),
    warnings: z.array(z.string()).optional(),
    unchecked: z.array(z.string()).optional(),
    cannot_tell: z.array(z.string()).optional(),
    seconds: z.number().optional(),
    events_per_second: z.number().optional(),
    threads: count.optional(),
  }),
  why: object('why: what a submission earned, with the arithmetic and the same in sentences', {
    sentences: z.array(z.string()),
    submission: id,
    index: count,
    run: id,
    run_name: z.string(),
    worker: id,
    worker_name: z.string(),
    account: id,
    work: nested,
    verdicts: z.array(nested),
    decision: nested,
    unit: z.string(),
    numbers: nested,
    merged_amount: count.nullable(),
    round: nested.nullable(),
    shares: share_count,
    held_after: share_count.nullable(),
    lost: nested.nullable(),
    plant: nested.nullable(),
    contests: z.array(nested),
    warning,
  }),
  recheck: object('recheck: a submission judged again', {
    submission: id,
    run: id,
    worker: id,
    worker_name: z.string(),
    runtime: z.string(),
    by: z.string(),
    rounds: z.array(nested),
    accepted: z.boolean(),
    judges: z.array(nested),
    agrees: z.boolean().nullable(),
  }),
  contest: object('contest: a decision that a recheck contradicts; `event` is null where nothing was sent (no --yes)', {
    submission: id,
    run: id,
    round: count,
    by: id,
    decided: z.enum(['accepted', 'fraud']),
    merged_rounds: count,
    shows_round: count,
    event: id.nullable(),
  }),
  ratings: object('ratings: what a validator of this machine thinks of the workers of a run', {
    run: id,
    validator: z.string(),
    workers: z.array(nested),
  }),
  planted: object('plant: what came of one planted submission', {
    work: z.string(),
    revealed: z.boolean(),
    submission: id.optional(),
    round: count.optional(),
    reason: z.string().optional(),
  }),
  witness_listening: object('witness --listen: logs can ask for cosignatures', {
    url: z.string(),
    verifier_key: z.string(),
  }),
  asked: object('witness --listen: a log has asked, and its checkpoint was cosigned', {
    origin: z.string(),
    size: count,
  }),
  cosigned: object('witness: a checkpoint was cosigned', {
    hub: id,
    size: count,
    before: count.nullable(),
    sent: z.boolean(),
    name: z.string(),
    file: path,
    note: z.string(),
  }),
  misbehaviour: object('witness: the hub has contradicted itself; the proof is in the file', {
    message: z.string(),
    file: path,
    hub: id,
    before: z.string(),
    now: z.string(),
    consistency_proof: z.array(z.string()).nullable(),
  }),
  // Rules and games.
  rules: object('rules show', { run: id, rules: nested }),
  limits: object('rules limits: by what answers are judged, in millionths of a nat, by quantisation', {
    run: id,
    published: count,
    margins: nested,
  }),
  backtest: object('rules propose: who would have earned what', {
    run: id,
    name: z.string(),
    rounds: count,
    round: count,
    from_round: count,
    proposal: count,
    earliest: count,
    present: nested,
    rules: nested,
    accounts: z.array(nested),
    weaknesses: z.array(z.string()),
  }),
  proposed: object('rules propose --sign: announced', { run: id, from_round: count, event: id }),
  'game-file': object('run create: whether others can run the game by its hash; `why` not', {
    run: id,
    game_file: id.nullable(),
    why: z.string().nullable(),
  }),
  'game-written': object('game new: the file of a game that works', { game: z.string(), file: path }),
  'game-check': object('game validate: a promise of a part of the game; `got` is null where it is kept', {
    part: z.string(),
    expected: z.string(),
    got: z.string().nullable(),
  }),
  validated: object('game validate: how many promises are kept', { game: z.string(), kept: count, broken: count }),
  playing: object('play: what will be tried', { game: z.string(), adversaries: z.array(z.string()) }),
  honest: object('play: the arena of honest devices has ended', { measured: z.array(z.number()) }),
  strategy: object('play: one way of lying was tried', {
    adversary: z.string(),
    role,
    does: z.string(),
    cost: z.number(),
    pay: z.number(),
    gain: z.number(),
    damage: z.number(),
    skew: z.number(),
    fates: z.record(z.string(), count),
    exploit: z.boolean(),
    verdict: z.string(),
  }),
  'not-tried': object('play: too few rounds for this adversary', { adversary: z.string(), honest_rounds: count }),
  verdict: object('play: whether lying pays', { exploits: z.array(nested) }),
  completion: object('completion: the script', { shell: z.string(), script: z.string() }),
};

/** What every object has besides its own fields. */
const frame = (type: string) => ({
  type: z.literal(type),
  version: z.literal(2),
  time_ms: count.meta({ description: 'when it was printed, since 1970' }),
});

export type JsonType = keyof typeof JSON_OBJECTS;

type Fixed<T> = T extends readonly (infer U)[]
  ? readonly Fixed<U>[]
  : T extends object
    ? { readonly [K in keyof T]: Fixed<T[K]> }
    : T;

type Fields<K extends JsonType> = (typeof JSON_OBJECTS)[K];

/** What a command says to programs, before `version` and `time_ms` are added. */
export type JsonObject = {
  [K in JsonType]: { readonly type: K } & (keyof Fields<K>['shape'] extends never
    ? unknown
    : Fixed<z.input<Fields<K>>>);
}[JsonType];

const FRAMED = new Map(
  Object.entries(JSON_OBJECTS).map(([type, schema]) => [type, z.strictObject({ ...frame(type), ...schema.shape })]),
);

/** A printed object whole, as JSON Schema would have it checked; undefined: there is no such type. */
export const schemaOf = (type: string): z.ZodType | undefined => FRAMED.get(type);
