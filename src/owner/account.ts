// What a hub knows about an owner.
import { readHub } from '../peer/find-run.ts';
import { type AccountView, AccountViewSchema } from '../protocol/messages.ts';
import { PeerError } from '../protocol/peer-errors.ts';

/** What a hub knows about an owner. Throws PeerError `hub-unreachable`, `not-a-hub`, `refused`. */
export async function accountOn(url: string, account: string): Promise<AccountView> {
  const { json } = await readHub(url, `/accounts/${account}`);
  const view = AccountViewSchema.safeParse(json);
  if (!view.success) throw new PeerError('not-a-hub', `expected a Potluck hub at ${url}`, { url });
  return view.data;
}
