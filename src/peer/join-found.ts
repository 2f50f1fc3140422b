// Joins the run that a device has found: the common part of a process with a folder and a tab with the browser's storage.
import { openHeads } from '../audit/seen-heads.ts';
import type { EventBody } from '../core/events.ts';
import type { Drawer } from '../games/drawer.ts';
import type { Device } from '../games/game.ts';
import { signEvent } from '../protocol/envelope.ts';
import type { RunStatus } from '../protocol/messages.ts';
import { bindDevice, type CertificateStore } from './device-binding.ts';
import { registryOf, untilTakenIn } from './registry.ts';
import { sendEvent } from './send-event.ts';
import { type SessionOptions, takePart } from './session.ts';

/** What a device contributes; everything else follows from the run. */
export interface Joining extends Omit<SessionOptions, 'run' | 'run_name' | 'hub' | 'device' | 'heads' | 'bind'> {
  /** The hub's id, and the run as it was found there. */
  readonly found: { readonly hub: string; readonly view: RunStatus };
  /** Where the hub answers now. */
  readonly at: () => string;
  readonly device: Pick<Device, 'runtime' | 'run' | 'drawer' | 'progress' | 'rested' | 'away_ms'>;
  /** Where the seen heads of hubs' logs are stored, and how this hub's log is opened to compare them. */
  readonly heads: { readonly drawer: Drawer; readonly log: Parameters<typeof openHeads>[0]['log'] };
  /** The owner that this device earns for, and where it stores the certificate; null: it earns for its own key. */
  readonly owner: { readonly identity: SessionOptions['identity']; readonly certificates: CertificateStore } | null;
}

/** Resolves when the run is finished or the owner's signal was followed. Throws Misbehaviour, and the errors of takePart. */
export async function joinFound({ found, at, owner, ...joining }: Joining): Promise<'finished' | 'left'> {
  const { hub, view } = found;
  const { clock } = joining.transport;
  const { id: device } = joining.identity;
  const heads = await openHeads({
    hub,
    clock,
    ...joining.heads,
    onProblem: (code, message) => joining.onNews?.({ type: 'problem', code, message }),
  });
  return takePart({
    ...joining,
    run: view.run,
    run_name: view.name,
    hub,
    device: { ...joining.device, fetchBlob: joining.blobs.fetch },
    heads,
    bind:
      owner === null
        ? undefined
        : async (submit) => {
            const { identity, certificates } = owner;
            const options = { owner: identity, device, certificates, now_ms: clock.now_ms() };
            const registry = await registryOf(at());
            if (!registry) return bindDevice({ ...options, hub, submit });
            // Whose device it is, is said at the registry; the run's log knows it from there.
            const say = async (body: EventBody) =>
              sendEvent(registry.url, await signEvent(joining.identity, { ...body }));
            const isNew = await bindDevice({ ...options, hub: registry.hub, submit: say });
            await untilTakenIn(at(), device, clock);
            return isNew;
          },
  });
}
