/**
 * What one pattern of a subscription's `event_types` asks for: `*` everything, `invoice.*` every type below `invoice`
 * (`invoice.paid`, `invoice.line.added`, not `invoice` itself), anything else exactly itself.
 */
export type EventTypePattern =
  | { readonly kind: 'all' }
  | { readonly kind: 'below'; readonly prefix: string }
  | { readonly kind: 'exact'; readonly type: string };

export const parsePattern = (pattern: string): EventTypePattern => {
  if (pattern === '*') return { kind: 'all' };
  if (pattern.endsWith('.*')) return { kind: 'below', prefix: pattern.slice(0, -2) };
  return { kind: 'exact', type: pattern };
};

/** The prefixes a type lies below, shortest first: `a.b.c` lies below `a` and `a.b`. */
export const prefixesOf = (type: string): readonly string[] => {
  const prefixes: string[] = [];
  for (let dot = type.indexOf('.'); dot !== -1; dot = type.indexOf('.', dot + 1)) prefixes.push(type.slice(0, dot));
  return prefixes;
};

export const matchesPattern = (pattern: EventTypePattern, type: string): boolean => {
  switch (pattern.kind) {
    case 'all':
      return true;
    case 'below':
      return type.startsWith(`${pattern.prefix}.`);
    case 'exact':
      return type === pattern.type;
  }
};

/** The patterns that no other one covers: whatever type matches some of those given matches exactly one of these. */
export const withoutCovered = (patterns: readonly string[]): readonly string[] => {
  const all = new Set(patterns);
  if (all.has('*')) return ['*'];
  const isCovered = (pattern: string): boolean => prefixesOf(pattern).some((prefix) => pattern !== `${prefix}.*` && all.has(`${prefix}.*`));
  return [...all].filter((pattern) => !isCovered(pattern));
};
