import kafkajs from 'kafkajs';

const TIMEOUT_MS = 30_000;

/**
 * Removes the topics of a test, once nobody reads or writes them any more. A broker keeps something of every partition in memory: those of a hundred
 * tests fill it, and it does little else than collect garbage from then on.
 * @param brokers as in POSTHORN_KAFKA_BROKERS
 * @param prefix of their names; must be that test's alone
 */
export const removeTopics = async (brokers: string, prefix: string): Promise<void> => {
  const admin = new kafkajs.Kafka({ brokers: brokers.split(','), logLevel: kafkajs.logLevel.NOTHING, requestTimeout: TIMEOUT_MS }).admin();
  await admin.connect();
  try {
    const topics = (await admin.listTopics()).filter((topic) => topic.startsWith(prefix));
    if (topics.length > 0) await admin.deleteTopics({ topics, timeout: TIMEOUT_MS });
  } finally {
    await admin.disconnect();
  }
};
