import type { Logger } from '@posthorn/kafka';

const nothing = (): void => undefined;

export const silent: Logger = { debug: nothing, info: nothing, warn: nothing, error: nothing, fatal: nothing };
