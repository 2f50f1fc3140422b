// What the pool sees when one of its answers asks who could write it: the devices with room, best first, and how full the others are.
import type { Offer } from '../../protocol/serving-from-peer.ts';
import type { Answer } from './answer.ts';
import type { Caller } from './caller.ts';
import type { Devices, ModelKey, PoolDevice } from './devices.ts';
import type { JudgedKey } from './judged-sums.ts';
import type { Looked } from './look-later.ts';
import type { Bill } from './payments.ts';
import { bestDevice, type DeviceKnown, type WorkKnown } from './rank.ts';
import { takesPart } from './request.ts';

/** What is known of an answer beside its text. */
export interface Asked {
  readonly key: ModelKey;
  readonly judged_of: JudgedKey;
  readonly offer: Pick<Offer, 'model' | 'quantisation'>;
  readonly caller: Caller;
  readonly prefix: string;
  /** null: nobody is charged here. */
  readonly bill: Bill | null;
}

interface Around {
  readonly devices: Devices;
  may(device: PoolDevice, offer: Offer): boolean;
}

export function lookAt(answer: Answer, asked: Asked, work: WorkKnown, { devices, may }: Around): Looked {
  const { key, caller, prefix, bill } = asked;
  const around = { prefix, region: caller.region, ...work };
  const writing = new Set(answer.leases.map(({ device }) => device.connection.number));
  const known: DeviceKnown[] = [];
  let offered = false;
  let free_places = 0;
  for (const device of devices.with(key)) {
    const { offer } = device.offers.get(key)!;
    if (!may(device, offer) || !takesPart(offer, answer.request.prompt)) continue;
    if (bill && !bill.affords(device.peer, offer)) continue;
    offered = true;
    const { number } = device.connection;
    const one = devices.known(device, key, around);
    free_places += Math.max(0, one.places);
    if (writing.has(number) || answer.avoided.has(number)) continue;
    known.push({ ...one, was_late: answer.late.has(number) });
  }
  // Each lease is a part of the answer that may be paid, and there are only so many.
  const best = bill?.hasParts === false ? undefined : bestDevice(known, work);
  return { best, offered, free_places, usual: work.usual };
}
