import { describe, expect, it } from '@jest/globals';
import { frame, isJsonMediaType, unframe } from './envelope.js';

const head = { id: 'a\nb', type: 'invoice.paid', note: ',\n"data":' };

describe('a framed record', () => {
  it.each(['{"total":42.50}', '12345678901234567890', '{ "a" : 1.0,\n "b":2 }', '""', 'null', '"\u2028 ü 🎺"'])('gives back %s byte for byte', (text) => {
    const { head: read, data } = unframe(frame(head, Buffer.from(text)));
    expect(data.toString()).toBe(text);
    expect(read).toEqual(head);
  });

  it('gives back what is not JSON', () => {
    const bytes = Buffer.from([0, 10, 34, 125, 255]);
    expect(unframe(frame(head, bytes, 'application/octet-stream')).data.equals(bytes)).toBe(true);
  });

  it('is a JSON value that any tool can read, its data the last member', () => {
    const value: unknown = JSON.parse(frame({ id: '1' }, Buffer.from('{"total":42.50}')).toString());
    expect(value).toEqual({ id: '1', data: { total: 42.5 } });
    expect(JSON.parse(frame({ id: '1' }, Buffer.from('x'), 'text/plain').toString())).toEqual({ id: '1', data_base64: 'eA==' });
  });

  it('is told from what is not one', () => {
    expect(() => unframe(Buffer.from('{"id":"1"}'))).toThrow(SyntaxError);
  });
});

describe('a media type', () => {
  it.each([undefined, '', 'application/json', 'application/json; charset=utf-8', 'application/vnd.shop+json', 'application/a_b+JSON', 'text/json', 'model/gltf+json'])('is JSON: %s', (type) => {
    expect(isJsonMediaType(type)).toBe(true);
  });

  it.each(['application/jsonl', 'application/json-seq', 'application/octet-stream', 'text/plain', 'json', 'text/plain; as=application/json', 'a/b/json'])('is not: %s', (type) => {
    expect(isJsonMediaType(type)).toBe(false);
  });
});
