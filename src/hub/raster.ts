// A picture of dots and lines, and its bytes as PNG (w3.org/TR/png-3): as much as a preview card needs, without a font or a library.
import { promisify } from 'node:util';
import { crc32, deflate } from 'node:zlib';
import { utf8 } from '../protocol/hash.ts';
import { dotsOf, GLYPH_COLUMNS } from './glyphs.ts';

export type Colour = readonly [red: number, green: number, blue: number];

export interface Raster {
  rectangle(x: number, y: number, width: number, height: number, colour: Colour): void;
  dot(x: number, y: number, radius: number, colour: Colour): void;
  /** A line through points, twice the radius thick, with round joints. */
  line(points: readonly (readonly [number, number])[], radius: number, colour: Colour): void;
  /** Text whose dots are `pitch` pixels apart, from its upper left corner. Characters without a glyph are left out. */
  text(x: number, y: number, text: string, pitch: number, colour: Colour): void;
  png(): Promise<Uint8Array>;
}

/** The diameter of a dot in relation to the distance of two dots. */
const DOT = 0.44;

export function openRaster(width: number, height: number, background: Colour): Raster {
  const pixels = Buffer.alloc(width * height * 3, Uint8Array.from(background));

  const blend = (x: number, y: number, cover: number, colour: Colour): void => {
    if (cover <= 0 || x < 0 || y < 0 || x >= width || y >= height) return;
    const at = (y * width + x) * 3;
    const part = Math.min(1, cover);
    for (let i = 0; i < 3; i++) pixels[at + i] = Math.round(pixels[at + i] * (1 - part) + colour[i] * part);
  };

  /** Everything within `radius` of a segment, its edge softened over a pixel. */
  const segment = (ax: number, ay: number, bx: number, by: number, radius: number, colour: Colour): void => {
    const [dx, dy] = [bx - ax, by - ay];
    const length2 = dx * dx + dy * dy;
    const reach = radius + 1;
    for (let y = Math.floor(Math.min(ay, by) - reach); y <= Math.max(ay, by) + reach; y++) {
      for (let x = Math.floor(Math.min(ax, bx) - reach); x <= Math.max(ax, bx) + reach; x++) {
        const along = length2 === 0 ? 0 : Math.max(0, Math.min(1, ((x - ax) * dx + (y - ay) * dy) / length2));
        blend(x, y, radius + 0.5 - Math.hypot(x - ax - along * dx, y - ay - along * dy), colour);
      }
    }
  };

  return {
    rectangle(x, y, across, down, colour) {
      for (let row = y; row < y + down; row++)
        for (let column = x; column < x + across; column++) blend(column, row, 1, colour);
    },
    dot: (x, y, radius, colour) => segment(x, y, x, y, radius, colour),
    line(points, radius, colour) {
      for (let i = 1; i < points.length; i++) segment(...points[i - 1], ...points[i], radius, colour);
    },
    text(x, y, text, pitch, colour) {
      for (const [i, character] of [...text].entries()) {
        for (const [column, row] of dotsOf(character) ?? []) {
          const left = x + (i * GLYPH_COLUMNS + column + 0.5) * pitch;
          segment(left, y + (row + 0.5) * pitch, left, y + (row + 0.5) * pitch, pitch * DOT, colour);
        }
      }
    },
    png: () => encode(pixels, width, height),
  };
}

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);

async function encode(pixels: Uint8Array, width: number, height: number): Promise<Uint8Array> {
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([8, 2], 8); // eight bits for each of red, green and blue
  const stride = width * 3;
  const rows = new Uint8Array(height * (stride + 1)); // each row begins with its filter type: none
  for (let row = 0; row < height; row++)
    rows.set(pixels.subarray(row * stride, (row + 1) * stride), row * (stride + 1) + 1);
  const data = await promisify(deflate)(rows);
  return Buffer.concat([SIGNATURE, chunk('IHDR', header), chunk('IDAT', data), chunk('IEND', new Uint8Array(0))]);
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(12 + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  bytes.set(utf8(type), 4);
  bytes.set(data, 8);
  view.setUint32(8 + data.length, crc32(bytes.subarray(4, 8 + data.length)));
  return bytes;
}
