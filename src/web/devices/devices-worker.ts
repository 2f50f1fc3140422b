// The Worker behind the view of all devices: reads what they have told their owner, and signs what the owner wants of them.
import '../tab/no-eval.ts';
import { readDevices, want } from '../../owner/devices.ts';
import { valueIn } from '../../peer/owner-policy/setting-text.ts';
import { DeviceSettingsSchema } from '../../peer/owner-policy/settings.ts';
import { isOnlyHere } from '../../peer/owner-policy/settings-from-afar.ts';
import { openOwnerKey } from '../tab/keys.ts';
import { readIdentity } from '../tab/known-identity.ts';
import { openTabStore } from '../tab/store.ts';
import type { DevicesNews, DevicesOrder, Setting } from './devices-messages.ts';

const say = (news: DevicesNews): void => postMessage(news);

const SETTINGS: readonly Setting[] = Object.entries(DeviceSettingsSchema.shape)
  .filter(([name]) => !isOnlyHere(name))
  .map(([name, field]) => ({ name, meaning: field.meta()?.description ?? '' }));

async function follow(order: DevicesOrder): Promise<DevicesNews> {
  const { owner } = await readIdentity();
  if (owner === null) return { kind: 'nobody' };
  const key = await openOwnerKey(await openTabStore());
  const url = self.location.origin;
  if (order.kind === 'read') return { kind: 'devices', devices: await readDevices(url, key), settings: SETTINGS };
  const change = 'paused' in order ? order : { settings: { [order.name]: valueIn(order.name, order.text.trim()) } };
  for (const device of order.devices) await want(url, key, device, change);
  return { kind: 'wanted' };
}

addEventListener('message', ({ data: order }: MessageEvent<DevicesOrder>) => {
  follow(order).then(say, (error: unknown) =>
    say({ kind: 'failed', of: order.kind, message: error instanceof Error ? error.message : String(error) }),
  );
});
