// Judging in the pool: draws which parts of answers are judged after they were written, asks other devices one after the other, and acts on what
// most of them say. Of what is judged nothing is kept beyond that, and no more than a few at once.
import type { Clock, Timer } from '../../protocol/clock.ts';
import { orNull, ProtocolError } from '../../protocol/errors.ts';
import { packRequest } from '../../protocol/serving-bytes.ts';
import type { FromServingPeer, Offer } from '../../protocol/serving-from-peer.ts';
import type { JudgingLimits } from '../../serving/judge-answer.ts';
import type { JudgeTask } from '../../serving/judge-task.ts';
import type { Devices, ModelKey, PoolConnection, PoolDevice } from './devices.ts';
import type { JudgedKey } from './judged-sums.ts';
import { between } from './plan.ts';
import type { PoolCounts } from './pool-metrics.ts';
import { hasRoom } from './rank.ts';
import { lengthOf } from './request.ts';
import { outcomeOf, refuses } from './verdict.ts';

export const JUDGES_LIMITS = {
  newcomer: 10, // parts of a key that were accepted in a row, of one run's models or one file: until then each is judged
  one_in: 20, // of later ones: a judge's prefill is a fifth of an answer's work, so that judging costs the pool one hundredth (bench serve-judging) …
  read_times: 3, // … and at most 4 %: of parts whose prompt is longer than so many times what was written fewer are drawn, as a device that has read it before does not read it again
  cases: 64, // that are judged, or wait for a judge
  bytes: 16 * 2 ** 20, // of all cases: prompts and answers that are kept for judging alone
  cases_of_device: 4, // so that one that writes many answers does not fill the places of all
  asked: 6, // devices, for one case: judges leave and die like all devices
  case_ms: 120_000, // how long a case waits for its judges
  lease_least_ms: 10_000, // how long one judge has, however short the prompt
  lease_most_ms: 60_000,
  times_usual: 4, // of the time that the pool takes to read so many tokens: judging comes after everything else
} as const;

/** A part of an answer that one device has written. */
export interface WrittenPart {
  readonly device: PoolDevice;
  readonly key: ModelKey;
  /** What it is judged together with. */
  readonly of: JudgedKey;
  readonly offer: Pick<Offer, 'model' | 'quantisation'>;
  readonly prompt_tokens: number;
  readonly task: JudgeTask;
  /** Whether a device may see the request. */
  may(device: PoolDevice): boolean;
  /** Called once, when no judge can refuse the part any more: most have, most have not, or nobody judges it. */
  decided(refused: boolean): void;
}

/** What the log has to say of judging, and hears of it. */
export interface JudgedBy {
  /** What is held against answers of a model. */
  limitsOf(offer: Pick<Offer, 'model' | 'quantisation'>): JudgingLimits;
  /** Judges have decided on a part of an answer. `refused`: or its device was found by all of its parts together. */
  decided(device: string, refused: boolean): void;
}

interface JudgesServices extends JudgedBy {
  readonly clock: Clock;
  readonly randomBytes: (length: number) => Uint8Array;
  readonly counts: Pick<PoolCounts, 'judged'>;
  readonly devices: Devices;
  newLease(): string;
  ownerOf(peer: string): string | null;
  /** Callers wait for a device that has this model. */
  busy(key: ModelKey): boolean;
  /** A lease is over, of which a device may still say something. @param why what it is told; null: it knows */
  leaseEnded(device: PoolDevice, lease: string, why: string | null): void;
  /** Most judges say that a device has not written what the model writes. */
  convict(device: PoolDevice): void;
}

/** A part, as long as it waits for its verdict. */
interface Case {
  readonly part: WrittenPart;
  readonly packed: Uint8Array;
  /** Judges who have answered. */
  readonly verdicts: {
    readonly device: PoolDevice;
    readonly refused: boolean;
    readonly draws: number;
    readonly margin: number;
  }[];
  /** Keys that were asked, and how often anybody was. */
  readonly asked: Set<string>;
  asks: number;
  lease: JudgeLease | null;
  readonly expires: Timer;
}

interface JudgeLease {
  readonly id: string;
  readonly judge: PoolDevice;
  readonly expires: Timer;
}

type FromJudge = Extract<FromServingPeer, { readonly type: 'judged' | 'answer-failed' }>;

export class Judges {
  readonly #services: JudgesServices;
  readonly #cases = new Set<Case>();
  #bytes = 0;

  constructor(services: JudgesServices) {
    this.#services = services;
  }

  /** Cases and bytes that are kept now. */
  get kept(): { readonly cases: number; readonly bytes: number } {
    return { cases: this.#cases.size, bytes: this.#bytes };
  }

  /** A device has said its last token of a part: only now is it drawn whether anybody looks. */
  written(part: WrittenPart): void {
    const { clock, counts } = this.#services;
    if (!this.#isDrawn(part)) {
      part.decided(false);
      return;
    }
    const packed = orNull(() => packRequest(part.task)); // null: no message could carry it
    if (!packed || !this.#hasRoom(part, packed.length) || this.#judgesOf(part, [], new Set()).length === 0) {
      counts.judged('unjudgeable');
      part.decided(false);
      return;
    }
    const one: Case = {
      ...{ part, packed, verdicts: [], asked: new Set<string>(), asks: 0, lease: null },
      expires: clock.setTimeout(() => this.#end(one, 'unjudgeable'), JUDGES_LIMITS.case_ms),
    };
    this.#cases.add(one);
    this.#bytes += packed.length;
    this.#ask(one);
  }

  /** A device may have room now that had none. */
  look(device: PoolDevice): void {
    for (const one of [...this.#cases]) {
      const { part, verdicts, asked } = one;
      if (one.lease || !device.offers.has(part.key) || !this.#isFree(device, part)) continue;
      if (this.#mayJudge(part, verdicts, asked)(device)) this.#ask(one);
    }
  }

  /** @returns whether the lease is one of a judge. Throws ProtocolError `malformed`. */
  hear(connection: PoolConnection, message: FromJudge): boolean {
    const one = this.#caseOf(({ id, judge }) => id === message.lease && judge.connection === connection);
    if (!one) return false;
    const { judge } = one.lease!;
    if (message.type === 'answer-failed') {
      this.#next(one, null);
      // Who is full or leaves may judge it later; who cannot do it will not.
      if (NOT_NOW.includes(message.code)) one.asked.delete(judge.peer);
      return true;
    }
    const { type: _, lease: __, flaw, prompt_tokens, logprob_distance, ...tally } = message;
    const { task, prompt_tokens: counted } = one.part;
    const found = { flaw, prompt_tokens, logprob_distance, tally };
    const about = { ids: task.served.ids.length, prompt_tokens: counted };
    const refused = refuses(found, about, this.#services.limitsOf(one.part.offer));
    if (refused === null) {
      this.#services.devices.distrust(judge);
      this.#next(one, 'malformed');
      const fact = `${tally.draws} draws of ${task.served.ids.length}, ${tally.differing} differ`;
      throw new ProtocolError('malformed', `judged: expected the sums of all draws, got ${fact}`);
    }
    one.verdicts.push({ device: judge, refused, draws: tally.draws, margin: tally.margin });
    this.#free(one, null);
    this.#decide(one);
    this.look(judge);
    return true;
  }

  gone(connection: PoolConnection): void {
    for (const one of [...this.#cases]) if (one.lease?.judge.connection === connection) this.#next(one, null);
  }

  close(): void {
    for (const one of [...this.#cases]) this.#end(one, null);
  }

  /** By the hub's own randomness, which no device sees. */
  #isDrawn(part: WrittenPart): boolean {
    const { device, of, offer, task } = part;
    const { devices, limitsOf } = this.#services;
    if ((device.record.trust.get(of)?.accepted ?? 0) < JUDGES_LIMITS.newcomer) return true;
    if (devices.isSuspected(device, of, limitsOf(offer))) return true;
    const { one_in, read_times } = JUDGES_LIMITS;
    // Not as long as the device says: whoever claims a longer prompt would be looked at less often. Few prompts have more tokens than characters.
    const prompt_tokens = Math.min(part.prompt_tokens, lengthOf(task.request.prompt) + 1);
    const read_tokens = tokensOf({ ...part, prompt_tokens });
    return this.#below(one_in * read_tokens) < Math.min(read_tokens, (1 + read_times) * task.served.ids.length);
  }

  #below(bound: number): number {
    return new DataView(this.#services.randomBytes(4).slice().buffer).getUint32(0, true) % bound;
  }

  #hasRoom({ device }: WrittenPart, bytes: number): boolean {
    const { cases, bytes: most, cases_of_device } = JUDGES_LIMITS;
    const own = [...this.#cases].filter(({ part }) => part.device.peer === device.peer).length;
    return own < cases_of_device && this.#cases.size < cases && this.#bytes + bytes <= most;
  }

  /** Devices of other keys that could judge a part, with room or without: those whose word has not been said yet. */
  #judgesOf(part: WrittenPart, verdicts: Case['verdicts'], asked: ReadonlySet<string>): PoolDevice[] {
    return [...this.#services.devices.with(part.key)].filter(this.#mayJudge(part, verdicts, asked));
  }

  #mayJudge({ device, may }: WrittenPart, verdicts: Case['verdicts'], asked: ReadonlySet<string>) {
    const spoken = new Set(verdicts.map((one) => this.#wordOf(one.device, device)));
    return (one: PoolDevice): boolean =>
      one.peer !== device.peer && !asked.has(one.peer) && !spoken.has(this.#wordOf(one, device)) && may(one);
  }

  #ask(one: Case): void {
    const { part, verdicts, asked } = one;
    const services = this.#services;
    if (one.lease || !this.#cases.has(one) || services.busy(part.key)) return;
    const free = this.#judgesOf(part, verdicts, asked).filter((device) => this.#isFree(device, part));
    if (free.length === 0) return;
    const best = Math.min(...free.map((device) => this.#strangeness(device, part)));
    const likely = free.filter((device) => this.#strangeness(device, part) === best);
    const judge = likely[this.#below(likely.length)];
    const { first_ms_per_token } = services.devices.usual(part.key);
    const { lease_least_ms: least, lease_most_ms: most, times_usual } = JUDGES_LIMITS;
    const wait_ms = between(least, times_usual * first_ms_per_token * tokensOf(part), most);
    const id = services.newLease();
    const expires = services.clock.setTimeout(() => this.#next(one, 'late'), wait_ms);
    one.lease = { id, judge, expires };
    one.asked.add(judge.peer);
    one.asks++;
    judge.connection.tell({ type: 'judge', lease: id, ...part.offer, asked: one.packed });
  }

  #isFree(device: PoolDevice, part: WrittenPart): boolean {
    if (this.#caseOf(({ judge }) => judge === device)) return false; // a device judges one at a time
    const asked = { prefix: '', region: null, read_tokens: tokensOf(part), left_tokens: 0 };
    const known = this.#services.devices.known(device, part.key, asked);
    return hasRoom(known, asked) && known.context_tokens >= asked.read_tokens;
  }

  /** Who is asked last: 1 for keys of the same owner or of none, 2 more for those whom other judges have contradicted. */
  #strangeness({ peer, record }: PoolDevice, { device }: WrittenPart): number {
    const { ownerOf } = this.#services;
    const owner = ownerOf(peer);
    const isNear = owner === null || owner === ownerOf(device.peer);
    return (isNear ? 1 : 0) + (record.contradicted > 0 ? 2 : 0);
  }

  #decide(one: Case): void {
    const outcome = outcomeOf(one.verdicts.map(({ refused }) => refused));
    if (outcome === 'ask') {
      this.#askOrEnd(one);
      return;
    }
    const { devices, decided, convict } = this.#services;
    const { device, of } = one.part;
    const isRefused = outcome === 'refused';
    for (const { device: judge, refused } of one.verdicts) if (refused !== isRefused) judge.record.contradicted++;
    const isFound = !isRefused && this.#addAccepted(one);
    devices.judged(device, of, isRefused || isFound);
    // Whoever offers a file of its own may own all who judge it: what they accept is no record.
    const isFile = one.part.offer.quantisation === 'gguf';
    if (isRefused || isFound || !isFile) decided(device.peer, isRefused || isFound);
    this.#end(one, isFound ? 'found' : outcome);
    if (isRefused || isFound) convict(device);
  }

  /** Adds what judges have accepted to what they have accepted before. @returns whether it is too much together */
  #addAccepted({ part: { device, of, offer }, verdicts }: Case): boolean {
    const { devices, limitsOf } = this.#services;
    const limits = limitsOf(offer);
    const said = verdicts.filter(({ refused }) => !refused);
    return said.some(({ device: judge, draws, margin }) =>
      devices.added(device, of, { word: this.#wordOf(judge, device), draws, margin }, limits),
    );
  }

  /**
   * The keys of one owner have one word against others, and so have all keys without an owner together, as anybody may have many; against a
   * device of their own owner they have a word each.
   */
  #wordOf(judge: PoolDevice, device: PoolDevice): string {
    const { ownerOf } = this.#services;
    const owner = ownerOf(judge.peer);
    return owner === ownerOf(device.peer) ? judge.peer : (owner ?? 'nobody');
  }

  /** A judge has not answered; others may. */
  #next(one: Case, why: string | null): void {
    const judge = one.lease?.judge;
    this.#free(one, why);
    this.#askOrEnd(one);
    if (judge) this.look(judge);
  }

  #askOrEnd(one: Case): void {
    if (one.asks < JUDGES_LIMITS.asked) this.#ask(one);
    else this.#end(one, 'unjudgeable');
  }

  /** Ends the lease of a case. */
  #free(one: Case, why: string | null): void {
    const { lease } = one;
    if (!lease) return;
    one.lease = null;
    this.#services.clock.clearTimeout(lease.expires);
    this.#services.leaseEnded(lease.judge, lease.id, why);
  }

  #end(one: Case, how: 'accepted' | 'refused' | 'found' | 'unjudgeable' | null): void {
    if (!this.#cases.delete(one)) return;
    this.#bytes -= one.packed.length;
    this.#services.clock.clearTimeout(one.expires);
    this.#free(one, 'not-needed');
    if (how) this.#services.counts.judged(how);
    one.part.decided(how === 'refused');
  }

  #caseOf(is: (lease: JudgeLease) => boolean): Case | undefined {
    for (const one of this.#cases) if (one.lease && is(one.lease)) return one;
    return undefined;
  }
}

const NOT_NOW: readonly string[] = ['leaving', 'no-room'];

/** How much a judge has to read. */
const tokensOf = ({ prompt_tokens, task: { request, served } }: Pick<WrittenPart, 'prompt_tokens' | 'task'>): number =>
  prompt_tokens + request.written.length + served.ids.length;
