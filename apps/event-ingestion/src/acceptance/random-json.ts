/* For specs: random JSON. */

/** Mulberry32: the same numbers for the same seed, so that a failing seed is the bug report. */
export const seededRandom = (seed: number): (() => number) => {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
};

const SPACES = ['', '', '', ' ', '\n', '\t ', '\r\n  '];
const STRINGS = ['', 'a', 'é', '漢字', '🦊', '{', '}', '[', ']', ',', ':', '"', '\\', '\\"', '\n', '\u0000', '__proto__', '10', 'data'];
const SCALARS = ['0', '-0', '1.0', '1e5', '-12.5E-3', '12345678901234567890', 'true', 'false', 'null'];
const MAX_DEPTH = 6;

/** JSON as the nastier producers write it: odd spaces, escapes where none are needed, delimiters inside strings. */
export const randomJsonText = (random: () => number): string => {
  const below = (count: number): number => Math.floor(random() * count);
  const oneOf = (choices: readonly string[]): string => choices[below(choices.length)] ?? '';
  const spaced = (text: string): string => oneOf(SPACES) + text + oneOf(SPACES);
  const escaped = (text: string): string =>
    random() < 0.3
      ? `"${Array.from({ length: text.length }, (_, i) => `\\u${text.charCodeAt(i).toString(16).padStart(4, '0')}`).join('')}"`
      : JSON.stringify(text);
  const string = (): string => escaped(Array.from({ length: below(4) }, () => oneOf(STRINGS)).join(''));

  const value = (depth: number): string => {
    const kind = depth === 0 ? random() * 0.8 : random();
    if (depth < MAX_DEPTH && kind < 0.4) {
      const names = new Set(Array.from({ length: below(5) }, (_, i) => `${oneOf(STRINGS)}${oneOf(STRINGS)}${i}`));
      if (random() < 0.2) names.add('__proto__');
      return spaced(`{${[...names].map((name) => `${spaced(escaped(name))}:${value(depth + 1)}`).join(',') || oneOf(SPACES)}}`);
    }
    if (depth < MAX_DEPTH && kind < 0.7) {
      return spaced(`[${Array.from({ length: below(5) }, () => value(depth + 1)).join(',') || oneOf(SPACES)}]`);
    }
    return spaced(kind < 0.85 ? string() : oneOf(SCALARS));
  };
  return value(0);
};
