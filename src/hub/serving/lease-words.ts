// What a device says of a lease: measured by the hub, and passed on to the answer.
import { orNull } from '../../protocol/errors.ts';
import { type TokenRow, unpackTokens } from '../../protocol/serving-bytes.ts';
import type { FromServingPeer } from '../../protocol/serving-from-peer.ts';
import type { Lease } from './answer.ts';
import type { Devices, ModelKey } from './devices.ts';
import type { PoolCounts } from './pool-metrics.ts';
import type { TokenRate } from './request.ts';

export type OfLease = Exclude<
  FromServingPeer,
  { readonly type: 'offer' | 'judged' | 'answer-claim' | 'embedded' | 'embed-ended' }
>;

interface Around {
  readonly now_ms: number;
  readonly key: ModelKey;
  readonly devices: Devices;
  readonly rate: TokenRate;
  readonly counts: PoolCounts;
}

/** @returns what is wrong with it, in words; null: nothing */
export function hearOfLease(lease: Lease, message: OfLease, around: Around): string | null {
  const { answer, cursor, device } = lease;
  const { now_ms, devices, rate } = around;
  switch (message.type) {
    case 'answer-taken':
      if (lease.taken_ms !== null) return 'it is taken twice';
      lease.taken_ms = now_ms;
      devices.tookAfter(device, now_ms - lease.sent_ms);
      return null;
    case 'answer-begun': {
      if (lease.taken_ms === null) return 'it begins before it is taken';
      if (answer.stream.countsOtherwise(cursor, message.prompt_tokens)) {
        answer.broken(lease, 'other-count');
        return null;
      }
      const wrong = answer.stream.heardBegun(cursor, message.prompt_tokens);
      if (wrong === null) rate.learn(answer.request.prompt, message.prompt_tokens);
      return wrong;
    }
    case 'answer-tokens': {
      const rows = orNull(() => unpackTokens(message.packed));
      return rows ? heardTokens(lease, message.from, rows, around) : 'tokens that cannot be read';
    }
    case 'answer-call':
      return answer.stream.heardCall(cursor, message);
    case 'answer-ended': {
      const wrong = answer.stream.heardEnd(cursor, message);
      if (wrong !== null) return wrong;
      lease.ending = message;
      answer.finished(lease);
      return null;
    }
    case 'answer-failed':
      answer.failed(lease, { code: message.code, message: message.message }, true);
      return null;
  }
}

function heardTokens(lease: Lease, from: number, rows: readonly TokenRow[], around: Around): string | null {
  const { answer, cursor, device } = lease;
  const { now_ms, key, devices, counts } = around;
  const wrong = answer.stream.heardTokens(cursor, from, rows);
  if (wrong !== null) return wrong;
  counts.tokens(rows.length);
  for (const [, , echoed, logprob] of rows) if (!echoed && logprob) lease.logprobs.push(logprob[2]);
  const isFirst = lease.first_ms === null;
  if (isFirst) {
    if (answer.written_ms !== null) counts.pause((now_ms - answer.written_ms) / 1000);
    devices.firstAfter(device, key, now_ms - lease.sent_ms, lease.read_tokens);
  } else devices.tokensAfter(device, key, now_ms - lease.last_ms!, rows.length);
  lease.first_ms ??= now_ms;
  lease.last_ms = now_ms;
  lease.tokens += rows.length;
  answer.written_ms = now_ms;
  answer.class = device.offers.get(key)?.offer.class ?? answer.class;
  if (isFirst || answer.stream.full) answer.drive();
  return null;
}
