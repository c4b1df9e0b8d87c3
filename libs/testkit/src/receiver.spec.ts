import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { startReceiver, type Receiver } from './receiver.js';

const post = (url: string, body = ''): Promise<Response> => fetch(url, { method: 'POST', body });

describe('receiver', () => {
  let receiver: Receiver;

  beforeEach(async () => {
    receiver = await startReceiver();
  });

  afterEach(async () => {
    await receiver.close();
  });

  it('records what comes, byte for byte', async () => {
    await post(`${receiver.url}/in?x=1`, '{"n": 1.0}');
    expect(receiver.requests).toMatchObject([{ method: 'POST', path: '/in?x=1' }]);
    expect(receiver.requests[0]?.body.toString()).toBe('{"n": 1.0}');
  });

  it('answers in the order told, the last answer for good, another path by itself', async () => {
    receiver.reply({ status: 500 }, { status: 429, headers: { 'retry-after': '1' } }, { status: 204 });
    receiver.replyAt('/gone', { status: 410, body: 'gone' });
    const answers = [];
    for (const path of ['/', '/gone', '/', '/', '/']) answers.push((await post(receiver.url + path)).status);
    expect(answers).toEqual([500, 410, 429, 204, 204]);
  });

  it('waits for a number of requests and for a particular one, whether past or to come', async () => {
    const two = receiver.received(2);
    const second = receiver.waitFor(({ path }) => path === '/b');
    await post(`${receiver.url}/a`);
    await post(`${receiver.url}/b`);
    expect((await two).map(({ path }) => path)).toEqual(['/a', '/b']);
    expect((await second).path).toBe('/b');
    expect((await receiver.waitFor(({ path }) => path === '/a')).path).toBe('/a');
  });

  it('says what it waited for in vain', async () => {
    await post(receiver.url);
    await expect(receiver.received(2, { timeoutMs: 10 })).rejects.toThrow('not within 10 ms: 2 requests; 1 requests so far');
  });
});
