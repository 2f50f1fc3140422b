// The tasks of an audit's threads: verifying the signatures of a page of events, or a model version. The same code runs with and without threads.
import { type LoadGame, loadGame as loadGameOfThisBuild } from '../games/registry.ts';
import { leafHash } from '../ledger/merkle.ts';
import { decodeEntryBundle } from '../ledger/tiles.ts';
import { areSignedByAuthor } from '../protocol/envelope.ts';
import type { ModelReport } from './model-report.ts';
import type { ModelTask } from './model-tasks.ts';
import { createModelChecker } from './models.ts';
import { AuditFailure, type PublicBlobs, PublicLogError } from './public-log.ts';

/** A page of the log, for its signatures and leaf hashes. The replay itself opens the events. */
export interface PageTask {
  readonly kind: 'page';
  readonly bundle: Uint8Array;
  readonly count: number;
  readonly verify_signatures: boolean;
}

export interface PageReport {
  /** The index in the page of the first event without its author's signature; -1 where all have one. */
  readonly bad: number;
  /** The leaf hashes of the events before `bad`, concatenated. */
  readonly leaves: Uint8Array;
}

export type AuditTask = PageTask | ModelTask;

/** A result that can travel between threads, which error classes cannot. */
export type AuditReply =
  | { readonly page: PageReport }
  | { readonly model: ModelReport }
  | { readonly failure: PlainError }
  | { readonly problem: PlainError };

interface PlainError {
  readonly code: string;
  readonly message: string;
  readonly details: AuditFailure['details'];
}

/** Does tasks one after the other. The log's blobs are read only for model tasks. */
export function auditHandler(
  blobs: PublicBlobs,
  loadGame: LoadGame = loadGameOfThisBuild,
): (task: AuditTask) => Promise<AuditReply> {
  const models = createModelChecker(blobs, loadGame);
  return async (task) => {
    if (task.kind === 'page') return { page: await checkPage(task) };
    try {
      return { model: await models.check(task) };
    } catch (error) {
      if (error instanceof AuditFailure) return { failure: plain(error) };
      if (error instanceof PublicLogError) return { problem: plain(error) };
      throw error;
    }
  };
}

/** Throws the AuditFailure or PublicLogError that a reply carries. */
export function raise(reply: AuditReply): Exclude<AuditReply, { failure: PlainError } | { problem: PlainError }> {
  if ('failure' in reply) {
    const { code, message, details } = reply.failure;
    throw new AuditFailure(code as AuditFailure['code'], message, details);
  }
  if ('problem' in reply) {
    const { code, message, details } = reply.problem;
    throw new PublicLogError(code as PublicLogError['code'], message, details);
  }
  return reply;
}

function plain({ code, message, details }: AuditFailure | PublicLogError): PlainError {
  return { code, message, details };
}

async function checkPage({ bundle, count, verify_signatures }: PageTask): Promise<PageReport> {
  const entries = decodeEntryBundle(bundle, count);
  const bad = verify_signatures ? (await areSignedByAuthor(entries)).indexOf(false) : -1;
  const good = bad === -1 ? entries : entries.slice(0, bad);
  const leaves = new Uint8Array(good.length * 32);
  for (const [i, entry] of good.entries()) leaves.set(leafHash(entry), i * 32);
  return { bad, leaves };
}
