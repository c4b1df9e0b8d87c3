import { describe, expect, it } from '@jest/globals';
import { cloudEvent, cloudEvents, newEvent, newEvents } from '@posthorn/contracts';
import { accept } from './accept.js';
import { draftOfRequest, draftsOfBatch } from './forms.js';

const KILOBYTE = 1024;

const isAccepted = (contentType: string, event: unknown): boolean => {
  const draft = draftOfRequest({ 'content-type': contentType }, Buffer.from(JSON.stringify(event)));
  if (draft.kind === 'refused') return false;
  return accept(draft, { tenant: 'acme', acceptedMs: 0, newId: () => 'evt_new', source: '/a', maxBytes: 256 * KILOBYTE }).kind === 'accepted';
};

/** Values of an attribute, good and bad, among them the last ones within and the first ones beyond each limit. */
const TEXTS: readonly unknown[] = [null, '', 'a', 7, true, [], {}, 'a\u0000b', 'a\u007fb', 'a\ud800b', 'ä', '🎺', 'a b', '%zz', '%20', '/a?b#c', 'http://[::1]:8/'];
const ofLength = (...lengths: readonly number[]): readonly string[] => lengths.map((length) => 'a'.repeat(length));

const TIMES = [
  '2026-11-21T09:30:00Z',
  '2026-11-21T09:30:00.123456789+15:59',
  '2026-11-21T09:30:00.1234567890Z',
  '2026-11-21T09:30:00+16:00',
  '2026-11-21t09:30:00z',
  '2026-11-21T09:30:60Z',
  '2026-11-21T24:00:00Z',
  '2026-11-21',
  '2026-02-28T00:00:00Z',
  '2026-02-29T00:00:00Z',
  '2024-02-29T00:00:00Z',
  '2026-04-31T00:00:00Z',
  '0000-01-01T00:00:00Z',
  '0001-01-01T00:00:00Z',
  '2026-13-01T00:00:00Z',
];
const MEDIA_TYPES = ['application/json', 'application/problem+json; charset=utf-8', 'text/plain', 'text/plain;charset="ä"', 'text', 'text/', '/plain', 'text /plain', `a/${'b'.repeat(254)}`, `a/${'b'.repeat(255)}`];
const TYPES = ['invoice.paid', 'invoice', 'a_1.b', 'Invoice.paid', 'invoice.', '.paid', 'invoice..paid', 'invoice-paid', ...ofLength(256, 257)];
const DATA: readonly unknown[] = [null, 0, '', 'text', '{"a":1}', {}, { a: [1, { b: null }] }, []];

const headersOf = (count: number, bytes: number): object =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`x-${index}`.padEnd(5, 'x'), 'v'.repeat(Math.floor(bytes / count) - 5)]));
const HEADERS: readonly unknown[] = [
  null,
  {},
  [],
  'x',
  { 'x-a': 'b' },
  { 'x-a': '' },
  { 'x-a': 'ä' },
  { 'x-a': 'a\tb' },
  { 'x-a': 'a\nb' },
  { 'x-a': 1 },
  { 'x-a': null },
  { 'x a': 'b' },
  { '': 'b' },
  headersOf(32, 320),
  headersOf(33, 330),
  headersOf(1, 4096),
  headersOf(1, 4097),
];

const BASE = { type: 'invoice.paid', data: {} };
const wholes: readonly unknown[] = [null, 'text', 7, [], {}, { type: 'a' }, { data: 1 }, { type: null, data: 1 }, { type: 'a', data: null }];

const variants = (base: object, members: Readonly<Record<string, readonly unknown[]>>): readonly unknown[] =>
  Object.entries(members).flatMap(([name, values]) => values.map((value) => ({ ...base, [name]: value })));

const attributes = {
  type: [...TEXTS, ...TYPES],
  id: [...TEXTS, ...ofLength(256, 257)],
  tenant: [null, 'acme', 'Acme', '', 7, 'a-', 'a'.repeat(64)],
  source: [...TEXTS, ...ofLength(1024, 1025)],
  time: [...TEXTS, ...TIMES],
  subject: [...TEXTS, ...ofLength(1024, 1025)],
  context: DATA,
};

const plainExamples = [
  ...wholes,
  ...variants(BASE, { ...attributes, key: [...TEXTS, ...ofLength(256, 257)], headers: HEADERS, content_type: [...TEXTS, ...MEDIA_TYPES], data: DATA }),
  ...['application/json', 'text/plain', 'text', null].flatMap((content_type) => DATA.map((data) => ({ type: 'a', content_type, data }))),
  ...['dat', 'Type', 'extensions', 'specversion', 'traceparent', 'data_base64', 'datacontenttype', 'partitionkey'].map((name) => ({ ...BASE, [name]: 'a' })),
];

const extensionsOf = (count: number): object => Object.fromEntries(Array.from({ length: count }, (_, index) => [`ext${index}`, index]));
const BASES64: readonly unknown[] = ['', 'e30=', 'e30', 'YQ==', 'YR==', 'e3', '*', null, 7];

const structuredExamples = [
  ...wholes,
  ...variants(BASE, {
    ...attributes,
    specversion: [null, '1.0', '0.3', 1],
    partitionkey: [...TEXTS, ...ofLength(256, 257)],
    datacontenttype: [...TEXTS, ...MEDIA_TYPES],
    traceparent: [null, 'x', 7, {}],
    comexample: [null, '', 'a', 7, 1.5, -(2 ** 31), 2 ** 31 - 1, 2 ** 31, true, [], {}, 'a\u0000b', 'ä'.repeat(2048), `${'ä'.repeat(2048)}a`],
    headers: [null, 'a', { 'x-a': 'b' }],
    dataschema: ['http://a/b', 7, []],
    key: ['a', {}],
    ...Object.fromEntries(['Upper', 'with_underscore', 'a'.repeat(20), 'a'.repeat(21), ''].map((name) => [name, ['a', null]])),
    data_base64: BASES64,
  }),
  ...['application/json', 'text/plain', 'text', null, undefined].flatMap((datacontenttype) => [
    ...DATA.map((data) => ({ type: 'a', datacontenttype, data })),
    ...BASES64.map((data_base64) => ({ type: 'a', datacontenttype, data_base64 })),
  ]),
  { ...BASE, ...extensionsOf(32) },
  { ...BASE, ...extensionsOf(33) },
  { ...BASE, ...extensionsOf(32), none: null },
];

const times = (count: number): readonly unknown[] => Array.from({ length: count }, () => BASE);

/** What is shown of an example that the two disagree on. */
const disagreements = (examples: readonly unknown[], described: (example: unknown) => boolean, accepted: (example: unknown) => boolean): readonly string[] =>
  examples.flatMap((example) => (described(example) === accepted(example) ? [] : [`${accepted(example) ? 'accepted' : 'refused'}: ${JSON.stringify(example).slice(0, 200)}`]));

describe('the schemas that the API is documented by', () => {
  it.each([
    ['plain JSON', 'application/json', newEvent, plainExamples],
    ['a CloudEvent', 'application/cloudevents+json', cloudEvent, structuredExamples],
  ])('say of %s what becomes of it', (_what, contentType, schema, examples) => {
    const accepted = (example: unknown): boolean => isAccepted(contentType, example);
    expect(disagreements(examples, (example) => schema.safeParse(example).success, accepted)).toEqual([]);
    // Of both there is enough to tell.
    const count = examples.filter(accepted).length;
    expect(Math.min(count, examples.length - count)).toBeGreaterThan(40);
  });

  it.each([
    ['plain JSON', 'application/json', newEvents, (events: unknown): unknown => ({ events })],
    ['CloudEvents', 'application/cloudevents-batch+json', cloudEvents, (events: unknown): unknown => events],
  ])('say how a batch of %s is put together', (_what, contentType, schema, batchOf) => {
    const batches = [...[[BASE], times(2), [], times(1000), times(1001), null, {}, 'a'].map(batchOf), {}, { events: [BASE], more: 1 }];
    const accepted = (batch: unknown): boolean => draftsOfBatch({ 'content-type': contentType }, Buffer.from(JSON.stringify(batch)), 1000).kind === 'batch';
    expect(disagreements(batches, (batch) => schema.safeParse(batch).success, accepted)).toEqual([]);
  });
});
