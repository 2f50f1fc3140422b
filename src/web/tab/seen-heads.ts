// The heads of a hub's log that a tab has seen, stored in the browser: for the tab that takes part, and for an audit in the page.

import { readKeptHeads } from '../../audit/seen-heads.ts';
import type { Drawer } from '../../games/drawer.ts';
import type { TabStore } from './store.ts';
import { openTabDrawer } from './tab-storage.ts';

/** The drawer's name, in place of a run's id. Heads that cannot be stored are compared as long as the tab is open. */
export const headsDrawer = (store: TabStore): Drawer => openTabDrawer(store, 'heads', () => {});

/** The heads that this browser's tab has seen. */
export async function headsOfTab(store: TabStore, hub: string) {
  const { heads } = await readKeptHeads(headsDrawer(store), hub);
  return heads.map((head) => ({ ...head, from: 'the tab of this browser that takes part' }));
}
