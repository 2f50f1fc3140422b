// Questions of a thread that somebody else answers: each has a number, and what fails because of an answer is told with the number of its question.
import { errorOf, type Failure, failureOf } from './wire.ts';

export interface Asks {
  /** Sends a question under a number of its own; resolves with what is given. Rejects with the failure that came instead. */
  ask<T>(send: (number: number) => void): Promise<T>;
  given(number: number, value: unknown): void;
  notGiven(number: number, failure: Failure): void;
  /** An error as data, with the number of the question whose answer it was. */
  failureOf(error: unknown): Failure;
}

export function openAsks(): Asks {
  const asked = new Map<number, { readonly given: (value: never) => void; readonly failed: (error: Error) => void }>();
  const from = new WeakMap<Error, number>();
  let numbers = 0;
  const take = (number: number) => {
    const found = asked.get(number);
    asked.delete(number);
    return found;
  };
  return {
    ask: (send) =>
      new Promise((given, failed) => {
        asked.set(++numbers, { given, failed });
        send(numbers);
      }),
    given: (number, value) => take(number)?.given(value as never),
    notGiven(number, failure) {
      const error = errorOf(failure);
      from.set(error, number);
      take(number)?.failed(error);
    },
    failureOf: (error) => failureOf(error, error instanceof Error ? (from.get(error) ?? null) : null),
  };
}
