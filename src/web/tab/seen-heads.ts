// What a tab has seen of a hub's log, kept in the browser: for the tab that takes part, and for an audit in the page.

import { readKeptHeads } from '../../audit/seen-heads.ts';
import type { Drawer } from '../../games/drawer.ts';
import type { TabStore } from './store.ts';
import { openTabDrawer } from './tab-storage.ts';

/** Where drawers have a run's id. What cannot be kept is compared as long as the tab is open. */
export const headsDrawer = (store: TabStore): Drawer => openTabDrawer(store, 'heads', () => {});

/** The heads that the tab of this browser has seen. */
export async function headsOfTab(store: TabStore, hub: string) {
  const { heads } = await readKeptHeads(headsDrawer(store), hub);
  return heads.map((head) => ({ ...head, from: 'the tab of this browser that takes part' }));
}
