/** Of a URL what may be told: neither who logs in nor a query, in which drivers take passwords too. */
const withoutLogin = (text: string): string => {
  if (!URL.canParse(text)) return text;
  const { protocol, host, pathname } = new URL(text);
  return host === '' ? text : `${protocol}//${host}${pathname}`;
};

/** A configuration for the log, where what is called like a secret is redacted besides (`log.ts`). */
export const toldConfig = (config: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> =>
  Object.fromEntries(Object.entries(config).map(([variable, value]) => [variable, typeof value === 'string' ? withoutLogin(value) : value]));
