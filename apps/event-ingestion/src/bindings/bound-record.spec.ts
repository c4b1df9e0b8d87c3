import { describe, expect, it } from '@jest/globals';
import { check, json, nat, property } from 'fast-check';
import { accept, acceptedRecord, type Verdict } from '../acceptance/accept.js';
import { inboundBindings } from './bindings.js';
import { type BoundRecord, boundReader } from './bound-record.js';

const KILOBYTE = 1024;
const TIMESTAMP_MS = Date.UTC(2026, 10, 21, 9, 30);

const readerOf = (event: object) => {
  const [binding] = inboundBindings.parse(JSON.stringify([{ topic: 'shop.orders', event }]));
  if (!binding?.event) throw new Error('no mapping');
  return boundReader(binding.event);
};

const recordOf = (value: string | Buffer | null, more: { headers?: Record<string, string | Buffer>; key?: string | Buffer | null; timestampMs?: number } = {}): BoundRecord => ({
  topic: 'shop.orders',
  value: value === null ? null : Buffer.from(value),
  key: more.key === undefined || more.key === null ? null : Buffer.from(more.key),
  headers: Object.fromEntries(Object.entries(more.headers ?? {}).map(([name, header]) => [name, Buffer.from(header)])),
  timestampMs: more.timestampMs ?? TIMESTAMP_MS,
});

const mapping = {
  tenant: { header: 'x-tenant' },
  type: { pointer: '/kind' },
  id: { pointer: '/order/id' },
  time: { header: 'x-time' },
  subject: { pointer: '/order/lines/1/sku' },
  key: { record: 'key' },
};
const ENOUGH = '{"kind":"order.placed","order":{"id":7}}';
const headers = { 'x-tenant': 'acme' };

const verdictOn = (record: BoundRecord, event: object = mapping): Verdict => {
  const draft = readerOf(event)(record);
  if (draft.kind === 'tombstone') throw new Error('a tombstone');
  if (draft.kind === 'refused') return draft;
  return accept(draft, { acceptedMs: TIMESTAMP_MS, newId: () => 'evt_of_place', source: '/kafka/shop.orders', maxBytes: 256 * KILOBYTE });
};

const accepted = (record: BoundRecord, event?: object) => {
  const verdict = verdictOn(record, event);
  if (verdict.kind === 'refused') throw new Error(`refused: ${verdict.message}`);
  return verdict;
};

describe('a record of a bound topic', () => {
  it('has its attributes where the binding points, and its whole value as the data', () => {
    const value = ' {"kind":"order.placed", "order":{"id":12345678901234567890,"lines":[{},{"sku":"é\\u0031"}]},"total":1.0}\n';
    const { envelope, data } = accepted(recordOf(value, { headers: { ...headers, 'x-time': '2026-01-02T03:04:05Z' }, key: 'k' }));
    expect(envelope).toMatchObject({
      tenant: 'acme',
      type: 'order.placed',
      id: '12345678901234567890',
      time: '2026-01-02T03:04:05Z',
      subject: 'é1',
      partitionkey: 'k',
      source: '/kafka/shop.orders',
    });
    expect(data.toString()).toBe(value);
  });

  it('has what is not there from its place', () => {
    expect(accepted(recordOf('{"kind":"order.placed","order":null}', { headers })).envelope).toMatchObject({
      id: 'evt_of_place',
      time: '2026-11-21T09:30:00.000Z',
      source: '/kafka/shop.orders',
    });
  });

  it('is refused when its clock says what no date can be', () => {
    const event = { tenant: { constant: 'acme' }, type: { constant: 'a' }, time: { record: 'timestamp' } };
    expect(verdictOn(recordOf('1', { timestampMs: 8.64e15 + 1 }), event)).toMatchObject({ kind: 'refused', code: 'invalid', path: 'timestamp' });
    expect(verdictOn(recordOf('1', { timestampMs: Number(2n ** 63n - 1n) }), event)).toMatchObject({ kind: 'refused', code: 'invalid', path: 'timestamp' });
  });

  it('can be known by key, timestamp and topic', () => {
    const event = { tenant: { constant: 'acme' }, type: { record: 'topic' }, id: { record: 'key' }, time: { record: 'timestamp' } };
    const { envelope } = accepted(recordOf('1', { key: '7', timestampMs: Date.UTC(2026, 0, 1) }), event);
    expect(envelope).toMatchObject({ type: 'shop.orders', id: '7', time: '2026-01-01T00:00:00.000Z' });
  });

  it('of the content type that the binding tells is passed on as bytes', () => {
    const event = { tenant: { constant: 'acme' }, type: { constant: 'a' }, content_type: { header: 'content-type' } };
    const bytes = Buffer.from([0xff, 0, 0x0a, 0x22]);
    const { envelope, data } = accepted(recordOf(bytes, { headers: { 'content-type': 'application/avro' } }), event);
    expect([envelope.datacontenttype, data.equals(bytes)]).toEqual(['application/avro', true]);
  });

  it('without a value is a tombstone', () => {
    expect(readerOf(mapping)(recordOf(null, { headers: { ...headers, ce_type: 'a' } }))).toEqual({ kind: 'tombstone' });
  });

  it.each([
    ['a number', '1e3', '1e3'],
    ['a boolean', 'false', 'false'],
    ['a string', '"\\ud83d\\ude00"', '😀'],
    ['null', 'null', 'evt_of_place'],
  ])('takes %s for an id as it is spelled', (_, spelled, id) => {
    const value = `{"kind":"a","order":{"id":${spelled}}}`;
    expect(accepted(recordOf(value, { headers })).envelope.id).toBe(id);
  });

  it.each([
    ['/a~1b', '{"a/b":"x"}'],
    ['/~01', '{"~1":"x"}'],
    ['/', '{"":"x"}'],
    ['/ 0', '{" 0":"x"}'],
    ['/0', '["x"]'],
    ['/10', `[${'0,'.repeat(10)}"x"]`],
    ['/0/a/1', '[{"a":[0,"x"]}]'],
    ['/\\u0061', '{"\\\\u0061":"x"}'],
    ['/a', '{"\\u0061":"x"}'],
  ])('is looked into by RFC 6901: %s', (pointer, value) => {
    const event = { tenant: { constant: 'acme' }, type: { constant: 'a' }, subject: { pointer } };
    expect(accepted(recordOf(value), event).envelope.subject).toBe('x');
  });

  it.each([
    ['/01', '[0,"x"]'],
    ['/-', '["x"]'],
    ['/1', '["x"]'],
    ['/length', '["x"]'],
    ['/a/b', '{"a":"x"}'],
    ['/__proto__', '{}'],
    ['/a', '"x"'],
  ])('has nothing at %s of %s', (pointer, value) => {
    const event = { tenant: { constant: 'acme' }, type: { constant: 'a' }, subject: { pointer } };
    expect(accepted(recordOf(value), event).envelope.subject).toBeUndefined();
  });

  it('is looked into by the bytes just as it would be parsed', () => {
    const looking = check(
      property(json({ maxDepth: 4 }), nat(), (text, seed) => {
        const parsed: unknown = JSON.parse(text);
        const paths = scalarsOf(parsed);
        const [tokens, scalar] = paths[seed % Math.max(paths.length, 1)] ?? [[], undefined];
        if (tokens.length === 0) return true;
        const pointer = tokens.map((token) => `/${token.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
        const draft = readerOf({ tenant: { constant: 'acme' }, type: { constant: 'a' }, subject: { pointer } })(recordOf(text));
        if (draft.kind !== 'draft') throw new Error(JSON.stringify(draft));
        const { subject } = draft.attributes;
        if (typeof scalar === 'number') return Object.is(Number(subject), scalar);
        return subject === (scalar === null ? undefined : String(scalar));
      }),
      { numRuns: 500, seed: 6901 },
    );
    expect(looking.counterexample).toBeNull();
  });

  it.each<[string, BoundRecord, string, string]>([
    ['is no JSON', recordOf('{"kind":', { headers }), 'malformed', 'data'],
    ['is not UTF-8', recordOf(Buffer.from([0x22, 0xff, 0x22]), { headers }), 'malformed', 'data'],
    ['has more after its JSON', recordOf(`${ENOUGH}{}`, { headers }), 'malformed', 'data'],
    ['has no tenant header', recordOf(ENOUGH), 'invalid', 'x-tenant'],
    ['has an empty tenant header', recordOf(ENOUGH, { headers: { 'x-tenant': '' } }), 'invalid', 'x-tenant'],
    ['has a tenant header that is not UTF-8', recordOf(ENOUGH, { headers: { 'x-tenant': Buffer.from([0xc3]) } }), 'malformed', 'x-tenant'],
    ['has a tenant that cannot be', recordOf(ENOUGH, { headers: { 'x-tenant': 'Acme' } }), 'invalid', 'x-tenant'],
    ['has no type', recordOf('{"order":{"id":7}}', { headers }), 'invalid', 'data.kind'],
    ['has null for a type', recordOf('{"kind":null}', { headers }), 'invalid', 'data.kind'],
    ['has an object for a type', recordOf('{"kind":{"a":1}}', { headers }), 'invalid', 'data.kind'],
    ['has an array for a type', recordOf('{"kind":["a"]}', { headers }), 'invalid', 'data.kind'],
    ['has a type that is no name', recordOf('{"kind":"Order Placed"}', { headers }), 'invalid', 'data.kind'],
    ['has its type twice', recordOf('{"kind":"a","kind":"b"}', { headers }), 'malformed', 'data.kind'],
    ['has an object for an id', recordOf('{"kind":"a","order":{"id":{}}}', { headers }), 'invalid', 'data.order.id'],
    ['has an empty id', recordOf('{"kind":"a","order":{"id":""}}', { headers }), 'invalid', 'data.order.id'],
    ['has half a surrogate for an id', recordOf('{"kind":"a","order":{"id":"\\ud800"}}', { headers }), 'invalid', 'data.order.id'],
    ['has a NUL in its id', recordOf('{"kind":"a","order":{"id":"\\u0000"}}', { headers }), 'invalid', 'data.order.id'],
    ['has an id of 257 characters', recordOf(`{"kind":"a","order":{"id":"${'7'.repeat(257)}"}}`, { headers }), 'invalid', 'data.order.id'],
    ['has its order twice', recordOf('{"kind":"a","order":{"id":1,"x":1,"x":2}}', { headers }), 'malformed', 'data.order.id'],
    ['has an array for a subject', recordOf('{"kind":"a","order":{"lines":[0,{"sku":[]}]}}', { headers }), 'invalid', 'data.order.lines[1].sku'],
    ['has a time that is none', recordOf(ENOUGH, { headers: { ...headers, 'x-time': 'yesterday' } }), 'invalid', 'x-time'],
    ['has a key that is not UTF-8', recordOf(ENOUGH, { headers, key: Buffer.from([0xff]) }), 'malformed', 'key'],
    ['has a key of 257 characters', recordOf(ENOUGH, { headers, key: 'k'.repeat(257) }), 'invalid', 'key'],
    ['is too large', recordOf(`{"kind":"a","x":"${'x'.repeat(300 * KILOBYTE)}"}`, { headers }), 'too_large', 'data'],
    ['is nested too deeply', recordOf(`{"kind":"a","x":${'['.repeat(70)}${']'.repeat(70)}}`, { headers }), 'too_deep', 'data'],
    ['has too many members', recordOf(`{"kind":"a","x":[${'0,'.repeat(200_000).slice(0, -1)}]}`, { headers }), 'too_complex', 'data'],
  ])('is refused when it %s', (_, record, code, path) => {
    expect(verdictOn(record)).toMatchObject({ kind: 'refused', code, path });
  });

  it.each<[string, object, BoundRecord, string, string]>([
    ['has a content type that is none', { tenant: { constant: 'a' }, type: { constant: 'a' }, content_type: { header: 'ct' } }, recordOf('1', { headers: { ct: 'json' } }), 'invalid', 'ct'],
    ['has a type in data that is no JSON', { tenant: { constant: 'a' }, type: { pointer: '/kind' }, content_type: { header: 'ct' } }, recordOf('a,b', { headers: { ct: 'text/csv' } }), 'invalid', 'data.kind'],
    ['comes from a topic that is no type', { tenant: { constant: 'a' }, type: { record: 'topic' } }, { ...recordOf('1'), topic: 'Shop_Orders' }, 'invalid', 'topic'],
  ])('is refused when it %s', (_, event, record, code, path) => {
    expect(verdictOn(record, event)).toMatchObject({ kind: 'refused', code, path });
  });

  it('that is refused is told by what is known of it all the same', () => {
    const event = { ...mapping, tenant: { constant: 'acme' }, id: { record: 'key' } };
    expect(verdictOn(recordOf('{', { key: '7' }), event)).toMatchObject({ code: 'malformed', tenant: 'acme', eventId: '7' });
    expect(verdictOn(recordOf('{}', { key: '7' }), event)).toMatchObject({ path: 'data.kind', tenant: 'acme', eventId: '7' });
  });

  it('goes where its ordering key says', () => {
    expect(acceptedRecord(accepted(recordOf(ENOUGH, { headers, key: 'k' }))).key).toBe('k');
  });
});

/** Where the scalars are that can be reached without passing a name twice. */
const scalarsOf = (value: unknown, at: readonly string[] = []): readonly (readonly [readonly string[], unknown])[] =>
  typeof value === 'object' && value !== null
    ? Object.entries(value).flatMap(([name, member]) => scalarsOf(member, [...at, name]))
    : [[at, value]];
