// Limits of the core, in one place, each with its reason.
export const CORE_LIMITS = {
  name_characters: 80, // shown in lists; longer is spam
  runs: 64, // unfinished ones: one hub on one machine
  unfinished_runs_per_owner: 8, // nobody fills a hub alone
  rounds: 1_000_000, // a decade of ten-minute rounds, with room
  round_ms: { min: 200, max: 86_400_000 }, // a test's round … a day
  peers_per_run: 20_000, // twice the design's target of connected peers; who is gone and never did anything does not count
  leaves_until_forgotten: 1024, // some seconds of the worst flood that a hub takes: longer than a newcomer's join is under way
  shares_per_round: 1_000_000_000, // times a million rounds is still a safe integer
  submissions_per_peer_and_round: 1, // a second one would only be a second chance
  judges: 16, // more than an honest majority needs
  jury: 64, // who judges an appeal: a third of the stake is no majority of so many, and more cost more than they add
  contest_rounds: 20, // half of the usual bond: the other half is a jury's, whose word comes while there is still pay to take
  open_contests: 4, // of a run: each makes everybody who may judge repeat many rounds
  strikes: 6, // 64 rounds of suspension: what a validator cries wolf for costs less than that
  warned_rounds: 100, // a slow machine is late once in a while; a cartel whose members keep silent in turn holds up few rounds
  strike_memory_rounds: 100, // an honest validator that rounding has fooled once is not punished more for the next time
  probation: 1000, // longer, and nobody is ever trusted
  withheld_rounds: 1000, // what a device may lose at most; a longer bond keeps newcomers away
  notice_rounds: 10_000, // a change that nobody lives to see is none
  validators: 256, // named one by one in an event of at most 64 KiB
  stake: 1e12, // times all validators is a safe integer
  score_micro: 1e12, // a million nats either way; a verdict with more is nonsense
  evidence_bytes: 256 * 1024, // a round's losses step by step and a few measurements, with room for a game of somebody's own
  release_rounds: { min: 2, usual: 10, max: 1000 }, // one to be judged in, one in which its plants are revealed … as withheld_rounds
  reference_characters: 200, // a transaction's hash, an address and a few words
  rule_proposals: 1000, // over a run's life
  tick_gap_ms: 15_000, // a longer silence of the clock means that the hub was away, not that peers were late
} as const;
