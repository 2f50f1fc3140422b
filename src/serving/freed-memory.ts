// What makes a process of models give back what it has needed for a moment: ONNX Runtime's copies of weights before they are packed, parts of a state on
// their way.

/**
 * For the environment of processes on Linux: glibc takes blocks of this size from the system, one by one, and gives them back when they are freed.
 * By itself it raises the size with each such block, and keeps what lies between others. Other systems do not know the variable.
 */
export const GIVES_BACK = { MALLOC_MMAP_THRESHOLD_: '500000' } as const;
