import { topics, type TopicName } from '@posthorn/contracts';
import { describe, expect, it, jest } from '@jest/globals';
import kafkajs, { type Admin } from 'kafkajs';
import { deviations, ensure, planOf, plansOf } from './topics.js';

const plan = (name: TopicName, partitions?: number) => {
  const [found] = plansOf([name], 'p', partitions);
  if (!found) throw new Error(`no topic ${name}`);
  return found;
};

describe('topic plans', () => {
  it('carry name, partitions and configuration of the catalogue', () => {
    expect(plan('events.inbound')).toMatchObject({
      topic: 'p.events.inbound.v1',
      partitions: 12,
      config: { 'cleanup.policy': 'delete', 'message.timestamp.type': 'LogAppendTime', 'max.message.bytes': '2097152' },
    });
    expect(plan('registry.log').config).toMatchObject({ 'retention.ms': '-1', 'message.timestamp.type': 'CreateTime' });
    expect(plan('registry.state').config).toMatchObject({ 'cleanup.policy': 'compact', 'retention.ms': '-1' });
    expect(topics.map((topic) => planOf(topic, 'p').topic)).toHaveLength(topics.length);
  });

  it('take another number of partitions only where the number has no meaning', () => {
    expect(plan('events.accepted', 3).partitions).toBe(3);
    expect(plan('registry.state', 3).partitions).toBe(1);
  });

  it('say how a topic differs', () => {
    const intended = plan('events.accepted');
    expect(deviations(intended, { partitions: 20, config: intended.config })).toEqual([]);
    expect(deviations(intended, { partitions: 6, config: { ...intended.config, 'retention.ms': '1' } })).toEqual([
      '6 partitions, not 12',
      'retention.ms is 1, not 604800000',
    ]);
  });
});

const answer = (type: string): Error => Object.assign(new Error(type), { type });

/** A broker on which another process has just made the topic; it knows of it at the third question. */
const anothersTopic = (createTopics: (request?: Parameters<Admin['createTopics']>[0]) => Promise<boolean>, listed: string[] = []) => {
  let questions = 0;
  const admin = {
    listTopics: async () => listed,
    createTopics,
    describeConfigs: async () => ({ resources: [] }),
    fetchTopicMetadata: async () => {
      questions += 1;
      if (questions < 3) throw answer('UNKNOWN_TOPIC_OR_PARTITION');
      return { topics: [] };
    },
  };
  return { admin: admin as unknown as Admin, questions: () => questions }; // As much of it as is asked.
};

describe('making a topic', () => {
  const log = { debug: jest.fn(), info: jest.fn(), warn: jest.fn(), error: jest.fn(), fatal: jest.fn() };

  it.each([
    ['false', async () => false],
    ['an error', async () => Promise.reject(new kafkajs.KafkaJSAggregateError('all', [answer('TOPIC_ALREADY_EXISTS')]))],
  ])('that another process has just made, told by %s, ends when the broker knows it', async (_, createTopics) => {
    const { admin, questions } = anothersTopic(createTopics);
    await ensure(admin, [plan('events.accepted')], log);
    expect(questions()).toBe(3);
  });

  it('is one request for all that are missing, and tells of those that nobody else was faster with', async () => {
    const asked: unknown[] = [];
    const [mine, others] = [plan('events.accepted'), plan('events.inbound')];
    const notMine = Object.assign(answer('TOPIC_ALREADY_EXISTS'), { topic: others.topic });
    const { admin } = anothersTopic(async (request) => {
      asked.push(request?.topics.map(({ topic, numPartitions }) => [topic, numPartitions]));
      throw new kafkajs.KafkaJSAggregateError('some', [notMine]);
    });
    log.info.mockClear();
    await ensure(admin, [mine, others], log);
    expect(asked).toEqual([[[mine.topic, 12], [others.topic, 12]]]);
    expect(log.info.mock.calls).toEqual([[{ topic: mine.topic, partitions: 12 }, 'topic created']]);
  });

  it('that the broker refuses is told, whatever became of those it was asked for with', async () => {
    const errors = [answer('TOPIC_ALREADY_EXISTS'), answer('POLICY_VIOLATION')];
    const { admin } = anothersTopic(async () => Promise.reject(new kafkajs.KafkaJSAggregateError('some', errors)));
    await expect(ensure(admin, [plan('events.accepted'), plan('events.inbound')], log)).rejects.toThrow('POLICY_VIOLATION');
  });

  it('that is listed already, but not yet known with its leaders, waits for them too', async () => {
    const intended = plan('events.accepted');
    const { admin, questions } = anothersTopic(async () => Promise.reject(new Error('it is there')), [intended.topic]);
    await ensure(admin, [intended], log);
    expect(questions()).toBe(3);
  });
});
