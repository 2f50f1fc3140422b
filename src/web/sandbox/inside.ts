// Inside the sandbox: a Worker without origin or network that loads a game's text and serves it through the page's port.
import '../tab/no-eval.ts';
import { CodedError } from '../../errors.ts';
import * as entry from '../../games/entry.ts';
import { gameIn } from '../../games/game-form.ts';
import { serveGame } from '../../games/host/inside.ts';
import type { FromGame, ToGame } from '../../games/host/wire.ts';
import type { ToSandbox } from './frame.ts';

const asModule = (text: string): string => URL.createObjectURL(new Blob([text], { type: 'text/javascript' }));

/** `potluck/game` as a module of this Worker: a blob that exports what is already loaded here. */
function ownEntry(): string {
  Object.assign(globalThis, { potluckGame: entry });
  return asModule(`export const { ${Object.keys(entry).join(', ')} } = globalThis.potluckGame;`);
}

/** Module names are resolved by a page's import map, which a Worker does not have. */
const ENTRY_IMPORT = /(\bfrom\s*|\bimport\s*)(['"])potluck\/game\2/g;

async function load(text: string, post: (message: FromGame) => void): Promise<(message: ToGame) => void> {
  const own = ownEntry();
  const module: object = await import(/* @vite-ignore */ asModule(text.replace(ENTRY_IMPORT, `$1'${own}'`)));
  return serveGame(gameIn(module, "the game's file"), post);
}

globalThis.onmessage = ({ ports: [port] }: MessageEvent) => {
  const post = (message: FromGame): void => port.postMessage(message);
  port.onmessage = ({ data }: MessageEvent<ToSandbox>) => {
    load(data.text, post).then(
      (hear) => {
        port.onmessage = (event: MessageEvent<ToGame>) => hear(event.data);
      },
      (error: unknown) => {
        const message = error instanceof CodedError ? error.message : `the game's file: ${String(error)}`;
        post({ type: 'no-game', message });
      },
    );
  };
};
