import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { StackError, reasonOf } from './errors.js';
import { answersMetadata } from './kafka-probe.js';
import { freePort } from './ports.js';
import { eventually } from '../eventually.js';
import { never, type Server } from './server.js';

const KAFKA_IMAGE = 'apache/kafka:4.3.0';
const POSTGRES_IMAGE = 'postgres:18-alpine';
const ENGINE_TIMEOUT_MS = 5_000;
const KAFKA_PORT = 9092;

/** Where engines listen when DOCKER_HOST does not say. */
const sockets = (): readonly string[] => {
  const runtimeDir = process.env['XDG_RUNTIME_DIR'];
  return [
    '/var/run/docker.sock',
    join(homedir(), '.docker/run/docker.sock'),
    join(homedir(), '.docker/desktop/docker.sock'),
    ...(runtimeDir ? [join(runtimeDir, 'docker.sock')] : []),
  ];
};

/**
 * Why no container can be started here, undefined when one can. Looks for a socket first: loading testcontainers takes about a
 * second, which a machine without Docker should not pay at every start.
 */
export const whyNoContainers = async (): Promise<string | undefined> => {
  const named = process.env['DOCKER_HOST'] ?? process.env['TESTCONTAINERS_HOST_OVERRIDE'];
  if (!named && !sockets().some((path) => existsSync(path))) return 'no Docker engine here';
  const timeout = new AbortController();
  try {
    const { getContainerRuntimeClient } = await import('testcontainers');
    const answered = await Promise.race([
      getContainerRuntimeClient().then(() => true),
      delay(ENGINE_TIMEOUT_MS, false, { signal: timeout.signal }),
    ]);
    return answered ? undefined : `the Docker engine did not answer within ${ENGINE_TIMEOUT_MS / 1_000} s`;
  } catch (error) {
    return `the Docker engine does not answer: ${reasonOf(error)}`;
  } finally {
    timeout.abort();
  }
};

export const startPostgresContainer = async (): Promise<Server<{ databaseUrl: string }>> => {
  try {
    const { PostgreSqlContainer } = await import('@testcontainers/postgresql');
    const container = await new PostgreSqlContainer(POSTGRES_IMAGE).withDatabase('posthorn').withUsername('posthorn').start();
    return {
      kind: 'container',
      databaseUrl: container.getConnectionUri(),
      ended: never,
      stop: async () => {
        await container.stop();
      },
    };
  } catch (cause) {
    throw new StackError('unavailable', `container ${POSTGRES_IMAGE}: ${reasonOf(cause)}`, { cause });
  }
};

/**
 * The image of Apache Kafka itself. A broker must know the address it is reached at before it starts, so the port on our side
 * is chosen first, rather than by the engine.
 */
export const startKafkaContainer = async (): Promise<Server<{ brokers: string }>> => {
  try {
    const { GenericContainer, Wait, getContainerRuntimeClient } = await import('testcontainers');
    const { host } = (await getContainerRuntimeClient()).info.containerRuntime;
    const port = await freePort();
    const container = await new GenericContainer(KAFKA_IMAGE)
      .withExposedPorts({ container: KAFKA_PORT, host: port })
      .withEnvironment({
        KAFKA_NODE_ID: '1',
        KAFKA_PROCESS_ROLES: 'broker,controller',
        KAFKA_CONTROLLER_QUORUM_VOTERS: '1@localhost:9093',
        KAFKA_CONTROLLER_LISTENER_NAMES: 'CONTROLLER',
        KAFKA_LISTENERS: `PLAINTEXT://0.0.0.0:${KAFKA_PORT},CONTROLLER://localhost:9093`,
        KAFKA_ADVERTISED_LISTENERS: `PLAINTEXT://${host}:${port}`,
        KAFKA_LISTENER_SECURITY_PROTOCOL_MAP: 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
        KAFKA_AUTO_CREATE_TOPICS_ENABLE: 'false',
        KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS: '0',
        KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR: '1',
        KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR: '1',
        KAFKA_TRANSACTION_STATE_LOG_MIN_ISR: '1',
        KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR: '1',
        KAFKA_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR: '1',
      })
      .withWaitStrategy(Wait.forListeningPorts())
      .start();
    await eventually(() => answersMetadata(host, port), { timeoutMs: 60_000, everyMs: 100, describe: 'Kafka to answer' });
    return {
      kind: 'container',
      brokers: `${host}:${port}`,
      ended: never,
      stop: async () => {
        await container.stop();
      },
    };
  } catch (cause) {
    throw new StackError('unavailable', `container ${KAFKA_IMAGE}: ${reasonOf(cause)}`, { cause });
  }
};
