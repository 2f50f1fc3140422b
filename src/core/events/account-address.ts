// An owner says where what it holds may be settled.
import { z } from 'zod';
import { count, hash } from '../../protocol/schemas.ts';
import { refusalOfDirect } from '../registry/registry-only.ts';
import { applyAddress, refusalOfAddress } from '../shares/addresses.ts';
import { v1 } from './fields.ts';
import { networkEvent } from './kind.ts';

/**
 * By an owner: where what it holds may be settled on another ledger. The last one counts; nothing is ever guessed.
 * It names its hub and counts the owner's statements there from 0, so that an old address cannot be put in force again.
 */
export const AccountAddressSchema = z.strictObject({
  type: z.literal('account.address'),
  ...v1,
  hub: hash,
  change: count,
  chain: z.literal('evm'),
  address: z.string().regex(/^0x[0-9a-f]{40}$/, 'expected 0x and 40 lower-case hexadecimal digits'),
});
export type AccountAddress = z.infer<typeof AccountAddressSchema>;

export const accountAddress = networkEvent(AccountAddressSchema, {
  about: 'shares',
  words: (_body, who) => `${who} named an address to be settled at`,
  refusalOf: (state, { author, body }) => refusalOfDirect(state) ?? refusalOfAddress(state, author, body),
  apply: (state, { author, body }) => applyAddress(state, author, body),
});
