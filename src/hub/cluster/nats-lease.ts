// A lease in NATS: one value in JetStream, whose writers name the revision that they follow. The layout and the calls are those of NATS's
// key-value buckets (ADR-8), so that `nats kv get` shows who leads. JetStream may forget it: it is for liveness alone (docs/decisions/0024, 0054).
import type { Msg } from '@nats-io/transport-node';
import { z } from 'zod';
import { type Clock, sleep, systemClock } from '../../protocol/clock.ts';
import { utf8 } from '../../protocol/hash.ts';
import { HubError } from '../errors.ts';
import { checkSubject, unanswered, unheard } from './bus-subjects.ts';
import { type KeptValue, type LeaseKeeper, leaseAt } from './kept-lease.ts';
import { LEASE_MS, type Lease, RENEW_MS } from './lease.ts';
import type { NatsBus } from './nats-bus.ts';
import { natsClient } from './nats-client.ts';

const BUCKET = 'potluck-leases';
const STREAM = `KV_${BUCKET}`;
/** Of three servers one may fail. */
const REPLICAS = 3;
/** Servers that form a cluster need this long to agree on who leads, after all of them have started. */
const READY_MS = 15_000;
const AGAIN_MS = 500;
/** Longer than an answer takes; a renewal that takes longer is as good as lost. */
const ASK_MS = RENEW_MS;

/** Numbers of JetStream's errors. */
const CODES = { wrong_last: 10071, no_message: 10037, no_stream: 10059, other_config: 10058 } as const;

const Failure = z.object({ err_code: z.number().optional(), description: z.string().default('no reason given') });
const Answer = z.object({
  error: Failure.optional(),
  seq: z.number().optional(),
  message: z.object({ seq: z.number(), data: z.string().default('') }).optional(),
  config: z.object({ max_age: z.number().optional(), num_replicas: z.number().optional() }).optional(),
});
type Answer = z.infer<typeof Answer>;

export interface NatsLeaseOptions {
  readonly bus: NatsBus;
  /** What is led: letters, digits, _ and - between dots. */
  readonly name: string;
  readonly clock?: Clock;
}

/** Opens a lease; makes the bucket where there is none. Throws HubError `no-bus` where NATS keeps none: one line with what was expected and what came. */
export async function openNatsLease({ bus, name, clock = systemClock }: NatsLeaseOptions): Promise<Lease> {
  checkSubject(name);
  const keeper = new BucketKeeper(bus, name, clock);
  await keeper.make();
  return leaseAt(keeper, clock, Math.random);
}

class BucketKeeper implements LeaseKeeper {
  readonly #bus: NatsBus;
  readonly #clock: Clock;
  readonly #subject: string;
  readonly #freed: string;

  constructor(bus: NatsBus, name: string, clock: Clock) {
    this.#bus = bus;
    this.#clock = clock;
    this.#subject = `$KV.${BUCKET}.${name}`;
    this.#freed = `lease.${name}.freed`;
  }

  async take(value: string): Promise<number | null> {
    return this.#write(value, 0);
  }

  renew(value: string, revision: number): Promise<number | null> {
    return this.#write(value, revision);
  }

  async free(revision: number): Promise<void> {
    // This revision is its own: it is deleted only where it is the last one.
    const { error } = await this.#ask(`$JS.API.STREAM.MSG.DELETE.${STREAM}`, { seq: revision, no_erase: true });
    if (error) return; // it was forgotten
    this.#bus.publish(this.#freed, new Uint8Array());
  }

  async read(): Promise<KeptValue | null> {
    const { error, message } = await this.#ask(`$JS.API.STREAM.MSG.GET.${STREAM}`, { last_by_subj: this.#subject });
    if (error?.err_code === CODES.no_message || error?.err_code === CODES.no_stream) return null;
    if (error || !message) throw unheard(this.#subject, `but NATS said "${error?.description ?? 'nothing'}"`);
    return { value: Buffer.from(message.data, 'base64').toString(), revision: message.seq };
  }

  onFree(listener: () => void): () => void {
    const subscription = this.#bus.subscribe(this.#freed, listener);
    return () => subscription.close();
  }

  /** Makes the bucket, with as many replicas as there are servers for. */
  async make(): Promise<void> {
    const clustered = this.#bus.connection.info?.cluster !== undefined;
    const until_ms = this.#clock.elapsed_ms() + READY_MS;
    for (let replicas = clustered ? REPLICAS : 1; ; ) {
      const fact = await this.#makeWith(replicas);
      if (fact === null) return;
      const late = this.#clock.elapsed_ms() > until_ms;
      if (late && replicas === 1) throw new HubError('no-bus', `the lease: expected NATS with JetStream, ${fact}`);
      // A cluster of two holds no three replicas, however long one waits.
      if (late) replicas = 1;
      else if (!clustered) throw new HubError('no-bus', `the lease: expected NATS with JetStream, ${fact}`);
      else await sleep(this.#clock, AGAIN_MS);
    }
  }

  /** @returns what came instead; null where the bucket is there */
  async #makeWith(replicas: number): Promise<string | null> {
    const lease_ns = LEASE_MS * 1e6;
    const config = {
      name: STREAM,
      subjects: [`$KV.${BUCKET}.>`],
      ...{ max_msgs_per_subject: 1, max_age: lease_ns, duplicate_window: lease_ns, discard: 'new' },
      ...{ storage: 'file', num_replicas: replicas, retention: 'limits', max_msg_size: 4096 },
      ...{ allow_rollup_hdrs: true, allow_direct: true, deny_delete: false },
    };
    try {
      const made = await this.#ask(`$JS.API.STREAM.CREATE.${STREAM}`, config);
      if (!made.error) return null;
      if (made.error.err_code !== CODES.other_config) return `it said "${made.error.description}"`;
      const { config: known } = await this.#ask(`$JS.API.STREAM.INFO.${STREAM}`, {});
      if (known?.max_age === lease_ns) return null; // with more or fewer replicas
      return `it has a bucket ${BUCKET} whose values live ${(known?.max_age ?? 0) / 1e6} ms, expected ${LEASE_MS}`;
    } catch (error) {
      if (!(error instanceof HubError)) throw error;
      return error.is('no-answer') && error.details.unheard
        ? 'it has none, or allows no access to it'
        : 'it does not answer';
    }
  }

  /** @param after the revision that the last one has, 0 where there is none */
  async #write(value: string, after: number): Promise<number | null> {
    const { headers } = natsClient();
    const header = headers();
    header.set('Nats-Expected-Last-Subject-Sequence', String(after));
    const { error, seq } = await this.#request(this.#subject, utf8(value), header);
    if (error?.err_code === CODES.wrong_last) return null;
    if (error || seq === undefined) throw unheard(this.#subject, `but NATS said "${error?.description ?? 'nothing'}"`);
    return seq;
  }

  #ask(subject: string, question: object): Promise<Answer> {
    return this.#request(subject, utf8(JSON.stringify(question)));
  }

  async #request(subject: string, bytes: Uint8Array, headers?: ReturnType<typeof newHeaders>): Promise<Answer> {
    const { connection, connected } = this.#bus;
    if (!connected) throw unheard(subject, 'but the bus cannot be reached');
    let message: Msg;
    try {
      message = await connection.request(subject, bytes, { timeout: ASK_MS, headers });
    } catch (error) {
      const { errors } = natsClient();
      if (!(error instanceof errors.RequestError && error.isNoResponders())) throw unanswered(subject, ASK_MS);
      // Somebody has removed the bucket, or all servers and their folders are new.
      if (subject === this.#subject) await this.#makeWith(connection.info?.cluster === undefined ? 1 : REPLICAS);
      throw unheard(subject, 'but nobody serves it');
    }
    const parsed = Answer.safeParse(parse(message));
    if (!parsed.success) throw unheard(subject, 'but it is none of JetStream');
    return parsed.data;
  }
}

const newHeaders = () => natsClient().headers();

function parse(message: Msg): unknown {
  try {
    return message.json();
  } catch {
    return null;
  }
}
