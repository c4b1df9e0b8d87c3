import { describe, expect, it } from '@jest/globals';
import type { Envelope } from '@posthorn/contracts';
import { standardPayload, type Payload } from './payload.js';
import { recipeOf } from './recipe.js';

const event = { type: 'invoice.paid', time: '2026-03-01T10:00:00.123456+02:00' };

describe('the standard payload', () => {
  it('carries type, the time of the event and the data', () => {
    const { contentType, body } = standardPayload(event, Buffer.from('{"total":12}'));
    expect(contentType).toBe('application/json');
    expect(JSON.parse(body.toString())).toEqual({ type: 'invoice.paid', timestamp: event.time, data: { total: 12 } });
  });

  it.each(['{ "big": 12345678901234567890.10, "b":1,"a":2,"a":3 }', '"text"', '[1,\n2]', 'null', '{"e":"\\u00e9é🦔"}'])(
    "leaves the producer's bytes as they are: %s",
    (data) => {
      const { body } = standardPayload(event, Buffer.from(data));
      expect(body.toString().endsWith(`,"data":${data}}`)).toBe(true);
    },
  );

  it('escapes what stands in the envelope', () => {
    const { body } = standardPayload({ ...event, type: 'a"b\\é' }, Buffer.from('1'));
    expect(JSON.parse(body.toString())).toMatchObject({ type: 'a"b\\é', data: 1 });
  });

  it('says null when there is no data', () => {
    expect(JSON.parse(standardPayload(event, Buffer.alloc(0)).body.toString())).toMatchObject({ data: null });
  });

  it('takes a view of a larger buffer', () => {
    const large = Buffer.from('xx{"a":1}xx');
    const view = new Uint8Array(large.buffer, large.byteOffset + 2, 7);
    expect(JSON.parse(standardPayload(event, view).body.toString())).toMatchObject({ data: { a: 1 } });
    const binary = standardPayload({ ...event, datacontenttype: 'image/png' }, view);
    expect(JSON.parse(binary.body.toString())).toMatchObject({ data_base64: Buffer.from('{"a":1}').toString('base64') });
  });

  it('carries data that is not JSON as base64 beside its media type', () => {
    const { contentType, body } = standardPayload({ ...event, datacontenttype: 'image/png' }, Buffer.from([0, 255, 1]));
    expect(contentType).toBe('application/json');
    expect(JSON.parse(body.toString())).toEqual({
      type: 'invoice.paid',
      timestamp: event.time,
      datacontenttype: 'image/png',
      data_base64: 'AP8B',
    });
  });

  it('knows JSON by its structured suffix', () => {
    const { body } = standardPayload({ ...event, datacontenttype: 'application/vnd.shop+json; charset=utf-8' }, Buffer.from('{}'));
    expect(JSON.parse(body.toString())).toMatchObject({ data: {} });
  });
});

const envelope: Envelope = {
  specversion: '1.0',
  id: 'evt_1',
  tenant: 'acme',
  type: 'invoice.paid',
  source: '/billing',
  time: '2026-03-01T10:00:00Z',
  acceptedtime: '2026-03-01T10:00:01.000Z',
  subject: 'Zoë "1" 100%',
  partitionkey: 'k1',
};
/** Digits and order that would not survive being parsed and written again. */
const json = Buffer.from('{"b":12345678901234567890,"a":1.0}');
const image = { ...envelope, datacontenttype: 'image/png' };

const made = (format: Parameters<typeof recipeOf>[0], from: Envelope = envelope, data = json): Payload => {
  const payload = recipeOf(format).make(from, data);
  if ('failed' in payload) throw new Error(payload.failed);
  return payload;
};

describe('the payload as a CloudEvent', () => {
  it('in structured mode is the envelope as the producer gave it, with the data in its own bytes', () => {
    const { contentType, body } = made({ format: 'cloudevents' });
    expect(contentType).toBe('application/cloudevents+json');
    expect(body.toString()).toBe(
      `{"specversion":"1.0","id":"evt_1","source":"/billing","type":"invoice.paid","time":"2026-03-01T10:00:00Z","subject":"Zoë \\"1\\" 100%","partitionkey":"k1","datacontenttype":"application/json","data":${json.toString()}}`,
    );
  });

  it('in structured mode carries data that is not JSON as base64', () => {
    expect(JSON.parse(made({ format: 'cloudevents' }, image, Buffer.from([0, 255, 1])).body.toString())).toMatchObject({
      datacontenttype: 'image/png',
      data_base64: 'AP8B',
    });
  });

  it('in binary mode is the data, with the attributes as headers', () => {
    const { contentType, body, headers } = made({ format: 'cloudevents_binary' });
    expect([contentType, body]).toEqual(['application/json', json]);
    expect(headers).toEqual({
      'ce-specversion': '1.0',
      'ce-id': 'evt_1',
      'ce-source': '/billing',
      'ce-type': 'invoice.paid',
      'ce-time': '2026-03-01T10:00:00Z',
      'ce-subject': 'Zo%C3%AB%20%221%22%20100%25',
      'ce-partitionkey': 'k1',
    });
    expect(made({ format: 'cloudevents_binary' }, image).contentType).toBe('image/png');
  });
});

describe('the payload as a CloudEvent with extensions', () => {
  const extended: Envelope = { ...envelope, extensions: { comexample: 'é', sequence: 7, sampled: false } };

  it('has them as they came in structured mode', () => {
    expect(JSON.parse(made({ format: 'cloudevents' }, extended).body.toString())).toMatchObject({ comexample: 'é', sequence: 7, sampled: false });
  });

  it('has them as headers in binary mode', () => {
    expect(made({ format: 'cloudevents_binary' }, extended).headers).toMatchObject({
      'ce-comexample': '%C3%A9',
      'ce-sequence': '7',
      'ce-sampled': 'false',
    });
  });
});

describe('the payload with context', () => {
  it.each([
    ["the subscription's", envelope, { shop: 7 }],
    ["the event's, which takes precedence", { ...envelope, context: { shop: 8 } }, { shop: 8 }],
  ])('carries %s', (_, from, current_context) => {
    const { contentType, body } = made({ format: 'context', context: { shop: 7 } }, from);
    expect(contentType).toBe('application/json');
    expect(body.toString()).toBe(
      `{"event_time":"2026-03-01T10:00:00Z","event_type":"invoice.paid","current_context":${JSON.stringify(current_context)},"data":${json.toString()}}`,
    );
  });

  it('says null when there is none', () => {
    expect(JSON.parse(made({ format: 'context' }).body.toString())).toMatchObject({ current_context: null });
  });
});

describe('the raw payload', () => {
  it('is the bytes of the producer, under their media type', () => {
    expect(made({ format: 'raw' })).toEqual({ contentType: 'application/json', body: json });
    expect(made({ format: 'raw' }, image, Buffer.from([0, 255]))).toEqual({ contentType: 'image/png', body: Buffer.from([0, 255]) });
  });
});

describe('the payload by a transform', () => {
  it('is what the expression makes', () => {
    const { contentType, body } = made({ format: 'transform', transform: '{"id": event.id, "twice": data.a * 2}' });
    expect([contentType, body.toString()]).toEqual(['application/json', '{"id":"evt_1","twice":2}']);
  });

  it('has the headers of a request', () => {
    expect(made({ format: 'transform', transform: 'request({"id": event.id}, {"X-Type": event.type})' })).toEqual({
      contentType: 'application/json',
      body: Buffer.from('{"id":"evt_1"}'),
      headers: { 'x-type': 'invoice.paid' },
    });
  });

  it.each([
    ['data.missing', 'there is no member "missing"'],
    ['data.', 'compiled'],
    ['request(1, {"Host": "x"})', 'for this event: the header "Host" cannot be sent: this header is set by Posthorn.'],
  ])('of %s fails, and says why', (transform, reason) => {
    expect(recipeOf({ format: 'transform', transform }).make(envelope, json)).toEqual({ failed: expect.stringContaining(reason) });
  });
});

describe('a recipe', () => {
  it('has the key of those that make the same, and of no others', () => {
    const keys = (['standard', 'cloudevents', 'cloudevents_binary', 'raw', 'context'] as const).map((format) => recipeOf({ format }).key);
    const others = [recipeOf({ format: 'context', context: 1 }), recipeOf({ format: 'transform', transform: '1' }), recipeOf({ format: 'transform', transform: '2' })];
    expect(new Set([...keys, ...others.map(({ key }) => key)]).size).toBe(8);
    expect(recipeOf({ format: 'transform', transform: '1' }).key).toBe(others[1]?.key);
  });
});
