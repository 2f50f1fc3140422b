// The journal in an S3: the suite of all journals against the double, without and with faults.
import { after, before } from 'node:test';
import { seededRandom } from '../../protocol/random.ts';
import { openObjectJournal } from '../object-journal.ts';
import { journalCompliance } from '../testing/journal-compliance.ts';
import { type S3Double, startS3Double } from '../testing/s3-double.ts';
import { S3_RUNS, s3JournalSuite } from '../testing/s3-suites.ts';
import { openS3, type S3Options } from './client.ts';
import { s3Objects } from './objects.ts';

let doubles: S3Double[];
const random = seededRandom('an S3 with a journal', 0);
before(async () => {
  doubles = [await startS3Double(), await startS3Double(() => random.below(1e6) / 1e6)];
  Object.assign(doubles[1].faults, { busy_percent: 10, lost_percent: 10, conflict_percent: 5, late_percent: 5 });
});
after(() => Promise.all(doubles.map((double) => double.stop())));

const optionsOf = ({ url, bucket, access_key_id, secret_access_key }: S3Double): S3Options => ({
  ...{ url: `${url}/${bucket}`, access_key_id, secret_access_key },
});
s3JournalSuite('S3 double', () => ({ options: optionsOf(doubles[0]), folder: '' }));

const soon = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
let opened = 0;
const open = () => {
  const options = optionsOf(doubles[1]);
  const s3 = openS3({ ...options, url: `${options.url}/failing-${opened++}`, wait: soon });
  return () => openObjectJournal(s3Objects(s3), { wait: soon });
};
journalCompliance('S3 double that refuses, loses answers, conflicts and creates late', open, S3_RUNS);
