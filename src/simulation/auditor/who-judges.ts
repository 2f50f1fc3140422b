// Who may judge, and who of them judges what: seats are fixed when a round opens, judges drawn by stake when its work is in, from what
// the hub's verifiable random function gives for the round. A judge seals before it shows.
import type { RoundDrawn } from '../../core/events/round-drawn.ts';
import type { VerdictGiven } from '../../core/events/verdict-given.ts';
import type { VerdictSealed } from '../../core/events/verdict-sealed.ts';
import { verifyVrf } from '../../protocol/ecvrf.ts';
import { sha256, sha256Hex } from '../../protocol/hash.ts';
import { publicKeyOf } from '../../protocol/identity.ts';
import { encodeStrict } from '../../protocol/strict-cbor-encode.ts';
import { accountOf, type Books, present, type RunBook, type Work } from './books.ts';
import { mayBeLost } from './what-is-at-stake.ts';
import { stakeOf, together, voices } from './who-is-accepted.ts';

/** Where nobody is named, who came later than the first ones judges from its fourth opening on. */
const OPENINGS = 4;
/** At most so many judge an appeal. */
const JURY = 64;

/** Who may judge from now on: who is named or stands with shares for its word; where nobody is named, who has stayed for long. */
export function seat(books: Books, run: RunBook): void {
  const here = present(run, 'validator').map((id) => run.peers.get(id)!);
  const open = run.rules.validators.length === 0;
  const mayJudge = here.filter(({ id, openings }) => {
    if ((run.staked.get(id) ?? 0) > 0) return true;
    return open ? openings >= OPENINGS : stakeOf(run, accountOf(books, id)) > 0;
  });
  if (open && mayJudge.length === 0) {
    for (const peer of here) if (peer.openings < OPENINGS) peer.openings = OPENINGS;
    mayJudge.push(...here);
  }
  // With one device of an account all of them wait; where that leaves half of the stake or less, it alone, or nobody.
  const seats = mayJudge.map(({ id }) => id);
  const suspended = [...run.peers.values()].filter((peer) => peer.suspended_until > run.round).map(({ id }) => id);
  const accounts = suspended.map((id) => accountOf(books, id));
  const choices = [
    seats.filter((id) => !accounts.includes(accountOf(books, id))),
    seats.filter((id) => !suspended.includes(id)),
  ];
  const whole = together(books, run, seats);
  run.eligible = choices.find((left) => 2n * together(books, run, left) > whole) ?? seats;
}

const eligibleHere = (run: RunBook): string[] => {
  const here = present(run, 'validator');
  return run.eligible.filter((id) => here.includes(id));
};

/** In which order somebody's work would be given to those who are here: accounts by stake, second devices later, its own account last. */
function inOrder(
  books: Books,
  run: RunBook,
  work: Pick<Work, 'worker'>,
  count: number,
  taken: readonly string[],
  here = eligibleHere(run),
): string[] {
  const weights = voices(books, run, run.eligible);
  const may = (id: string): boolean => here.includes(id) && !taken.includes(id);
  let lots = 0;
  const lot = (): bigint => BigInt(`0x${sha256Hex(encodeStrict(['potluck-panel-v1', run.draw, work.worker, lots++]))}`);
  const devicesOf = (account: string) => run.eligible.filter((id) => accountOf(books, id) === account);
  const own = accountOf(books, work.worker);
  let waiting = [...new Set(run.eligible.map((id) => accountOf(books, id)))]
    .filter((account) => account !== own)
    .map((account) => ({
      devices: devicesOf(account),
      stake: devicesOf(account).reduce((s, id) => s + weights.get(id)!, 0n),
    }));
  const chosen: string[] = [];
  while (waiting.length > 0 && chosen.length < count) {
    const again: typeof waiting = [];
    while (waiting.length > 0 && chosen.length < count) {
      const sum = waiting.reduce((all, { stake }) => all + stake, 0n);
      const at = lot() % (sum === 0n ? 1n : sum);
      const upTo = (last: number): bigint => waiting.slice(0, last + 1).reduce((all, { stake }) => all + stake, 0n);
      const falls = waiting.find((_, i) => upTo(i) > at) ?? waiting[0];
      const device = falls.devices[Number(lot() % BigInt(falls.devices.length))];
      waiting = waiting.filter((other) => other !== falls);
      const devices = falls.devices.filter((id) => id !== device);
      if (devices.length > 0) again.push({ devices, stake: falls.stake });
      if (may(device)) chosen.push(device);
    }
    waiting = again;
  }
  const last = devicesOf(own).filter(may);
  return [...chosen, ...last].slice(0, Math.max(chosen.length, count));
}

/** Whether the hub must draw now. */
export const waitsForDraw = (books: Books, run: RunBook): boolean =>
  run.phase === 'judging' && run.draw === null && isJudged(run) && isAllIn(books, run);

const isJudged = (run: RunBook): boolean => run.works.size > 0 && run.eligible.length > 0;

/** Nobody's work is waited for any more. */
export function isAllIn(books: Books, run: RunBook): boolean {
  const working = present(run, 'worker').filter((id) => ![...run.works.values()].some(({ worker }) => worker === id));
  return working.length === 0 || (run.grace_ms > 0 && books.time_ms >= run.grace_ms);
}

const question = ({ run, round, attempt }: RoundDrawn): Uint8Array =>
  encodeStrict(['potluck-round-draw-v1', run, round, attempt]);

export function mayNotDraw(books: Books, run: RunBook, body: RoundDrawn): string | null {
  if (run.phase !== 'judging' || run.draw !== null || !isJudged(run)) return 'nothing to draw';
  if (!isAllIn(books, run)) return 'somebody may still hand in';
  return answerOf(books, body) ? null : 'not what the key of the hub gives';
}

const answerOf = (books: Books, body: RoundDrawn): Uint8Array | null =>
  verifyVrf(publicKeyOf(books.hub), question(body), Buffer.from(body.proof, 'hex'));

export function draw(books: Books, run: RunBook, body: RoundDrawn): void {
  run.draw = sha256Hex(answerOf(books, body)!);
  run.judging_ms = 0;
  for (const work of run.works.values()) {
    work.judges = inOrder(books, run, work, run.rules.judges, []).sort();
    seated(run, work);
  }
}

/** Who comes to judge is told what it is to do. */
function seated(run: RunBook, work: Work): void {
  if (work.first) return;
  for (const id of work.judges) work.knew.set(id, work.knew.get(id) ?? mayKnow(run, work, id));
}

export function seal(run: RunBook, work: Work, judge: string, sealed: string): void {
  work.seals.set(judge, sealed);
  const [before, now] = [work.knew.get(judge), mayKnow(run, work, judge)];
  if (!work.first && before !== now) work.knew.set(judge, [before, now].includes('form') ? 'form' : 'looks');
}

const notSilent = (run: RunBook): string[] => eligibleHere(run).filter((id) => !run.silent.includes(id));

/** The larger jury for work that is judged again: without those who were silent in this round, unless all were. */
export function jury(books: Books, run: RunBook, work: Pick<Work, 'worker'>): string[] {
  const others = notSilent(run);
  return inOrder(books, run, work, JURY, [], others.length === 0 ? undefined : others).sort();
}

/** Who is here and has not sealed, or has sealed and not shown, something that it was to judge. */
export function debtors(run: RunBook, phase: 'judging' | 'revealing'): string[] {
  const works = [...run.works.values()].filter(({ first }) => first !== null || !run.appeals);
  const owes = (id: string, { judges, seals, verdicts }: Work): boolean =>
    judges.includes(id) && (phase === 'judging' ? !seals.has(id) : seals.has(id) && !verdicts.has(id));
  return present(run, 'validator').filter((id) => works.some((work) => owes(id, work)));
}

export function keptSilent(run: RunBook, judges: readonly string[]): void {
  for (const id of judges) if (!run.silent.includes(id)) run.silent.push(id);
  run.silent.sort();
}

/** Free places are taken: of who has left without a verdict; `slow`: also of who is here and has sealed nothing, if somebody else is there. */
export function appointAgain(books: Books, run: RunBook, slow: boolean): void {
  if (run.phase !== 'judging' || run.draw === null) return;
  const here = present(run, 'validator');
  const late = slow ? debtors(run, 'judging') : [];
  const others = notSilent(run).filter((id) => !late.includes(id));
  for (const work of run.works.values()) {
    if (run.appeals && work.first === null) continue;
    const stay = work.judges.filter((id) => work.seals.has(id) || here.includes(id));
    const idle = slow && work.first === null ? stay.filter((id) => !work.seals.has(id)) : [];
    const empty = Math.max(0, (work.first ? JURY : run.rules.judges) - stay.length);
    const fresh = inOrder(books, run, work, empty + idle.length, work.judges, others);
    const out = idle.slice(0, Math.max(0, fresh.length - empty));
    work.judges = [...stay.filter((id) => !out.includes(id)), ...fresh].sort();
    seated(run, work);
    keptSilent(run, out);
  }
}

/** Whether a worker has too few good works in a row to be trusted in anything. */
export function isNew(run: RunBook, worker: string): boolean {
  const good = run.peers.get(worker)?.valid ?? 0;
  return good === 0 || good < run.rules.probation;
}

/** The amount of a worker that it has been paid for and may still lose that pay. */
function atStake(run: RunBook, worker: string): bigint {
  const lost = (run.earnings.get(worker) ?? []).filter(({ round }) => mayBeLost(run, round));
  return lost.reduce((sum, earning) => sum + BigInt(earning.amount), 0n);
}

/** A first work, and whatever is at stake besides; anything where nothing ever is. */
export function mayClaim(run: RunBook, worker: string, first: number): bigint | null {
  if (isNew(run, worker)) return BigInt(first);
  return run.rules.withheld_rounds === 0 ? null : BigInt(first) + atStake(run, worker);
}

/** Of all judges of a work one looks at it, and some repeat it or a beginning; the others see its form. */
function mayKnow(run: RunBook, work: Work, judge: string): 'form' | 'looks' | 'all' {
  if (repeats(run, work, work.judges, judge)) return 'all';
  const order = inLots(run, work.worker, work.judges);
  return repeated(run, work, work.judges, judge) || order.indexOf(judge) === order.length - 1 ? 'looks' : 'form';
}

const inLots = (run: RunBook, worker: string, judges: readonly string[]): string[] =>
  judges.toSorted((a, b) => lot(run, 'order', worker, a) - lot(run, 'order', worker, b) || (a < b ? -1 : 1));

/**
 * Whether a judge repeats all of a worker's steps. Everybody does while the worker has no record. Then a lie must be found with 1 / (1 + bond),
 * the bond in submissions like this one; a third of the judges lie, so one finds 18 of 27 lies, two find 24, three 26.
 */
export const repeats = (run: RunBook, work: Work, judges: readonly string[], judge: string): boolean =>
  repeated(run, work, judges, judge) === 'all';

function repeated(run: RunBook, work: Work, judges: readonly string[], judge: string): 'all' | 'some' | null {
  const { worker, body } = work;
  if (isNew(run, worker)) return 'all';
  const bond = (atStake(run, worker) * 1000n) / BigInt(Math.max(1, body.amount));
  const found = ceiling(27_000n * 1000n, 1000n + (bond < 1_000_000n ? bond : 1_000_000n));
  if (found > 26_000n) return 'all';
  const [surely, of, per] =
    found <= 18_000n ? [0n, found, 18n] : found <= 24_000n ? [1n, found - 18_000n, 6n] : [2n, found - 24_000n, 2n];
  const wanted = Math.max(1, run.rules.reexecute_permille, Number(surely * 1000n + ceiling(of, per)));
  const drawn = (lot(run, 'repeat', worker) % 1000) + 1000 * inLots(run, worker, judges).indexOf(judge);
  if (!judges.includes(judge) || drawn >= wanted) return null;
  // Where one is enough, half of them repeat a beginning only.
  const whole = wanted >= 1000 || lot(run, 'whole', worker) % 2 === 0 || lot(run, 'part', worker) % 1000 === 999;
  return whole ? 'all' : 'some';
}

const ceiling = (a: bigint, b: bigint): bigint => (a + b - 1n) / b;

const lot = (run: RunBook, ...of: string[]): number =>
  Buffer.from(sha256(encodeStrict(['potluck-duty-v1', of[0], run.draw, ...of.slice(1)]))).readUInt32BE(0);

const knowsWork = (run: RunBook, author: string, id: string): string | Work =>
  run.peers.get(author)?.role !== 'validator' ? 'no validator' : (run.works.get(id) ?? 'no such work');

const isOfOther = (work: Work, appeal: true | undefined): boolean => (work.first !== null) !== (appeal === true);

export function mayNotSeal(run: RunBook, author: string, body: VerdictSealed): string | null {
  const work = knowsWork(run, author, body.submission);
  if (typeof work === 'string') return work;
  if (work.seals.has(author)) return 'sealed already';
  if (run.phase !== 'judging' || run.draw === null) return `sealed while ${run.phase}`;
  if (!work.judges.includes(author)) return 'not drawn';
  return isOfOther(work, body.appeal) ? 'of the other judging' : null;
}

export function mayNotShow(run: RunBook, author: string, body: VerdictGiven): string | null {
  const work = knowsWork(run, author, body.submission);
  if (typeof work === 'string') return work;
  if (work.verdicts.has(author)) return 'shown already';
  if (run.phase !== 'revealing') return `shown while ${run.phase}`;
  if (run.appeals && work.first === null) return 'decided already';
  if (isOfOther(work, body.appeal)) return 'of the other judging';
  return saysNothing(run, author, body, work.seals.get(author), work.body.amount);
}

/** What is wrong with a verdict in itself. */
export function saysNothing(
  { spec }: RunBook,
  author: string,
  body: VerdictGiven,
  sealed: string | undefined,
  amount: number,
) {
  if (sealed !== sha256Hex(encodeStrict(['potluck-verdict-v1', author, body]))) return 'not what was sealed';
  if (body.weight > amount) return 'vouches for more than was claimed';
  if (body.accepted !== body.weight > 0) return 'accepted work has a weight, other work has none';
  if (body.accepted && body.fraud) return 'accepts what it calls made up';
  return strangeName(body.numbers, spec.numbers.verdict)[0] ? 'numbers that its game has not named' : null;
}

/** Whether some number is not among those that the run's game has announced, and what is wrong then. */
export function strangeName(
  numbers: Readonly<Record<string, number>>,
  announced: readonly { readonly name: string }[],
): readonly [wrong: boolean, why: string] {
  const known = new Set(announced.map(({ name }) => name));
  return [Object.keys(numbers).some((name) => !known.has(name)), 'a number without a name'];
}
