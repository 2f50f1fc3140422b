// Limits of the core, in one place, each with its reason.
export const CORE_LIMITS = {
  name_characters: 80, // shown in lists; longer is spam
  runs: 64, // unfinished runs that one hub on one machine serves
  unfinished_runs_per_owner: 8, // so that one owner cannot fill a hub alone
  rounds: 1_000_000, // a decade of ten-minute rounds, with room
  round_ms: { min: 200, max: 86_400_000 }, // a test's round … a day
  peers_per_run: 20_000, // twice the design's target of connected peers; absent peers without a record do not count
  leaves_until_forgotten: 1024, // some seconds of the worst flood that a hub admits, which is longer than a newcomer's join takes
  shares_per_round: 1_000_000_000, // times a million rounds is still a safe integer
  staged_workers: 4096, // of a run in stages at a time: every device that takes part is told who holds what
  held_rounds: 100, // weights of a stage that was held longer ago are old ones
  apart_rounds: 10_000, // for so many rounds a run may keep stages apart: two months of ten-minute rounds
  stages: 64, // a model of a hundred layers on devices of two layers each
  submissions_per_peer_and_round: 1, // a second submission would only be a second chance
  judges: 16, // more than an honest majority needs
  jury: 64, // judges of an appeal: with so many, a third of the stake gets no majority, and more would cost more than they add
  contest_rounds: 20, // half of the usual bond; the other half is the jury's time, so that its decision comes while pay can still be taken
  open_contests: 4, // per run: each makes every eligible validator re-execute many rounds
  strikes: 6, // 64 rounds of suspension: a false alarm brings its author less than that
  warned_rounds: 100, // a slow machine is late once in a while; a cartel whose members keep silent in turn holds up few rounds
  strike_memory_rounds: 100, // so that an honest validator's rare rounding error does not count towards the next one
  probation: 1000, // with a longer probation nobody would ever be trusted
  withheld_rounds: 1000, // what a device may lose at most; a longer bond keeps newcomers away
  notice_rounds: 10_000, // a longer notice would never end
  validators: 256, // named one by one in an event of at most 64 KiB
  stake: 1e12, // multiplied by the number of validators it is still a safe integer
  amount: 1e11, // of work that a worker hands in at once: as a weight, of every worker of a run together, it is still exact
  merged_amount: 2 ** 52, // of a run: with a round of 45,000 works on top of it the sum is still exact
  score_micro: 1e12, // a million in either direction; a verdict beyond that makes no sense
  measure: 1e15, // of a metric, in either direction: five times of it are still exact
  evidence_bytes: 256 * 1024, // a round's losses step by step and a few measurements, with room for other people's games
  release_rounds: { min: 2, usual: 10, max: 1000 }, // one to be judged in, one in which its plants are revealed … as withheld_rounds
  reference_characters: 200, // a transaction's hash, an address and a few words
  rule_proposals: 1000, // over a run's life
  credit_micro: 2 ** 52, // granted on a hub in all: four thousand million credits, and every sum of parts of it is exact
  batch_receipts: 4096, // one batch, one blob of a few megabytes
  batch_callers: 400, // with the two below, the longest event of a batch has 58 KiB of the 64 that an event may have
  batch_devices: 300,
  batch_runs: 64,
  limits_published: 1000, // of a run: for each quantisation, and again whenever its models have changed
  judged_devices: 400, // one event: 30 KiB of the 64 that an event may have
  judged_parts: 1_000_000, // of one device in one event: ten minutes of the fastest hub have fewer, and sums stay exact
  holder_least_micro: 1000, // rounding to whole micro-credits then takes from a holder, or gives it, less than a thousandth
  tick_gap_ms: 15_000, // a longer silence of the clock means that the hub was down, not that peers were late
} as const;

/** Of what logs take in from each other. Apart, so that a page which needs the others does not load them. */
export const LOGS_LIMITS = {
  moved_run_bytes: 32 * 2 ** 20, // twenty thousand peers with shares have nearly as much (moved-run.test.ts)
  part_bytes: 40_960, // of what a run takes along: with the names of blobs it fits into an event
  part_blobs: 256, // named in one part
  moved_run_blobs: 8192, // a run with a whole model every thousand rounds needs half as many
  brought_count: 2 ** 52, // in what a run takes along: all that later rounds can add to it is as much again, and exact
  moves: 16, // of a run: it shows all of them whenever it arrives, in one event
  arriving_runs: 4, // at a time: each may bring as many megabytes as above
  arriving_ms: 3_600_000, // a slow line brings as much in an hour
  registry_facts: 32, // taken in at once: each with a proof under a thousand million entries they fit into an event
  listed_runs: 10_000, // in a directory: a few megabytes of a state
  listed_runs_per_owner: 64, // as many as a hub serves at a time
  url_characters: 200, // of a hub
} as const;
