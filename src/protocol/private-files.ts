// Modes of what belongs to one user of a machine: keys, what a private run learns from, what a device holds. Made so, never changed: who widens a folder has a reason.

export const PRIVATE_FOLDER = 0o700;
export const PRIVATE_FILE = 0o600;
