// The operators under one name, for who builds graphs outside this house.
export * from './ops.ts';
export * from './ops-index.ts';
export * from './ops-matrix.ts';
export * from './ops-shape.ts';
