import { Client } from 'pg';

/** A database of a test's own. */
export type Database = {
  readonly url: string;
  /** Throws out whoever is still connected. */
  drop(): Promise<void>;
};

const onServer = async (url: string, sql: string): Promise<void> => {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
};

/** Creates a database on the server that `serverUrl` leads to. */
export const createDatabase = async (serverUrl: string, name: string): Promise<Database> => {
  await onServer(serverUrl, `create database "${name}"`);
  return {
    url: Object.assign(new URL(serverUrl), { pathname: `/${name}` }).href,
    drop: () => onServer(serverUrl, `drop database "${name}" with (force)`),
  };
};
