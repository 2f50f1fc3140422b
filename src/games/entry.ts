// `potluck/game`: the module that a game's file imports, in a checkout and where the package is installed.
export { z } from 'zod';
export { CodedError } from '../errors.ts';
export { sha256, sha256Hex } from '../protocol/hash.ts';
export { type Random, seededRandom } from '../protocol/random.ts';
export * as ops from '../tensor/every-op.ts';
export { gradients } from '../tensor/gradient.ts';
export { Graph, type Value } from '../tensor/graph.ts';
export type { AcceptedWork, Claim, Device, Game, Judging, Round, Verdict, Written } from './game.ts';
export type { Capability } from './needs.ts';
export { gameOf } from './parts.ts';
export type { ProgramLimits, ProgramResult } from './programs/program.ts';
