// File modes for what belongs to one user of a machine: keys, a private run's data, a device's state. They are set when a file is
// created and not changed later, because an owner who widens them has a reason.

export const PRIVATE_FOLDER = 0o700;
export const PRIVATE_FILE = 0o600;
