// The messages between the view of all devices and its Worker, which has the owner's key and the arithmetic of seals.
import type { OwnDevice } from '../../owner/devices.ts';

export type { OwnDevice };

/** `want`: of devices by their ids, one after the other; `setting` as somebody writes it. */
export type DevicesOrder =
  | { readonly kind: 'read' }
  | { readonly kind: 'want'; readonly devices: readonly OwnDevice[]; readonly paused: boolean }
  | { readonly kind: 'want'; readonly devices: readonly OwnDevice[]; readonly name: string; readonly text: string };

export type DevicesNews =
  | { readonly kind: 'devices'; readonly devices: readonly OwnDevice[]; readonly settings: readonly Setting[] }
  | { readonly kind: 'wanted' }
  /** This browser has no key of a person. */
  | { readonly kind: 'nobody' }
  | { readonly kind: 'failed'; readonly of: DevicesOrder['kind']; readonly message: string };

/** A setting that an owner may change from elsewhere. */
export interface Setting {
  readonly name: string;
  readonly meaning: string;
}
