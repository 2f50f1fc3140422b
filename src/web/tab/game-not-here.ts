// What a page says of a game that a person has made on their own machine, before a tab tries and when one has tried.

/** How whoever has the game's file takes part in it. */
export const gameNotHere = (game: string, url: string): string =>
  `this page does not have the game "${game}"; whoever has its file can take part from a terminal: npx potluck join ${url} --game-file FILE`;
