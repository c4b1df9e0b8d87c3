/** Names of one store's tables, channels and locks. A schema holds one store; the schema itself is made by who migrates it. */
export type StoreNames = {
  readonly events: string;
  readonly checkpoints: string;
  /** Rung at the commit of every append. */
  readonly appendedChannel: string;
  /** Carries the position that a relay has brought to its topics. */
  readonly relayedChannel: string;
  readonly appendLock: string;
  readonly relayLock: (relay: string) => string;
};

const IDENTIFIER = /^[a-z_][a-z0-9_]{0,39}$/;

/** @throws {TypeError} when the schema's name would need quoting: names are written into SQL as they are */
export const storeNames = (schema: string): StoreNames => {
  if (!IDENTIFIER.test(schema)) throw new TypeError(`not a plain schema name: ${schema}`);
  return {
    events: `${schema}.events`,
    checkpoints: `${schema}.relay_checkpoint`,
    appendedChannel: `${schema}_appended`,
    relayedChannel: `${schema}_relayed`,
    appendLock: advisoryLock(`${schema}.append`),
    relayLock: (relay) => advisoryLock(`${schema}.relay.${relay}`),
  };
};

/** SQL for the key of an advisory lock. @param name written by us, never by a user */
export const advisoryLock = (name: string): string => `hashtextextended('${name.replaceAll("'", "''")}', 0)`;
