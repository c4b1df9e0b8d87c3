type Route = { readonly pattern: RegExp; readonly methods: Set<string> };

/** Regular expression of a route in the router's notation: `:name` is a segment, `*` is the rest. */
const patternOf = (url: string): RegExp => {
  const text = url
    .split('/')
    .map((segment) => {
      if (segment.startsWith(':')) return '[^/]+';
      if (segment === '*') return '.*';
      return segment.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
    })
    .join('/');
  return new RegExp(`^${text}$`);
};

/** Tells a path that is not there from a method that is not there. Asked only for requests that the router has turned away. */
export class KnownRoutes {
  readonly #routes = new Map<string, Route>();

  add(method: string | readonly string[], url: string): void {
    const route = this.#routes.get(url) ?? { pattern: patternOf(url), methods: new Set() };
    for (const one of [method].flat()) route.methods.add(one);
    this.#routes.set(url, route);
  }

  /** Methods of the path, sorted; none when the path is not known. */
  methodsOf(path: string): readonly string[] {
    const methods = [...this.#routes.values()].filter(({ pattern }) => pattern.test(path)).flatMap((route) => [...route.methods]);
    return [...new Set(methods)].sort();
  }
}
