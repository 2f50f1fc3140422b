// What each stage of a run's model has of it, in words: in a worker, because with the code that cuts models in the page all of it would be split
// into more pieces, which cost every visitor 2.5 kB.
import '../tab/no-eval.ts';
import { PipelineParamsSchema, stagePlans } from '../../games/pipeline/params.ts';
import { rangeWords } from './stage-places.ts';

/** Gets a run's settings, and answers with a list of words; empty: they are those of another game. */
addEventListener('message', ({ data }: MessageEvent<unknown>) => {
  const read = PipelineParamsSchema.safeParse(data);
  postMessage(read.success ? stagePlans(read.data).map(({ range }) => rangeWords(range)) : []);
});
