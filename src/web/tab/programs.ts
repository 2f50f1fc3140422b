// Programs in a Worker of the tab, which begins, and downloads the interpreter, when the first one runs.
import { openPrograms, type ProgramThread } from '../../games/programs/programs.ts';

function openThread(): ProgramThread {
  // In one expression, because bundlers recognise this pattern.
  const worker = new Worker(new URL('./program-worker.ts', import.meta.url), {
    type: 'module',
    name: 'potluck programs',
  });
  return {
    post: (job) => worker.postMessage(job),
    open(onAnswer, onEnd) {
      worker.onmessage = ({ data }) => onAnswer(data);
      worker.onerror = (event) => onEnd(event.message);
    },
    hold: () => {},
    end: () => worker.terminate(),
  };
}

export const openTabPrograms = (): ReturnType<typeof openPrograms> => openPrograms(openThread);
