// Faults of one line in what the core says of judging, pay, merging, stake and time: a drawn history must find each, and a test of the core.
import type { SourceFault } from './plant.ts';

export interface RuleFault extends SourceFault {
  /** The test that must fail with it: a file under src/ and the beginning of the test's name. */
  readonly unit: readonly [file: string, name: string];
}

export interface PlantedFault extends SourceFault, Partial<Pick<RuleFault, 'unit'>> {
  /**
   * What must find it: `rules` histories drawn from the state, those of a log that follows a `registry`, a `world` of hub and peers, `paid`
   * answers, a run in stages (`staged`), a hub of several processes (`cluster`), runs that move between logs (`moves`); null where only a test of its room can.
   */
  readonly by: 'rules' | 'registry' | 'world' | 'paid' | 'staged' | 'cluster' | 'moves' | null;
}

const JUDGING: readonly RuleFault[] = [
  {
    name: 'tie-accepts',
    file: 'core/rounds/judging.ts',
    find: 'if (accepted * 2n > (',
    replace: 'if (accepted * 2n >= (',
    unit: ['core/shares/stake.test.ts', 'that was locked before a round opened decides in it'],
  },
  {
    name: 'half-finds-fraud',
    file: 'core/rounds/judging.ts',
    find: 'return fraud * 2n > seated',
    replace: 'return fraud * 2n >= seated',
    unit: ['core/shares/who-is-paid.test.ts', 'about whether refused work is made up convict nobody'],
  },
  {
    name: 'weight-beyond-the-claim',
    file: 'core/rounds/judging.ts',
    find: 'if (body.weight > amount) {',
    replace: 'if (body.weight > amount * 2) {',
    unit: ['core/shares/who-is-paid.test.ts', 'vouches for no more than was claimed'],
  },
  {
    name: 'unseen-verdict-shown',
    file: 'core/rounds/judging.ts',
    find: 'if (found !== seal)',
    replace: 'if (found.length !== seal.length)',
    unit: ['core/reduce-refusals.test.ts', 'verdicts by workers, twice, or of nothing'],
  },
  {
    name: 'plant-opened-twice',
    file: 'core/rounds/judging.ts',
    find: '  run.last_judged.delete(body.submission);\n',
    replace: '',
    unit: ['core/rounds/judging.test.ts', 'a planted submission takes from who misjudged it'],
  },
  {
    name: 'silent-round-credited',
    file: 'core/rounds/judging.ts',
    find: "verified: judgement === 'accepted' }",
    replace: 'verified: true }',
    unit: ['core/reduce.test.ts', 'merges unjudged work without credit where no validator is here'],
  },
  {
    name: 'every-device-has-its-accounts-stake',
    file: 'core/rounds/verdict-stakes.ts',
    find: '* unit) / ofAccount.get(account)!',
    replace: '* unit) / 1n',
    unit: ['core/rounds/judging.test.ts', 'an account has the say that the rules give it'],
  },
];

const PAY: readonly RuleFault[] = [
  {
    name: 'refused-work-paid',
    file: 'core/shares/payout.ts',
    find: 'claims(agreed).filter(({ id }) => verified.has(id))',
    replace: 'claims(agreed)',
    unit: ['core/shares/who-is-paid.test.ts', 'refuse: half of the stake is not enough'],
  },
  {
    name: 'everybody-paid-the-same',
    file: 'core/shares/payout.ts',
    find: 'claims(agreed).filter(({ id }) => verified.has(id))',
    replace: 'claims(agreed).filter(({ id }) => verified.has(id)).map((claim) => ({ ...claim, weight: 1 }))',
    unit: ['core/shares/fair-pay.test.ts', 'who has a tenth of the speed'],
  },
  {
    name: 'who-shows-nothing-is-paid',
    file: 'core/shares/payout.ts',
    find: '    .filter((id) => !unshown.has(id))\n',
    replace: '',
    unit: ['core/shares/who-is-paid.test.ts', 'that shows only some of what it has sealed is paid nothing'],
  },
  {
    name: 'not-drawn-says-nothing',
    file: 'core/shares/payout.ts',
    find: 'verdicts.get(id)?.weight ?? middle',
    replace: 'verdicts.get(id)?.weight ?? 0',
    unit: ['core/shares/who-is-paid.test.ts', 'that was not drawn is as if it had said'],
  },
  {
    name: 'half-of-the-middle-is-too-little',
    file: 'core/shares/payout.ts',
    find: 'largestReached(given, (all + 1n) / 2n)',
    replace: 'largestReached(given, all / 2n + 1n)',
    unit: ['core/shares/who-is-paid.test.ts', 'that was not drawn is as if it had said'],
  },
  {
    name: 'settled-shares-lost-again',
    file: 'core/shares/payout.ts',
    find: 'const lost = Math.min(shares, sharesAtHand(run, account));',
    replace: 'const lost = shares;',
    unit: ['core/shares/settlement.test.ts', 'what was paid out cannot be lost any more'],
  },
  {
    name: 'smallest-remainder',
    file: 'core/shares/shares.ts',
    find: '(a.remainder > b.remainder ? -1 : 1)',
    replace: '(a.remainder > b.remainder ? 1 : -1)',
    unit: ['core/shares/lineage.test.ts', 'what flows is divided by the shares as they were stated'],
  },
  {
    name: 'halved-a-round-late',
    file: 'core/shares/shares.ts',
    find: 'Math.floor(round / emission.halving_rounds)',
    replace: 'Math.floor(Math.max(0, round - 1) / emission.halving_rounds)',
    unit: ['core/shares/shares.test.ts', 'the emission halves on time and ends at nothing'],
  },
  {
    name: 'royalty-rounded-away',
    file: 'core/shares/shares.ts',
    find: "ancestors: whole.get('ancestors') ?? 0,",
    replace: 'ancestors: Math.floor((emissionOf(emission, round) * royalty_permille) / 1001),',
    unit: ['core/shares/shares.test.ts', 'a round pays its whole emission or keeps what nobody earned'],
  },
  {
    name: 'dividends-without-stake',
    file: 'core/shares/consensus.ts',
    find: 'incentives[w]))), active[v])',
    replace: 'incentives[w]))), ONE)',
    unit: ['core/shares/consensus.test.ts', 'validators that agree: workers have consensus by their scores'],
  },
  {
    name: 'bonds-that-do-not-fade',
    file: 'core/shares/consensus.ts',
    find: 'mul(FRESH, weight) + mul(ONE - FRESH, ',
    replace: 'mul(FRESH, weight) + mul(ONE, ',
    unit: ['core/shares/consensus.test.ts', 'fade by a tenth in a round'],
  },
  {
    name: 'largest-weight-is-consensus',
    file: 'core/shares/consensus.ts',
    find: 'const KAPPA = BigInt(fromU16(32_767));',
    replace: 'const KAPPA = 1n;',
    unit: ['core/shares/consensus.test.ts', 'an exact half of the stake suffices'],
  },
];

const MERGING: readonly RuleFault[] = [
  {
    name: 'fraud-keeps-its-pay',
    file: 'core/rounds/merging.ts',
    find: 'record, forfeit(run, peer));',
    replace: 'record, []);',
    unit: ['core/rounds/judging.test.ts', 'stake decides, fraud costs what is withheld'],
  },
  {
    name: 'refused-work-keeps-the-record',
    file: 'core/rounds/merging.ts',
    find: "if (judgement === 'refused' || judgement === 'fraud') peer.consecutive_valid = 0;",
    replace: "if (judgement === 'fraud') peer.consecutive_valid = 0;",
    unit: ['core/shares/who-is-paid.test.ts', 'about whether refused work is made up convict nobody'],
  },
  {
    name: 'verdicts-remembered-after-clearing',
    file: 'core/rounds/merging.ts',
    find: '  rememberVerdicts(run);\n  clearSubmissions(run);\n',
    replace: '  clearSubmissions(run);\n  rememberVerdicts(run);\n',
    unit: ['core/rounds/judging.test.ts', 'a planted submission takes from who misjudged it'],
  },
  {
    name: 'misjudged-plant-keeps-its-pay',
    file: 'core/events/plant-revealed.ts',
    find: '      peer.plants_wrong++;\n      forfeit(run, peer);\n',
    replace: '      peer.plants_wrong++;\n',
    unit: ['core/rounds/judging.test.ts', 'a planted submission takes from who misjudged it'],
  },
  {
    name: 'handed-in-twice',
    file: 'core/events/work-submitted.ts',
    find: 'if (run.peers.get(author)!.handed_in)',
    replace: 'if (false)',
    unit: ['core/reduce-refusals.test.ts', 'work by strangers, twice, of another round or on another model'],
  },
  {
    name: 'numbers-that-nobody-has-named',
    file: 'core/events/fields.ts',
    find: 'if (other === undefined) return null;',
    replace: 'if (other !== undefined) return null;',
    unit: ['core/reduce-refusals.test.ts', 'numbers that the run’s game does not name'],
  },
  {
    name: 'credit-by-a-number-beside-the-amount',
    file: 'core/rounds/merging.ts',
    find: '(run.amounts.get(account) ?? 0) + submission.body.amount',
    replace: '(run.amounts.get(account) ?? 0) + (submission.body.numbers.steps ?? 0)',
    unit: ['core/shares/share-table.test.ts', 'the table follows from the state'],
  },
  {
    name: 'a-bond-by-a-number-beside-the-amount',
    file: 'core/shares/payout.ts',
    find: '[worker, body.amount]',
    replace: '[worker, body.numbers.steps ?? 0]',
    unit: ['core/rounds/first-work.test.ts', 'as much more as it can lose'],
  },
  {
    name: 'a-first-work-of-any-length',
    file: 'core/events/work-submitted.ts',
    find: 'if (most === null || body.amount <= most) return null;',
    replace: 'if (most !== null) return null;',
    unit: ['core/rounds/first-work.test.ts', 'as much as the rules say'],
  },
  {
    name: 'a-first-work-bounded-where-nobody-judges',
    file: 'core/rounds/first-work.ts',
    find: 'run.eligible.length > 0 ? (run.rules.first_amount ?? null) : null',
    replace: '(run.rules.first_amount ?? null)',
    unit: ['core/rounds/first-work.test.ts', 'where nobody could judge'],
  },
  {
    name: 'a-first-work-bounded-for-everybody',
    file: 'core/rounds/first-work.ts',
    find: 'first_amount + withheldAmount(run, worker)',
    replace: 'first_amount',
    unit: ['core/rounds/first-work.test.ts', 'as much more as it can lose'],
  },
  {
    name: 'a-second-work-of-any-length',
    file: 'core/rounds/first-work.ts',
    find: 'rules.withheld_rounds > 0 ? first_amount + withheldAmount(run, worker) : null',
    replace: 'null',
    unit: ['core/rounds/first-work.test.ts', 'as much more as it can lose'],
  },
  {
    name: 'rules-a-round-late',
    file: 'core/rule-changes.ts',
    find: 'run.round < run.pending_rules.from_round',
    replace: 'run.round <= run.pending_rules.from_round',
    unit: ['core/rounds/judging.test.ts', 'rules change with notice, for later rounds only'],
  },
  {
    name: 'less-is-always-better',
    file: 'core/rounds/worse-models.ts',
    find: "better === 'lower' ? value < before.best : value > before.best",
    replace: 'value < before.best',
    unit: ['core/rounds/worse-models.test.ts', 'a run by a metric of which more is better'],
  },
  {
    name: 'measured-by-other-metrics',
    file: 'core/events/model-evaluated.ts',
    find: 'if (got.join() !== names.join()) {',
    replace: 'if (got[0] === undefined) {',
    unit: ['core/rounds/worse-models.test.ts', 'what is measured has a number for each metric of the run'],
  },
];

const STAKE: readonly RuleFault[] = [
  {
    name: 'released-shares-count',
    file: 'core/shares/stake.ts',
    find: 'if (free_round === null) run.staked.set(',
    replace: 'run.staked.set(',
    unit: ['core/shares/stake.test.ts', 'that is asked back in a round still counts in it'],
  },
  {
    name: 'stake-free-a-round-early',
    file: 'core/shares/stake.ts',
    find: 'free_round: run.round + releaseRounds(run) });',
    replace: 'free_round: run.round + releaseRounds(run) - 1 });',
    unit: ['core/shares/stake.test.ts', 'takes effect after the notice, once'],
  },
  {
    name: 'stake-free-a-round-late',
    file: 'core/shares/stake.ts',
    find: '(free_round <= run.round ||',
    replace: '(free_round < run.round ||',
    unit: ['core/shares/stake.test.ts', 'takes effect after the notice, once'],
  },
  {
    name: 'lock-of-withheld-shares',
    file: 'core/shares/stake.ts',
    find: 'if (shares <= free) return null;',
    replace: 'if (shares <= free + withheld) return null;',
    unit: ['core/shares/stake.test.ts', 'what was earned so lately that it is withheld'],
  },
  {
    name: 'withheld-a-round-longer',
    file: 'core/shares/balances.ts',
    find: 'round + run.rules.withheld_rounds > run.round;',
    replace: 'round + run.rules.withheld_rounds >= run.round;',
    unit: ['core/shares/stake.test.ts', 'a misjudged plant takes what is locked and what is withheld'],
  },
  {
    name: 'second-settlement-forgets-the-first',
    file: 'core/shares/settlement.ts',
    find: 'run.settled.set(account, (run.settled.get(account) ?? 0) + shares);',
    replace: 'run.settled.set(account, shares);',
    unit: ['core/shares/settlement.test.ts', 'takes what is free of those who have an address'],
  },
];

const TIME: readonly RuleFault[] = [
  {
    name: 'deadline-after-its-time',
    file: 'core/rounds/deadlines.ts',
    find: 'time_ms >= run.deadline_ms ||',
    replace: 'time_ms > run.deadline_ms ||',
    unit: ['core/reduce.test.ts', 'waits for nobody: at the deadline it is judged'],
  },
  {
    name: 'grace-ends-while-the-hub-is-away',
    file: 'core/rounds/deadlines.ts',
    find: 'run.grace_deadline_ms += away_ms;',
    replace: 'run.grace_deadline_ms += 0;',
    unit: ['core/shares/who-is-paid.test.ts', 'a hub that was away while late work was waited for'],
  },
  {
    name: 'showing-is-never-over',
    file: 'core/rounds/deadlines.ts',
    find: '|| past(run.reveal_deadline_ms))',
    replace: ')',
    unit: ['core/shares/who-is-paid.test.ts', 'that shows only some of what it has sealed is paid nothing'],
  },
  {
    name: 'owed-by-who-has-left',
    file: 'core/rounds/presence.ts',
    find: '  countOwed(run);\n',
    replace: '  if (change === 1) countOwed(run);\n',
    unit: ['core/shares/who-is-paid.test.ts', 'as a judge owes nothing any more'],
  },
  {
    name: 'work-of-who-has-left-is-waited-for',
    file: 'core/rounds/attendance.ts',
    find: "if (worker.present && worker.role === 'worker') run.attendance.handed_in++;",
    replace: 'run.attendance.handed_in++;',
    unit: ['core/shares/who-is-paid.test.ts', 'as a worker and hands in all the same'],
  },
];

/** Every fault of the rules, by subject. */
export const RULE_FAULTS: readonly RuleFault[] = [...JUDGING, ...PAY, ...MERGING, ...STAKE, ...TIME];
