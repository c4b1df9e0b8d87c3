import { randomBytes } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { API_KEY, openKafka, type Service, startService } from './support.js';

jest.setTimeout(60_000);

const prefix = `t${randomBytes(6).toString('hex')}`;
let kafka: Awaited<ReturnType<typeof openKafka>>;
let service: Service;

beforeAll(async () => {
  kafka = await openKafka(prefix);
  await kafka.createTenant('acme');
  service = await startService(prefix);
});

afterAll(async () => {
  await service?.stop('SIGTERM');
  await kafka?.close();
});

type Headers = Readonly<Record<string, string | string[] | undefined>>;
type Answer = { readonly status: number; readonly headers: Headers; readonly body: unknown };

/** As it stands: a list sends its header several times, undefined none. */
const post = (path: string, body: string | Buffer, headers: Headers = {}): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const sent = Object.entries({ authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json', ...headers }).filter(([, value]) => value !== undefined);
    const outgoing = httpRequest(`${service.url}/v1/tenants/acme/${path}`, { method: 'POST', headers: Object.fromEntries(sent) }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => (text += part));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text === '' ? undefined : (JSON.parse(text) as unknown) }));
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });

const KILOBYTE = 1024;
const big = 'x'.repeat(300 * KILOBYTE);
const structured = { 'content-type': 'application/cloudevents+json' };
const gzip = { 'content-encoding': 'gzip' };
const binary = { 'ce-specversion': '1.0', 'ce-type': 'a', 'ce-id': '1', 'ce-source': '/s' };
const plain = (members: object): string => JSON.stringify({ type: 'a', data: 1, ...members });
const cloudEvent = (members: object): string => JSON.stringify({ specversion: '1.0', id: '1', source: '/s', type: 'a', data: 1, ...members });
const nested = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`;
const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');
const zeros = (mebibytes: number): Buffer => gzipSync(Buffer.alloc(mebibytes * KILOBYTE * KILOBYTE, '0'));

type Row = readonly [what: string, body: string | Buffer, headers: Headers, status: number, code: string, path: string | undefined];

const encodings: readonly Row[] = [
  ['Latin-1', latin1('{"type":"a","data":"é"}'), {}, 400, 'malformed', undefined],
  ['UTF-16', Buffer.from('{"type":"a","data":1}', 'utf16le'), {}, 400, 'malformed', undefined],
  ['a byte order mark', '\ufeff{"type":"a","data":1}', {}, 400, 'malformed', undefined],
  ['an overlong character', Buffer.concat([Buffer.from('{"type":"a","data":"'), Buffer.from([0xc0, 0xa0]), Buffer.from('"}')]), {}, 400, 'malformed', undefined],
  ['a surrogate in UTF-8', Buffer.concat([Buffer.from('{"type":"a","data":"'), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from('"}')]), {}, 400, 'malformed', undefined],
  ['half a surrogate pair in an attribute', '{"type":"a","data":1,"subject":"\\ud800"}', {}, 422, 'invalid', 'subject'],
  ['a NUL in an attribute', plain({ subject: 'a\u0000b' }), {}, 422, 'invalid', 'subject'],
  ['a bare NUL', '{"type":"a",\u0000"data":1}', {}, 400, 'malformed', undefined],
  ['a control character in a string', '{"type":"a","data":"\u0001"}', {}, 400, 'malformed', undefined],
  ['truncated gzip', gzipSync(plain({})).subarray(0, -5), gzip, 400, 'malformed', undefined],
  ['what is called gzip and is not', plain({}), gzip, 400, 'malformed', undefined],
  ['gzip in gzip', gzipSync(gzipSync(plain({}))), gzip, 400, 'malformed', undefined],
  ['gzip that is called plain', gzipSync(plain({})), {}, 400, 'malformed', undefined],
  ['gzip with a wrong checksum', Buffer.concat([gzipSync(plain({})).subarray(0, -8), Buffer.alloc(8)]), gzip, 400, 'malformed', undefined],
  ['nothing at all, as gzip', '', gzip, 400, 'malformed', undefined],
  ['a bomb of 64 MiB', zeros(64), gzip, 413, 'too_large', undefined],
  ['Brotli', 'x', { 'content-encoding': 'br' }, 415, 'unsupported_media_type', 'content-encoding'],
  ['two codings', 'x', { 'content-encoding': 'gzip, gzip' }, 415, 'unsupported_media_type', 'content-encoding'],
  ['a coding said twice', 'x', { 'content-encoding': ['gzip', 'gzip'] }, 415, 'unsupported_media_type', 'content-encoding'],
];

const texts: readonly Row[] = [
  ['nothing', '', {}, 400, 'malformed', undefined],
  ['cut-off JSON', '{"type":"a"', {}, 400, 'malformed', undefined],
  ['two texts', '{}{}', {}, 400, 'malformed', undefined],
  ['a comment', '{"type":"a",/**/"data":1}', {}, 400, 'malformed', undefined],
  ['a trailing comma', '{"type":"a","data":[1,]}', {}, 400, 'malformed', undefined],
  ['NaN', '{"type":"a","data":NaN}', {}, 400, 'malformed', undefined],
  ['a number that begins with 0', '{"type":"a","data":012}', {}, 400, 'malformed', undefined],
  ['a member twice', '{"type":"a","type":"b","data":1}', {}, 400, 'malformed', 'type'],
  ['a member twice, once escaped', '{"type":"a","t\\u0079pe":"b","data":1}', {}, 400, 'malformed', 'type'],
  ['an array', '[]', {}, 422, 'invalid', undefined],
  ['null', 'null', {}, 422, 'invalid', undefined],
  ['a huge number as time', '{"type":"a","data":1,"time":1e400}', {}, 422, 'invalid', 'time'],
  ['__proto__', '{"type":"a","data":1,"__proto__":{}}', {}, 422, 'invalid', '__proto__'],
  ['65 levels', `{"type":"a","data":${nested(65)}}`, {}, 422, 'invalid', 'data'],
  ['65 levels of context', `{"type":"a","data":1,"context":${nested(65)}}`, {}, 422, 'invalid', 'context'],
  ['a million brackets', '['.repeat(1_000_000), {}, 422, 'invalid', undefined],
  ['100,001 elements', `[${'0,'.repeat(100_000)}0]`, binary, 422, 'invalid', 'data'],
  ['half a million members', `{${Array.from({ length: 500_000 }, (_, n) => `"${n}":0`).join(',')}}`, {}, 422, 'invalid', undefined],
  ['300 KiB of data', plain({ data: big }), {}, 413, 'too_large', 'data'],
  ['300 KiB of attributes', plain({ subject: big }), {}, 413, 'too_large', undefined],
  ['300 KiB of data, inflated', gzipSync(plain({ data: big })), gzip, 413, 'too_large', 'data'],
  ['a context that swells', `{"type":"a","data":1,"context":[${'1e20,'.repeat(20_000)}0]}`, {}, 413, 'too_large', 'context'],
];

const attributes: readonly Row[] = [
  ['no type', '{"data":1}', {}, 422, 'invalid', 'type'],
  ['no data', '{"type":"a"}', {}, 422, 'invalid', 'data'],
  ['a type in capitals', plain({ type: 'Paid' }), {}, 422, 'invalid', 'type'],
  ['a type of 257 characters', plain({ type: 'a'.repeat(257) }), {}, 422, 'invalid', 'type'],
  ['an id that is a number', plain({ id: 1 }), {}, 422, 'invalid', 'id'],
  ['an empty id', plain({ id: '' }), {}, 422, 'invalid', 'id'],
  ['a source with a space', plain({ source: 'a b' }), {}, 422, 'invalid', 'source'],
  ['30 February', plain({ time: '2026-02-30T00:00:00Z' }), {}, 422, 'invalid', 'time'],
  ['a long key', plain({ key: 'x'.repeat(257) }), {}, 422, 'invalid', 'key'],
  ["another's tenant", plain({ tenant: 'other' }), {}, 422, 'invalid', 'tenant'],
  ['a media type that is none', plain({ content_type: 'json' }), {}, 422, 'invalid', 'content_type'],
  ['an object where a text belongs', plain({ content_type: 'text/plain', data: {} }), {}, 422, 'invalid', 'data'],
  ['a line feed in a header', plain({ headers: { a: 'b\nc' } }), {}, 422, 'invalid', 'headers'],
  ['a misspelt member', plain({ tpye: 'a' }), {}, 422, 'invalid', 'tpye'],
];

const httpForms: readonly Row[] = [
  ['a form', 'a=b', { 'content-type': 'application/x-www-form-urlencoded' }, 415, 'unsupported_media_type', 'content-type'],
  ['text', 'a', { 'content-type': 'text/plain' }, 415, 'unsupported_media_type', 'content-type'],
  ['a content type that is none', plain({}), { 'content-type': 'json' }, 415, 'unsupported_media_type', undefined],
  ['Avro', 'x', { 'content-type': 'application/cloudevents+avro' }, 415, 'unsupported_media_type', 'content-type'],
  ['a batch as one event', '[]', { 'content-type': 'application/cloudevents-batch+json' }, 415, 'unsupported_media_type', 'content-type'],
  ['a content type said twice', plain({}), { 'content-type': ['application/json', 'text/plain'] }, 400, 'malformed', 'content-type'],
  ['another specversion', cloudEvent({ specversion: '0.3' }), structured, 422, 'invalid', 'specversion'],
  ['both kinds of data', cloudEvent({ data_base64: 'AA==' }), structured, 422, 'invalid', 'data_base64'],
  ['base64 without padding', cloudEvent({ data: undefined, data_base64: 'AA' }), structured, 422, 'invalid', 'data_base64'],
  ['JSON in base64 that is none', cloudEvent({ data: undefined, data_base64: 'ew==' }), structured, 400, 'malformed', 'data_base64'],
  ['an extension in capitals', cloudEvent({ comExample: 1 }), structured, 422, 'invalid', 'comExample'],
  ['an extension that is an object', cloudEvent({ comexample: {} }), structured, 422, 'invalid', 'comexample'],
  ['an extension too many', cloudEvent(Object.fromEntries(Array.from({ length: 33 }, (_, n) => [`x${n}`, n]))), structured, 422, 'invalid', undefined],
  ['no type, binary', '1', { 'ce-id': '1' }, 422, 'invalid', 'ce-type'],
  ['an attribute said twice', '1', { ...binary, 'ce-id': ['1', '2'] }, 400, 'malformed', 'ce-id'],
  ['an extension said twice', '1', { ...binary, 'ce-sequence': ['1', '2'] }, 400, 'malformed', 'ce-sequence'],
  ['half a percent sign', '1', { ...binary, 'ce-subject': '100%' }, 400, 'malformed', 'ce-subject'],
  ['an overlong percent-encoding', '1', { ...binary, 'ce-subject': '%C0%A0' }, 400, 'malformed', 'ce-subject'],
  ['a percent-encoded line feed', '1', { ...binary, 'ce-subject': 'a%0Ab' }, 422, 'invalid', 'ce-subject'],
  ['data that is not JSON, binary', '{', binary, 400, 'malformed', 'data'],
  ['the content type in a place of its own', '1', { ...binary, 'ce-datacontenttype': 'text/plain' }, 422, 'invalid', 'ce-datacontenttype'],
  ['an extension of 5 KB', '1', { ...binary, 'ce-comexample': 'x'.repeat(5_000) }, 422, 'invalid', 'ce-comexample'],
];

const pathsOf = (body: unknown): unknown => (body as { errors?: { path: string }[] }).errors?.[0]?.path;

describe.each([
  ['what is encoded', encodings],
  ['a text', texts],
  ['an attribute', attributes],
  ['a form', httpForms],
])('%s is refused', (_, rows) => {
  it.each(rows)('%s', async (_what, body, headers, status, code, path) => {
    const answer = await post('events', body, headers);
    expect([answer.status, (answer.body as { code: string }).code, pathsOf(answer.body)]).toEqual([status, code, path]);
    expect(answer.headers['content-type']).toContain('application/problem+json');
  });
});

describe('a batch is refused', () => {
  it.each<Row>([
    ['no JSON', '{"events":[', {}, 400, 'malformed', undefined],
    ['no list', '{"events":{}}', {}, 422, 'invalid', 'events'],
    ['no events', '{"events":[]}', {}, 422, 'invalid', 'events'],
    ['no member', '{}', {}, 422, 'invalid', 'events'],
    ['another member', '{"events":[1],"x":1}', {}, 422, 'invalid', 'x'],
    ['a member twice', '{"events":[1],"events":[2]}', {}, 400, 'malformed', 'events'],
    ['1,001 events', `{"events":[${Array.from({ length: 1_001 }, () => plain({})).join(',')}]}`, {}, 422, 'invalid', 'events'],
    ['half a million values', `{"events":[[${'0,'.repeat(500_000)}0]]}`, {}, 422, 'invalid', undefined],
    ['one event', cloudEvent({}), structured, 415, 'unsupported_media_type', 'content-type'],
    ['a bomb', zeros(64), gzip, 413, 'too_large', undefined],
    ['9 MiB', Buffer.alloc(9 * KILOBYTE * KILOBYTE), {}, 413, 'too_large', undefined],
  ])('%s', async (_what, body, headers, status, code, path) => {
    const answer = await post('events/batch', body, headers);
    expect([answer.status, (answer.body as { code: string }).code, pathsOf(answer.body)]).toEqual([status, code, path]);
  });

  it('event by event where it can be read', async () => {
    const events = [plain({ id: 'b-0' }), '1', plain({ id: 7 }), `{"type":"a","data":${nested(65)}}`, `{"type":"a","data":[${'0,'.repeat(100_000)}0]}`, plain({ id: 'b-5' })];
    const { status, body } = await post('events/batch', gzipSync(`{"events":[${events.join(',')}]}`), gzip);
    expect(status).toBe(202);
    expect(body).toMatchObject({
      results: [
        { id: 'b-0' },
        { error: { code: 'invalid', path: 'events[1]' } },
        { error: { code: 'invalid', path: 'events[2].id' } },
        { error: { code: 'too_deep', path: 'events[3].data' } },
        { error: { code: 'too_complex', path: 'events[4]' } },
        { id: 'b-5' },
      ],
    });
  });
});

it('tells whoever codes otherwise what is taken', async () => {
  expect((await post('events', 'x', { 'content-encoding': 'br' })).headers['accept-encoding']).toBe('gzip');
  expect((await post('events', 'x', { 'content-type': 'text/plain' })).headers).not.toHaveProperty('accept-encoding');
});

const acceptedWith = (id: string) => kafka.accepted.first(({ envelope }) => envelope.id === id);

/** After the examples of the HTTP binding 1.0.2, and what its text says beside them. */
describe('a CloudEvent over HTTP is taken', () => {
  const said = { specversion: '1.0', type: 'com.example.someevent', time: '2018-04-05T03:56:24Z', source: '/mycontext', comexampleextension1: 'value' };

  it('in binary mode (3.1.4)', async () => {
    const headers = Object.fromEntries(Object.entries({ ...said, id: '1234-1234-1234' }).map(([name, value]) => [`ce-${name}`, value]));
    const answer = await post('events', '{"much":"wow"}', { ...headers, 'content-type': 'application/json; charset=utf-8' });
    expect(answer).toMatchObject({ status: 202, body: { id: '1234-1234-1234' } });
    const { envelope, data } = await acceptedWith('1234-1234-1234');
    const { comexampleextension1, ...attributes } = said;
    expect(envelope).toMatchObject({ ...attributes, datacontenttype: 'application/json; charset=utf-8', extensions: { comexampleextension1 } });
    expect(data.toString()).toBe('{"much":"wow"}');
  });

  it('in binary mode with header values that are encoded (3.1.3.2)', async () => {
    const headers = { 'ce-id': 'encoded', 'ce-type': 'a', 'ce-subject': 'Euro%20%E2%82%AC%20%F0%9F%98%80', 'ce-quoted': '"a \\"b\\""', 'CE-Upper': '%41' };
    await post('events', '1', headers);
    expect((await acceptedWith('encoded')).envelope).toMatchObject({ subject: 'Euro € 😀', extensions: { quoted: 'a "b"', upper: 'A' } });
  });

  it('in binary mode with data that is none, and with none that is JSON', async () => {
    await post('events', Buffer.from([0, 255]), { 'ce-id': 'bytes', 'ce-type': 'a', 'content-type': 'application/octet-stream' });
    expect((await acceptedWith('bytes')).data).toEqual(Buffer.from([0, 255]));
    await post('events', '', { 'ce-id': 'none', 'ce-type': 'a', 'content-type': undefined });
    expect((await acceptedWith('none')).data.toString()).toBe('null');
  });

  it('in structured mode (3.2.4)', async () => {
    const headers = { 'content-type': 'application/cloudevents+json; charset=utf-8' };
    const answer = await post('events', JSON.stringify({ ...said, id: '2345-2345', comexampleothervalue: 5, datacontenttype: 'application/json', data: { a: 1 } }), headers);
    expect(answer).toMatchObject({ status: 202, body: { id: '2345-2345' } });
    expect((await acceptedWith('2345-2345')).envelope.extensions).toEqual({ comexampleextension1: 'value', comexampleothervalue: 5 });
  });

  it('in structured mode when it says attributes in headers, too: those of the body count', async () => {
    await post('events', cloudEvent({ id: 'of-the-body', type: 'a' }), { ...structured, 'ce-id': 'of-the-header', 'ce-type': 'b' });
    expect((await acceptedWith('of-the-body')).envelope.type).toBe('a');
  });

  it('in a batch (3.3.4)', async () => {
    const events = [cloudEvent({ id: 'batched-1', comexample: true }), cloudEvent({ id: 'batched-2', datacontenttype: 'text/xml', data: '<much wow="xml"/>' })];
    const answer = await post('events/batch', `[${events.join(',')}]`, { 'content-type': 'application/cloudevents-batch+json; charset=utf-8' });
    expect(answer).toMatchObject({ status: 202, body: { results: [{ id: 'batched-1' }, { id: 'batched-2' }] } });
    expect((await acceptedWith('batched-1')).envelope.extensions).toEqual({ comexample: true });
    expect((await acceptedWith('batched-2')).data.toString()).toBe('<much wow="xml"/>');
  });
});
