import { describe, expect, it } from '@jest/globals';
import { recordSchemas, unframe, type Envelope } from '@posthorn/contracts';
import { accept, acceptedRecord, type Circumstances, type Verdict } from './accept.js';
import { draftOfRecord, draftOfRequest, draftsOfBatch } from './forms.js';
import { randomJsonText, seededRandom } from './random-json.js';

const ACCEPTED_MS = Date.UTC(2026, 10, 21, 9, 30, 0, 125);
const KILOBYTE = 1024;

const circumstances: Circumstances = {
  acceptedMs: ACCEPTED_MS,
  newId: () => 'evt_new',
  source: '/kafka/inbound',
  maxBytes: 256 * KILOBYTE,
};

const utf8 = (headers: Record<string, string>) =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, Buffer.from(value)]));

const fromKafka = (value: string | Buffer | null, headers: Record<string, string> = {}, more: Partial<Circumstances> = {}): Verdict => {
  const draft = draftOfRecord(utf8(headers), typeof value === 'string' ? Buffer.from(value) : value);
  if (draft.kind === 'tombstone') throw new Error('a tombstone');
  return draft.kind === 'refused' ? draft : accept(draft, { ...circumstances, ...more });
};

const fromRest = (body: string | Buffer, headers: Record<string, string> = { 'content-type': 'application/json' }): Verdict => {
  const draft = draftOfRequest(headers, Buffer.from(body));
  return draft.kind === 'refused' ? draft : accept(draft, { ...circumstances, tenant: 'acme', source: '/v1/tenants/acme' });
};

/** What the next service reads: the verdict framed, sent and unframed. */
const received = (verdict: Verdict) => {
  if (verdict.kind === 'refused') throw new Error(`refused: ${verdict.message}`);
  const { value } = acceptedRecord(verdict);
  recordSchemas.accepted.parse(JSON.parse(value.toString()));
  const { head, data } = unframe<Envelope>(value);
  return { head, data: data.toString() };
};

const refusal = (verdict: Verdict) => {
  if (verdict.kind === 'accepted') throw new Error('accepted');
  return { code: verdict.code, path: verdict.path };
};

const plain = (members: object): string => JSON.stringify({ type: 'invoice.paid', data: {}, ...members });
const structured = { 'content-type': 'application/cloudevents+json; charset=utf-8' };
const cloudEvent = (members: object): string =>
  JSON.stringify({ specversion: '1.0', id: '1', source: '/shop', type: 'invoice.paid', data: {}, ...members });

const keyOf = (verdict: Verdict) => verdict.kind === 'accepted' && acceptedRecord(verdict).key;

const headersWith = (registryPosition: unknown) => {
  const verdict = fromKafka('{}', { ce_type: 'a' }, { registryPosition });
  return verdict.kind === 'accepted' ? acceptedRecord(verdict).headers : undefined;
};

const elements = (count: number) => `{"type":"a","data":[${'0,'.repeat(count)}0]}`;
const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);

describe('an accepted event', () => {
  it('of the largest size that can be set leaves room in its record, for the ids of those who get it', () => {
    const maxBytes = 900 * KILOBYTE;
    const largest = [
      fromKafka(Buffer.alloc(maxBytes - KILOBYTE, 0xff), { ce_type: 'a', 'content-type': 'image/png' }, { maxBytes }),
      fromKafka(`{"type":"a","content_type":"text/plain","data":"${'x'.repeat(600 * KILOBYTE)}","context":[${'1e20,'.repeat(13_000)}0]}`, {}, { maxBytes }),
    ];
    for (const verdict of largest) {
      const bytes = verdict.kind === 'accepted' ? acceptedRecord(verdict).value.length : Infinity;
      expect(bytes).toBeLessThan(1.25 * 1024 * KILOBYTE);
    }
  });

  it('is filled in when it says only type and data', () => {
    expect(received(fromKafka('{"type":"invoice.paid","data":{"total":1}}'))).toEqual({
      head: {
        specversion: '1.0',
        id: 'evt_new',
        tenant: 'default',
        type: 'invoice.paid',
        source: '/kafka/inbound',
        time: '2026-11-21T09:30:00.125Z',
        acceptedtime: '2026-11-21T09:30:00.125Z',
      },
      data: '{"total":1}',
    });
  });

  it('keeps everything that plain JSON can say', () => {
    const said = {
      tenant: 'acme',
      id: 'é-1',
      time: '2026-11-20T23:59:59.123456+05:30',
      source: 'https://shop.example/orders?x=%20',
      subject: 'order 17',
      key: 'customer-9',
      content_type: 'application/vnd.shop+json; charset=utf-8',
      headers: { 'X-Region': 'eu' },
      context: { user: [1, null] },
    };
    const { head } = received(fromRest(plain(said)));
    const { content_type, key, ...same } = said;
    expect(head).toMatchObject({ ...same, datacontenttype: content_type, partitionkey: key });
  });

  it('has its data as the producer wrote it, in every form', () => {
    const data = '{"z":12345678901234567890,"a":1.0, "é":"\\u00e9é","a2":[1e2,\n-0]}';
    const inStructured = `{"specversion":"1.0","id":"1","source":"/s","type":"a.b","data": ${data} }`;
    expect(received(fromKafka(`{"data":${data} ,"type":"a"}`)).data).toBe(data);
    expect(received(fromKafka(inStructured, structured)).data).toBe(data);
    expect(received(fromKafka(data, { ce_type: 'a', 'content-type': 'application/json' })).data).toBe(data);
    expect(received(fromRest(`{"data":${data},"type":"a"}`)).data).toBe(data);
    expect(received(fromRest(inStructured, structured)).data).toBe(data);
    expect(received(fromRest(data, { 'ce-type': 'a', 'content-type': 'application/json' })).data).toBe(data);
    const batch = draftsOfBatch({ 'content-type': 'application/json' }, Buffer.from(`{"events":[ {"type":"a","data":${data}} ]}`), 10);
    const item = batch.kind === 'batch' ? batch.items[0]?.draft : undefined;
    expect(item?.kind === 'draft' && item.data.toString()).toBe(data);
  });

  it.each(Array.from({ length: 200 }, (_, seed) => seed))('carries any JSON unchanged, with seed %i', (seed) => {
    const text = randomJsonText(seededRandom(seed));
    expect(received(fromKafka(`{"type":"a","data":${text},"id":"x"}`)).data).toBe(text.trim());
    expect(received(fromKafka(text, { ce_type: 'a' })).data).toBe(text);
  });

  it('carries bytes that are not JSON', () => {
    const bytes = Buffer.from([0, 255, 10, 34, 92]);
    const verdict = fromKafka(bytes, { ce_type: 'image.made', 'content-type': 'image/png' });
    if (verdict.kind === 'refused') throw new Error(verdict.message);
    expect(unframe(acceptedRecord(verdict).value).data.equals(bytes)).toBe(true);
    expect(received(fromKafka(cloudEvent({ datacontenttype: 'text/plain', data: 'a\n"é"' }), structured)).data).toBe('a\n"é"');
    const inBase64 = { datacontenttype: 'text/plain', data: undefined, data_base64: Buffer.from('hallo').toString('base64') };
    expect(received(fromKafka(cloudEvent(inBase64), structured)).data).toBe('hallo');
  });

  it('has null as its data when CloudEvents leaves it out', () => {
    expect(received(fromKafka(null, { ce_type: 'a' })).data).toBe('null');
    expect(received(fromKafka(cloudEvent({ data: undefined }), structured)).data).toBe('null');
    expect(received(fromKafka(cloudEvent({ data: undefined, data_base64: null }), structured)).data).toBe('null');
    expect(received(fromKafka(cloudEvent({ data: 7, data_base64: null }), structured)).data).toBe('7');
  });

  it('keeps attributes that Posthorn does not know, with their types', () => {
    const said = { comexampleextra: 'x', dataschema: '/s', sequence: 7, sampled: false, constructor: '' };
    const { head } = received(fromKafka(cloudEvent({ ...said, none: null, tenant: 'acme', partitionkey: 'k' }), structured));
    expect(head).toMatchObject({ id: '1', tenant: 'acme', partitionkey: 'k', source: '/shop', extensions: said });
    expect(Object.keys(head.extensions ?? {})).toEqual(Object.keys(said));
    expect(received(fromKafka(cloudEvent({}), structured)).head).not.toHaveProperty('extensions');
  });

  it('keeps them as texts in binary mode', () => {
    expect(received(fromKafka('{}', { ce_type: 'a', ce_sequence: '7', ce_note: 'caf%C3%A9', other: 'x' })).head.extensions).toEqual({
      sequence: '7',
      note: 'caf%C3%A9',
    });
    const { head } = received(fromRest('{}', { 'ce-type': 'a', 'ce-note': 'caf%C3%A9', 'ce-quoted': '"a \\"b\\""', 'content-type': 'application/json' }));
    expect(head.extensions).toEqual({ note: 'café', quoted: 'a "b"' });
  });

  it('may leave out optional members by writing null', () => {
    expect(received(fromKafka(plain({ id: null, subject: null, time: null }))).head).toMatchObject({ id: 'evt_new' });
  });

  it('is keyed by its ordering key, else by tenant and id', () => {
    expect(keyOf(fromKafka(plain({ id: '7' })))).toBe('default/7');
    expect(keyOf(fromKafka(plain({ id: '7', key: 'k' })))).toBe('k');
  });

  it('takes the trace of the record before its own, and no broken one', () => {
    const own = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
    const ofRecord = `00-${'c'.repeat(32)}-${'d'.repeat(16)}-01`;
    expect(received(fromKafka('{}', { ce_type: 'a', ce_traceparent: own })).head.traceparent).toBe(own);
    expect(received(fromKafka('{}', { ce_type: 'a', ce_traceparent: own }, { traceparent: ofRecord })).head.traceparent).toBe(ofRecord);
    expect(received(fromKafka('{}', { ce_type: 'a', ce_traceparent: own }, { traceparent: 'nonsense' })).head.traceparent).toBe(own);
    expect(received(fromKafka('{}', { ce_type: 'a', ce_traceparent: `00-${'0'.repeat(32)}-${'b'.repeat(16)}-01` })).head).not.toHaveProperty('traceparent');
  });

  it('passes on to the router how far it must have read the registry, and nothing that is no position', () => {
    expect(headersWith('17')).toEqual({ schema: '1', 'posthorn-registry-position': '17' });
    for (const nonsense of [undefined, '', '-1', '1e9', ['17'], '9'.repeat(16)]) expect(headersWith(nonsense)).toEqual({ schema: '1' });
  });

  it('decodes percent-encoded headers on HTTP only', () => {
    const { head } = received(fromRest('{}', { 'ce-type': 'a', 'ce-subject': 'caf%C3%A9', 'content-type': 'application/json' }));
    expect(head.subject).toBe('café');
    expect(received(fromKafka('{}', { ce_type: 'a', ce_subject: 'caf%C3%A9' })).head.subject).toBe('caf%C3%A9');
  });
});

describe('a refusal names what is wrong', () => {
  const big = 'x'.repeat(300 * KILOBYTE);

  it.each<[string, Verdict, string, string | undefined]>([
    ['cut-off JSON', fromKafka('{"type":'), 'malformed', undefined],
    ['an empty value', fromKafka(''), 'malformed', undefined],
    ['invalid UTF-8', fromKafka(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d])), 'malformed', undefined],
    ['data that is not JSON', fromKafka('{', { ce_type: 'a' }), 'malformed', 'data'],
    ['a header that is not UTF-8', fromRest('{}', { 'ce-type': 'a', 'ce-subject': '%ff' }), 'malformed', 'ce-subject'],
    ['a member twice', fromKafka('{"type":"a","data":1,"data":2}'), 'malformed', 'data'],
    ['an array', fromKafka('[]'), 'invalid', undefined],
    ['no type', fromKafka('{"data":{}}'), 'invalid', 'type'],
    ['no type, structured', fromKafka(cloudEvent({ type: undefined }), structured), 'invalid', 'type'],
    ['no type, Kafka binary', fromKafka('{}', { ce_id: '1' }), 'invalid', 'ce_type'],
    ['no type, HTTP binary', fromRest('{}', { 'ce-id': '1' }), 'invalid', 'ce-type'],
    ['no data', fromKafka('{"type":"a"}'), 'invalid', 'data'],
    ['a type in capitals', fromKafka(plain({ type: 'Invoice.Paid' })), 'invalid', 'type'],
    ['an empty id', fromKafka(plain({ id: '' })), 'invalid', 'id'],
    ['a number as id', fromKafka(plain({ id: 7 })), 'invalid', 'id'],
    ['a long id', fromKafka(plain({ id: 'x'.repeat(257) })), 'invalid', 'id'],
    ['a NUL in the subject', fromKafka(plain({ subject: 'a\u0000' })), 'invalid', 'subject'],
    ['half a surrogate pair', fromKafka('{"type":"a","data":1,"subject":"\\ud800"}'), 'invalid', 'subject'],
    ['a source with a space', fromKafka(plain({ source: 'my shop' })), 'invalid', 'source'],
    ['30 February', fromKafka(plain({ time: '2026-02-30T00:00:00Z' })), 'invalid', 'time'],
    ['a time without offset', fromKafka(plain({ time: '2026-02-20T00:00:00' })), 'invalid', 'time'],
    ['a time in seconds', fromKafka(plain({ time: 1 })), 'invalid', 'time'],
    ['a long key', fromKafka(plain({ key: 'x'.repeat(257) })), 'invalid', 'key'],
    ['a long partition key', fromKafka(cloudEvent({ partitionkey: 'x'.repeat(257) }), structured), 'invalid', 'partitionkey'],
    ['no media type', fromKafka(plain({ content_type: 'json' })), 'invalid', 'content_type'],
    ['text that is no string', fromKafka(plain({ content_type: 'text/plain' })), 'invalid', 'data'],
    ['a tenant with a slash', fromKafka(plain({ tenant: 'a/b' })), 'invalid', 'tenant'],
    ['another tenant than the path', fromRest(plain({ tenant: 'other' })), 'invalid', 'tenant'],
    ['another tenant in a header', fromRest('{}', { 'ce-type': 'a', 'ce-tenant': 'other' }), 'invalid', 'ce-tenant'],
    ['headers as a list', fromKafka(plain({ headers: [] })), 'invalid', 'headers'],
    ['a line feed in a header', fromKafka(plain({ headers: { a: 'b\nc' } })), 'invalid', 'headers'],
    ['33 headers', fromKafka(plain({ headers: Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`h${i}`, ''])) })), 'invalid', 'headers'],
    ['5 KB of headers', fromKafka(plain({ headers: { a: 'x'.repeat(5000) } })), 'invalid', 'headers'],
    ['an unknown member', fromKafka(plain({ tpye: 'x' })), 'invalid', 'tpye'],
    ['another specversion', fromKafka(cloudEvent({ specversion: '0.3' }), structured), 'invalid', 'specversion'],
    ['both kinds of data', fromKafka(cloudEvent({ data_base64: 'AA==' }), structured), 'invalid', 'data_base64'],
    ['broken base64', fromKafka(cloudEvent({ data: undefined, data_base64: 'A' }), structured), 'invalid', 'data_base64'],
    ['megabytes of broken base64', fromKafka(cloudEvent({ data: undefined, datacontenttype: 'text/plain', data_base64: 'A'.repeat(8_000_001) }), structured), 'invalid', 'data_base64'],
    ['megabytes of base64', fromKafka(cloudEvent({ data: undefined, datacontenttype: 'text/plain', data_base64: 'A'.repeat(8_000_000) }), structured), 'too_large', 'data'],
    ['JSON in base64 that is none', fromKafka(cloudEvent({ data: undefined, data_base64: 'ew==' }), structured), 'malformed', 'data_base64'],
    ['an extension of the name of what objects inherit', fromKafka('{}', { ce_type: 'a', ce___proto__: 'x' }), 'invalid', 'ce___proto__'],
    ['an extension in capitals', fromKafka(cloudEvent({ comExample: 'x' }), structured), 'invalid', 'comExample'],
    ['an extension with a long name', fromKafka(cloudEvent({ ['x'.repeat(21)]: '' }), structured), 'invalid', 'x'.repeat(21)],
    ['an extension that is an object', fromKafka(cloudEvent({ comexample: {} }), structured), 'invalid', 'comexample'],
    ['an extension that is a fraction', fromKafka(cloudEvent({ comexample: 0.5 }), structured), 'invalid', 'comexample'],
    ['an extension beyond 32 bits', fromKafka(cloudEvent({ comexample: 2 ** 31 }), structured), 'invalid', 'comexample'],
    ['an extension with a NUL', fromKafka(cloudEvent({ comexample: '\u0000' }), structured), 'invalid', 'comexample'],
    ['an extension of 5 KB', fromKafka('{}', { ce_type: 'a', ce_comexample: 'x'.repeat(5000) }), 'invalid', 'ce_comexample'],
    ['an extension with a hyphen', fromRest('{}', { 'ce-type': 'a', 'ce-com-example': 'x' }), 'invalid', 'ce-com-example'],
    ['an extension named like the data', fromKafka('{}', { ce_type: 'a', ce_data: 'x' }), 'invalid', 'ce_data'],
    ['a media type where none belongs', fromRest('{}', { 'ce-type': 'a', 'ce-datacontenttype': 'a/b' }), 'invalid', 'ce-datacontenttype'],
    ['33 extensions', fromKafka(cloudEvent(Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`x${i}`, i]))), structured), 'invalid', undefined],
    ['100,001 elements', fromKafka(`{"type":"a","data":[${'0,'.repeat(100_000)}0]}`), 'too_complex', undefined],
    ['100,001 elements, binary', fromKafka(`[${'0,'.repeat(100_000)}0]`, { ce_type: 'a' }), 'too_complex', 'data'],
    ['300 KiB of data', fromKafka(plain({ data: big })), 'too_large', 'data'],
    ['300 KiB of data, binary', fromKafka(Buffer.from(big), { ce_type: 'a', 'content-type': 'text/plain' }), 'too_large', 'data'],
    ['300 KiB of something else', fromKafka(plain({ subject: big })), 'too_large', undefined],
    ['65 levels', fromKafka(`{"type":"a","data":${nested(65)}}`), 'too_deep', 'data'],
    ['65 levels of context', fromKafka(`{"type":"a","data":1,"context":${nested(65)}}`), 'too_deep', 'context'],
    ['a context of large numbers', fromKafka(`{"type":"a","data":1,"context":[${'1e20,'.repeat(20_000)}0]}`), 'too_large', 'context'],
    ['a context of numbers that grow, beside its data', fromKafka(`{"type":"a","data":"${'x'.repeat(200 * KILOBYTE)}","context":[${'1e20,'.repeat(5_000)}0]}`), 'too_large', 'context'],
    ['100,000 levels', fromKafka(nested(100_000), { ce_type: 'a' }), 'too_deep', 'data'],
    ['a form', fromRest('a=b', { 'content-type': 'application/x-www-form-urlencoded' }), 'unsupported_media_type', 'content-type'],
    ['a batch as one', fromRest('[]', { 'content-type': 'application/cloudevents-batch+json' }), 'unsupported_media_type', 'content-type'],
    ['Avro', fromKafka('x', { 'content-type': 'application/cloudevents+avro' }), 'unsupported_media_type', 'content-type'],
  ])('%s', (_, verdict, code, path) => {
    expect(refusal(verdict)).toEqual({ code, path });
  });

  it('and lets what is just within the limits pass', () => {
    received(fromKafka(`{"type":"a","data":${nested(64)}}`));
    received(fromKafka(`[${'0,'.repeat(99_998)}0]`, { ce_type: 'a' }));
    received(fromKafka(cloudEvent({ x: 'x'.repeat(4096), [`${'y'.repeat(20)}`]: -(2 ** 31) }), structured));
    received(fromKafka(plain({ id: 'x'.repeat(256), subject: 'x'.repeat(1024), time: '2028-02-29T23:59:59-12:00' })));
    const empty = plain({ data: '' }).length;
    received(fromKafka(plain({ data: 'x'.repeat(256 * KILOBYTE - empty) })));
    expect(refusal(fromKafka(plain({ data: 'x'.repeat(256 * KILOBYTE - empty + 1) })))).toEqual({ code: 'too_large', path: undefined });
  });

  it('and which event it was', () => {
    expect(fromKafka(plain({ id: '7', tpye: 1 }))).toMatchObject({ eventId: '7' });
    expect(fromKafka(plain({ id: '7', tenant: 'acme', time: 'x' }))).toMatchObject({ eventId: '7', tenant: 'acme' });
    expect(fromKafka('{', { ce_type: 'a', ce_id: '7' })).toMatchObject({ eventId: '7' });
  });
});

describe('a batch', () => {
  const json = { 'content-type': 'application/json' };
  const read = (body: string, headers: Record<string, string> = json, most = 3) => draftsOfBatch(headers, Buffer.from(body), most);

  it('reads its events one by one, and tells where each stands', () => {
    const batch = read('{"events":[{"type":"a","data":1},7, {"type":"b"}]}');
    if (batch.kind === 'refused') throw new Error(batch.message);
    expect(batch.items.map(({ draft, text, place }) => [draft.kind, draft.kind === 'refused' && draft.path, text.toString(), place])).toEqual([
      ['draft', false, '{"type":"a","data":1}', 'events[0]'],
      ['refused', undefined, '7', 'events[1]'],
      ['refused', 'data', '{"type":"b"}', 'events[2]'],
    ]);
  });

  it('is bounded in its values, each event and all together', () => {
    const one = read(`{"events":[${elements(100_001)},${elements(1)}]}`);
    if (one.kind === 'refused') throw new Error(one.message);
    expect(one.items.map(({ draft }) => draft.kind === 'refused' && draft.code)).toEqual(['too_complex', false]);
    expect(read(`{"events":[${Array.from({ length: 5 }, () => elements(90_000)).join(',')}]}`, json, 5)).toMatchObject({ code: 'too_complex' });
  });

  it('may be the one of CloudEvents', () => {
    const batch = read(`[${cloudEvent({})}, ${cloudEvent({ data_base64: '' })}]`, { 'content-type': 'application/cloudevents-batch+json' });
    if (batch.kind === 'refused') throw new Error(batch.message);
    expect(batch.items.map(({ draft }) => draft.kind === 'refused' && draft.path)).toEqual([false, 'data_base64']);
  });

  it.each([
    ['{"events":', json, 'malformed', undefined],
    ['[]', json, 'invalid', undefined],
    ['{}', json, 'invalid', 'events'],
    ['{"events":{}}', json, 'invalid', 'events'],
    ['{"events":[]}', json, 'invalid', 'events'],
    ['{"events":[1,2,3,4]}', json, 'invalid', 'events'],
    ['{"events":[1],"events":[2]}', json, 'malformed', 'events'],
    ['{"events":[1],"atomic":true}', json, 'invalid', 'atomic'],
    ['a', { 'content-type': 'text/plain' }, 'unsupported_media_type', 'content-type'],
    ['{}', structured, 'unsupported_media_type', 'content-type'],
  ])('is refused as a whole: %s', (body, headers, code, path) => {
    expect(read(body, headers)).toMatchObject({ kind: 'refused', code, ...(path && { path }) });
  });
});
