export type Header = { readonly key: string; readonly value: Buffer | null };

export type Headers = Readonly<Record<string, Buffer | undefined>>;

const NONE: Headers = Object.freeze(Object.create(null) as Headers);

/** By name, whatever that is; of one that is repeated the last. Kafka has headers without a value; what is null to some is not there to others. */
export const headersByName = (headers: readonly Header[]): Headers => {
  if (headers.length === 0) return NONE;
  // Names are the producer's: `__proto__` is one like any other.
  const byName = Object.create(null) as Record<string, Buffer>;
  for (const { key, value } of headers) {
    if (value) byName[key] = value;
    else delete byName[key];
  }
  return byName;
};
