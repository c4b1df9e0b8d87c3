import { describe, expect, it } from '@jest/globals';
import { Problem } from '@posthorn/service-kit';
import { News } from './news.js';
import { serverSentEvents } from './server-sent-events.js';
import type { Tidings } from './watch.js';

const news = new News('acme', 'sub_1', {
  kind: 'postponed',
  view: {
    delivery_id: 'dlv_1',
    event_id: 'e\n1',
    event_type: 'x',
    subscription_id: 'sub_1',
    round: 0,
    number: 1,
    at: '2026-11-20T10:00:00.000Z',
    status: 'pending',
    cause: 'breaker',
  },
});

const streamOf = async (batches: readonly (readonly Tidings[])[], end?: unknown): Promise<string> => {
  const told = async function* () {
    yield* batches;
    if (end !== undefined) throw end;
  };
  let text = '';
  for await (const chunk of serverSentEvents(told())) text += chunk;
  return text;
};

describe('Server-Sent Events', () => {
  it('have the place as their id, and a line of data whatever is in it', async () => {
    expect(await streamOf([[{ kind: 'quiet', place: '1.2' }], [{ kind: 'news', news, place: '1.3' }]])).toBe(
      `retry: 2000\n\n: nothing new\nid: 1.2\n\nid: 1.3\nevent: postponed\ndata: ${news.text}\n\n`,
    );
    expect(news.text).toContain('e\\n1');
  });

  it('leave the id as it was where something is missing', async () => {
    expect(await streamOf([[{ kind: 'missed', missed: { reason: 'slow', count: 3 } }]])).toBe('retry: 2000\n\nevent: missed\ndata: {"reason":"slow","count":3}\n\n');
  });

  it('say why they end, if it is for a reason of ours', async () => {
    const text = await streamOf([], new Problem('unavailable', 'The service is shutting down.'));
    expect(text).toMatch(/^retry: 2000\n\nevent: end\ndata: \{.*"code":"unavailable".*\}\n\n$/);
    await expect(streamOf([], new Error('a bug'))).rejects.toThrow('a bug');
  });
});
