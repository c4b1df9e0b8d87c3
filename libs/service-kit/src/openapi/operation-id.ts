const VERBS: Readonly<Record<string, string>> = { get: 'get', post: 'create', put: 'put', patch: 'update', delete: 'delete' };

const capitalised = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1);
const camelCase = (words: readonly string[]): string => words.map((word, at) => (at === 0 ? word : capitalised(word))).join('');
const isParameter = (segment: string): boolean => segment.startsWith('{');
const singular = (plural: string): string => plural.replace(/ies$/, 'y').replace(/s$/, '');

/** The segments that say what it is about: those below a tenant, or all. */
const telling = (path: string): readonly string[] => {
  const segments = path.split('/').filter(Boolean).slice(1);
  return segments[0] === 'tenants' && segments.length > 2 ? segments.slice(2) : segments;
};

/** Under which heading an operation stands: `Subscriptions`, `Event types`, `API keys`. */
export const tagOf = (path: string): string => capitalised((telling(path)[0] ?? '').replaceAll('-', ' ')).replace(/^Api\b/, 'API');

/**
 * What a generated client calls an operation, from its method and its path below `/v1`, because these say it already:
 * `listSubscriptions`, `rotateSubscriptionSecret`, `getSubscriptionHistory`, `importEventTypes`, `checkFilter`.
 */
export const operationIdOf = (method: string, path: string): string => {
  const [collection = '', ...rest] = telling(path);
  const verb = VERBS[method] ?? method;
  const detail = (rest.find((segment) => !isParameter(segment)) ?? '').split('-').filter(Boolean);
  // `filter-check`, `stats`: not a collection, or one of which nothing is ever made.
  if (!collection.endsWith('s')) return camelCase(collection.split('-').toReversed());
  const things = collection.split('-');
  const thing = singular(collection).split('-');
  const ofOne = rest.some(isParameter);
  if (detail.length === 0) return camelCase(ofOne || method !== 'get' ? [verb, ...thing] : ['list', ...things]);
  const [action = '', ...object] = detail;
  if (method !== 'post') return camelCase([verb, ...thing, ...detail]);
  if (action === 'batch') return camelCase([verb, ...things]);
  return camelCase([action, ...(ofOne ? thing : things), ...object]);
};
