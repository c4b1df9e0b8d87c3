import type { Format } from 'ajv/dist/2020.js';
import { fullFormats } from 'ajv-formats/dist/formats.js';
import type { Work } from './work.js';

/**
 * The formats that are asserted; any other is an annotation, as the draft has it. The exact ones of ajv-formats, which know that
 * February has no 31st; each takes time in proportion to the text (the spec holds them to it). Not among them: `regex`, which would
 * compile what a stranger wrote, and ajv's own inventions, of which `url` is slow.
 */
const TEXT_FORMATS = [
  'date-time',
  'date',
  'time',
  'duration',
  'email',
  'hostname',
  'ipv4',
  'ipv6',
  'uri',
  'uri-reference',
  'uri-template',
  'uuid',
  'json-pointer',
  'relative-json-pointer',
] as const;
/** Of OpenAPI, for numbers. */
const NUMBER_FORMATS = ['int32', 'int64'] as const;

/** What a character costs at most, in the steps of a pattern. */
const STEPS = 4;

export const assertedFormats = (work: Work): Record<string, Format> => ({
  ...Object.fromEntries(TEXT_FORMATS.map((name) => [name, metered(name, work)])),
  ...Object.fromEntries(NUMBER_FORMATS.map((name) => [name, fullFormats[name]])),
});

const metered = (name: (typeof TEXT_FORMATS)[number], work: Work): Format => {
  const test = testOf(name);
  return (text: string) => {
    work.spendOnText(text, STEPS);
    return test(text);
  };
};

const testOf = (name: (typeof TEXT_FORMATS)[number]): ((text: string) => boolean) => {
  const format: unknown = fullFormats[name];
  const validate: unknown = typeof format === 'object' && format !== null && 'validate' in format ? format.validate : format;
  if (validate instanceof RegExp) return (text) => validate.test(text);
  if (typeof validate === 'function') return (text) => validate(text) === true;
  throw new TypeError(`ajv-formats has no test for ${name}`);
};
