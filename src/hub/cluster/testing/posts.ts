// Processes of a hub that tell each other what they keep, on a bus in memory.
import { seededRandom } from '../../../protocol/random.ts';
import { handClock } from '../../../protocol/testing/hand-clock.ts';
import { openMemoryEngine } from '../memory-bus.ts';
import { openPost, type Post } from '../post.ts';
import { subjectsOf } from '../subjects.ts';

/** @param arrive everything that was sent */
export function posts(hub: string) {
  const clock = handClock();
  const engine = openMemoryEngine(seededRandom('posts'));
  const errors: unknown[] = [];
  const onError = (error: unknown): void => void errors.push(error);
  let count = 0;
  return {
    ...{ engine, errors },
    open(): Post {
      const instance = `process-${count++}`;
      return openPost({ bus: engine.open(instance, clock, onError), subjects: subjectsOf(hub), instance, onError });
    },
    /** Everything that was sent, and what is sent because of it. */
    arrive: (): void => {
      for (let n = 0; n < 5; n++) clock.move(1);
    },
  };
}
