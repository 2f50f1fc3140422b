// A value in shared memory that says whose turn it is: two threads pass it to each other to see whether they run at the same time.
export const TURN = { helper: 1, owner: 0, end: 2 } as const;
