// Devices that hand events in at the fronts of a hub, so many a second whatever happens, and again where one was not answered.
import { setTimeout as pause } from 'node:timers/promises';
import { verifyReceipt } from '../ledger/receipt.ts';
import { eventId, signEvent } from '../protocol/envelope.ts';
import { createIdentity } from '../protocol/identity.ts';

export interface Load {
  /** The index in the log that each acknowledged event was given, by its id. */
  readonly acknowledged: ReadonlyMap<string, number>;
  /** How often an event was handed in again, by why. */
  readonly again: ReadonlyMap<string, number>;
  /** How long the acknowledged ones have waited. */
  readonly waited_ms: readonly number[];
  /** How many wait for their receipt. */
  readonly waiting: number;
  /** Resolves when an event that is handed in from now on is acknowledged; to the milliseconds that took. */
  next(): Promise<number>;
  /** Hands in nothing new. Resolves when everything is acknowledged. */
  stop(): Promise<void>;
}

const TURN_MS = 20;
const AGAIN_MS = 200;
/** No answer comes later than this from a front that is there (hub/cluster/ask-leader.ts). */
const ANSWER_MS = 40_000;

/** Each event names an address of a new owner, so each is taken once, in any order. */
export function startLoad(urls: readonly string[], hub: string, a_second: number): Load {
  const acknowledged = new Map<string, number>();
  const again = new Map<string, number>();
  const waited_ms: number[] = [];
  let waiting: { since_ms: number; resolve(took_ms: number): void }[] = [];
  const under_way = new Set<Promise<void>>();
  let stopped = false;

  const handIn = async (number: number): Promise<void> => {
    const owner = createIdentity();
    const body = { type: 'account.address', version: 1, hub, change: 0, chain: 'evm' } as const;
    const event = await signEvent(owner, { ...body, address: `0x${number.toString(16).padStart(40, '0')}` });
    const since_ms = performance.now();
    for (let tries = 0; ; tries++) {
      const answer = await post(urls[(number + tries) % urls.length], event);
      if ('receipt' in answer) {
        const { index } = verifyReceipt(answer.receipt, event, hub);
        acknowledged.set(eventId(event), index);
        break;
      }
      again.set(answer.why, (again.get(answer.why) ?? 0) + 1);
      await pause(AGAIN_MS);
    }
    const now_ms = performance.now();
    waited_ms.push(now_ms - since_ms);
    const told = waiting.filter((one) => one.since_ms <= since_ms);
    waiting = waiting.filter((one) => one.since_ms > since_ms);
    for (const one of told) one.resolve(now_ms - one.since_ms);
  };
  const keepOn = async (): Promise<void> => {
    const begun_ms = performance.now();
    for (let number = 0; !stopped; ) {
      const due = ((performance.now() - begun_ms) / 1000) * a_second;
      for (; number < due; number++) {
        const one = handIn(number).finally(() => under_way.delete(one));
        under_way.add(one);
      }
      await pause(TURN_MS);
    }
  };
  const going = keepOn();
  return {
    ...{ acknowledged, again, waited_ms },
    get waiting() {
      return under_way.size;
    },
    next: () =>
      new Promise((resolve) => {
        waiting.push({ since_ms: performance.now(), resolve });
      }),
    async stop() {
      stopped = true;
      await going;
      await Promise.all(under_way);
    },
  };
}

/** A receipt, or why there is none. */
async function post(url: string, event: Uint8Array): Promise<{ receipt: unknown } | { why: string }> {
  try {
    const answer = await fetch(`${url}/events`, {
      ...{ method: 'POST', body: event as Uint8Array<ArrayBuffer>, signal: AbortSignal.timeout(ANSWER_MS) },
    });
    const text = await answer.text();
    // Node itself answers whose request comes too slowly, with nothing but a status.
    if (text === '') return { why: `${answer.status} and no word` };
    const said = JSON.parse(text) as { receipt?: unknown; error?: { code?: string } };
    return answer.status === 201 ? { receipt: said.receipt } : { why: `${answer.status} ${said.error?.code}` };
  } catch (error) {
    return { why: causeOf(error) };
  }
}

/** fetch hides in a cause what a socket failed with. */
function causeOf(error: unknown): string {
  const { name, cause } = error as Error;
  const code = (cause as { code?: unknown } | undefined)?.code;
  return typeof code === 'string' ? code : name;
}
