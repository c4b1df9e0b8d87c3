import { describe, expect, it } from '@jest/globals';
import { Problem } from '@posthorn/service-kit';
import { PublishAgain, type PublishAgainRequest } from './publish-again.js';
import type { EventRequest } from './original.js';

const row = {
  id: 'rej_1',
  tenant: 'acme',
  rejected_at: new Date(0),
  door: 'rest',
  code: 'unknown_event_type',
  message: 'there is no such type',
  path: 'type',
  errors: null,
  event_id: null,
  record: null,
  value_bytes: 2,
  truncated: false,
  published_as: null,
  published_at: null,
  day: '1970-01-01',
  headers: { 'content-type': 'application/json', traceparent: '00-of-the-refused' },
  value: Buffer.from('{}'),
};

/** The refused event of `row`, an ingestion that answers so, and what it was sent. */
const given = ({ published_as = null, status = 202, canNote = true }: { published_as?: string | null; status?: number; canNote?: boolean } = {}) => {
  const sent: EventRequest[] = [];
  const noted: unknown[] = [];
  const warned: object[] = [];
  const publishAgain = new PublishAgain({
    database: {
      query: async (sql: string, parameters: readonly unknown[] = []) => {
        if (sql.startsWith('select')) return [{ ...row, published_as }] as never[];
        if (!canNote) throw new Problem('unavailable', 'away');
        noted.push(parameters);
        return [];
      },
    },
    ingestion: {
      publish: async (_tenant, request) => {
        sent.push(request);
        return { status, headers: { 'retry-after': '7' }, body: Buffer.from(status === 202 ? '{"id":"e1"}' : '{"code":"rate_limited"}') };
      },
    },
    inboundTopic: 'inbound',
    log: { warn: (fields) => void warned.push(fields) },
  });
  const publish = (more: Partial<PublishAgainRequest> = {}) =>
    publishAgain.publish({
      tenant: 'acme',
      id: 'rej_1',
      caller: { actor: 'key_1', tenant: 'acme', scopes: new Set() },
      force: false,
      corrected: undefined,
      headers: { authorization: 'Bearer x', traceparent: '00-of-the-request' },
      ...more,
    });
  return { publish, sent, noted, warned };
};

describe('publishing again', () => {
  it('sends what came, in the name of who asks, with the trace that it had', async () => {
    const { publish, sent, noted } = given();
    expect((await publish()).status).toBe(202);
    expect(sent).toEqual([
      {
        headers: { authorization: 'Bearer x', 'content-type': 'application/json', traceparent: '00-of-the-refused', 'idempotency-key': expect.stringMatching(/^rej_1\/[0-9a-f]{64}$/) },
        body: row.value,
      },
    ]);
    expect(noted).toEqual([['e1', 'rej_1', '1970-01-01']]);
  });

  it('sends what is in the body instead, with the trace of the request', async () => {
    const { publish, sent } = given();
    const corrected = { headers: { 'content-type': 'text/plain', 'ce-type': 'a' }, body: Buffer.from('x') };
    await publish({ corrected });
    expect(sent).toEqual([
      {
        headers: { authorization: 'Bearer x', 'content-type': 'text/plain', 'ce-type': 'a', traceparent: '00-of-the-request', 'idempotency-key': expect.stringMatching(/^rej_1\/[0-9a-f]{64}$/) },
        body: corrected.body,
      },
    ]);
  });

  it('has one key for a repetition, and another for another correction, which the ingestion may take after it refused the first', async () => {
    const { publish, sent } = given({ status: 422 });
    const correction = { headers: { 'content-type': 'a/b' }, body: Buffer.from('x') };
    await publish({ corrected: correction });
    await publish({ corrected: correction, headers: { traceparent: 'another' } });
    await publish({ corrected: { ...correction, body: Buffer.from('y') } });
    await publish({ corrected: { ...correction, headers: { 'content-type': 'a/c' } } });
    const [first, ...others] = sent.map(({ headers }) => headers['idempotency-key']);
    expect(others.map((key) => key === first)).toEqual([true, false, false]);
  });

  it('lets nothing but force, or the key that is asked with, make two of a repetition', async () => {
    const { publish, sent } = given();
    await publish({ headers: { 'idempotency-key': 'mine' } });
    await publish({ force: true });
    expect(sent.map(({ headers }) => headers['idempotency-key'])).toEqual(['mine', undefined]);
  });

  it('says that it is published, also when that cannot be noted', async () => {
    const { publish, warned } = given({ canNote: false });
    expect((await publish()).status).toBe(202);
    expect(warned).toEqual([expect.objectContaining({ rejected_event: 'rej_1', event_id: 'e1' })]);
  });

  it('passes on what the ingestion says of one that is refused, and notes nothing', async () => {
    const { publish, noted } = given({ status: 429 });
    expect(await publish()).toEqual({ status: 429, headers: { 'retry-after': '7' }, body: Buffer.from('{"code":"rate_limited"}') });
    expect(noted).toEqual([]);
  });

  it('does not ask for one that is published already', async () => {
    const { publish, sent } = given({ published_as: 'e0' });
    await expect(publish()).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('e0') });
    expect(sent).toEqual([]);
    await publish({ force: true });
    expect(sent).toHaveLength(1);
  });
});
