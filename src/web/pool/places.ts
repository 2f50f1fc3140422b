// Where on the map a region is that a device's owner has named: a country's code, or a part of the world as providers of servers name them.

/** Name, degrees east, degrees north. */
const PLACES = `
eu 9 49 eu-west 0 48 eu-central 10 50 eu-north 18 60 eu-south 12 42 eu-east 25 48 uk -2 53 gb -2 53 ie -8 53 fr 2 47 de 10 51 nl 5 52 be 4 51 ch 8 47 at 14 47
it 12 43 es -4 40 pt -8 39 pl 19 52 cz 15 50 sk 19 49 hu 19 47 se 15 61 no 9 61 fi 26 63 dk 9 56 is -19 65 ee 25 59 lv 25 57 lt 24 55 ua 31 49 ro 25 46 bg 25 43 gr 22 39 rs 21 44 hr 16 45 ru 60 58
us -97 39 us-west -120 40 us-central -97 39 us-east -78 38 na -97 45 ca -100 54 mx -102 23 cr -84 10 sa -58 -15 sa-east -47 -22 br -50 -12 ar -64 -34 cl -71 -33 co -74 4 pe -76 -10
af 20 3 af-north 5 28 af-south 24 -29 af-west 0 9 af-east 38 0 za 24 -29 ng 8 9 ke 38 0 et 39 9 eg 30 27 ma -6 32 dz 3 28 tn 9 34 gh -1 8
me 48 27 me-central 54 24 il 35 31 ae 54 24 tr 35 39 ir 54 32 ap 110 20 ap-south 77 20 ap-southeast 104 4 ap-northeast 138 36 ap-east 114 23 in 78 21 pk 69 30 bd 90 24 lk 81 8
sg 104 1 id 113 -3 th 101 15 vn 107 16 ph 122 13 my 102 4 jp 138 36 kr 128 36 cn 105 34 hk 114 22 tw 121 24 au 134 -25 oc 134 -25 nz 173 -41`;

export interface Place {
  readonly east: number;
  readonly north: number;
}

const words = PLACES.trim().split(/\s+/);
const known = new Map<string, Place>();
for (let i = 0; i < words.length; i += 3) {
  known.set(words[i], { east: Number(words[i + 1]), north: Number(words[i + 2]) });
}

/** The place of a code such as `de`, `eu-west`, `us-east-1a`; null: another word, which is its owner's own. */
export function placeOf(region: string): Place | null {
  const code = region.trim().toLowerCase().replaceAll('_', '-');
  return known.get(code) ?? known.get(code.replace(/-\d+[a-z]?$/, '')) ?? null;
}
