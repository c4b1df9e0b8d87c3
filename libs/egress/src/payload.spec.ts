import { describe, expect, it } from '@jest/globals';
import { standardPayload } from './payload.js';

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
