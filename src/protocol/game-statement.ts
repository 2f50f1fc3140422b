// What a device says to others about the game that it plays, signed: whoever has it can show what was said.

import { utf8 } from './hash.ts';
import { verifySignature } from './identity.ts';

/** The bytes that are signed: no other statement of the network begins like this. */
export function gameStatement(run: string, statement: Uint8Array): Uint8Array {
  const head = utf8(`potluck-game-statement-v1\n${run}\n`);
  const bytes = new Uint8Array(head.length + statement.length);
  bytes.set(head);
  bytes.set(statement, head.length);
  return bytes;
}

/** Whether a device has said this in a run (DeviceChannel.sign). Never throws. */
export const isSigned = (run: string, by: string, statement: Uint8Array, signature: Uint8Array): boolean =>
  verifySignature(by, gameStatement(run, statement), signature);
