// What two threads pass to and fro to see whether they run at the same time: whose turn it is, in shared memory.
export const TURN = { helper: 1, owner: 0, end: 2 } as const;
