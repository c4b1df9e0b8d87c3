const PLAIN = /^[!#$&-~]*$/;
const NOT_PLAIN = /[^!#$&-~]/gu;

const encoded = (character: string): string => [...Buffer.from(character)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');

/**
 * A text that is to stand in a header, as CloudEvents has it (HTTP binding 1.0, 3.1.3.2): all but printable ASCII, and space, quote and percent, percent-encoded as UTF-8. No two texts
 * become the same.
 */
export const headerValue = (text: string): string => (PLAIN.test(text) ? text : text.replace(NOT_PLAIN, encoded));
