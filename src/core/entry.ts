// `potluck/core`: the function from a log's events to the state of the network, for programs that compute it themselves.
export { decodeEvent } from './codec.ts';
export { type EventBody, EventBodySchema, type LoggedEvent } from './events.ts';
export { apply, refusalOf } from './reduce.ts';
export type { Refusal } from './refusal.ts';
export { type Rules, RulesSchema } from './rules.ts';
export { type ShareRow, shareTable } from './shares/share-table.ts';
export { initialState, type NetworkState, type RunState } from './state.ts';
