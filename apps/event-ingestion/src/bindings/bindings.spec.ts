import { describe, expect, it } from '@jest/globals';
import { ConfigError, readConfig } from '@posthorn/service-kit';
import { ingestionConfig } from '../config.js';

const ENOUGH = { POSTHORN_KAFKA_BROKERS: 'a:9092', POSTHORN_DATABASE_URL: 'postgres://u@h/d' };

const read = (bindings: string, env: Record<string, string> = {}) =>
  readConfig(ingestionConfig, { ...ENOUGH, POSTHORN_INBOUND_BINDINGS: bindings, ...env }).POSTHORN_INBOUND_BINDINGS;

const issuesOf = (bindings: string, env?: Record<string, string>): Readonly<Record<string, string>> => {
  try {
    read(bindings, env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return Object.fromEntries(error.issues.map(({ variable, message }) => [variable.replace('POSTHORN_INBOUND_BINDINGS', ''), message]));
  }
  return {};
};

const event = { tenant: { constant: 'acme' }, type: { header: 'x-type' } };
const withEvent = (more: object): string => JSON.stringify([{ topic: 'orders', event: { ...event, ...more } }]);

describe('bindings', () => {
  it('are none when nothing is said', () => {
    expect(read('')).toEqual([]);
  });

  it('say where each attribute is found, or nothing but the topic', () => {
    const mapping = {
      tenant: { header: 'x-tenant' },
      type: { constant: 'order.placed' },
      id: { pointer: '/order/id' },
      time: { record: 'timestamp' },
      source: { constant: '/shop' },
      subject: { pointer: '/order/lines/0/a~1b~0c' },
      key: { record: 'key' },
      content_type: { constant: 'application/vnd.shop+json' },
    };
    expect(read(JSON.stringify([{ topic: 'orders', event: mapping }, { topic: 'shop.cloud_events-1' }]))).toEqual([
      {
        topic: 'orders',
        event: {
          tenant: { kind: 'header', name: 'x-tenant' },
          type: { kind: 'constant', text: 'order.placed' },
          id: { kind: 'pointer', pointer: '/order/id' },
          time: { kind: 'record', part: 'timestamp' },
          source: { kind: 'constant', text: '/shop' },
          subject: { kind: 'pointer', pointer: '/order/lines/0/a~1b~0c' },
          key: { kind: 'record', part: 'key' },
          content_type: { kind: 'constant', text: 'application/vnd.shop+json' },
        },
      },
      { topic: 'shop.cloud_events-1' },
    ]);
  });

  it.each<[string, string, Readonly<Record<string, unknown>>]>([
    ['what is no JSON', '[{', { '': 'must be JSON' }],
    ['an object', '{"topic":"a"}', { '': 'must be an array of bindings' }],
    ['a topic by itself', '["orders"]', { '[0]': 'must be an object' }],
    ['no topic', '[{}]', { '[0].topic': 'must be the name of a topic' }],
    ['an empty topic', '[{"topic":""}]', { '[0].topic': expect.stringMatching(/^must be a Kafka topic/) }],
    ['a topic with a space', '[{"topic":"a b"}]', { '[0].topic': expect.stringMatching(/^must be a Kafka topic/) }],
    ['the topic ..', '[{"topic":".."}]', { '[0].topic': expect.stringMatching(/^must be a Kafka topic/) }],
    ['a topic of 250 letters', JSON.stringify([{ topic: 'a'.repeat(250) }]), { '[0].topic': expect.stringMatching(/^must be a Kafka topic/) }],
    ['a topic twice', '[{"topic":"a"},{"topic":"b"},{"topic":"a"}]', { '[2].topic': 'is bound already, by [0]' }],
    ['a topic of ours', '[{"topic":"posthorn.events.accepted.v1"}]', { '[0].topic': 'is a topic of Posthorn' }],
    ['events.inbound', '[{"topic":"posthorn.events.inbound.v1"}]', { '[0].topic': 'is a topic of Posthorn' }],
    ['an unknown member', '[{"topic":"a","tenant":{"constant":"acme"}}]', { '[0].tenant': 'is not known here' }],
    ['an unknown attribute', withEvent({ kind: { header: 'a' } }), { '[0].event.kind': 'is not known here' }],
    ['an event that is no object', '[{"topic":"a","event":"cloudevents"}]', { '[0].event': 'must be an object' }],
    ['neither tenant nor type', '[{"topic":"a","event":{}}]', { '[0].event.tenant': 'is required', '[0].event.type': 'is required' }],
    ['an attribute as text', withEvent({ id: 'x-id' }), { '[0].event.id': 'must be an object, such as {"header":"x-id"}' }],
    ['an attribute found nowhere', withEvent({ id: {} }), { '[0].event.id': 'must have one member: header, pointer, record or constant' }],
    ['an attribute found twice', withEvent({ id: { header: 'a', pointer: '/a' } }), { '[0].event.id': 'must have one member: header, pointer, record or constant' }],
    ['an attribute found in a way we do not know', withEvent({ id: { jsonpath: '$.a' } }), {
      '[0].event.id': 'must have one member: header, pointer, record or constant',
      '[0].event.id.jsonpath': 'is not known here',
    }],
    ['a header without a name', withEvent({ id: { header: '' } }), { '[0].event.id.header': 'must not be empty' }],
    ['a header that is a number', withEvent({ id: { header: 1 } }), { '[0].event.id.header': 'must be the name of a header' }],
    ['a pointer without its slash', withEvent({ id: { pointer: 'order/id' } }), { '[0].event.id.pointer': 'must be a JSON pointer (RFC 6901), such as /order/id' }],
    ['a pointer to the whole', withEvent({ id: { pointer: '' } }), { '[0].event.id.pointer': 'must be a JSON pointer (RFC 6901), such as /order/id' }],
    ['a pointer with a bare tilde', withEvent({ id: { pointer: '/a~2' } }), { '[0].event.id.pointer': 'must be a JSON pointer (RFC 6901), such as /order/id' }],
    ['an unknown part of the record', withEvent({ id: { record: 'offset' } }), { '[0].event.id.record': 'must be key, timestamp or topic' }],
    ['the time in the key', withEvent({ time: { record: 'key' } }), { '[0].event.time.record': 'must be timestamp' }],
    ['one id for all', withEvent({ id: { constant: '7' } }), { '[0].event.id.constant': 'cannot be the same for every event' }],
    ['one time for all', withEvent({ time: { constant: '2026-01-01T00:00:00Z' } }), { '[0].event.time.constant': 'cannot be the same for every event' }],
    ['a tenant that cannot be', withEvent({ tenant: { constant: 'Acme Inc' } }), { '[0].event.tenant.constant': 'must be lower-case letters, digits and hyphens' }],
    ['a type that cannot be', withEvent({ type: { constant: 'Order Placed' } }), { '[0].event.type.constant': expect.stringMatching(/^must be dotted/) }],
    ['a constant that is a number', withEvent({ type: { constant: 1 } }), { '[0].event.type.constant': 'must be a string' }],
    ['a content type that is none', withEvent({ content_type: { constant: 'json' } }), { '[0].event.content_type.constant': expect.stringMatching(/^must be a media type/) }],
    ['a content type in the data', withEvent({ content_type: { pointer: '/a' } }), { '[0].event.content_type.pointer': 'cannot be in the data that it tells how to read' }],
    ['a content type in the key', withEvent({ content_type: { record: 'key' } }), { '[0].event.content_type.record': 'cannot be a part of the record' }],
    ['pointers into what is no JSON', withEvent({ id: { pointer: '/a' }, content_type: { constant: 'text/csv' } }), { '[0].event.id.pointer': 'needs JSON, which content_type is not' }],
    ['several errors', '[{"topic":"a b"},{"topic":"c","event":{"tenant":{"constant":""},"type":{}}}]', {
      '[0].topic': expect.stringMatching(/^must be a Kafka topic/),
      '[1].event.tenant.constant': 'must not be empty',
      '[1].event.type': 'must have one member: header, pointer, record or constant',
    }],
  ])('are refused for %s', (_, bindings, expected) => {
    expect(issuesOf(bindings)).toEqual(expected);
  });

  it('know our topics by the prefix that they have', () => {
    const bindings = '[{"topic":"posthorn.events.accepted.v1"}]';
    expect(issuesOf(bindings, { POSTHORN_TOPIC_PREFIX: 'other' })).toEqual({});
    expect(issuesOf('[{"topic":"other.registry.log.v1"}]', { POSTHORN_TOPIC_PREFIX: 'other' })).toEqual({ '[0].topic': 'is a topic of Posthorn' });
  });
});
