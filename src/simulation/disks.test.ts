// A simulated peer's disk keeps what the drawers of real ones keep.
import { drawerCompliance } from '../games/testing/drawer-compliance.ts';
import { PeerDisk } from './disks.ts';
import { Process, VirtualTime } from './virtual-time.ts';

drawerCompliance('a simulated disk', async () => {
  const time = new VirtualTime();
  const disk = new PeerDisk();
  const start = (): Process => new Process(time, { offset_ms: 0, rate: 1 });
  const process = start();
  // Time goes on by itself for as long as somebody waits for it.
  const inTime = async <T>(work: Promise<T>): Promise<T> => {
    let done = false;
    const settled = work.finally(() => {
      done = true;
    });
    await new Promise((resolve) => setImmediate(resolve)); // calls that are made together wait together
    while (!done && (await time.step(Number.POSITIVE_INFINITY)));
    return settled;
  };
  const open = (process: Process) => {
    const drawer = disk.openDrawer(process);
    return {
      get: (name: string) => inTime(drawer.get(name)),
      put: (name: string, bytes: Uint8Array) => inTime(drawer.put(name, bytes)),
      delete: (name: string) => inTime(drawer.delete(name)),
    };
  };
  return {
    drawer: open(process),
    async powerCut() {
      process.kill();
      return open(start());
    },
  };
});
