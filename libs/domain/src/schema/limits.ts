/** Of what is written by strangers and compiled here. `eventTypeLimits.schemaBytes` bounds the whole. */
export const schemaLimits = {
  /** Levels of JSON; an event's data has as many. */
  depth: 64,
  subschemas: 2_000,
  patternLength: 1_024,
  /** Instructions of RE2's program: what `x{1000}` comes to. */
  patternProgram: 1_024,
} as const;

/** Stops at the limit: what is deeper than the stack does not overflow it. */
export const isDeeperThan = (value: unknown, levels: number): boolean => {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((member) => isDeeperThan(member, levels - 1));
};

/** Of a value as JSON text in UTF-8. Not for what may be deeper than the stack. */
export const jsonBytes = (value: unknown): number => Buffer.byteLength(JSON.stringify(value));
