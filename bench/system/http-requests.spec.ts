import { describe, expect, it } from '@jest/globals';
import { headersOf, readRequest } from './http-requests.ts';

const request = (path: string, id: string, body: string): string =>
  `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\nWebhook-Id: ${id}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;

describe('reading a request', () => {
  const bytes = Buffer.from(request('/17', 'bench-1-2-3', '{"data":"é"}') + request('/18', 'bench-1-3-4', ''));

  it('gives its path, its id and where its body lies, one after the other', () => {
    const first = readRequest(bytes, 0);
    const second = readRequest(bytes, first?.end ?? 0);
    expect([first?.path, first?.id, bytes.toString('utf8', first?.bodyStart, first?.end)]).toEqual(['/17', 'bench-1-2-3', '{"data":"é"}']);
    expect([second?.path, second?.id, second?.end]).toEqual(['/18', 'bench-1-3-4', bytes.length]);
  });

  it('waits for the whole of it, wherever it is cut', () => {
    const { end = 0 } = readRequest(bytes, 0) ?? {};
    for (let cut = 0; cut < end; cut += 1) expect(readRequest(bytes.subarray(0, cut), 0)).toBeUndefined();
    expect(readRequest(bytes.subarray(0, end), 0)?.end).toBe(end);
  });

  it('gives all headers by their names in small letters', () => {
    expect(headersOf(readRequest(bytes, 0)?.head ?? '')).toEqual({ host: '127.0.0.1', 'webhook-id': 'bench-1-2-3', 'content-length': '13' });
  });
});
