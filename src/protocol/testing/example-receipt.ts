// Receipts for tests: a claim and the gateway's word around it, with what a test wants to be different.
import { type AnswerClaim, type AnswerReceipt, openReceipt, signClaim, signReceipt } from '../answer-receipt.ts';
import { signEvent } from '../envelope.ts';
import { sha256Hex, utf8 } from '../hash.ts';
import { type Identity, identityFromSecret } from '../identity.ts';

export const person = (seed: number) => identityFromSecret(new Uint8Array(32).fill(seed));
/** A hash that stands for something. */
export const hashOf = (what: string): string => sha256Hex(utf8(what));

/** The event with which a device says whose it is, by default for longer than any test whose clock begins at 0. */
export async function bindingOf(owner: Identity, device: Identity, expires_ms = 10 ** 12): Promise<Uint8Array> {
  const about = { version: 1, device: device.id, expires_ms } as const;
  const certificate = await signEvent(owner, { type: 'device.certificate', ...about });
  return signEvent(device, { type: 'device.bound', version: 1, certificate });
}

export type ReceiptWishes = Partial<
  Omit<AnswerClaim, 'type' | 'version'> &
    Pick<AnswerReceipt, 'caller' | 'run' | 'holders_micro' | 'gateway_micro' | 'time_ms'>
>;

export function exampleClaim(gateway: string, more: ReceiptWishes = {}): Omit<AnswerClaim, 'type' | 'version'> {
  const { caller: _caller, run: _run, holders_micro: _holders, gateway_micro: _gateway, time_ms: _time, ...own } = more;
  const about = { request: hashOf('request'), part: 0, model: hashOf('model'), quantisation: 'q8_0' };
  const counted = { input_tokens: 120, output_tokens: 80, answer: hashOf('answer'), earns_micro: 70 };
  return { gateway, ...about, ...counted, ...own };
}

/** A receipt of 100 micro-credits: 70 for the device, 10 for a run's holders, 20 for the gateway. */
export async function exampleReceipt(
  device: Identity,
  gateway: Identity,
  more: ReceiptWishes = {},
): Promise<AnswerReceipt> {
  const claim = await signClaim(device, exampleClaim(gateway.id, more));
  const { caller = hashOf('caller'), run = hashOf('run'), holders_micro = 10, gateway_micro = 20, time_ms = 0 } = more;
  return openReceipt(await signReceipt(gateway, { claim, caller, run, holders_micro, gateway_micro, time_ms }));
}
