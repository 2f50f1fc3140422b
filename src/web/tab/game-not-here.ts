// What the page says about a game that is not built in, before a tab tries to play it and after.

/** How somebody who has the game's file takes part in it. */
export const gameNotHere = (game: string, url: string): string =>
  `this page does not have the game "${game}"; whoever has its file can take part from a terminal: npx potluck join ${url} --game-file FILE`;
