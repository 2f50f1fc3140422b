// What a tab has seen of a hub's log, kept in the browser: for the tab that takes part, and for an audit in the page.

import { openHubLog } from '../../audit/public-log-http.ts';
import { type HeadKeeper, type HeadOptions, openHeads, readKeptHeads } from '../../audit/seen-heads.ts';
import { systemClock } from '../../protocol/clock.ts';
import { openTabDrawer } from './keepsakes.ts';
import type { TabStore } from './store.ts';

/** Where drawers have a run's id. What cannot be kept is compared as long as the tab is open. */
const drawerOf = (store: TabStore) => openTabDrawer(store, 'heads', () => {});

/** Throws Misbehaviour where this hub was found to have contradicted itself before. */
export function openTabHeads(
  store: TabStore,
  url: string,
  hub: string,
  onProblem: HeadOptions['onProblem'],
): Promise<HeadKeeper> {
  return openHeads({ hub, clock: systemClock, drawer: drawerOf(store), log: () => openHubLog(url, hub), onProblem });
}

/** The heads that the tab of this browser has seen. */
export async function headsOfTab(store: TabStore, hub: string) {
  const { heads } = await readKeptHeads(drawerOf(store), hub);
  return heads.map((head) => ({ ...head, from: 'the tab of this browser that takes part' }));
}
