// What a hub's operator says of money: signed with the hub's own key, which lies in its folder, and sent to the hub that runs.
import type { CreditGranted } from '../core/events/credit-granted.ts';
import type { EarningsPaid } from '../core/events/earnings-paid.ts';
import { sendEvent } from '../peer/send-event.ts';
import { signEvent } from '../protocol/envelope.ts';
import type { Identity } from '../protocol/identity.ts';
import type { AccountView } from '../protocol/messages.ts';
import { PeerError } from '../protocol/peer-errors.ts';
import { accountOn } from './account.ts';

interface Said {
  readonly account: string;
  readonly amount_micro: number;
  readonly reference?: string;
}

/**
 * Grants credit, or states that earnings were paid elsewhere. It is numbered, so that what was sent twice counts once.
 * @param hub the hub's key
 * @returns the event's id, and the account's money after it
 * Throws PeerError `refused`, `hub-unreachable`, `not-a-hub`.
 */
export async function sayMoney(
  url: string,
  hub: Identity,
  type: CreditGranted['type'] | EarningsPaid['type'],
  said: Said,
): Promise<{ readonly event: string } & NonNullable<AccountView['money']>> {
  const { hub: found, money } = await accountOn(url, said.account);
  if (found !== hub.id) {
    throw new PeerError('not-a-hub', `expected the hub ${hub.id} at ${url}, got ${found}: another folder's key?`, {
      url,
    });
  }
  if (!money)
    throw new PeerError('not-a-hub', `the hub at ${url} knows nothing of credit: it is an older one`, { url });
  const number = type === 'credit.granted' ? money.next_grant : money.next_payment;
  const event = await sendEvent(url, await signEvent(hub, { type, version: 1, number, ...said }));
  return { event, ...(await accountOn(url, said.account)).money! };
}
