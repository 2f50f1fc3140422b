// What makes a process of a model give back what it needed while it loaded: ONNX Runtime's copies of weights before they are packed.

/**
 * For the environment of processes on Linux: glibc takes blocks of this size from the system, one by one, and gives them back when they are freed.
 * By itself it raises the size with each such block, and keeps what lies between others. Other systems do not know the variable.
 */
export const GIVES_BACK = { MALLOC_MMAP_THRESHOLD_: '500000' } as const;
