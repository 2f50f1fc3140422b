// What can be wrong with an owner's rules for a device.
import { CodedError } from '../../errors.ts';

export type OwnerPolicyErrorCode = 'bad-device-settings' | 'not-a-day-receipt' | 'wrong-sum';

export class OwnerPolicyError extends CodedError<OwnerPolicyErrorCode> {}
