// JSON schema's `format` of a string, as expressions that pattern.ts compiles: those that OpenAI's structured outputs list, and URIs.
// Each is the part of its standard on which all validators agree, with an end to what may be endless.

const YEAR = '\\d{4}';
/** Of four digits, in the Gregorian calendar: a century is one only where 400 divides it. */
const LEAP_YEAR = '(?:\\d\\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)';
const DATE =
  `(?:${YEAR}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|02-(?:0[1-9]|1\\d|2[0-8]))` +
  `|${LEAP_YEAR}-02-29)`;
const HOUR = '(?:[01]\\d|2[0-3])';
/** RFC 3339, without leap seconds, which come in a few minutes of history alone. */
const TIME = `${HOUR}:[0-5]\\d:[0-5]\\d(?:\\.\\d{1,9})?(?:Z|[+-]${HOUR}:[0-5]\\d)`;

const N = '\\d{1,6}';
const CLOCK = `T(?:${N}H(?:${N}M(?:${N}S)?)?|${N}M(?:${N}S)?|${N}S)`;
/** RFC 3339, appendix A: weeks stand alone, and no unit between two others is left out. */
const DURATION = `P(?:${N}W|(?:${N}Y(?:${N}M(?:${N}D)?)?|${N}M(?:${N}D)?|${N}D)(?:${CLOCK})?|${CLOCK})`;

/** Of a host's name: letters, digits and hyphens within; four labels of 62 stay below the 253 that a name may have. */
const label = (most: number): string => `[A-Za-z0-9](?:[A-Za-z0-9-]{0,${most - 2}}[A-Za-z0-9])?`;
const HOSTNAME = `${label(62)}(?:\\.${label(62)}){0,3}`;
/** RFC 5321's dot-string: three atoms of 20 stay below the 64 that the part before the @ may have. */
const ATOM = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}";
const EMAIL = `${ATOM}(?:\\.${ATOM}){0,2}@${label(32)}(?:\\.${label(32)}){1,3}`;

const BYTE = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const IPV4 = `${BYTE}(?:\\.${BYTE}){3}`;
const H = '[0-9A-Fa-f]{1,4}';
/** RFC 4291: eight groups, or fewer with one gap. */
const IPV6 = [
  `(?:${H}:){7}${H}`,
  `(?:${H}:){1,7}:`,
  ...[6, 5, 4, 3, 2, 1].map((before) => `(?:${H}:){1,${before}}(?::${H}){1,${7 - before}}`),
  `:(?:(?::${H}){1,7}|:)`,
].join('|');

const HEX = '[0-9A-Fa-f]';
const UUID = `${HEX}{8}-${HEX}{4}-${HEX}{4}-${HEX}{4}-${HEX}{12}`;

const PCHAR = "(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})";
const PATH = `(?:/${PCHAR}*)*`;
const REST = PCHAR.replace('[', '[/?');
/** RFC 3986 with a scheme; an authority is a host's name or IPv4 address, and a port. */
const URI =
  `[A-Za-z][A-Za-z0-9+.-]{0,31}:(?://${HOSTNAME}(?::\\d{1,5})?${PATH}|${PCHAR}+${PATH})` +
  `(?:\\?${REST}*)?(?:#${REST}*)?`;

const whole = (expression: string): string => `^(?:${expression})$`;

/** By its name in a schema. */
export const STRING_FORMATS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    ...{ date: DATE, time: TIME, 'date-time': `${DATE}T${TIME}`, duration: DURATION },
    ...{ email: EMAIL, hostname: HOSTNAME, ipv4: IPV4, ipv6: IPV6, uuid: UUID, uri: URI },
  }).map(([name, expression]) => [name, whole(expression)]),
);
