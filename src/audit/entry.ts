// `potluck/audit`: opens a log, recomputes it and explains it, trusting nobody.
export { openPublicLog } from '#public-log-open';
export type { AuditReport } from './audit.ts';
export { type Certificate, verifyCertificate } from './certificate.ts';
export { audit, type LocalAuditOptions } from './local-audit.ts';
export { AuditFailure, type PublicLog, PublicLogError } from './public-log.ts';
export { type Explanation, explainSubmission } from './why.ts';
export { sentencesOf } from './why-sentences.ts';
