// The money of answers, kept a second time: an account of every micro-credit, as transfers between purses. No purse may fall below nothing.
import type { AnswersJudged } from '../../core/events/answers-judged.ts';
import type { AnswersSettled } from '../../core/events/answers-settled.ts';
import type { CreditGranted } from '../../core/events/credit-granted.ts';
import type { EarningsPaid } from '../../core/events/earnings-paid.ts';
import { accountOf, type Books, type RunBook } from './books.ts';
import { divide } from './who-is-paid.ts';

export type AboutMoney = CreditGranted | AnswersSettled | EarningsPaid;

const [MOST, EACH_HOLDER] = [2n ** 52n, 1000n];

const inPurse = ({ purses }: Books, purse: string): bigint => purses.micro.get(purse) ?? 0n;
const countOf = ({ purses }: Books, what: string): number => purses.counts.get(what) ?? 0;

function move({ purses }: Books, from: string, to: string, micro: bigint): void {
  purses.micro.set(from, (purses.micro.get(from) ?? 0n) - micro);
  purses.micro.set(to, (purses.micro.get(to) ?? 0n) + micro);
}

/** In words why not; null: it may. */
export function mayNotPay(books: Books, author: string, body: AboutMoney): string | null {
  if (author !== books.hub) return 'not the hub';
  if (body.type === 'answers.settled') return mayNotSettle(books, body);
  const amount = BigInt(body.amount_micro);
  if (body.type === 'credit.granted') {
    if (body.number !== countOf(books, `grants ${body.account}`)) return 'not its next grant';
    return inPurse(books, 'granted') + amount > MOST ? 'more than can be counted' : null;
  }
  if (body.number !== countOf(books, `payments ${body.account}`)) return 'not its next payment';
  return amount > inPurse(books, `earned ${body.account}`) ? 'more than it has earned' : null;
}

function mayNotSettle(books: Books, body: AnswersSettled): string | null {
  const { charges, earnings, holders, receipts } = body;
  const all = (rows: readonly [string, number][]) => rows.reduce((sum, [, micro]) => sum + BigInt(micro), 0n);
  if (body.number !== books.purses.batches) return 'not the next batch';
  if (body.from_ms > body.until_ms) return 'its end is before its beginning';
  if (body.until_ms > books.time_ms) return 'answers of a time to come';
  if (Math.max(charges.length, earnings.length, holders.length) > receipts) return 'more rows than receipts';
  if (all(charges) - all(earnings) - all(holders) !== BigInt(body.gateway_micro)) return 'not what is charged is given';
  if (charges.some(([account, micro]) => BigInt(micro) > inPurse(books, `credit ${account}`))) return 'no credit';
  if (!earnings.every(([device]) => isSeen(books, device))) return 'a device that nobody knows';
  return holders.every(([run]) => books.runs.has(run)) ? null : 'holders of no run';
}

/** Its owner has vouched for it, or it takes part in a run. */
const isSeen = (books: Books, device: string): boolean =>
  books.devices.has(device) || [...books.runs.values()].some(({ peers }) => peers.has(device));

/** In words why verdicts on answers may not be counted so; null: they may. */
export function mayNotCount(books: Books, author: string, { number, devices }: AnswersJudged): string | null {
  if (author !== books.hub) return 'not the hub';
  if (number !== books.said.events) return 'not the next verdicts';
  return devices.every(([device]) => isSeen(books, device)) ? null : 'a device that nobody knows';
}

export function countJudged({ said }: Books, { devices }: AnswersJudged): void {
  for (const [device, right, wrong] of devices) {
    const known = said.of.get(device);
    said.of.set(device, { right: right + (known?.right ?? 0), wrong: wrong + (known?.wrong ?? 0) });
  }
  said.events++;
}

export function pay(books: Books, body: AboutMoney): void {
  const { purses } = books;
  if (body.type === 'answers.settled') {
    settle(books, body);
    return;
  }
  const amount = BigInt(body.amount_micro);
  const granted = body.type === 'credit.granted';
  const what = `${granted ? 'grants' : 'payments'} ${body.account}`;
  purses.counts.set(what, countOf(books, what) + 1);
  if (granted) {
    move(books, 'world', `credit ${body.account}`, amount);
    purses.micro.set('granted', inPurse(books, 'granted') + amount);
  } else move(books, `earned ${body.account}`, 'paid', amount);
}

/** All charges come together, and everybody gets what is theirs of it. */
function settle(books: Books, { charges, earnings, holders, gateway_micro, receipts }: AnswersSettled): void {
  for (const [account, micro] of charges) move(books, `credit ${account}`, 'batch', BigInt(micro));
  for (const [device, micro] of earnings) move(books, 'batch', `earned ${accountOf(books, device)}`, BigInt(micro));
  for (const [run, micro] of holders) {
    move(books, 'batch', `holders ${run}`, BigInt(micro));
    share(books, books.runs.get(run)!);
  }
  move(books, 'batch', 'gateway', BigInt(gateway_micro));
  books.purses.batches++;
  books.purses.answers += receipts;
}

/** What waits for a run's holders is theirs as soon as there is a thousand for each. */
function share(books: Books, { id, shares, royalty }: RunBook): void {
  const here = [...shares].filter(([, held]) => held > 0);
  const holders = here.length > 0 ? here : [...royalty.holders];
  const waiting = inPurse(books, `holders ${id}`);
  if (holders.length === 0 || waiting < EACH_HOLDER * BigInt(holders.length)) return;
  const claims = new Map(holders.map(([account, held]) => [account, BigInt(held)]));
  for (const [account, micro] of divide(waiting, claims)) move(books, `holders ${id}`, `earned ${account}`, micro);
}
