// What must hold where a process of a simulated hub is cut off: while another takes devices, none stays at the one that lacks the bus or the journal.
import type { FrontsWord } from '../../hub/cluster/cut-off.ts';
import type { Process } from '../virtual-time.ts';
import type { Device } from './device.ts';
import type { Machine } from './machine.ts';

/** A device is elsewhere so long after its process was cut off from the bus, or from the journal (docs/decisions/0062). */
const STRANDED_MS = { bus: 6000, journal: 10_000 } as const;
const WAY_MS = 10;
/** As hub/cluster/ask-front.ts has it. */
const NO_ANSWER_MS = 1000;

export interface Surroundings {
  readonly machines: readonly Machine[];
  readonly devices: readonly Device[];
  /** Machines that no client reaches. */
  readonly unreachable: ReadonlySet<string>;
  /** Machines that do not reach the journal. */
  readonly journal: { readonly cut: ReadonlySet<string> };
}

export const urlOf = ({ name }: Machine): string => `http://${name}`;

const answers = ({ unreachable }: Pick<Surroundings, 'unreachable'>, machine: Machine): boolean =>
  machine.isFront && !machine.stopped && !unreachable.has(machine.name);

/** What a process would hear at GET /ready of another one. */
export async function askFront(of: Surroundings, asker: Process, url: string): Promise<FrontsWord> {
  await asker.wait(WAY_MS);
  const machine = of.machines.find((one) => urlOf(one) === url);
  if (!machine || !answers(of, machine)) {
    await asker.wait(NO_ANSWER_MS);
    return 'silent';
  }
  const { services } = machine.up!.core;
  const { state } = await services.condition();
  return state === 'ready' && services.lacks() === null ? 'fine' : 'lacking';
}

/** Call what is returned regularly; it says who is stranded, or null. */
export function watchStranded(of: Surroundings): (now_ms: number) => string | null {
  const since_ms = new Map<Device, number>();
  const isCut = (machine: Machine): boolean => machine.cut_off || of.journal.cut.has(machine.name);
  const isFine = (machine: Machine): boolean =>
    answers(of, machine) && !isCut(machine) && machine.up!.core.services.lacks() === null;
  return (now_ms) => {
    const isSomebodyFine = of.machines.some(isFine);
    for (const device of of.devices) {
      const { at } = device;
      const isStranded = at?.up && isCut(at) && !at.leads && !at.stopped && device.here_since_ms !== null;
      if (!isStranded || !isSomebodyFine) {
        since_ms.delete(device);
        continue;
      }
      const begun_ms = since_ms.get(device) ?? now_ms;
      since_ms.set(device, begun_ms);
      const most_ms = at.cut_off ? STRANDED_MS.bus : STRANDED_MS.journal;
      if (now_ms - begun_ms > most_ms) return `${device.name} is still at ${at.name}, which is cut off`;
    }
    return null;
  };
}
