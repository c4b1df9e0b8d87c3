const BITS_OF_DIGIT = 6;
const BITS_OF_BYTE = 8;

/** The digits of base64 that a text has wherever it stands in what was encoded: by its distance from a multiple of three bytes. */
const base64Of = (bytes: Buffer): readonly string[] =>
  [0, 1, 2].flatMap((shift) => {
    const encoded = Buffer.concat([Buffer.alloc(shift), bytes]).toString('base64');
    const own = encoded.slice(Math.ceil((shift * BITS_OF_BYTE) / BITS_OF_DIGIT), Math.floor(((shift + bytes.length) * BITS_OF_BYTE) / BITS_OF_DIGIT));
    return [own, own.replaceAll('+', '-').replaceAll('/', '_')];
  });

/** A text as it may be met: as it is, and in the encodings that things are logged, sent and stored in. */
const formsOf = (canary: string): ReadonlySet<string> => {
  const bytes = Buffer.from(canary);
  const hex = bytes.toString('hex');
  return new Set([canary, JSON.stringify(canary).slice(1, -1), encodeURIComponent(canary), hex, hex.toUpperCase(), ...base64Of(bytes)]);
};

/** Which of the canaries, by their names, are in a text, in whatever form. */
export const canariesIn = (text: string, canaries: Readonly<Record<string, string>>): readonly string[] =>
  Object.entries(canaries).flatMap(([name, canary]) => ([...formsOf(canary)].some((form) => text.includes(form)) ? [name] : []));
